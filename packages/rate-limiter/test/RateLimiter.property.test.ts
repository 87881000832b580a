import { KeyedRateLimiter, RateLimiter } from "@sluice/rate-limiter"
import { Duration } from "effect"
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
  /** Models the promise itself: over every window, at most the burst and what the rate gives in its length. */
  it("never allows more than its promise over any window", () => {
    fc.assert(
      fc.property(shapes, arrivals, ({ burst, interval, limit }, steps) => {
        const limiter = RateLimiter.makeUnsafe({ limit, interval, burst })
        const clock = readings(steps)
        const time = elapse(clock)
        const allowed = steps.flatMap(({ cost }, index) =>
          limiter.tryTakeUnsafe(clock[index] ?? 0, cost).allowed ? [{ at: time[index] ?? 0, cost }] : []
        )
        for (let from = 0; from < allowed.length; from++) {
          let total = 0
          for (let to = from; to < allowed.length; to++) {
            total += allowed[to]?.cost ?? 0
            const length = (allowed[to]?.at ?? 0) - (allowed[from]?.at ?? 0)
            expect(total).toBeLessThanOrEqual(burst + (limit * length) / interval + 1e-6)
          }
        }
      })
    )
  })

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

  it("allows a refused request once its retryAfter has passed", () => {
    fc.assert(
      fc.property(shapes, arrivals, ({ burst, interval, limit }, steps) => {
        const limiter = RateLimiter.makeUnsafe({ limit, interval, burst })
        let clock = 0
        for (const { after, cost } of steps) {
          clock += Math.max(0, after)
          const decision = limiter.tryTakeUnsafe(clock, cost)
          if (decision.allowed) continue
          clock += Duration.toMillis(decision.retryAfter)
          expect(limiter.tryTakeUnsafe(clock, cost).allowed).toBe(true)
        }
      })
    )
  })
})

describe("KeyedRateLimiter", () => {
  /** Models a keyed limiter as a limiter for each key. */
  it("decides for each key as a limiter of its own would", () => {
    fc.assert(
      fc.property(
        shapes,
        arrivals,
        fc.array(fc.constantFrom("a", "b", "c"), { minLength: 120 }),
        (options, steps, keys) => {
          const keyed = KeyedRateLimiter.makeUnsafe(options)
          const single = new Map<string, RateLimiter.RateLimiter>()
          let clock = 0
          for (const [index, { after, cost }] of steps.entries()) {
            clock += Math.max(0, after)
            const key = keys[index] ?? "a"
            const limiter = single.get(key) ?? RateLimiter.makeUnsafe(options)
            single.set(key, limiter)
            expect(keyed.tryTakeUnsafe(clock, key, cost)).toEqual(limiter.tryTakeUnsafe(clock, cost))
          }
        }
      )
    )
  })
})
