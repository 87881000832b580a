// A run as text: a column for each fiber, a row for each stretch that one ran.

import type { Outcome, Run, Step } from "./scheduler.ts"

const width = 22

const nameOf = (fiber: number): string => (fiber === 0 ? "main" : `fiber ${fiber}`)

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

export const describe = (outcome: Outcome): string => {
  switch (outcome.type) {
    case "success":
      return "nothing went wrong"
    case "failure":
      return `the program failed: ${String(outcome.cause)}`
    case "deadlock":
      return `deadlock: nothing can run and ${names(outcome.waiting)} wait (what waits for real I/O or a promise looks like this too)`
    case "livelock":
      return "livelock: the program goes on without end"
    case "leak":
      return `the program ended and left ${names(outcome.fibers)} behind`
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
