/**
 * How values are spread, as a value that merges: the buckets of an exponential
 * histogram of `@sluice/metrics`, taken out so that they can be added,
 * subtracted, drawn and written.
 *
 * Bucket `i` holds the values in (2^(i/2^scale), 2^((i+1)/2^scale)]. Merging
 * goes by the lower of two scales, so that it is associative and commutative
 * to the last count.
 *
 * @module
 */
import { Registry, Snapshots } from "@sluice/metrics"

export interface Histogram {
  /** Buckets for each doubling of the value: 2^scale. */
  readonly scale: number
  /** Index of the first of `counts`. */
  readonly offset: number
  /** From the first bucket that holds something to the last. */
  readonly counts: ReadonlyArray<number>
  /** Values of zero. */
  readonly zero: number
  readonly count: number
  readonly sum: number
  /** 0 where nothing was recorded, as is `max`. */
  readonly min: number
  readonly max: number
}

/** The finest that a result keeps: a quantile is off by at most 0.14 %. */
export const finestScale = 8

/** What each second of a time series keeps: a quantile is off by at most 1.1 %. */
export const windowScale = 5

/** Nothing recorded. Merging with it changes nothing. */
export const empty: Histogram = { scale: finestScale, offset: 0, counts: [], zero: 0, count: 0, sum: 0, min: 0, max: 0 }

/** Where values are recorded; a window that spans from a microsecond to an hour keeps 128 buckets a doubling. */
export const makeSeries = (): Registry.HistogramSeries =>
  Registry.makeUnsafe().histogram({ name: "micros", help: "Microseconds.", maxBuckets: 4096 }).bind()

const trimmed = (histogram: Histogram): Histogram => {
  const { counts } = histogram
  let first = 0
  let end = counts.length
  while (first < end && counts[first] === 0) first++
  while (end > first && counts[end - 1] === 0) end--
  if (first === end) return { ...histogram, scale: finestScale, offset: 0, counts: [] }
  return first === 0 && end === counts.length
    ? histogram
    : { ...histogram, offset: histogram.offset + first, counts: counts.slice(first, end) }
}

/** The same values in wider buckets; as it is, if it has that scale or a lower one. */
export const atScale = (histogram: Histogram, scale: number): Histogram => {
  const steps = histogram.scale - scale
  if (steps <= 0 || histogram.counts.length === 0) return histogram
  const first = histogram.offset >> steps
  const last = (histogram.offset + histogram.counts.length - 1) >> steps
  const counts = new Array<number>(last - first + 1).fill(0)
  for (let at = 0; at < histogram.counts.length; at++) {
    const to = ((histogram.offset + at) >> steps) - first
    counts[to] = (counts[to] ?? 0) + (histogram.counts[at] ?? 0)
  }
  return { ...histogram, scale, offset: first, counts }
}

const numberOf = (value: unknown): number => (typeof value === "number" ? value : 0)

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const described = { name: "micros", help: "Microseconds." }

/** What a series has recorded until now. O(buckets). */
export const read = (series: Pick<Registry.HistogramSeries, "snapshot">): Histogram => {
  const value = series.snapshot()
  if (value.count === 0) return empty
  const [metric] = Snapshots.encode([
    { ...described, type: "histogram", bounds: [], series: [{ labels: {}, value }] }
  ]).metrics
  const all: unknown = metric !== undefined && "series" in metric ? metric.series : undefined
  const first: unknown = Array.isArray(all) ? all[0] : undefined
  const buckets: unknown = isRecord(first) ? first["value"] : undefined
  if (!isRecord(buckets) || !Array.isArray(buckets["counts"])) {
    throw new TypeError("Cannot read a histogram: its buckets are not where they should be")
  }
  return atScale(
    trimmed({
      scale: numberOf(buckets["scale"]),
      offset: numberOf(buckets["offset"]),
      counts: buckets["counts"].map(numberOf),
      zero: numberOf(buckets["zero"]),
      count: value.count,
      sum: value.sum,
      min: value.min,
      max: value.max
    }),
    finestScale
  )
}

/** As a snapshot of `@sluice/metrics`, for its expositions and exporters. */
export const toSnapshot = (histogram: Histogram): Snapshots.HistogramSnapshot => {
  const { count, max, min, ...buckets } = histogram
  const extremes = count === 0 ? { min: "Infinity", max: "-Infinity" } : { min, max }
  const [metric] = Snapshots.decode({
    version: 1,
    metrics: [
      {
        ...described,
        type: "histogram",
        bounds: [],
        series: [{ labels: {}, value: { ...buckets, count, ...extremes, maxBuckets: buckets.counts.length } }]
      }
    ]
  })
  const value = metric?.type === "histogram" ? metric.series[0]?.value : undefined
  if (value === undefined) throw new TypeError("Cannot make a snapshot of a histogram")
  return value
}

/** Both together; exact. */
export const merge = (a: Histogram, b: Histogram): Histogram => {
  if (a.count === 0) return b
  if (b.count === 0) return a
  const totals = {
    zero: a.zero + b.zero,
    count: a.count + b.count,
    sum: a.sum + b.sum,
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max)
  }
  if (a.counts.length === 0) return { ...b, ...totals }
  if (b.counts.length === 0) return { ...a, ...totals }
  const scale = Math.min(a.scale, b.scale)
  const one = atScale(a, scale)
  const two = atScale(b, scale)
  const offset = Math.min(one.offset, two.offset)
  const end = Math.max(one.offset + one.counts.length, two.offset + two.counts.length)
  const counts = new Array<number>(end - offset).fill(0)
  for (const { counts: from, offset: at } of [one, two]) {
    for (let index = 0; index < from.length; index++) {
      const to = at - offset + index
      counts[to] = (counts[to] ?? 0) + (from[index] ?? 0)
    }
  }
  return { ...totals, scale, offset, counts }
}

export const mergeAll = (all: Iterable<Histogram>): Histogram => {
  let merged = empty
  for (const histogram of all) merged = merge(merged, histogram)
  return merged
}

const upperBound = (histogram: Histogram, index: number): number => 2 ** ((index + 1) * 2 ** -histogram.scale)

/** The bounds of the bucket at a place of `counts`. */
export const boundsAt = (histogram: Histogram, at: number): readonly [above: number, upTo: number] => [
  upperBound(histogram, histogram.offset + at - 1),
  upperBound(histogram, histogram.offset + at)
]

/**
 * What was recorded since an earlier state of the same series. Least and largest value are those of the buckets, or of the
 * whole where it lies in them.
 */
export const since = (now: Histogram, before: Histogram): Histogram => {
  if (before.count === 0 || now.count === before.count) return now.count === before.count ? empty : now
  const earlier = atScale(before, now.scale)
  const counts = [...now.counts]
  for (let at = 0; at < earlier.counts.length; at++) {
    const to = earlier.offset + at - now.offset
    counts[to] = (counts[to] ?? 0) - (earlier.counts[at] ?? 0)
  }
  const rest = trimmed({
    ...now,
    counts,
    zero: now.zero - before.zero,
    count: now.count - before.count,
    sum: now.sum - before.sum
  })
  const last = rest.counts.length - 1
  const low = rest.zero > 0 ? 0 : boundsAt(rest, 0)[0]
  const high = last < 0 ? 0 : boundsAt(rest, last)[1]
  return { ...rest, min: Math.max(now.min, Math.floor(low)), max: Math.min(now.max, Math.ceil(high)) }
}

/** The value that a part `q` of the values does not exceed; 0 where there are none. O(buckets). */
export const quantile = (histogram: Histogram, q: number): number => {
  const { count, counts, max, min, zero } = histogram
  if (count === 0) return 0
  const rank = Math.max(1, Math.ceil(q * count))
  if (rank >= count) return max
  let seen = zero
  if (rank <= seen) return 0
  for (let at = 0; at < counts.length; at++) {
    seen += counts[at] ?? 0
    if (seen >= rank) {
      const [low, high] = boundsAt(histogram, at)
      return Math.min(max, Math.max(min, 2 / (1 / low + 1 / high)))
    }
  }
  return max
}

/** The mean; 0 where there is none. */
export const mean = ({ count, sum }: Histogram): number => (count === 0 ? 0 : sum / count)

/** How far a quantile may be off, as a part of it. */
export const relativeError = ({ scale }: Histogram): number => {
  const base = 2 ** (2 ** -scale)
  return (base - 1) / (base + 1)
}

/** The spread around the mean that the buckets tell; 0 where nothing was recorded. */
export const deviation = (histogram: Histogram): number => {
  if (histogram.count === 0) return 0
  const centre = mean(histogram)
  let squares = histogram.zero * centre * centre
  for (let at = 0; at < histogram.counts.length; at++) {
    const [low, high] = boundsAt(histogram, at)
    squares += (histogram.counts[at] ?? 0) * ((low + high) / 2 - centre) ** 2
  }
  return Math.sqrt(squares / histogram.count)
}
