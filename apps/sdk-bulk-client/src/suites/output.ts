// What the suites print and write: the block of the Text2Everything guide, JSON
// with every figure, JUnit for CI.

import type { SuiteResult } from "./suites.ts"

export interface SuiteRun {
  readonly suite: string
  readonly results: ReadonlyArray<SuiteResult>
  /** Why the suite could not be run to its end. */
  readonly error: string | undefined
}

export const passed = (run: SuiteRun): boolean =>
  run.error === undefined && run.results.every((result) => result.checks.every((check) => check.holds))

export const text = (run: SuiteRun): string => {
  const blocks = run.results.map((result) => {
    const rate = ((100 * result.succeeded) / result.requests).toFixed(0)
    const ok = result.checks.every((check) => check.holds)
    return [
      `${ok ? "✅" : "❌"} ${result.name} (${result.requests} concurrent requests)`,
      `   Success rate: ${result.succeeded}/${result.requests} (${rate}%)`,
      `   Average time: ${result.averageSeconds.toFixed(3)} seconds per request`,
      `   Throughput: ${result.throughput.toFixed(2)} requests/second (${result.makespanSeconds.toFixed(2)} s in all)`,
      `   Connection drops: ${result.connectionDrops === 0 ? "zero" : result.connectionDrops}, sent again: ${result.sentAgain}`,
      ...result.checks.filter((check) => !check.holds).map((check) => `   Not so: ${check.statement}`)
    ].join("\n")
  })
  const trouble = run.error === undefined ? [] : [`❌ ${run.suite}: ${run.error}`]
  return [...blocks, ...trouble].join("\n")
}

export const json = (runs: ReadonlyArray<SuiteRun>): string =>
  `${JSON.stringify({ passed: runs.every(passed), suites: runs.map((run) => ({ ...run, passed: passed(run) })) }, null, 2)}\n`

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" }
const xml = (value: string): string => value.replaceAll(/[&<>"]/g, (character) => escapes[character] ?? character)

export const junit = (runs: ReadonlyArray<SuiteRun>): string => {
  const cases = runs.map((run) => {
    const seconds = run.results.reduce((sum, result) => sum + result.makespanSeconds, 0)
    const broken = run.results.flatMap((result) => result.checks.filter((check) => !check.holds))
    const reasons = [...broken.map((check) => check.statement), ...(run.error === undefined ? [] : [run.error])]
    const failure = reasons.length === 0 ? "" : `<failure message="${xml(reasons.join("; "))}"/>`
    return `    <testcase classname="t2e" name="${xml(run.suite)}" time="${seconds.toFixed(3)}">${failure}</testcase>`
  })
  const failures = runs.filter((run) => !passed(run)).length
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    "<testsuites>",
    `  <testsuite name="t2e" tests="${runs.length}" failures="${failures}">`,
    ...cases,
    "  </testsuite>",
    "</testsuites>",
    ""
  ].join("\n")
}
