import { RateLimiter } from "@sluice/rate-limiter"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"

const arrivals = fc.array(
  fc.record({
    /** Milliseconds since the arrival before, down to the microsecond; now and then the clock is set back or forth. */
    after: fc.oneof(
      { weight: 9, arbitrary: fc.integer({ min: 0, max: 300_000 }).map((micros) => micros / 1000) },
      { weight: 1, arbitrary: fc.integer({ min: -5_000_000, max: 0 }).map((micros) => micros / 1000) }
    ),
    cost: fc.integer({ min: 1, max: 4 }).map((quarters) => quarters / 4)
  }),
  { maxLength: 120 }
)

const shapes = fc.record({
  limit: fc.integer({ min: 1, max: 40 }),
  interval: fc.integer({ min: 100, max: 2000 }),
  burst: fc.integer({ min: 1, max: 12 })
})

/** The time that really passes while the clock reads as it does: a step back is no time. */
const elapse = (clock: ReadonlyArray<number>): ReadonlyArray<number> => {
  let offset = 0
  let last = Number.NEGATIVE_INFINITY
  return clock.map((reading) => {
    if (reading < last) offset += last - reading
    last = reading
    return reading + offset
  })
}

const readings = (steps: ReadonlyArray<{ readonly after: number }>): ReadonlyArray<number> => {
  let clock = 1_000_000
  return steps.map(({ after }) => {
    clock += after
    return clock
  })
}

describe("RateLimiter", () => {
  /** Models a bucket of tokens that fills at the rate, step by step: GCRA decides as it does. */
  it("decides as a token bucket does", () => {
    fc.assert(
      fc.property(shapes, arrivals, ({ burst, interval, limit }, steps) => {
        const limiter = RateLimiter.makeUnsafe({ limit, interval, burst })
        const clock = readings(steps)
        const time = elapse(clock)
        let tokens = burst
        for (const [index, { cost }] of steps.entries()) {
          const since = (time[index] ?? 0) - (time[index - 1] ?? time[0] ?? 0)
          tokens = Math.min(burst, tokens + (since * limit) / interval)
          const decision = limiter.tryTakeUnsafe(clock[index] ?? 0, cost)
          // Within a rounding error of the edge either answer is right.
          if (Math.abs(tokens - cost) > 1e-6) expect(decision.allowed).toBe(tokens > cost)
          if (decision.allowed) tokens -= cost
          expect(decision.remaining).toBeCloseTo(Math.max(0, tokens), 4)
        }
      })
    )
  })
})
