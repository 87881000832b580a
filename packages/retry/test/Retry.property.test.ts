import { Backoff, Retry, RetryAfter } from "@sluice/retry"
import { Duration, Effect, Fiber, Option, Random, Schedule } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { describe, it } from "vitest"

const delays = (schedule: Schedule.Schedule<Duration.Duration>, count: number, seed: number) =>
  Effect.runSync(
    Effect.gen(function* () {
      const step = yield* Schedule.toStep(schedule)
      const found: Array<number> = []
      for (let n = 0; n < count; n++) {
        const [, delay] = yield* Effect.orDie(step(0, undefined))
        found.push(Duration.toMillis(delay))
      }
      return found
    }).pipe(Random.withSeed(seed))
  )

const options = fc.record({
  base: fc.integer({ min: 1, max: 5000 }),
  factor: fc.double({ min: 1, max: 4, noNaN: true }),
  cap: fc.integer({ min: 5000, max: 60_000 })
})

describe("Backoff.exponential", () => {
  /** Models growth as base · factorⁿ, capped, and jitter as a part of it. */
  it("keeps every delay within what its jitter allows", () =>
    fc.assert(
      fc.property(options, fc.constantFrom("none", "full", "equal"), fc.integer(), (growth, jitter, seed) => {
        const found = delays(Backoff.exponential({ ...growth, jitter }), 12, seed)
        return found.every((delay, n) => {
          const grown = Math.min(growth.cap, growth.base * growth.factor ** n)
          const least = jitter === "none" ? grown : jitter === "equal" ? grown / 2 : 0
          return delay >= least - 1e-6 && delay <= grown + 1e-6
        })
      })
    ))

  /** Models decorrelated jitter as a step from the base to three times the delay before, capped. */
  it("keeps decorrelated delays between the base and three times the one before", () =>
    fc.assert(
      fc.property(options, fc.integer(), (growth, seed) => {
        const found = delays(Backoff.exponential({ ...growth, jitter: "decorrelated" }), 12, seed)
        return found.every((delay, n) => {
          const before = found[n - 1] ?? growth.base
          return delay >= growth.base - 1e-6 && delay <= Math.min(growth.cap, Math.max(growth.base, before * 3)) + 1e-6
        })
      })
    ))

  it("gives the same delays for the same seed", () =>
    fc.assert(
      fc.property(options, fc.integer(), (growth, seed) => {
        const schedule = Backoff.exponential(growth)
        const [once, again] = [delays(schedule, 8, seed), delays(schedule, 8, seed)]
        return JSON.stringify(once) === JSON.stringify(again)
      })
    ))
})

describe("Retry.retry", () => {
  /** Models a call as failing a number of times: it is tried once more than that, or as often as is allowed. */
  it("tries until it succeeds or may not try again", () =>
    fc.assert(
      fc.asyncProperty(fc.nat(12), fc.integer({ min: 1, max: 12 }), async (failures, maxAttempts) => {
        let tried = 0
        const call = Effect.suspend(() => (++tried <= failures ? Effect.fail("no") : Effect.succeed("yes")))
        const outcome = await Effect.runPromise(
          Effect.scoped(
            Effect.gen(function* () {
              const policy = Retry.retry<string>({ maxAttempts })
              const fiber = yield* Effect.forkChild(Effect.result(policy(call)))
              yield* TestClock.adjust("1 day")
              return yield* Fiber.join(fiber)
            }).pipe(Effect.provide(TestClock.layer()))
          )
        )
        const succeeded = outcome._tag === "Success"
        return tried === Math.min(maxAttempts, failures + 1) && succeeded === failures < maxAttempts
      })
    ))
})

describe("RetryAfter.parse", () => {
  it("reads every whole number of seconds", () =>
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (seconds, now) =>
        Option.exists(RetryAfter.parse(String(seconds), now), (delay) => Duration.toSeconds(delay) === seconds)
      )
    ))

  it("reads every HTTP-date as the time until then", () =>
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), fc.nat(4_000_000), (at, now) =>
        Option.exists(
          RetryAfter.parse(new Date(at * 1000).toUTCString(), now * 1000),
          (delay) => Duration.toMillis(delay) === Math.max(0, (at - now) * 1000)
        )
      )
    ))

  it("never takes what it cannot read for a time", () =>
    fc.assert(
      fc.property(fc.string(), (text) => {
        const parsed = RetryAfter.parse(text, 0)
        return Option.isNone(parsed) || Duration.toMillis(parsed.value) >= 0
      })
    ))
})
