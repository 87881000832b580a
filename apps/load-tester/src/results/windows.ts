/**
 * The time series of a result: windows of a second, or of more where there would be too many.
 *
 * @module
 */
import * as Histogram from "./Histogram.ts"
import type { Result } from "./Result.ts"

/** The parts of a request, in the order in which they happen. */
export const phases = ["poolWait", "connect", "tls", "firstByte", "body"] as const
export type Phase = (typeof phases)[number]

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

/** How many windows a result keeps, so that its size does not grow with the run: an hour of seconds. */
export const maxWindows = 3600

const add = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): ReadonlyArray<number> =>
  a.map((value, index) => value + (b[index] ?? 0))

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

/** The windows of a result, made wider until they are so many seconds. */
export const atWidth = (result: Pick<Result, "windows" | "windowSeconds">, seconds: number): ReadonlyArray<Window> => {
  let { windows } = result
  for (let width = result.windowSeconds; width < seconds; width *= 2) windows = coarser(windows)
  return windows
}

/** Windows of the same width, those of the same time as one. */
export const joinWindows = (a: ReadonlyArray<Window>, b: ReadonlyArray<Window>): ReadonlyArray<Window> => {
  const all = new Map(a.map((window) => [window.index, window]))
  for (const window of b) {
    const before = all.get(window.index)
    all.set(window.index, before === undefined ? window : mergeWindows(window.index, before, window))
  }
  return [...all.values()].sort((one, two) => one.index - two.index)
}

/** How many widths of a window there are between its first and its last. */
export const spanOf = (windows: ReadonlyArray<Window>): number =>
  windows.length === 0 ? 0 : (windows.at(-1)?.index ?? 0) - (windows[0]?.index ?? 0) + 1

/** A window in which nothing ended. */
const emptyWindow = (index: number): Window => ({
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
