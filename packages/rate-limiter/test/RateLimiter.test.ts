import { describe, expect, it } from "@effect/vitest"
import { KeyedRateLimiter, RateLimiter } from "@sluice/rate-limiter"
import { Clock, Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"

/** Takes, and writes down its name and the time. */
const taker = (limiter: RateLimiter.RateLimiter, log: Array<string>, name: string, cost = 1) =>
  Effect.forkChild(
    Effect.andThen(
      limiter.take(cost),
      Effect.map(Clock.currentTimeMillis, (at) => void log.push(`${name}@${at}`))
    ),
    { startImmediately: true }
  )

describe("RateLimiter", () => {
  it.effect("allows a burst, then the rate", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 10, interval: "1 second", burst: 3 })
      const allowed: Array<number> = []
      for (let millis = 0; millis <= 1000; millis += 10) {
        if ((yield* limiter.tryTake()).allowed) allowed.push(millis)
        yield* TestClock.adjust("10 millis")
      }
      expect(allowed.slice(0, 6)).toEqual([0, 10, 20, 100, 200, 300])
    })
  )

  it.effect("tells when to come back, and when all is free", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 10, interval: "1 second", burst: 2 })
      yield* limiter.tryTake(2)
      const refused = yield* limiter.tryTake()
      expect(refused).toMatchObject({ allowed: false, remaining: 0, limit: 2 })
      expect(Duration.toMillis(refused.retryAfter)).toBe(100)
      expect(Duration.toMillis(refused.resetAfter)).toBe(200)
      yield* TestClock.adjust(refused.retryAfter)
      expect((yield* limiter.tryTake()).allowed).toBe(true)
    })
  )

  it.effect("serves those who wait in the order of their arrival, each in its time", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 10, interval: "1 second", burst: 3 })
      const log: Array<string> = []
      yield* limiter.take(3)
      yield* taker(limiter, log, "heavy", 3)
      yield* taker(limiter, log, "light")
      yield* TestClock.adjust("1 second")
      expect(log).toEqual(["heavy@300", "light@400"])
    })
  )

  it.effect("lets nobody by while somebody waits", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 10, interval: "1 second", burst: 2 })
      yield* limiter.take(2)
      yield* taker(limiter, [], "heavy", 2)
      yield* TestClock.adjust("150 millis")
      const decision = yield* limiter.tryTake()
      expect(decision.allowed).toBe(false)
      expect(Duration.toMillis(decision.retryAfter)).toBe(150)
    })
  )

  it.effect("takes nothing for a waiter that leaves, and those behind move up", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 1, interval: "1 second" })
      const log: Array<string> = []
      yield* limiter.take()
      const first = yield* taker(limiter, log, "first")
      const second = yield* taker(limiter, log, "second")
      yield* taker(limiter, log, "third")
      yield* Fiber.interrupt(second)
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("1 second")
      expect(log).toEqual(["third@1000"])
      expect(limiter.statsUnsafe()).toMatchObject({ waiting: 0, admitted: 2 })
    })
  )

  it.effect("refuses at once what could not be served in time", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 1, interval: "1 second" })
      yield* limiter.take()
      yield* taker(limiter, [], "before")
      const error = yield* Effect.flip(limiter.take(1, { maxWait: "1999 millis" }))
      expect(error._tag).toBe("@sluice/rate-limiter/RateLimitExceeded")
      expect(Duration.toMillis(error.retryAfter)).toBe(2000)
      expect(error.message).toBe("The rate limit is exceeded: a cost of 1 is free in 2s")
      expect(limiter.statsUnsafe()).toMatchObject({ waiting: 1, rejected: 1 })
    })
  )

  it.effect("paces effects as a policy", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 1, interval: "1 second" })
      const fiber = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3], () => limiter.limit()(Clock.currentTimeMillis), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(fiber)).toEqual([0, 1000, 2000])
    })
  )

  it("neither stalls nor overflows when the clock steps", () => {
    const limiter = RateLimiter.makeUnsafe({ limit: 1, interval: "1 second", burst: 2 })
    const at = (millis: number) => limiter.tryTakeUnsafe(millis).allowed
    expect([at(1_000_000), at(1_000_000), at(1_000_000)]).toEqual([true, true, false])
    expect([at(0), at(999), at(1000), at(1001)]).toEqual([false, false, true, false])
    expect([at(9_000_000), at(9_000_000), at(9_000_000)]).toEqual([true, true, false])
  })

  it.each([
    [{ limit: 0, interval: "1 second" }, "limit 0"],
    [{ limit: Number.NaN, interval: "1 second" }, "limit NaN"],
    [{ limit: 1, interval: 0 }, "interval 0"],
    [{ limit: 1, interval: "1 second", burst: -1 }, "burst -1"]
  ] as const)("refuses %j", (options, message) => {
    expect(() => RateLimiter.makeUnsafe(options)).toThrow(message)
  })

  it.effect("dies of a cost that could never be allowed instead of waiting for ever", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 5, interval: "1 second" })
      for (const cost of [6, 0, -1, Number.NaN]) {
        const exit = yield* Effect.exit(limiter.take(cost))
        expect(Exit.isFailure(exit) && String(exit.cause)).toContain(`Cannot take ${cost}`)
      }
    })
  )
})

describe("KeyedRateLimiter", () => {
  it.effect("limits each key by itself", () =>
    Effect.gen(function* () {
      const limiter = yield* KeyedRateLimiter.make({ limit: 1, interval: "1 second" })
      const allowed = []
      for (const key of ["a", "b", "a", "c"]) allowed.push((yield* limiter.tryTake(key)).allowed)
      expect(allowed).toEqual([true, true, false, true])
      expect(limiter.statsUnsafe()).toMatchObject({ keys: 3, admitted: 3, rejected: 1 })
    })
  )

  it.effect("has nobody wait for another key", () =>
    Effect.gen(function* () {
      const limiter = yield* KeyedRateLimiter.make({ limit: 1, interval: "1 second" })
      const log: Array<string> = []
      const take = (key: string) =>
        Effect.forkChild(
          Effect.andThen(
            limiter.take(key),
            Effect.map(Clock.currentTimeMillis, (at) => void log.push(`${key}@${at}`))
          )
        )
      for (const key of ["a", "a", "b", "a", "b"]) yield* take(key)
      yield* TestClock.adjust("5 seconds")
      expect(log).toEqual(["a@0", "b@0", "a@1000", "b@1000", "a@2000"])
      expect(limiter.statsUnsafe().waiting).toBe(0)
    })
  )

  it.effect("names the key that is refused", () =>
    Effect.gen(function* () {
      const limiter = yield* KeyedRateLimiter.make({ limit: 1, interval: "1 second" })
      yield* limiter.take("ann")
      const error = yield* Effect.flip(limiter.limit("ann", 1, { maxWait: 0 })(Effect.void))
      expect(error).toMatchObject({ key: "ann", cost: 1, limit: 1 })
    })
  )

  it("forgets keys whose bucket is full again, and loses nothing", () => {
    const limiter = KeyedRateLimiter.makeUnsafe({ limit: 10, interval: "1 second" })
    for (let key = 0; key < 1000; key++) limiter.tryTakeUnsafe(0, `key ${key}`)
    expect(limiter.statsUnsafe().keys).toBe(1000)
    limiter.tryTakeUnsafe(1000, "x")
    limiter.tryTakeUnsafe(2000, "x")
    expect(limiter.statsUnsafe()).toMatchObject({ keys: 1, evicted: 0 })
  })

  it("keeps no more keys than it may, and forgets the least recently used", () => {
    const limiter = KeyedRateLimiter.makeUnsafe({ limit: 1, interval: "1 hour", maxKeys: 100 })
    for (let key = 0; key < 10_000; key++) {
      limiter.tryTakeUnsafe(key, `key ${key}`)
      expect(limiter.tryTakeUnsafe(key, `key ${key}`).allowed).toBe(false)
    }
    expect(limiter.statsUnsafe().keys).toBeLessThanOrEqual(100)
    expect(limiter.statsUnsafe().evicted).toBeGreaterThan(9000)
  })
})
