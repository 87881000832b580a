import { Registry } from "@sluice/metrics"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"

const record = (values: ReadonlyArray<number>, maxBuckets = 160): Registry.HistogramSnapshot => {
  const series = Registry.makeUnsafe().histogram({ name: "h", help: "", maxBuckets }).bind()
  for (const value of values) series.observeUnsafe(value)
  return series.snapshot()
}

/** Values of many shapes: narrow, wide over many orders of magnitude, with ties and zeros. */
const values = fc.oneof(
  fc.array(fc.double({ min: 0.9, max: 1.1, noNaN: true }), { minLength: 1, maxLength: 300 }),
  fc.array(
    fc.double({ min: -12, max: 12, noNaN: true }).map((exponent) => 10 ** exponent),
    { minLength: 1, maxLength: 300 }
  ),
  fc.array(fc.constantFrom(0, 1, 2, 4, 1024, 0.001), { minLength: 1, maxLength: 300 })
)

const buckets = fc.constantFrom(4, 20, 160)

/** The exact quantile by nearest rank, which the histogram approximates. */
const exact = (sorted: ReadonlyArray<number>, q: number): number =>
  sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN

describe("a histogram", () => {
  it("tells every quantile within the error that it states", () => {
    fc.assert(
      fc.property(values, buckets, fc.double({ min: 0, max: 1, noNaN: true }), (recorded, maxBuckets, q) => {
        const snapshot = record(recorded, maxBuckets)
        const truth = exact(
          [...recorded].sort((a, b) => a - b),
          q
        )
        expect(Math.abs(snapshot.quantile(q) - truth)).toBeLessThanOrEqual(snapshot.relativeError * truth * (1 + 1e-9))
      }),
      { numRuns: 500 }
    )
  })

  it("states an error below 3 % for values that lie within a factor of 250", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 1, max: 250, noNaN: true }), { minLength: 1 }), (recorded) => {
        expect(record(recorded).relativeError).toBeLessThan(0.03)
      })
    )
  })

  it("loses no count when it lowers its scale", () => {
    fc.assert(
      fc.property(values, buckets, (recorded, maxBuckets) => {
        const snapshot = record(recorded, maxBuckets)
        expect(snapshot.count).toBe(recorded.length)
        const last = snapshot.cumulative.at(-1)
        if (last !== undefined) expect(last[1]).toBe(recorded.length)
      })
    )
  })

  /** Models the cumulative counts by counting: how many values do not exceed each bound. */
  it("counts exactly up to each bound that it exposes", () => {
    fc.assert(
      fc.property(values, (recorded) => {
        for (const [bound, count] of record(recorded).cumulative) {
          const above = recorded.filter((value) => value > bound * (1 + 1e-12)).length
          const below = recorded.filter((value) => value <= bound * (1 - 1e-12)).length
          expect(count).toBeGreaterThanOrEqual(below)
          expect(count).toBeLessThanOrEqual(recorded.length - above)
        }
      })
    )
  })

  const facts = (snapshot: Registry.HistogramSnapshot) => ({
    count: snapshot.count,
    min: snapshot.min,
    max: snapshot.max,
    error: snapshot.relativeError,
    cumulative: snapshot.cumulative,
    quantiles: [0, 0.25, 0.5, 0.9, 0.99, 1].map((q) => snapshot.quantile(q))
  })

  it("merges to what one histogram of all the values holds, in either order", () => {
    fc.assert(
      fc.property(values, values, buckets, (left, right, maxBuckets) => {
        const a = record(left, maxBuckets)
        const b = record(right, maxBuckets)
        expect(facts(a.merge(b))).toEqual(facts(record([...left, ...right], maxBuckets)))
        expect(facts(b.merge(a))).toEqual(facts(a.merge(b)))
        expect(a.count).toBe(left.length)
      })
    )
  })

  it("merges three in whatever grouping", () => {
    fc.assert(
      fc.property(values, values, values, (first, second, third) => {
        const [a, b, c] = [record(first), record(second), record(third)]
        expect(facts(a.merge(b).merge(c))).toEqual(facts(a.merge(b.merge(c))))
      })
    )
  })
})
