// The laws of the scripts, run by the fake Redis in virtual time, against models
// that know nothing of scripts.

import { RateLimiter } from "@sluice/rate-limiter"
import { RedisRateLimiter } from "@sluice/redis"
import { RedisQuota } from "@sluice/redis/quota"
import { Clock, Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { onConnection, settled } from "./fakeMachine.ts"
import { makeFakeRedis } from "./fakeRedis.ts"

interface Request {
  /** Milliseconds since the one before. */
  readonly after: number
  readonly cost: number
}

const requests = (mostCost: number): fc.Arbitrary<ReadonlyArray<Request>> =>
  fc.array(fc.record({ after: fc.nat(400), cost: fc.integer({ min: 1, max: mostCost }) }), {
    minLength: 1,
    maxLength: 30
  })

const run = <A>(program: Effect.Effect<A, unknown, never>): Promise<A> =>
  Effect.runPromise(Effect.provide(program, TestClock.layer()))

/** The most that was admitted within any interval. */
const mostWithin = (admitted: ReadonlyArray<{ readonly at: number; readonly cost: number }>, millis: number): number =>
  Math.max(
    0,
    ...admitted.map(({ at }) =>
      admitted.filter((other) => other.at > at - millis && other.at <= at).reduce((sum, { cost }) => sum + cost, 0)
    )
  )

const check = <T>(arbitrary: fc.Arbitrary<T>, law: (value: T) => Promise<void>): Promise<void> =>
  fc.assert(fc.asyncProperty(arbitrary, law), { numRuns: 60 })

describe("the laws of RedisRateLimiter and RedisQuota", () => {
  it("gcra decides as the limiter in memory does, whose state is one number", () =>
    check(requests(3), (script) =>
      run(
        Effect.gen(function* () {
          const fake = yield* makeFakeRedis
          const options = { limit: 7, interval: "1 second", burst: 3 } as const
          const limiter = yield* onConnection(fake.connect())(RedisRateLimiter.make({ name: "api", ...options }))
          const model = RateLimiter.makeUnsafe(options)
          for (const { after, cost } of script) {
            yield* TestClock.adjust(after)
            const now = yield* Clock.currentTimeMillis
            const expected = model.tryTakeUnsafe(now, cost)
            const decided = yield* limiter.tryTake("key", cost)
            expect(decided.allowed).toBe(expected.allowed)
            expect(decided.remaining).toBe(Math.floor(expected.remaining + 1e-6))
            expect(Duration.toMillis(decided.retryAfter)).toBeCloseTo(Duration.toMillis(expected.retryAfter), 2)
            expect(Duration.toMillis(decided.resetAfter)).toBeCloseTo(Duration.toMillis(expected.resetAfter), 2)
          }
        }).pipe(Effect.scoped)
      )
    ))

  it("slidingWindow decides as a log of all requests does, and says when to come again", () =>
    check(requests(4), (script) =>
      run(
        Effect.gen(function* () {
          const fake = yield* makeFakeRedis
          const limiter = yield* onConnection(fake.connect())(
            RedisRateLimiter.make({ name: "api", limit: 5, interval: "1 second", algorithm: "slidingWindow" })
          )
          const log: Array<{ at: number; cost: number }> = []
          const taken = (now: number): number =>
            log.filter(({ at }) => at > now - 1000).reduce((sum, { cost }) => sum + cost, 0)
          for (const { after, cost } of script) {
            yield* TestClock.adjust(after)
            const now = yield* Clock.currentTimeMillis
            const decided = yield* limiter.tryTake("key", cost)
            expect(decided.allowed).toBe(taken(now) + cost <= 5)
            if (decided.allowed) log.push({ at: now, cost })
            else expect(taken(now + Duration.toMillis(decided.retryAfter)) + cost).toBeLessThanOrEqual(5)
            expect(decided.remaining).toBe(5 - taken(now))
          }
          expect(mostWithin(log, 1000)).toBeLessThanOrEqual(5)
        }).pipe(Effect.scoped)
      )
    ))

  it.each(["gcra", "slidingWindow"] as const)(
    "%s: those who wait go in the order of their asking, and stay within the limit",
    (algorithm) =>
      check(requests(3), (script) =>
        run(
          Effect.gen(function* () {
            const fake = yield* makeFakeRedis
            const burst = algorithm === "gcra" ? { burst: 3 } : {}
            const limiter = yield* onConnection(fake.connect())(
              RedisRateLimiter.make({ name: "api", limit: 4, interval: "1 second", algorithm, ...burst })
            )
            const admitted: Array<{ at: number; cost: number; number: number }> = []
            const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
            for (const [number, { after, cost }] of script.entries()) {
              yield* TestClock.adjust(after)
              const take = Effect.andThen(limiter.take("key", cost), Clock.currentTimeMillis)
              fibers.push(yield* Effect.forkChild(Effect.map(take, (at) => void admitted.push({ at, cost, number }))))
              yield* settled
            }
            yield* TestClock.adjust("2 minutes")
            for (const fiber of fibers) yield* Fiber.join(fiber)
            expect(admitted.map(({ number }) => number)).toEqual(script.map((_, number) => number))
            // GCRA: the burst, and what the interval brings.
            expect(mostWithin(admitted, 1000)).toBeLessThanOrEqual(algorithm === "gcra" ? 3 + 4 : 4)
          }).pipe(Effect.scoped)
        )
      )
  )

  it("a quota takes from all of its limits or from none, as two limiters asked before taking would", () =>
    check(
      fc.array(fc.record({ after: fc.nat(300), requests: fc.nat(1), tokens: fc.integer({ min: 1, max: 50 }) }), {
        minLength: 1,
        maxLength: 30
      }),
      (script) =>
        run(
          Effect.gen(function* () {
            const fake = yield* makeFakeRedis
            const quota = yield* onConnection(fake.connect())(
              RedisQuota.make({
                name: "model",
                limits: {
                  requests: { limit: 3, interval: "1 second", algorithm: "slidingWindow" },
                  tokens: { limit: 100, interval: "1 second" }
                }
              })
            )
            const log: Array<number> = []
            const tokens = RateLimiter.makeUnsafe({ limit: 100, interval: "1 second" })
            for (const costs of script) {
              yield* TestClock.adjust(costs.after)
              const now = yield* Clock.currentTimeMillis
              const inWindow = log.filter((at) => at > now - 1000).length
              const fits = inWindow + costs.requests <= 3
              const decided = yield* quota.tryTake("ann", { requests: costs.requests, tokens: costs.tokens })
              // The model takes its tokens only where the other limit has room.
              const model = fits && tokens.tryTakeUnsafe(now, costs.tokens).allowed
              expect(decided.allowed).toBe(model)
              if (model && costs.requests > 0) log.push(now)
            }
          }).pipe(Effect.scoped)
        )
    ))

  it("blocks let no more than the limit and a block for each machine through within an interval", () =>
    check(fc.array(fc.record({ after: fc.nat(120), machine: fc.nat(2) }), { minLength: 20, maxLength: 80 }), (script) =>
      run(
        Effect.gen(function* () {
          const fake = yield* makeFakeRedis
          const limiters = yield* Effect.forEach([0, 1, 2], () =>
            onConnection(fake.connect())(
              RedisRateLimiter.make({
                name: "api",
                limit: 10,
                interval: "1 second",
                algorithm: "slidingWindow",
                block: { size: 3 }
              })
            )
          )
          const admitted: Array<{ at: number; cost: number }> = []
          const before = fake.commands()
          for (const { after, machine } of script) {
            yield* TestClock.adjust(after)
            const decided = yield* limiters[machine]?.tryTake("key") ?? Effect.die("three machines")
            if (decided.allowed) admitted.push({ at: yield* Clock.currentTimeMillis, cost: 1 })
          }
          expect(mostWithin(admitted, 1000)).toBeLessThanOrEqual(10 + 3 * 3)
          expect(fake.commands() - before).toBeLessThan(script.length + 40)
        }).pipe(Effect.scoped)
      )
    ))

  it.each(["gcra", "slidingWindow"] as const)(
    "%s: whoever leaves the end of the line gives back what he reserved",
    (algorithm) =>
      run(
        Effect.gen(function* () {
          const fake = yield* makeFakeRedis
          const limiter = yield* onConnection(fake.connect())(
            RedisRateLimiter.make({ name: "api", limit: 1, interval: "1 minute", algorithm })
          )
          yield* limiter.take("key")
          const leaver = yield* Effect.forkChild(limiter.take("key"))
          yield* settled
          yield* Fiber.interrupt(leaver)
          const exit = yield* Effect.exit(limiter.take("key", 1, { maxWait: "1 minute" })).pipe(
            Effect.forkChild,
            Effect.tap(() => Effect.andThen(settled, TestClock.adjust("1 minute"))),
            Effect.flatMap(Fiber.join)
          )
          expect(Exit.isSuccess(exit)).toBe(true)
        }).pipe(Effect.scoped)
      )
  )
})
