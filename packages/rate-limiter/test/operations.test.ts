import { describe, expect, it } from "@effect/vitest"
import { KeyedRateLimiter, RateLimiter } from "@sluice/rate-limiter"
import { Clock, Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { algorithms, optionsOf } from "./promises.ts"

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })
const servedAt = (limiter: RateLimiter.RateLimiter, cost = 1) =>
  fork(Effect.andThen(limiter.take(cost), Clock.currentTimeMillis))
const delayOf = ({ delay }: RateLimiter.Reservation) => Duration.toMillis(delay)

describe("RateLimiter.reserve", () => {
  it.effect("gives the time when a cost may be used, and counts it from then on", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 10, interval: "1 second", burst: 2 })
      const reservations = yield* Effect.forEach([2, 1, 2], (cost) => limiter.reserve(cost))
      expect(reservations.map(delayOf)).toEqual([0, 100, 300])
      expect(Duration.toMillis((yield* limiter.tryTake()).retryAfter)).toBe(400)
      const ready = yield* fork(Effect.andThen(reservations[2]?.ready ?? Effect.void, Clock.currentTimeMillis))
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(ready)).toBe(300)
    })
  )

  it.effect("gives back what is reserved last, and of what others reserved behind what they were not put off by", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 10, interval: "1 second", burst: 10 })
      yield* limiter.take(10)
      const [first, second, third] = yield* Effect.forEach([5, 5, 1], (cost) => limiter.reserve(cost))
      expect(yield* third?.cancel ?? Effect.succeed(-1)).toBe(1)
      expect(yield* third?.cancel ?? Effect.succeed(-1)).toBe(0)
      // The promise behind it stands at the time that was told, five intervals later.
      expect(yield* first?.cancel ?? Effect.succeed(-1)).toBe(0)
      expect(yield* second?.cancel ?? Effect.succeed(-1)).toBeGreaterThan(0)
      yield* TestClock.adjust("2 seconds")
      expect(yield* second?.cancel ?? Effect.succeed(-1)).toBe(0)
    })
  )

  it.effect("takes nothing where its time would be too far away", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 1, interval: "1 second" })
      yield* limiter.take()
      const error = yield* Effect.flip(limiter.reserve(1, { maxWait: "999 millis" }))
      expect(Duration.toMillis(error.retryAfter)).toBe(1000)
      expect(delayOf(yield* limiter.reserve())).toBe(1000)
    })
  )

  for (const algorithm of algorithms) {
    it.effect(`stands behind those who wait, without putting them off: ${algorithm}`, () =>
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.make(optionsOf(algorithm, { limit: 2, interval: 1000, burst: 2 }))
        yield* limiter.take(2)
        const waiting = [yield* servedAt(limiter, 2), yield* servedAt(limiter, 2)]
        const reservation = yield* limiter.reserve(2)
        const behind = yield* servedAt(limiter, 2)
        // The sliding counter takes the window before for evenly filled, so a full one holds the next back until its end.
        const gap = algorithm === "sliding-window-counter" ? 2000 : 1000
        expect(delayOf(reservation)).toBe(3 * gap)
        yield* TestClock.adjust("10 seconds")
        expect(yield* Effect.forEach([...waiting, behind], Fiber.join)).toEqual([gap, 2 * gap, 4 * gap])
      })
    )

    it.effect(`lets those behind move up when it is cancelled in line: ${algorithm}`, () =>
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.make(optionsOf(algorithm, { limit: 2, interval: 1000, burst: 2 }))
        yield* limiter.take(2)
        const before = yield* servedAt(limiter, 2)
        const reservation = yield* limiter.reserve(2)
        const behind = yield* servedAt(limiter, 2)
        expect(yield* reservation.cancel).toBe(2)
        yield* TestClock.adjust("10 seconds")
        const gap = algorithm === "sliding-window-counter" ? 2000 : 1000
        expect(yield* Effect.forEach([before, behind], Fiber.join)).toEqual([gap, 2 * gap])
      })
    )
  }
})

describe("RateLimiter.adjust", () => {
  for (const algorithm of algorithms) {
    it.effect(`puts off those who come later, and lets them go sooner: ${algorithm}`, () =>
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.make(optionsOf(algorithm, { limit: 10, interval: 1000, burst: 10 }))
        yield* limiter.take(10)
        const before = Duration.toMillis((yield* limiter.tryTake(1)).retryAfter)
        yield* limiter.adjust(-5)
        expect((yield* limiter.tryTake(4)).allowed).toBe(algorithm !== "leaky-bucket")
        yield* limiter.adjust(10)
        expect(Duration.toMillis((yield* limiter.tryTake(1)).retryAfter)).toBeGreaterThanOrEqual(before)
        yield* limiter.adjust(-1000)
        expect((yield* limiter.tryTake(9)).allowed).toBe(true)
      })
    )
  }

  it.effect("wakes who waits when a cost is given back", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 10, interval: "1 minute" })
      yield* limiter.take(10)
      const waiting = yield* servedAt(limiter, 5)
      yield* TestClock.adjust("1 second")
      yield* limiter.adjust(-8)
      yield* TestClock.adjust("1 millis")
      expect(yield* Fiber.join(waiting)).toBeLessThanOrEqual(1001)
    })
  )

  it.effect("dies of what is no number", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 1, interval: "1 second" })
      const exit = yield* Effect.exit(limiter.adjust(Number.NaN))
      expect(Exit.isFailure(exit) && String(exit.cause)).toContain("Cannot adjust a rate limiter by NaN")
    })
  )
})

describe("RateLimiter.updateConfig", () => {
  it.effect("lets who waits go at the new pace, in the old order", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 1, interval: "1 hour", burst: 1 })
      yield* limiter.take()
      const waiting = [yield* servedAt(limiter), yield* servedAt(limiter)]
      yield* limiter.updateConfig({ interval: "1 second" })
      yield* TestClock.adjust("1 minute")
      expect(yield* Effect.forEach(waiting, Fiber.join)).toEqual([1000, 2000])
    })
  )

  it.effect("follows the limit with the burst, unless one was named", () =>
    Effect.gen(function* () {
      const plain = yield* RateLimiter.make({ limit: 5, interval: "1 second" })
      yield* plain.updateConfig({ limit: 7 })
      expect(plain.statsUnsafe().capacity).toBe(7)
      const named = yield* RateLimiter.make({ limit: 5, interval: "1 second", burst: 2 })
      yield* named.updateConfig({ limit: 7 })
      expect(named.statsUnsafe().capacity).toBe(2)
      const exit = yield* Effect.exit(named.updateConfig({ limit: 0 }))
      expect(Exit.isFailure(exit) && String(exit.cause)).toContain("limit 0")
      expect((yield* named.tryTake(2)).allowed).toBe(true)
    })
  )

  it.effect("refuses now who could no longer be served in time, and nobody else", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 1, interval: "1 second", burst: 1 })
      yield* limiter.take()
      const take = (maxWait: Duration.Input) =>
        fork(Effect.exit(Effect.andThen(limiter.take(1, { maxWait }), Clock.currentTimeMillis)))
      const fibers = [yield* take("1 minute"), yield* take("2 seconds"), yield* take("1 minute")]
      yield* limiter.updateConfig({ interval: "2 seconds" })
      yield* TestClock.adjust("1 minute")
      const exits = yield* Effect.forEach(fibers, Fiber.join)
      expect(exits.map((exit) => (Exit.isSuccess(exit) ? exit.value : "refused"))).toEqual([2000, "refused", 4000])
      expect(limiter.statsUnsafe()).toMatchObject({ waiting: 0, rejected: 1 })
    })
  )

  for (const algorithm of algorithms) {
    it.effect(`serves who waits already with more than the new limit, once all is free: ${algorithm}`, () =>
      Effect.gen(function* () {
        const { burst: _, ...options } = optionsOf(algorithm, { limit: 8, interval: 1000, burst: 8 })
        const limiter = yield* RateLimiter.make(options)
        yield* limiter.take(8)
        const heavy = yield* servedAt(limiter, 8)
        yield* limiter.updateConfig({ limit: 2 })
        yield* TestClock.adjust("1 minute")
        expect(yield* Fiber.join(heavy)).toBeLessThanOrEqual(4000)
      })
    )
  }
})

describe("RateLimiter.block", () => {
  it.effect("allows nothing for its time, and takes nothing", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 2, interval: "1 minute" })
      yield* limiter.block("10 seconds")
      const refused = yield* limiter.tryTake()
      expect(refused).toMatchObject({ allowed: false, isBlocked: true })
      expect(Duration.toMillis(refused.retryAfter)).toBe(10_000)
      const waiting = yield* servedAt(limiter)
      yield* TestClock.adjust("10 seconds")
      expect(yield* Fiber.join(waiting)).toBe(10_000)
      expect(yield* limiter.tryTake()).toMatchObject({ allowed: true, isBlocked: false, remaining: 0 })
    })
  )

  it.effect("ends when it is blocked for no time, and who waits goes at once", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 2, interval: "1 minute" })
      yield* limiter.block("1 hour")
      const waiting = yield* servedAt(limiter)
      yield* TestClock.adjust("1 second")
      yield* limiter.block(0)
      yield* TestClock.adjust("1 millis")
      expect(yield* Fiber.join(waiting)).toBeLessThanOrEqual(1001)
    })
  )

  it.effect("refuses who waits and could not be served in time any more", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 1, interval: "1 second" })
      yield* limiter.take()
      const waiting = yield* fork(Effect.flip(limiter.take(1, { maxWait: "5 seconds" })))
      yield* limiter.block("1 minute")
      yield* TestClock.adjust("1 millis")
      expect(Duration.toMillis((yield* Fiber.join(waiting)).retryAfter)).toBe(60_000)
    })
  )
})

describe("RateLimiter", () => {
  it("refuses an algorithm that there is not, and a burst where there is none", () => {
    const algorithm: string = "guess"
    // @ts-expect-error callers without types may name anything
    expect(() => RateLimiter.makeUnsafe({ limit: 1, interval: 1, algorithm })).toThrow("algorithm guess")
    expect(() => RateLimiter.makeUnsafe({ limit: 1, interval: 1, burst: 2, algorithm: "fixed-window" })).toThrow(
      "burst 2"
    )
  })

  it("keeps the entries of a sliding log bounded, and then allows less, never more", () => {
    const limiter = RateLimiter.makeUnsafe({ limit: 100_000, interval: "1 hour", algorithm: "sliding-window-log" })
    let allowed = 0
    for (let millis = 0; millis < 120_000; millis++) if (limiter.tryTakeUnsafe(millis).allowed) allowed++
    expect(allowed).toBe(100_000)
    expect(limiter.tryTakeUnsafe(3_600_000 + 65_000).remaining).toBeLessThanOrEqual(100_000)
  })
})

describe("KeyedRateLimiter", () => {
  it.effect("gives each key the limit that it is said to have", () =>
    Effect.gen(function* () {
      const gold = { limit: 3, interval: "1 minute" } as const
      const limiter = yield* KeyedRateLimiter.make({
        limit: 1,
        interval: "1 minute",
        limitOf: (key) => (key.startsWith("gold-") ? gold : undefined)
      })
      const count = (key: string) =>
        Effect.map(
          Effect.forEach([1, 2, 3, 4], () => limiter.tryTake(key)),
          (decisions) => decisions.filter(({ allowed }) => allowed).length
        )
      expect([yield* count("gold-ann"), yield* count("bob")]).toEqual([3, 1])
      yield* limiter.updateConfig({ limit: 2 })
      expect([yield* count("gold-ann"), yield* count("bob"), yield* count("eve")]).toEqual([0, 1, 2])
    })
  )

  it.effect("reserves, adjusts and blocks a key, and no other", () =>
    Effect.gen(function* () {
      const limiter = yield* KeyedRateLimiter.make({ limit: 2, interval: "2 seconds" })
      yield* limiter.take("a", 2)
      const reservation = yield* limiter.reserve("a")
      expect(delayOf(reservation)).toBe(1000)
      expect(yield* reservation.cancel).toBe(1)
      yield* limiter.adjust("a", -1)
      expect((yield* limiter.tryTake("a")).allowed).toBe(true)
      yield* limiter.block("b", "1 minute")
      expect(yield* limiter.tryTake("b")).toMatchObject({ allowed: false, isBlocked: true })
      expect((yield* Effect.flip(limiter.take("b", 1, { maxWait: "59 seconds" }))).key).toBe("b")
      expect((yield* limiter.tryTake("c")).allowed).toBe(true)
      yield* TestClock.adjust("1 minute")
      expect((yield* limiter.tryTake("b")).allowed).toBe(true)
    })
  )

  it.effect("keeps a key for as long as something is promised to it", () =>
    Effect.gen(function* () {
      const limiter = yield* KeyedRateLimiter.make({ limit: 1, interval: "1 second", burst: 1 })
      for (let reservation = 0; reservation < 20; reservation++) yield* limiter.reserve("a")
      for (let second = 0; second < 10; second++) {
        yield* TestClock.adjust("1 second")
        yield* limiter.tryTake("b")
      }
      expect(Duration.toMillis((yield* limiter.tryTake("a")).retryAfter)).toBe(10_000)
    })
  )

  it("forgets exactly the key that was not asked for longest, if told so", () => {
    const limiter = KeyedRateLimiter.makeUnsafe({
      limit: 1,
      interval: "1 hour",
      maxKeys: 3,
      eviction: "least-recently-used"
    })
    const take = (key: string) => limiter.tryTakeUnsafe(0, key).allowed
    expect(["a", "b", "c", "a", "d"].map(take)).toEqual([true, true, true, false, true])
    expect(limiter.statsUnsafe()).toMatchObject({ keys: 3, evicted: 1 })
    expect(["a", "c", "d", "b"].map(take)).toEqual([false, false, false, true])
  })

  it.each(["generations", "least-recently-used"] as const)("forgets keys that are idle, if told so: %s", (eviction) => {
    const limiter = KeyedRateLimiter.makeUnsafe({ limit: 1, interval: "1 hour", maxIdle: "1 minute", eviction })
    limiter.tryTakeUnsafe(0, "idle")
    for (let second = 0; second <= 120; second += 10) {
      limiter.tryTakeUnsafe(second * 1000, "busy")
      limiter.tryTakeUnsafe(second * 1000, "other")
    }
    expect(limiter.statsUnsafe()).toMatchObject({ keys: 2, evicted: 1 })
    expect(limiter.tryTakeUnsafe(121_000, "busy").allowed).toBe(false)
    expect(limiter.tryTakeUnsafe(121_000, "idle").allowed).toBe(true)
  })

  it.each(["generations", "least-recently-used"] as const)(
    "does not forget who is refused all the time: %s",
    (eviction) => {
      const limiter = KeyedRateLimiter.makeUnsafe({ limit: 1, interval: "1 hour", maxKeys: 10, eviction })
      limiter.tryTakeUnsafe(0, "abuser")
      for (let request = 0; request < 1000; request++) {
        limiter.tryTakeUnsafe(request, `other ${request}`)
        expect(limiter.tryTakeUnsafe(request, "abuser").allowed).toBe(false)
      }
    }
  )

  it.each([
    ["generations", 10_000_000],
    ["least-recently-used", 1_000_000]
  ] as const)(
    "stays within its cap under millions of distinct keys: %s, %d",
    (eviction, distinct) => {
      const limiter = KeyedRateLimiter.makeUnsafe({ limit: 1, interval: "1 hour", maxKeys: 10_000, eviction })
      for (let key = 0; key < distinct; key++) {
        limiter.tryTakeUnsafe(key / 1000, `k${key}`)
        if (key % 100_000 === 0) expect(limiter.statsUnsafe().keys).toBeLessThanOrEqual(10_000)
      }
      expect(limiter.statsUnsafe().keys).toBeLessThanOrEqual(10_000)
      expect(limiter.statsUnsafe().keys + limiter.statsUnsafe().evicted).toBe(distinct)
    },
    60_000
  )

  it.effect("keeps no more blocked keys than it may", () =>
    Effect.gen(function* () {
      const limiter = yield* KeyedRateLimiter.make({ limit: 1, interval: "1 second", maxKeys: 10 })
      for (let key = 0; key < 100; key++) yield* limiter.block(`key ${key}`, "1 hour")
      const blocked = yield* Effect.forEach(Array.from({ length: 100 }), (_, key) => limiter.tryTake(`key ${key}`))
      expect(blocked.filter(({ isBlocked }) => isBlocked).length).toBe(10)
    })
  )

  it.each([
    [{ maxIdle: 0 }, "maxIdle 0"],
    [{ maxKeys: 1 }, "maxKeys 1"]
  ] as const)("refuses %j", (options, message) => {
    expect(() => KeyedRateLimiter.makeUnsafe({ limit: 1, interval: 1, ...options })).toThrow(message)
  })
})
