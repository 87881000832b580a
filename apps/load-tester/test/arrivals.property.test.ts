// Models the plan of arrivals by the area under the rate: the k-th arrival is when the area reaches k.
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type Arrivals, planned, replayed, shared } from "../src/engine/Arrivals.ts"
import { levelAt, type Piece, peakOf, type Shape, secondsOf, totalOf } from "../src/engine/Shape.ts"

const drain = (arrivals: Arrivals, most = 1_000_000): Array<number> => {
  const moments: Array<number> = []
  for (let at = arrivals.next(); at !== Number.POSITIVE_INFINITY && moments.length < most; at = arrivals.next()) {
    moments.push(at)
  }
  return moments
}

const seconds = fc.double({ min: 0.01, max: 20, noNaN: true })
const level = fc.double({ min: 0, max: 200, noNaN: true })
const piece: fc.Arbitrary<Piece> = fc.oneof(
  fc.record({ kind: fc.constant("linear" as const), seconds, from: level, to: level }),
  fc
    .record({ seconds, mean: level, share: fc.double({ min: 0, max: 1, noNaN: true }), periodSeconds: seconds })
    .map(({ mean, share, ...rest }) => ({ kind: "sine" as const, mean, amplitude: mean * share, ...rest })),
  fc.record({ kind: fc.constant("burst" as const), seconds, size: fc.integer({ min: 0, max: 100 }) })
)
const shape: fc.Arbitrary<Shape> = fc.array(piece, { minLength: 1, maxLength: 5 })
const options = fc.record({ spacing: fc.constantFrom("even" as const, "poisson" as const), seed: fc.integer() })

describe("a plan of arrivals", () => {
  it("holds as many as the area under the rate, evenly spaced", () => {
    fc.assert(
      fc.property(shape, (shape) => {
        expect(Math.abs(drain(planned(shape)).length - totalOf(shape))).toBeLessThanOrEqual(1.0001)
      })
    )
  })

  it("never goes back, and stays within its time", () => {
    fc.assert(
      fc.property(shape, options, (shape, options) => {
        let last = 0
        for (const at of drain(planned(shape, options))) {
          expect(at).toBeGreaterThanOrEqual(last)
          last = at
        }
        expect(last).toBeLessThanOrEqual(secondsOf(shape) * 1e6 + 1e-3)
      })
    )
  })

  it("holds in any window of a ramp what the rate says, give or take one", () => {
    fc.assert(
      fc.property(seconds, level, level, fc.double({ min: 0, max: 1, noNaN: true }), (seconds, from, to, part) => {
        const until = seconds * part
        const expected = until * (from + ((to - from) * part) / 2)
        const moments = drain(planned([{ kind: "linear", seconds, from, to }]))
        const before = moments.filter((at) => at <= until * 1e6).length
        expect(Math.abs(before - expected)).toBeLessThanOrEqual(1.0001)
      })
    )
  })

  it("has equal gaps at a constant rate", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20_000 }), (rate) => {
        const moments = drain(planned([{ kind: "linear", seconds: 1, from: rate, to: rate }]))
        expect(moments).toHaveLength(rate)
        moments.forEach((at, k) => {
          expect(at).toBeCloseTo((k * 1e6) / rate, 3)
        })
      }),
      { numRuns: 20 }
    )
  })

  it("is the same again for the same seed", () => {
    fc.assert(
      fc.property(shape, options, (shape, options) => {
        expect(drain(planned(shape, options))).toEqual(drain(planned(shape, options)))
      })
    )
  })

  it("falls to its shares without a moment lost or done twice", () => {
    fc.assert(
      fc.property(shape, options, fc.integer({ min: 1, max: 7 }), (shape, options, of) => {
        const whole = drain(planned(shape, options))
        const shares = Array.from({ length: of }, (_, index) => drain(shared(planned(shape, options), { index, of })))
        const together = Array.from({ length: whole.length }, (_, k) => shares[k % of]?.[Math.floor(k / of)])
        expect(together).toEqual(whole)
        expect(shares.flat()).toHaveLength(whole.length)
      })
    )
  })

  it("has a level between zero and its peak", () => {
    fc.assert(
      fc.property(shape, fc.double({ min: 0, max: 100, noNaN: true }), (shape, at) => {
        const level = levelAt(shape, at)
        expect(level).toBeGreaterThanOrEqual(-1e-9)
        expect(level).toBeLessThanOrEqual(peakOf(shape) + 1e-9)
      })
    )
  })
})

it("spaces visitors as independent ones come: as many, and their gaps spread as their mean", () => {
  const moments = drain(
    planned([{ kind: "linear", seconds: 100, from: 1000, to: 1000 }], { spacing: "poisson", seed: 7 })
  )
  expect(Math.abs(moments.length - 100_000)).toBeLessThan(4 * Math.sqrt(100_000))
  const gaps = moments.slice(1).map((at, index) => at - (moments[index] ?? 0))
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
  const deviation = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length)
  expect(deviation / mean).toBeGreaterThan(0.98)
  expect(deviation / mean).toBeLessThan(1.02)
})

it("repeats the moments of a recording", () => {
  expect(drain(replayed([0, 5, 5, 9]))).toEqual([0, 5, 5, 9])
})
