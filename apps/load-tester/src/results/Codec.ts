/**
 * Results as bytes: small, and exactly what was written when they are read.
 *
 * A file is `SLR`, a byte for the version, the result, and a CRC-32 of all that
 * stands before it. Whole numbers are varints; a histogram is its counts, with
 * runs of empty buckets as one number. A second of a busy run takes some hundred bytes.
 *
 * @module
 */
import { readFileSync } from "node:fs"
import { Data, Effect } from "effect"
import { crc32, Reader, Writer } from "./bytes.ts"
import * as Histogram from "./Histogram.ts"
import * as Result from "./Result.ts"

const version = 1
const magic: ReadonlyArray<number> = [...new TextEncoder().encode("SLR"), version]

/** What is not a result, or not a whole one. */
export class UnreadableResult extends Data.TaggedError("@sluice/load-tester/UnreadableResult")<{
  readonly message: string
}> {}

const writeHistogram = (to: Writer, { counts, max, min, offset, scale, sum, zero }: Histogram.Histogram): void => {
  to.uint(counts.length)
  to.uint(zero)
  if (counts.length === 0 && zero === 0) return
  to.uint(sum)
  to.uint(min)
  to.uint(max)
  if (counts.length === 0) return
  to.uint(scale)
  to.int(offset)
  let empty = 0
  for (const count of counts) {
    if (count === 0) {
      empty++
      continue
    }
    if (empty > 0) {
      to.uint(0)
      to.uint(empty)
      empty = 0
    }
    to.uint(count)
  }
}

const readHistogram = (from: Reader): Histogram.Histogram => {
  const length = from.uint()
  const zero = from.uint()
  if (length === 0 && zero === 0) return Histogram.empty
  const sum = from.uint()
  const min = from.uint()
  const max = from.uint()
  if (length === 0) return { ...Histogram.empty, zero, count: zero, sum, min, max }
  const scale = from.uint()
  const offset = from.int()
  const counts: Array<number> = []
  let count = zero
  while (counts.length < length) {
    const next = from.uint()
    if (next > 0) {
      counts.push(next)
      count += next
    } else {
      for (let run = Math.min(from.uint(), length - counts.length); run > 0; run--) counts.push(0)
    }
  }
  return { scale, offset, counts, zero, count, sum, min, max }
}

const writeList = <A>(to: Writer, all: ReadonlyArray<A>, write: (one: A) => void): void => {
  to.uint(all.length)
  for (const one of all) write(one)
}

const readList = <A>(from: Reader, read: () => A): ReadonlyArray<A> => {
  const all: Array<A> = []
  for (let left = from.uint(); left > 0; left--) all.push(read())
  return all
}

const writeCounts = (to: Writer, all: ReadonlyArray<Result.Count>): void =>
  writeList(to, all, ([name, count]) => {
    to.string(name)
    to.uint(count)
  })

const readCounts = (from: Reader): ReadonlyArray<Result.Count> =>
  readList(from, (): Result.Count => [from.string(), from.uint()])

const writeStep = (to: Writer, step: Result.StepResult): void => {
  for (const name of [step.scenario, step.group, step.name]) to.string(name)
  to.uint(Result.protocols.indexOf(step.protocol))
  for (const count of [step.requests, step.failed, step.bytesOut, step.bytesIn]) to.uint(count)
  writeCounts(to, step.statuses)
  writeCounts(to, step.errors)
  writeHistogram(to, step.latency)
  writeHistogram(to, step.service)
  for (const phase of Result.phases) writeHistogram(to, step.phases[phase])
}

const readStep = (from: Reader): Result.StepResult => ({
  scenario: from.string(),
  group: from.string(),
  name: from.string(),
  protocol: Result.protocols[from.uint()] ?? "work",
  requests: from.uint(),
  failed: from.uint(),
  bytesOut: from.uint(),
  bytesIn: from.uint(),
  statuses: readCounts(from),
  errors: readCounts(from),
  latency: readHistogram(from),
  service: readHistogram(from),
  phases: {
    poolWait: readHistogram(from),
    connect: readHistogram(from),
    tls: readHistogram(from),
    firstByte: readHistogram(from),
    body: readHistogram(from)
  }
})

const windowCounts = [
  "requests",
  "failed",
  "bytesOut",
  "bytesIn",
  "iterations",
  "dropped",
  "checksPassed",
  "checksFailed",
  "opened",
  "reused",
  "late",
  "userSeconds",
  "planned",
  "loopDelay"
] as const

const writeWindow = (to: Writer, window: Result.Window, before: number): void => {
  to.uint(window.index - before)
  for (const name of windowCounts) to.uint(window[name])
  for (const sum of window.phaseSums) to.uint(sum)
  for (const count of window.phaseCounts) to.uint(count)
  writeHistogram(to, window.latency)
}

const readWindow = (from: Reader, before: number): Result.Window => {
  const numbers = (): Array<number> => Result.phases.map(() => from.uint())
  return {
    index: before + from.uint(),
    requests: from.uint(),
    failed: from.uint(),
    bytesOut: from.uint(),
    bytesIn: from.uint(),
    iterations: from.uint(),
    dropped: from.uint(),
    checksPassed: from.uint(),
    checksFailed: from.uint(),
    opened: from.uint(),
    reused: from.uint(),
    late: from.uint(),
    userSeconds: from.uint(),
    planned: from.uint(),
    loopDelay: from.uint(),
    phaseSums: numbers(),
    phaseCounts: numbers(),
    latency: readHistogram(from)
  }
}

/** A result as bytes. O(its size). Throws a `RangeError` where a figure is not a whole number from 0 up. */
export const encode = (result: Result.Result): Uint8Array => {
  const to = new Writer()
  for (const byte of magic) to.byte(byte)
  writeList(to, result.names, (name) => to.string(name))
  to.uint(result.startedAtMicros)
  to.uint(result.endedAtMicros)
  writeList(to, result.steps, (step) => writeStep(to, step))
  writeList(to, result.scenarios, ({ dropped, duration, iterations, name }) => {
    to.string(name)
    to.uint(iterations)
    to.uint(dropped)
    writeHistogram(to, duration)
  })
  writeList(to, result.checks, ({ failed, name, passed }) => {
    to.string(name)
    to.uint(passed)
    to.uint(failed)
  })
  to.uint(result.opened)
  to.uint(result.reused)
  const { gaps, late, loopDelay, recorders, sendDelay } = result.client
  for (const histogram of [loopDelay, sendDelay, gaps]) writeHistogram(to, histogram)
  to.uint(late)
  to.uint(recorders)
  to.uint(result.windowSeconds)
  let before = 0
  writeList(to, result.windows, (window) => {
    writeWindow(to, window, before)
    before = window.index
  })
  to.uint32(crc32(to.bytes()))
  return to.bytes().slice()
}

const read = (from: Reader): Result.Result => {
  const names = readList(from, () => from.string())
  const startedAtMicros = from.uint()
  const endedAtMicros = from.uint()
  const steps = readList(from, () => readStep(from))
  const scenarios = readList(from, () => ({
    name: from.string(),
    iterations: from.uint(),
    dropped: from.uint(),
    duration: readHistogram(from)
  }))
  const checks = readList(from, () => ({ name: from.string(), passed: from.uint(), failed: from.uint() }))
  const opened = from.uint()
  const reused = from.uint()
  const client: Result.Client = {
    loopDelay: readHistogram(from),
    sendDelay: readHistogram(from),
    gaps: readHistogram(from),
    late: from.uint(),
    recorders: from.uint()
  }
  const windowSeconds = from.uint()
  let before = 0
  const windows = readList(from, () => {
    const window = readWindow(from, before)
    before = window.index
    return window
  })
  return {
    names,
    startedAtMicros,
    endedAtMicros,
    steps,
    scenarios,
    checks,
    opened,
    reused,
    client,
    windowSeconds,
    windows
  }
}

const complaint = (bytes: Uint8Array): string | undefined => {
  if (bytes.length < magic.length + 4 || magic.some((byte, at) => at < 3 && bytes[at] !== byte)) {
    return "it does not begin as a result does"
  }
  if (bytes[3] !== version) return `it is of version ${bytes[3]}, and version ${version} is what is read`
  const end = bytes.length - 4
  return new Reader(bytes.subarray(end)).uint32() === crc32(bytes.subarray(0, end))
    ? undefined
    : "its checksum differs, so that it was cut off or changed"
}

/** What {@link encode} has written; `name` is what it is called in a failure. O(its size). */
export const decode = (bytes: Uint8Array, name = "bytes"): Effect.Effect<Result.Result, UnreadableResult> =>
  Effect.suspend(() => {
    const wrong = complaint(bytes)
    return wrong === undefined
      ? Effect.try({
          try: () => read(new Reader(bytes.subarray(magic.length, -4))),
          catch: (cause) => new UnreadableResult({ message: `Cannot read ${name} as a result: ${String(cause)}` })
        })
      : Effect.fail(new UnreadableResult({ message: `Cannot read ${name} as a result: ${wrong}` }))
  })

const reason = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** Reads a result from a file. */
export const load = (path: string): Effect.Effect<Result.Result, UnreadableResult> =>
  Effect.try({
    try: () => new Uint8Array(readFileSync(path)),
    catch: (cause) => new UnreadableResult({ message: `Cannot read ${path}: ${reason(cause)}` })
  }).pipe(Effect.flatMap((bytes) => decode(bytes, path)))
