/**
 * Thresholds and checks as the tests of a suite, in the XML that CI systems read.
 *
 * @module
 */
import * as Result from "../results/Result.ts"
import type * as Threshold from "../thresholds/Threshold.ts"
import { verdict } from "./Summary.ts"
import * as Units from "./units.ts"

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;"
}

// What XML 1.0 has no place for, even escaped.
const unspeakable = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu

const escaped = (text: string): string =>
  text.replaceAll(unspeakable, "�").replaceAll(/[&<>"']/g, (character) => escapes[character] ?? character)

interface Case {
  readonly name: string
  readonly failure: string | undefined
}

const suite = (name: string, cases: ReadonlyArray<Case>, seconds: string): ReadonlyArray<string> => {
  if (cases.length === 0) return []
  const failures = cases.filter(({ failure }) => failure !== undefined).length
  return [
    `  <testsuite name="${escaped(name)}" tests="${cases.length}" failures="${failures}" errors="0" skipped="0" time="${seconds}">`,
    ...cases.flatMap(({ failure, name: title }) =>
      failure === undefined
        ? [`    <testcase classname="${escaped(name)}" name="${escaped(title)}" time="${seconds}"/>`]
        : [
            `    <testcase classname="${escaped(name)}" name="${escaped(title)}" time="${seconds}">`,
            `      <failure message="${escaped(failure)}"/>`,
            "    </testcase>"
          ]
    ),
    "  </testsuite>"
  ]
}

export const text = (result: Result.Result, verdicts: ReadonlyArray<Threshold.Verdict>): string => {
  const seconds = Result.seconds(result).toFixed(3)
  const name = result.names.join(", ") || "sluice-load"
  const thresholds = verdicts.map((one) => ({
    name: one.threshold.text,
    failure: one.isMet ? undefined : verdict(one)
  }))
  const checks = result.checks.map(({ failed, name: title, passed }) => ({
    name: title,
    failure: failed === 0 ? undefined : `${Units.count(failed)} of ${Units.count(passed + failed)} failed`
  }))
  const all = [...thresholds, ...checks]
  return `${[
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="${escaped(name)}" tests="${all.length}" failures="${all.filter(({ failure }) => failure !== undefined).length}" time="${seconds}">`,
    ...suite("thresholds", thresholds, seconds),
    ...suite("checks", checks, seconds),
    "</testsuites>"
  ].join("\n")}\n`
}
