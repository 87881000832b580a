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

/** What a step speaks; `work` is anything that is not a protocol of ours. */
export const protocols = ["http", "grpc", "ws", "work"] as const
export type Protocol = (typeof protocols)[number]

/** The parts of a request, in the order in which they happen. */
export const phases = ["poolWait", "connect", "tls", "firstByte", "body"] as const
export type Phase = (typeof phases)[number]

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

/** What fell into one window of the time series, by the time at which it ended. */
export interface Window {
  /** Which window: the time since 1970, in widths of a window. */
  readonly index: number
  readonly requests: number
  readonly failed: number
  readonly bytesOut: number
  readonly bytesIn: number
  readonly iterations: number
  readonly dropped: number
  readonly checksPassed: number
  readonly checksFailed: number
  readonly opened: number
  readonly reused: number
  /** Sends that were late by more than a millisecond. */
  readonly late: number
  /** The most users in each second, added up: divided by the width, users. */
  readonly userSeconds: number
  /** Arrivals that were planned; 0 in a closed model. */
  readonly planned: number
  /** The event loop's greatest delay. */
  readonly loopDelay: number
  /** For each of `phases`, what it took in all. */
  readonly phaseSums: ReadonlyArray<number>
  /** For each of `phases`, how many requests had it. */
  readonly phaseCounts: ReadonlyArray<number>
  readonly latency: Histogram.Histogram
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

/** How many windows a result keeps, so that its size does not grow with the run: an hour of seconds. */
export const maxWindows = 3600

const add = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): ReadonlyArray<number> =>
  a.map((value, index) => value + (b[index] ?? 0))

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

/** Two windows as one: of the same time by two recorders, or one after the other. */
const mergeWindows = (index: number, a: Window, b: Window): Window => ({
  index,
  requests: a.requests + b.requests,
  failed: a.failed + b.failed,
  bytesOut: a.bytesOut + b.bytesOut,
  bytesIn: a.bytesIn + b.bytesIn,
  iterations: a.iterations + b.iterations,
  dropped: a.dropped + b.dropped,
  checksPassed: a.checksPassed + b.checksPassed,
  checksFailed: a.checksFailed + b.checksFailed,
  opened: a.opened + b.opened,
  reused: a.reused + b.reused,
  late: a.late + b.late,
  userSeconds: a.userSeconds + b.userSeconds,
  planned: a.planned + b.planned,
  loopDelay: Math.max(a.loopDelay, b.loopDelay),
  phaseSums: add(a.phaseSums, b.phaseSums),
  phaseCounts: add(a.phaseCounts, b.phaseCounts),
  latency: Histogram.merge(a.latency, b.latency)
})

/** Windows of twice the width. */
export const coarser = (windows: ReadonlyArray<Window>): Array<Window> => {
  const found: Array<Window> = []
  for (const window of windows) append(found, { ...window, index: Math.floor(window.index / 2) })
  return found
}

/** Puts a window at the end, into the last if that is of the same time. */
export const append = (windows: Array<Window>, window: Window): void => {
  const last = windows.at(-1)
  if (last?.index === window.index) windows[windows.length - 1] = mergeWindows(window.index, last, window)
  else windows.push(window)
}

const atWidth = (result: Pick<Result, "windows" | "windowSeconds">, seconds: number): ReadonlyArray<Window> => {
  let { windows } = result
  for (let width = result.windowSeconds; width < seconds; width *= 2) windows = coarser(windows)
  return windows
}

const joinWindows = (a: ReadonlyArray<Window>, b: ReadonlyArray<Window>): ReadonlyArray<Window> => {
  const all = new Map(a.map((window) => [window.index, window]))
  for (const window of b) {
    const before = all.get(window.index)
    all.set(window.index, before === undefined ? window : mergeWindows(window.index, before, window))
  }
  return [...all.values()].sort((one, two) => one.index - two.index)
}

/** How many widths of a window there are between its first and its last. */
const spanOf = (windows: ReadonlyArray<Window>): number =>
  windows.length === 0 ? 0 : (windows.at(-1)?.index ?? 0) - (windows[0]?.index ?? 0) + 1

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

/** A window in which nothing ended. */
export const emptyWindow = (index: number): Window => ({
  index,
  requests: 0,
  failed: 0,
  bytesOut: 0,
  bytesIn: 0,
  iterations: 0,
  dropped: 0,
  checksPassed: 0,
  checksFailed: 0,
  opened: 0,
  reused: 0,
  late: 0,
  userSeconds: 0,
  planned: 0,
  loopDelay: 0,
  phaseSums: phases.map(() => 0),
  phaseCounts: phases.map(() => 0),
  latency: Histogram.empty
})

/** One window, with the time in which it ran. */
export interface Point extends Window {
  /** When it began, in seconds since the run began; the first began with the run. */
  readonly atSeconds: number
  /** How much of it lies within the run. */
  readonly seconds: number
}

/** Every window of the run, those in which nothing ended too. */
export const series = (result: Result): ReadonlyArray<Point> => {
  const width = result.windowSeconds * 1e6
  const known = new Map(result.windows.map((window) => [window.index, window]))
  const first = Math.min(
    Math.floor(result.startedAtMicros / width),
    result.windows[0]?.index ?? Number.POSITIVE_INFINITY
  )
  const last = Math.max(Math.ceil(result.endedAtMicros / width) - 1, result.windows.at(-1)?.index ?? 0)
  const points: Array<Point> = []
  for (let index = first; index <= last; index++) {
    const from = Math.max(index * width, result.startedAtMicros)
    const to = Math.min((index + 1) * width, result.endedAtMicros)
    points.push({
      ...(known.get(index) ?? emptyWindow(index)),
      atSeconds: (from - result.startedAtMicros) / 1e6,
      seconds: Math.max(0, to - from) / 1e6
    })
  }
  return points
}

/** Two points that follow each other as one. */
export const joinPoints = (a: Point, b: Point): Point => ({
  ...mergeWindows(a.index, a, b),
  atSeconds: a.atSeconds,
  seconds: a.seconds + b.seconds
})
