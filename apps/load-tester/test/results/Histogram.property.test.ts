// Models a histogram as the sorted list of its values.

import fc from "fast-check"
import { expect, it } from "vitest"
import * as Histogram from "../../src/results/Histogram.ts"

const values = fc.array(fc.oneof(fc.nat(1_000), fc.nat(3_600_000_000)), { minLength: 1, maxLength: 300 })

const of = (all: ReadonlyArray<number>): Histogram.Histogram => {
  const series = Histogram.makeSeries()
  for (const value of all) series.observeUnsafe(value)
  return Histogram.read(series)
}

it("tells each quantile within the relative error that it states, at any scale", () => {
  fc.assert(
    fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 0, max: 8 }), (all, q, scale) => {
      const histogram = Histogram.atScale(of(all), scale)
      const sorted = [...all].sort((a, b) => a - b)
      const truth = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? 0
      const error = Math.abs(Histogram.quantile(histogram, q) - truth)
      expect(error).toBeLessThanOrEqual(truth * Histogram.relativeError(histogram) * 1.000001)
    })
  )
})

it("counts, sums and bounds exactly what was recorded, whole and merged", () => {
  fc.assert(
    fc.property(values, values, (a, b) => {
      const merged = Histogram.merge(of(a), of(b))
      const all = [...a, ...b]
      expect(merged.count).toBe(all.length)
      expect(merged.sum).toBe(all.reduce((sum, value) => sum + value, 0))
      expect(merged.min).toBe(Math.min(...all))
      expect(merged.max).toBe(Math.max(...all))
      expect(merged.zero + merged.counts.reduce((sum, count) => sum + count, 0)).toBe(all.length)
    })
  )
})

it("merges in any order to the same", () => {
  fc.assert(
    fc.property(values, values, values, (a, b, c) => {
      const [one, two, three] = [of(a), of(b), of(c)]
      expect(Histogram.merge(one, two)).toEqual(Histogram.merge(two, one))
      expect(Histogram.merge(Histogram.merge(one, two), three)).toEqual(
        Histogram.merge(one, Histogram.merge(two, three))
      )
      expect(Histogram.merge(one, Histogram.empty)).toEqual(one)
    })
  )
})

it("takes off what an earlier state had: what came since has the counts of its own values", () => {
  fc.assert(
    fc.property(values, fc.array(fc.nat(3_600_000_000), { maxLength: 100 }), (before, after) => {
      const series = Histogram.makeSeries()
      for (const value of before) series.observeUnsafe(value)
      const earlier = Histogram.read(series)
      for (const value of after) series.observeUnsafe(value)
      const rest = Histogram.since(Histogram.read(series), earlier)
      expect(rest.count).toBe(after.length)
      expect(rest.sum).toBe(after.reduce((sum, value) => sum + value, 0))
      const least = Math.min(...after)
      if (after.length > 0) expect(rest.min).toBeLessThanOrEqual(least)
      if (after.length > 0) expect(rest.max).toBeGreaterThanOrEqual(Math.max(...after))
    })
  )
})

it("is the same histogram as a snapshot of the metrics package", () => {
  fc.assert(
    fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (all, q) => {
      const histogram = of(all)
      const snapshot = Histogram.toSnapshot(histogram)
      expect(snapshot.count).toBe(histogram.count)
      expect(snapshot.quantile(q)).toBeCloseTo(Histogram.quantile(histogram, q), 6)
    })
  )
})
