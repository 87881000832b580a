/**
 * What a run came to: a value that can be kept, read and merged.
 *
 * Times are whole microseconds, counts are whole numbers, and every list is
 * ordered by name; so results of several threads or machines merge to the same
 * result in whatever order they come.
 *
 * @module
 */
import * as Histogram from "./Histogram.ts"
import { atWidth, coarser, joinWindows, maxWindows, type Phase, spanOf, type Window } from "./windows.ts"

export {
  append,
  coarser,
  joinPoints,
  maxWindows,
  type Phase,
  type Point,
  phases,
  series,
  type Window
} from "./windows.ts"

/** What a step speaks; `work` is anything that is not a protocol of ours. */
export const protocols = ["http", "grpc", "ws", "work"] as const
export type Protocol = (typeof protocols)[number]

/** A name with a count, such as an error's kind or a status. */
export type Count = readonly [name: string, count: number]

export interface StepResult {
  readonly scenario: string
  /** Empty where the step is in none. */
  readonly group: string
  readonly name: string
  readonly protocol: Protocol
  readonly requests: number
  readonly failed: number
  readonly bytesOut: number
  readonly bytesIn: number
  readonly statuses: ReadonlyArray<Count>
  readonly errors: ReadonlyArray<Count>
  /** From the time at which the request was planned to its end. */
  readonly latency: Histogram.Histogram
  /** From the time at which it was sent to its end. */
  readonly service: Histogram.Histogram
  readonly phases: Readonly<Record<Phase, Histogram.Histogram>>
}

export interface ScenarioResult {
  readonly name: string
  readonly iterations: number
  /** Iterations that were planned and not begun. */
  readonly dropped: number
  readonly duration: Histogram.Histogram
}

export interface CheckResult {
  readonly name: string
  readonly passed: number
  readonly failed: number
}

/** How the tester itself did. */
export interface Client {
  /** How late the event loop ran what was due. */
  readonly loopDelay: Histogram.Histogram
  /** How late arrivals were sent. */
  readonly sendDelay: Histogram.Histogram
  /** The time between one arrival and the next. */
  readonly gaps: Histogram.Histogram
  /** Arrivals that were late by more than a millisecond. */
  readonly late: number
  /** Recorders that are in this result: threads, or machines. */
  readonly recorders: number
}

export interface Result {
  /** What ran, as its user calls it. */
  readonly names: ReadonlyArray<string>
  /** Since 1970. */
  readonly startedAtMicros: number
  readonly endedAtMicros: number
  readonly steps: ReadonlyArray<StepResult>
  readonly scenarios: ReadonlyArray<ScenarioResult>
  readonly checks: ReadonlyArray<CheckResult>
  readonly opened: number
  readonly reused: number
  readonly client: Client
  /** The width of each window; it doubles whenever there would be more than `maxWindows`. */
  readonly windowSeconds: number
  /** Windows in which something ended, in order. */
  readonly windows: ReadonlyArray<Window>
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Merges what has the same key, and orders by it. */
const byKey = <A>(all: ReadonlyArray<A>, keyOf: (one: A) => string, join: (a: A, b: A) => A): ReadonlyArray<A> => {
  const merged = new Map<string, A>()
  for (const one of all) {
    const key = keyOf(one)
    const before = merged.get(key)
    merged.set(key, before === undefined ? one : join(before, one))
  }
  return Array.from(merged)
    .sort(([a], [b]) => compare(a, b))
    .map(([, one]) => one)
}

/** Counts by name, those of one name together. */
const mergeCounts = (...all: ReadonlyArray<ReadonlyArray<Count>>): ReadonlyArray<Count> =>
  byKey(
    all.flat(),
    ([name]) => name,
    ([name, a], [, b]): Count => [name, a + b]
  )

const mergePhases = (a: StepResult["phases"], b: StepResult["phases"]): StepResult["phases"] => ({
  poolWait: Histogram.merge(a.poolWait, b.poolWait),
  connect: Histogram.merge(a.connect, b.connect),
  tls: Histogram.merge(a.tls, b.tls),
  firstByte: Histogram.merge(a.firstByte, b.firstByte),
  body: Histogram.merge(a.body, b.body)
})

const mergeSteps = (a: StepResult, b: StepResult): StepResult => ({
  ...a,
  requests: a.requests + b.requests,
  failed: a.failed + b.failed,
  bytesOut: a.bytesOut + b.bytesOut,
  bytesIn: a.bytesIn + b.bytesIn,
  statuses: mergeCounts(a.statuses, b.statuses),
  errors: mergeCounts(a.errors, b.errors),
  latency: Histogram.merge(a.latency, b.latency),
  service: Histogram.merge(a.service, b.service),
  phases: mergePhases(a.phases, b.phases)
})

/**
 * Both together, as if one recorder had recorded all: exact, associative and commutative. O(steps × buckets + windows).
 */
export const merge = (a: Result, b: Result): Result => {
  let windowSeconds = Math.max(a.windowSeconds, b.windowSeconds)
  let windows = joinWindows(atWidth(a, windowSeconds), atWidth(b, windowSeconds))
  while (spanOf(windows) > maxWindows) {
    windows = coarser(windows)
    windowSeconds *= 2
  }
  return {
    names: [...new Set([...a.names, ...b.names])].sort(compare),
    startedAtMicros: Math.min(a.startedAtMicros, b.startedAtMicros),
    endedAtMicros: Math.max(a.endedAtMicros, b.endedAtMicros),
    steps: byKey([...a.steps, ...b.steps], keyOf, mergeSteps),
    scenarios: byKey(
      [...a.scenarios, ...b.scenarios],
      ({ name }) => name,
      (one, two) => ({
        name: one.name,
        iterations: one.iterations + two.iterations,
        dropped: one.dropped + two.dropped,
        duration: Histogram.merge(one.duration, two.duration)
      })
    ),
    checks: byKey(
      [...a.checks, ...b.checks],
      ({ name }) => name,
      (one, two) => ({ name: one.name, passed: one.passed + two.passed, failed: one.failed + two.failed })
    ),
    opened: a.opened + b.opened,
    reused: a.reused + b.reused,
    client: {
      loopDelay: Histogram.merge(a.client.loopDelay, b.client.loopDelay),
      sendDelay: Histogram.merge(a.client.sendDelay, b.client.sendDelay),
      gaps: Histogram.merge(a.client.gaps, b.client.gaps),
      late: a.client.late + b.client.late,
      recorders: a.client.recorders + b.client.recorders
    },
    windowSeconds,
    windows
  }
}

/** With every list in the order that merging gives. */
export const ordered = (result: Result): Result => ({
  ...result,
  steps: [...result.steps]
    .sort((a, b) => compare(keyOf(a), keyOf(b)))
    .map((step) => ({
      ...step,
      statuses: mergeCounts(step.statuses),
      errors: mergeCounts(step.errors)
    })),
  scenarios: [...result.scenarios].sort((a, b) => compare(a.name, b.name)),
  checks: [...result.checks].sort((a, b) => compare(a.name, b.name))
})

/** What a step goes by when results are merged. */
export const keyOf = ({
  group,
  name,
  protocol,
  scenario
}: Pick<StepResult, "scenario" | "group" | "name" | "protocol">): string =>
  [scenario, group, name, protocol].join("\u0000")

/** All steps, or those that are chosen, as one. */
export interface Total extends Omit<StepResult, "scenario" | "group" | "name" | "protocol"> {}

const nothing: Total = {
  requests: 0,
  failed: 0,
  bytesOut: 0,
  bytesIn: 0,
  statuses: [],
  errors: [],
  latency: Histogram.empty,
  service: Histogram.empty,
  phases: {
    poolWait: Histogram.empty,
    connect: Histogram.empty,
    tls: Histogram.empty,
    firstByte: Histogram.empty,
    body: Histogram.empty
  }
}

/** The steps as one. O(steps × buckets). */
export const total = (steps: ReadonlyArray<StepResult>): Total => {
  const as: StepResult = { ...nothing, scenario: "", group: "", name: "", protocol: "work" }
  const { group: _group, name: _name, protocol: _protocol, scenario: _scenario, ...sum } = steps.reduce(mergeSteps, as)
  return sum
}

/** How long the run was. */
export const seconds = ({
  endedAtMicros,
  startedAtMicros
}: Pick<Result, "endedAtMicros" | "startedAtMicros">): number => (endedAtMicros - startedAtMicros) / 1e6
