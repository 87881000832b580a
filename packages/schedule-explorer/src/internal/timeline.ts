// A run as text: a column for each fiber, a row for each stretch that one ran.

import type { Outcome, Run, Step } from "./scheduler.ts"

const width = 22

export const nameOf = (fiber: number): string => (fiber === 0 ? "main" : `fiber ${fiber}`)

const cell = (step: Step): string => {
  switch (step.kind) {
    case "run":
      return `● ${step.marks.join(", ")}`
    case "preempted":
      return "⤳ preempted"
    case "interrupted":
      return `✗ interrupted ${step.marks.join(", ")}`
    case "time":
      return `⏲ ${step.marks.join(", ")}`
  }
}

const names = (fibers: ReadonlyArray<number>): string => fibers.map(nameOf).join(", ")

/** What is the same in two rows that repeat each other. Time goes on even where nothing else does. */
const likeness = ({ fiber, kind, marks }: Step): string => `${fiber} ${kind} ${kind === "time" ? "" : marks.join()}`

/** The shortest sequence of rows that a run ends in at least three times over; empty where there is none. */
export const repeating = (steps: ReadonlyArray<Step>): ReadonlyArray<Step> => {
  const rows = steps.slice(-300).map(likeness)
  for (let period = 1; period * 3 <= rows.length; period++) {
    const tail = rows.slice(-3 * period)
    if (tail.every((row, at) => row === tail[at % period])) return steps.slice(-period)
  }
  return []
}

const turn = ({ kind, marks }: Step): string => {
  if (kind === "run") return marks.length === 0 ? "runs" : marks.join(", ")
  return kind === "time" ? "time passes" : kind
}

const describeLivelock = (run: Run): string => {
  const last = run.steps.at(-1)
  const period = repeating(run.steps)
  if (period.length > 0) {
    const turns = period.map((step) => `${nameOf(step.fiber)}: ${turn(step)}`)
    const shown = turns.length > 12 ? [...turns.slice(0, 12), `… ${turns.length - 12} more`] : turns
    return `livelock: the program goes on without end, and repeats:\n  ${shown.join("\n  ")}`
  }
  return run.steps.length < 3 && last !== undefined
    ? `livelock: ${nameOf(last.fiber)} goes on without end and lets nobody else run`
    : "livelock: the program goes on without end, and does not repeat itself"
}

export const describe = (run: Run): string => {
  const outcome: Outcome = run.outcome
  switch (outcome.type) {
    case "success":
      return "nothing went wrong"
    case "failure":
      return `the program failed: ${String(outcome.cause)}`
    case "invariant":
      return `what should always hold does not, after a step of ${nameOf(outcome.fiber)}: ${outcome.broken}`
    case "deadlock":
      return `deadlock: nothing can run and ${names(outcome.waiting)} wait`
    case "livelock":
      return describeLivelock(run)
    case "leak": {
      const fibers = outcome.fibers.length === 0 ? [] : [`${names(outcome.fibers)} still there`]
      return `the program ended and left something behind: ${[...fibers, ...outcome.others].join("; ")}`
    }
    case "real-io":
      return `${nameOf(outcome.fiber)} reached for ${outcome.what}, which the explorer refuses: a run is synchronous and its time virtual, so nothing from outside could answer. Give the program a fake of it, or a Layer for tests`
  }
}

/** Long runs are told from their end, which is where they went wrong. */
export const render = (run: Run, maxRows: number): string => {
  const columns = Array.from({ length: run.fibers }, (_, fiber) => nameOf(fiber))
  const line = (texts: ReadonlyArray<string>): string =>
    texts
      .map((text) => text.padEnd(width))
      .join("")
      .trimEnd()
  const rows = run.steps.map((step, index) => {
    const texts = columns.map((_, fiber) => (fiber === step.fiber ? cell(step) : ""))
    return `${String(index + 1).padStart(4)}  ${line(texts)}`
  })
  const left = rows.length - maxRows
  return [
    `      ${line(columns)}`,
    ...(left > 0 ? [`      … ${left} rows before`] : []),
    ...(left > 0 ? rows.slice(left) : rows)
  ].join("\n")
}
