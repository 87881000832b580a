// Runs as seconds that can be drawn again and again: the counts of each lie in an array, in buckets that all have in common, so
// that a drawn run is some hundred additions of arrays.

import * as Histogram from "../results/Histogram.ts"
import * as Result from "../results/Result.ts"

export const quantiles: ReadonlyArray<number> = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999]

/** More are drawn together, so that an hour is compared as fast as five minutes. */
const mostBlocks = 300

/** Runs as seconds with the same buckets, which add up fast. */
export interface Blocks {
  /** Where the seconds of each run begin, and how many they are. */
  readonly runs: ReadonlyArray<readonly [from: number, length: number]>
  readonly counts: ReadonlyArray<Float64Array>
  readonly requests: Float64Array
  readonly failed: Float64Array
  readonly sums: Float64Array
  readonly seconds: Float64Array
}

export interface Buckets {
  readonly scale: number
  readonly offset: number
  readonly length: number
}

export const pointsOf = (result: Result.Result, warmUpSeconds: number): ReadonlyArray<Result.Point> => {
  const points = Result.series(result).filter(
    ({ atSeconds, seconds }) => atSeconds >= warmUpSeconds && seconds >= result.windowSeconds * 0.999
  )
  const each = Math.ceil(points.length / mostBlocks)
  if (each <= 1) return points
  const joined: Array<Result.Point> = []
  for (let from = 0; from + each <= points.length; from += each) {
    joined.push(points.slice(from, from + each).reduce(Result.joinPoints))
  }
  return joined
}

export const commonBuckets = (all: ReadonlyArray<Result.Point>): Buckets => {
  const filled = all.map(({ latency }) => latency).filter(({ counts }) => counts.length > 0)
  const scale = filled.reduce((least, histogram) => Math.min(least, histogram.scale), Histogram.windowScale)
  const at = filled.map((histogram) => Histogram.atScale(histogram, scale))
  const offset = at.reduce((least, histogram) => Math.min(least, histogram.offset), Number.MAX_SAFE_INTEGER)
  const end = at.reduce((most, { counts, offset: from }) => Math.max(most, from + counts.length), offset)
  return { scale, offset, length: end - offset }
}

export const blocksOf = (
  runs: ReadonlyArray<ReadonlyArray<Result.Point>>,
  { length, offset, scale }: Buckets
): Blocks => {
  const points = runs.flat()
  let from = 0
  return {
    runs: runs.map((run) => {
      const place = [from, run.length] as const
      from += run.length
      return place
    }),
    counts: points.map(({ latency }) => {
      // The first place is that of zero.
      const counts = new Float64Array(length + 1)
      counts[0] = latency.zero
      const histogram = Histogram.atScale(latency, scale)
      counts.set(histogram.counts, histogram.counts.length === 0 ? 1 : histogram.offset - offset + 1)
      return counts
    }),
    requests: Float64Array.from(points, ({ requests }) => requests),
    failed: Float64Array.from(points, ({ failed }) => failed),
    sums: Float64Array.from(points, ({ latency }) => latency.sum),
    seconds: Float64Array.from(points, ({ seconds }) => seconds)
  }
}

/** The figures of the blocks that were chosen. O(blocks × buckets). */
export const figuresOf = (blocks: Blocks, chosen: Iterable<number>, { offset, scale }: Buckets, length: number) => {
  const counts = new Float64Array(length)
  let requests = 0
  let failed = 0
  let sum = 0
  let seconds = 0
  for (const index of chosen) {
    const from = blocks.counts[index]
    if (from === undefined) continue
    for (let at = 0; at < length; at++) counts[at] = (counts[at] ?? 0) + (from[at] ?? 0)
    requests += blocks.requests[index] ?? 0
    failed += blocks.failed[index] ?? 0
    sum += blocks.sums[index] ?? 0
    seconds += blocks.seconds[index] ?? 0
  }
  const found = [requests / seconds, requests === 0 ? Number.NaN : failed / requests, sum / requests]
  let seen = 0
  let at = -1
  for (const q of quantiles) {
    const rank = Math.max(1, Math.ceil(q * requests))
    while (seen < rank && at < length - 1) seen += counts[++at] ?? 0
    const upper = 2 ** ((offset + at) * 2 ** -scale)
    const lower = 2 ** ((offset + at - 1) * 2 ** -scale)
    // By the place within its bucket, so that a change of less than a bucket shows.
    const within = (rank - seen) / Math.max(1, counts[at] ?? 1) + 1
    found.push(requests === 0 ? Number.NaN : at === 0 ? 0 : lower + (upper - lower) * within)
  }
  return found
}
