// Policies around policies: what each keeps to, whatever stands around it, and
// what their order means.

import { RateLimiter } from "@sluice/rate-limiter"
import { Backoff, Deadline, Hedge, Retry, RetryBudget } from "@sluice/retry"
import { Explorer } from "@sluice/schedule-explorer"
import { Bulkhead, Semaphore } from "@sluice/semaphore"
import { Clock, Effect, Exit, Fiber } from "effect"
import { CircuitBreaker } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"

const everySecond = Backoff.exponential({ base: "1 second", factor: 1, jitter: "none" })

/** Runs in virtual time, for as long as it takes. */
const virtual = <A, E>(program: Effect.Effect<A, E>): Promise<Exit.Exit<A, E>> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(Effect.exit(program))
        yield* TestClock.adjust("1 day")
        return yield* Fiber.join(fiber)
      }).pipe(Effect.provide(TestClock.layer()))
    )
  )

/** An effect that counts how many of it run, and whether what each acquired was released. */
const tracked = (millis: number) => {
  const count = { open: 0, most: 0, started: 0 }
  const effect = Effect.acquireUseRelease(
    Effect.sync(() => {
      count.started++
      count.open++
      count.most = Math.max(count.most, count.open)
    }),
    () => Effect.sleep(millis),
    () => Effect.sync(() => void count.open--)
  )
  return { count, effect }
}

const isIdle = ({ held, waiting }: Semaphore.Stats): boolean => held === 0 && waiting === 0

describe("a hedge inside a bulkhead inside a deadline", () => {
  it("leaves nothing behind under any schedule, in time or too late", () => {
    const program = (millis: number) =>
      Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ permits: 1, maxWaiting: 1 })
        const { count, effect } = tracked(millis)
        const call = effect.pipe(
          Hedge.hedge({ idempotent: true, delay: "10 millis" }),
          bulkhead.withPermit,
          Deadline.within("100 millis")
        )
        yield* Effect.exit(call)
        if (count.open !== 0) yield* Effect.die(`${count.open} copies are left`)
        if (!isIdle(bulkhead.statsUnsafe())) yield* Effect.die("a permit is left")
      })
    for (const millis of [5, 50, 500]) {
      const strategy = Explorer.random({ runs: 1000, seed: millis, maxPreemptions: 3 })
      expect(Explorer.check(program(millis), { strategy }).failure?.timeline).toBeUndefined()
    }
  })

  it("keeps the deadline and the permits for any times", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 3 }),
        async (durations, permits) => {
          const bulkhead = Bulkhead.makeUnsafe({ permits, maxWaiting: 4 })
          const jobs = durations.map(tracked)
          const calls = jobs.map(({ effect }) =>
            effect.pipe(
              Hedge.hedge({ idempotent: true, delay: "20 millis", maxCopies: 2 }),
              bulkhead.withPermit,
              Deadline.within("100 millis")
            )
          )
          const ended = await virtual(
            Effect.andThen(
              Effect.forEach(calls, (call) => Effect.exit(call), { concurrency: "unbounded", discard: true }),
              Clock.currentTimeMillis
            )
          )
          expect(Exit.isSuccess(ended) && ended.value).toBeLessThanOrEqual(100)
          expect(jobs.map(({ count }) => count.open)).toEqual(durations.map(() => 0))
          expect(Math.max(...jobs.map(({ count }) => count.most))).toBeLessThanOrEqual(2)
          expect(isIdle(bulkhead.statsUnsafe())).toBe(true)
        }
      ),
      { numRuns: 60 }
    ))
})

describe("a retry budget around a breaker", () => {
  it("asks a dead dependency no more often than the breaker allows, and the budget pays for every retry", async () => {
    let asked = 0
    const call = Effect.suspend(() => {
      asked++
      return Effect.fail("down" as const)
    })
    const budget = RetryBudget.makeUnsafe({ ratio: 0.5, minPerSecond: 0, window: "10 seconds" })
    const breaker = CircuitBreaker.layer({ tripPolicy: CircuitBreaker.consecutive(5), openDuration: "1 minute" })
    const calls = 40
    await virtual(
      Effect.gen(function* () {
        const { execute } = yield* CircuitBreaker.CircuitBreaker
        const policy = Retry.retry<"down" | CircuitBreaker.CircuitBreakerError>({
          maxAttempts: 4,
          budget,
          backoff: Backoff.exponential({ base: "1 millis", jitter: "none" }),
          while: (error) => error === "down"
        })
        yield* Effect.forEach(Array(calls).keys(), () => Effect.exit(call.pipe(execute({ key: "it" }), policy)), {
          discard: true
        })
      }).pipe(Effect.provide(breaker), Effect.provide(CircuitBreaker.layerStoreMemory()))
    )
    expect(asked).toBe(5)
  })
})

describe("the order of policies", () => {
  /** Fails once, then succeeds. */
  const flaky = () => {
    let tries = 0
    return Effect.suspend(() => (++tries === 1 ? Effect.fail("not yet") : Effect.succeed("done")))
  }
  const again = Retry.retry<string>({ maxAttempts: 3, backoff: everySecond })

  /** How many permits are held half a second into the back-off. */
  const heldDuringBackOff = (around: "permit inside" | "permit outside") =>
    virtual(
      Effect.gen(function* () {
        const semaphore = yield* Semaphore.make(1)
        const call =
          around === "permit inside" ? again(semaphore.withPermit(flaky())) : semaphore.withPermit(again(flaky()))
        const fiber = yield* Effect.forkChild(call)
        yield* Effect.sleep("500 millis")
        const { held } = semaphore.statsUnsafe()
        yield* Fiber.join(fiber)
        return held
      })
    )

  it("gives a permit inside a retry back while the retry waits, and holds one outside of it", async () => {
    expect(await heldDuringBackOff("permit inside")).toEqual(Exit.succeed(0))
    expect(await heldDuringBackOff("permit outside")).toEqual(Exit.succeed(1))
  })

  it("has a limiter inside a retry count attempts, and one outside count calls", async () => {
    const inside = RateLimiter.makeUnsafe({ limit: 10, interval: "1 second" })
    const outside = RateLimiter.makeUnsafe({ limit: 10, interval: "1 second" })
    await virtual(again(inside.limit()(flaky())))
    await virtual(outside.limit()(again(flaky())))
    expect([inside.statsUnsafe().admitted, outside.statsUnsafe().admitted]).toEqual([2, 1])
  })

  it("has a deadline outside bound the whole, and one inside bound each attempt", async () => {
    const slow = Effect.andThen(Effect.sleep("900 millis"), Effect.fail("too slow"))
    const whole = await virtual(
      Effect.andThen(Effect.exit(Deadline.within("2 seconds")(again(slow))), Clock.currentTimeMillis)
    )
    const each = await virtual(
      Effect.andThen(
        Effect.exit(
          slow.pipe(
            Deadline.within("1 second"),
            Effect.catchTag("@sluice/retry/DeadlineExceeded", () => Effect.fail("late")),
            again
          )
        ),
        Clock.currentTimeMillis
      )
    )
    expect(Exit.isSuccess(whole) && whole.value).toBeLessThanOrEqual(2000)
    expect(each).toEqual(Exit.succeed(4700))
  })

  it("lets nobody through a limiter faster for waiting at a semaphore", async () => {
    const limiter = RateLimiter.makeUnsafe({ limit: 1, interval: "1 second", burst: 1 })
    const semaphore = Semaphore.makeUnsafe(2)
    const times = await virtual(
      Effect.forEach([1, 2, 3, 4], () => semaphore.withPermit(limiter.limit()(Clock.currentTimeMillis)), {
        concurrency: "unbounded"
      })
    )
    expect(times).toEqual(Exit.succeed([0, 1000, 2000, 3000]))
  })
})

describe("a semaphore around a limiter", () => {
  it("loses no permit and no turn, whoever is interrupted and when", () => {
    const program = Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(1)
      const limiter = yield* RateLimiter.make({ limit: 1, interval: "1 second", burst: 1 })
      const call = semaphore.withPermit(limiter.limit()(Effect.yieldNow))
      const fibers = yield* Effect.forEach([1, 2], () => Effect.forkChild(call))
      yield* Effect.forEach(fibers, Fiber.await)
      if (!isIdle(semaphore.statsUnsafe())) yield* Effect.die("a permit is left")
      if (limiter.statsUnsafe().waiting !== 0) yield* Effect.die("somebody waits for the limiter")
      yield* call
    })
    Explorer.assert(program, {
      interruptions: 1,
      strategy: Explorer.exhaustive({ maxPreemptions: 1, maxSchedules: 100_000 })
    })
  })
})
