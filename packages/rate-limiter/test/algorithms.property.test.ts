import { KeyedRateLimiter, RateLimiter } from "@sluice/rate-limiter"
import { Duration } from "effect"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { algorithms, brokenPromise, type Event, makeClockwork, optionsOf } from "./promises.ts"

const limits = fc.record({
  limit: fc.integer({ min: 1, max: 20 }),
  interval: fc.integer({ min: 100, max: 2000 }),
  burst: fc.integer({ min: 1, max: 12 })
})

/** Milliseconds since the step before, down to the microsecond; now and then the clock is set back or forth. */
const after = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 300_000 }).map((micros) => micros / 1000) },
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: -5_000_000, max: 5_000_000 }).map((micros) => micros / 1000) }
)
const cost = fc.integer({ min: 1, max: 4 }).map((quarters) => quarters / 4)
const steps = fc.array(
  fc.record({
    after,
    cost,
    kind: fc.oneof(
      { weight: 6, arbitrary: fc.constant("take" as const) },
      { weight: 3, arbitrary: fc.constant("reserve" as const) },
      { weight: 2, arbitrary: fc.constant("cancel" as const) },
      { weight: 1, arbitrary: fc.constant("give back" as const) }
    ),
    pick: fc.nat()
  }),
  { maxLength: 80, size: "max" }
)

describe.each(algorithms)("%s", (algorithm) => {
  /** Models the promise of the documentation, over every window, with real time as the clock's readings tell it. */
  it("keeps its promise, whatever is reserved, cancelled and given back, and however the clock is set", () => {
    fc.assert(
      fc.property(limits, steps, (limit, list) => {
        const clockwork = makeClockwork()
        const limiter = RateLimiter.makeUnsafe(optionsOf(algorithm, limit))
        let clock = 1_700_000_000_000
        let time = 0
        const events: Array<Event> = []
        const reserved: Array<{ readonly event: Event; readonly reservation: RateLimiter.Reservation }> = []
        for (const step of list) {
          const before = clock
          clock += step.after
          // A step back is no time.
          time += Math.max(0, clock - before)
          clockwork.set(clock)
          if (step.kind === "take") {
            if (limiter.tryTakeUnsafe(clock, step.cost).allowed) events.push({ at: time, cost: step.cost })
          } else if (step.kind === "reserve") {
            const reservation = clockwork.run(limiter.reserve(step.cost))
            const event = { at: time + Duration.toMillis(reservation.delay), cost: step.cost }
            events.push(event)
            reserved.push({ event, reservation })
          } else if (step.kind === "cancel" && reserved.length > 0) {
            const [of] = reserved.splice(step.pick % reserved.length, 1)
            if (of === undefined) continue
            const given = clockwork.run(of.reservation.cancel)
            // Once its time has come it may have been used, and counts.
            if (of.event.at > time + 1e-3) events.splice(events.indexOf(of.event), 1)
            else if (of.event.at < time - 1e-3) expect(given).toBe(0)
            // Cancelled in the very instant of its time, it is as if so much of it had never been taken.
            else if (given > 0) events[events.indexOf(of.event)] = { ...of.event, cost: of.event.cost - given }
            expect(given).toBeLessThanOrEqual(of.event.cost)
          } else if (step.kind === "give back") {
            clockwork.run(limiter.adjust(-step.cost))
            events.push({ at: time, cost: -step.cost })
          }
        }
        expect(brokenPromise(algorithm, limit, events)).toBeUndefined()
      }),
      { numRuns: 300 }
    )
  })

  /** Models that nothing is refused without need: the answer to "when" is the time at which it is allowed. */
  it("allows a refused request once its retryAfter has passed, and not before", () => {
    fc.assert(
      fc.property(limits, fc.array(fc.record({ after, cost }), { maxLength: 60 }), (limit, list) => {
        const limiter = RateLimiter.makeUnsafe(optionsOf(algorithm, limit))
        let clock = 1_700_000_000_000
        for (const step of list) {
          clock += Math.max(0, step.after)
          const decision = limiter.tryTakeUnsafe(clock, step.cost)
          if (decision.allowed) continue
          const retryMillis = Duration.toMillis(decision.retryAfter)
          if (retryMillis > 0.01)
            expect(limiter.tryTakeUnsafe(clock + retryMillis - 0.005, step.cost).allowed).toBe(false)
          // A clock of doubles tells the time of day to a quarter of a microsecond.
          clock += retryMillis + 0.0005
          expect(limiter.tryTakeUnsafe(clock, step.cost).allowed).toBe(true)
        }
      }),
      { numRuns: 200 }
    )
  })

  /** Models `remaining` by what it says: that cost is allowed at once, and no more. */
  it("tells what remains", () => {
    fc.assert(
      fc.property(limits, fc.array(fc.record({ after, cost }), { maxLength: 30 }), (limit, list) => {
        const limiter = RateLimiter.makeUnsafe(optionsOf(algorithm, limit))
        let clock = 1_700_000_000_000
        let remaining = 0
        for (const step of list) {
          clock += step.after
          remaining = limiter.tryTakeUnsafe(clock, step.cost).remaining
        }
        if (remaining > 0.01) {
          expect(limiter.tryTakeUnsafe(clock, Math.min(remaining + 0.01, limiter.statsUnsafe().capacity)).allowed).toBe(
            remaining + 0.01 > limiter.statsUnsafe().capacity
          )
          expect(limiter.tryTakeUnsafe(clock, remaining - 0.005).allowed).toBe(
            remaining + 0.01 <= limiter.statsUnsafe().capacity
          )
        }
      }),
      { numRuns: 100 }
    )
  })

  /** Models a keyed limiter as a limiter for each key. */
  it.each(["generations", "least-recently-used"] as const)(
    "decides for each key as a limiter of its own: %s",
    (eviction) => {
      fc.assert(
        fc.property(
          limits,
          fc.array(fc.record({ after, cost, key: fc.constantFrom("a", "b", "c") }), { maxLength: 80 }),
          (limit, list) => {
            const options = optionsOf(algorithm, limit)
            const keyed = KeyedRateLimiter.makeUnsafe({ ...options, eviction })
            const single = new Map<string, RateLimiter.RateLimiter>()
            let clock = 0
            for (const step of list) {
              clock += Math.max(0, step.after)
              const limiter = single.get(step.key) ?? RateLimiter.makeUnsafe(options)
              single.set(step.key, limiter)
              const decision = keyed.tryTakeUnsafe(clock, step.key, step.cost)
              const expected = limiter.tryTakeUnsafe(clock, step.cost)
              expect(decision.allowed).toBe(expected.allowed)
              expect(decision.remaining).toBeCloseTo(expected.remaining, 6)
              expect(Duration.toMillis(decision.retryAfter)).toBeCloseTo(Duration.toMillis(expected.retryAfter), 3)
            }
          }
        ),
        { numRuns: 60 }
      )
    }
  )

  /** Models a change of the limit as one that takes nothing away: what is taken before is taken after. */
  it("keeps what is taken when the limit changes", () => {
    fc.assert(
      fc.property(limits, fc.integer({ min: 1, max: 40 }), fc.array(cost, { maxLength: 20 }), (limit, next, costs) => {
        const clockwork = makeClockwork()
        const { burst: _, ...options } = optionsOf(algorithm, limit)
        const limiter = RateLimiter.makeUnsafe(options)
        let taken = 0
        for (const of of costs) if (limiter.tryTakeUnsafe(0, of).allowed) taken += of
        clockwork.run(limiter.updateConfig({ limit: next }))
        const decision = limiter.tryTakeUnsafe(0, Math.min(next, 1e-3))
        const left = algorithm === "leaky-bucket" ? (taken > 0 ? 0 : next) : next - taken
        expect(decision.allowed).toBe(left >= 1e-3)
      }),
      { numRuns: 100 }
    )
  })
})

describe("token-bucket", () => {
  /** Models the token bucket as GCRA: two ways to write down the same. */
  it("decides as gcra does", () => {
    fc.assert(
      fc.property(limits, steps, (limit, list) => {
        const limiters = (["gcra", "token-bucket"] as const).map((algorithm) =>
          RateLimiter.makeUnsafe(optionsOf(algorithm, limit))
        )
        const clockwork = makeClockwork()
        let clock = 0
        for (const step of list) {
          clock += step.after
          clockwork.set(clock)
          const answers = limiters.map((limiter) => {
            if (step.kind === "reserve") return Duration.toMillis(clockwork.run(limiter.reserve(step.cost)).delay)
            if (step.kind === "give back")
              return clockwork.run(limiter.adjust(step.pick % 2 === 0 ? step.cost : -step.cost))
            const { allowed, remaining } = limiter.tryTakeUnsafe(clock, step.cost)
            return allowed ? remaining : -1
          })
          if (typeof answers[0] === "number") expect(answers[0]).toBeCloseTo(answers[1] ?? 0, 3)
        }
      })
    )
  })
})
