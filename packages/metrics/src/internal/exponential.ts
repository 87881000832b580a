// An exponential histogram: bucket i holds the values in (base^i, base^(i+1)],
// with base = 2^(2^-scale). The counts lie in a window of `maxBuckets` buckets.
// A value outside of the window lowers the scale, which merges neighbouring
// buckets pairwise and so halves the resolution; no count is ever lost, and two
// histograms of different scales merge exactly at the lower one. As in
// OpenTelemetry's data model ("Exponential Histogram"), whose default of 160
// buckets is the default here.
//
// The value of a bucket is told as the point that is equally far, relatively,
// from both of its ends; so a quantile is off by at most (base-1)/(base+1), 2.2 %
// at scale 4.

export const maxScale = 20

export interface Buckets {
  scale: number
  /** 2^scale, kept because every value needs it. */
  perOctave: number
  /** Index of the first bucket of `counts`. */
  offset: number
  counts: Float64Array
  /** Buckets between the first and the last that hold something. */
  used: number
  zero: number
  count: number
  sum: number
  min: number
  max: number
}

export const makeBuckets = (maxBuckets: number): Buckets => ({
  scale: maxScale,
  perOctave: 2 ** maxScale,
  offset: 0,
  counts: new Float64Array(maxBuckets),
  used: 0,
  zero: 0,
  count: 0,
  sum: 0,
  min: Number.POSITIVE_INFINITY,
  max: Number.NEGATIVE_INFINITY
})

/** At scale 20 and below, the index of every finite number fits in 32 bits, which the shifts need. */
const indexOf = (value: number, perOctave: number): number => Math.ceil(Math.log2(value) * perOctave) - 1

/** Merges buckets until `steps` times half as many are left. */
const downscale = (buckets: Buckets, steps: number): void => {
  const { counts, used } = buckets
  if (used > 0) {
    const first = buckets.offset >> steps
    for (let at = 0; at < used; at++) {
      const moved = ((buckets.offset + at) >> steps) - first
      if (moved === at) continue
      counts[moved] = (counts[moved] ?? 0) + (counts[at] ?? 0)
      counts[at] = 0
    }
    buckets.used = ((buckets.offset + used - 1) >> steps) - first + 1
    buckets.offset = first
  }
  buckets.scale -= steps
  buckets.perOctave = 2 ** buckets.scale
}

/** Makes room for the bucket `index` of the current scale by lowering the scale, and tells by how much. */
const fit = (buckets: Buckets, lowest: number, highest: number): number => {
  let steps = 0
  let low = lowest
  let high = highest
  while (high - low >= buckets.counts.length) {
    low >>= 1
    high >>= 1
    steps++
  }
  if (steps > 0) downscale(buckets, steps)
  return steps
}

/** Adds to a bucket that lies within the window, growing the used part to either side. */
const addAt = (buckets: Buckets, index: number, times: number): void => {
  const { counts } = buckets
  if (buckets.used === 0) {
    buckets.offset = index
    buckets.used = 1
  } else if (index < buckets.offset) {
    const shift = buckets.offset - index
    counts.copyWithin(shift, 0, buckets.used)
    counts.fill(0, 0, shift)
    buckets.used += shift
    buckets.offset = index
  } else if (index >= buckets.offset + buckets.used) {
    buckets.used = index - buckets.offset + 1
  }
  const at = index - buckets.offset
  counts[at] = (counts[at] ?? 0) + times
}

const addIndex = (buckets: Buckets, index: number, times: number): void => {
  const low = buckets.used === 0 ? index : Math.min(index, buckets.offset)
  const high = buckets.used === 0 ? index : Math.max(index, buckets.offset + buckets.used - 1)
  const steps = high - low < buckets.counts.length ? 0 : fit(buckets, low, high)
  addAt(buckets, index >> steps, times)
}

/** Records a value. Negative ones count as zero, as far as buckets go; what is not finite is left out. */
export const observe = (buckets: Buckets, value: number): void => {
  // Infinity minus itself is NaN, as is every sum with NaN: one subtraction tells what is not finite.
  if (value - value !== 0) return
  buckets.count++
  buckets.sum += value
  if (value < buckets.min) buckets.min = value
  if (value > buckets.max) buckets.max = value
  if (!(value > 0)) {
    buckets.zero++
    return
  }
  // A bucket that is there already is the common case; everything else may move the window.
  const index = indexOf(value, buckets.perOctave)
  const at = index - buckets.offset
  if (at >= 0 && at < buckets.used) buckets.counts[at] = (buckets.counts[at] ?? 0) + 1
  else addIndex(buckets, index, 1)
}

/** Adds all that `from` has recorded. Exact at the lower of the two scales. */
export const merge = (into: Buckets, from: Buckets): void => {
  if (into.scale > from.scale) downscale(into, into.scale - from.scale)
  for (let at = 0; at < from.used; at++) {
    const times = from.counts[at] ?? 0
    if (times > 0) {
      // A bucket before this one may have lowered the scale further.
      addIndex(into, (from.offset + at) >> (from.scale - into.scale), times)
    }
  }
  into.zero += from.zero
  into.count += from.count
  into.sum += from.sum
  into.min = Math.min(into.min, from.min)
  into.max = Math.max(into.max, from.max)
}

/** What `after` has recorded more than `before`, which is an earlier state of it. Exact at the scale of `after`. */
export const difference = (after: Buckets, before: Buckets): Buckets => {
  const result = copy(after)
  const steps = Math.max(0, before.scale - after.scale)
  for (let at = 0; at < before.used; at++) {
    const place = ((before.offset + at) >> steps) - result.offset
    if (place >= 0 && place < result.used) result.counts[place] = (result.counts[place] ?? 0) - (before.counts[at] ?? 0)
  }
  result.zero -= before.zero
  result.count -= before.count
  result.sum -= before.sum
  return result
}

/** A copy whose scale is `scale` or, where it was lower already, what it was. */
export const atScale = (buckets: Buckets, scale: number): Buckets => {
  const result = copy(buckets)
  if (result.scale > scale) downscale(result, result.scale - scale)
  return result
}

export const copy = (buckets: Buckets): Buckets => ({ ...buckets, counts: buckets.counts.slice() })

const upperBound = (buckets: Buckets, index: number): number => 2 ** ((index + 1) * 2 ** -buckets.scale)

/** The value that a part `q` of the values does not exceed. NaN when there are none. */
export const quantile = (buckets: Buckets, q: number): number => {
  if (buckets.count === 0) return Number.NaN
  const rank = Math.max(1, Math.ceil(q * buckets.count))
  if (rank === buckets.count) return buckets.max
  let seen = buckets.zero
  if (rank <= seen) return Math.min(0, buckets.max)
  for (let at = 0; at < buckets.used; at++) {
    seen += buckets.counts[at] ?? 0
    if (seen >= rank) {
      const high = upperBound(buckets, buckets.offset + at)
      const low = upperBound(buckets, buckets.offset + at - 1)
      // Written so that it is a number at the ends, where a bound is zero or beyond every number.
      return Math.min(buckets.max, Math.max(buckets.min, 2 / (1 / low + 1 / high)))
    }
  }
  return buckets.max
}

/** How far a quantile may be off, relative to the true value. */
export const relativeError = (buckets: Buckets): number => {
  const base = 2 ** (2 ** -buckets.scale)
  return base === Number.POSITIVE_INFINITY ? 1 : (base - 1) / (base + 1)
}

/**
 * Cumulative counts at zero and at powers of two, from the least that holds anything. Powers of two are bounds of buckets
 * at every scale from 0 up, so that these counts are exact; below scale 0 they are at every 2^(2^-scale).
 */
export const cumulative = (buckets: Buckets): ReadonlyArray<readonly [bound: number, count: number]> => {
  const found: Array<readonly [number, number]> = buckets.zero > 0 ? [[0, buckets.zero]] : []
  const perBound = 2 ** Math.max(0, buckets.scale)
  let seen = buckets.zero
  for (let at = 0; at < buckets.used; at++) {
    seen += buckets.counts[at] ?? 0
    const next = buckets.offset + at + 1
    if (next % perBound === 0 || at === buckets.used - 1) {
      found.push([upperBound(buckets, Math.ceil(next / perBound) * perBound - 1), seen])
    }
  }
  return found
}
