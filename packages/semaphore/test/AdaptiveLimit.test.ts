import { describe, expect, it } from "@effect/vitest"
import { AdaptiveLimit } from "@sluice/semaphore"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { fork, settle } from "./fibers.ts"

const fixed = (initial: number) => AdaptiveLimit.aimd({ initial, min: 1, max: 100 })

const running = (limit: AdaptiveLimit.AdaptiveLimit, effect: Effect.Effect<unknown, unknown> = Effect.never) =>
  fork(Effect.exit(limit.withPermit(effect)))

describe("AdaptiveLimit", () => {
  it.effect("runs as many as its limit, and refuses the rest with what there is", () =>
    Effect.gen(function* () {
      const limit = yield* AdaptiveLimit.make({ algorithm: fixed(2) })
      yield* running(limit)
      yield* running(limit)
      const refused = yield* Effect.flip(limit.withPermit(Effect.void))
      expect(refused).toMatchObject({ _tag: "@sluice/semaphore/BulkheadFull", permits: 2, maxWaiting: 0 })
      expect(limit.statsUnsafe()).toMatchObject({ capacity: 2, held: 2, available: 0, rejected: 1, admitted: 2 })
    })
  )

  it.effect("lets so many wait, in order, and for so long", () =>
    Effect.gen(function* () {
      const limit = yield* AdaptiveLimit.make({ algorithm: fixed(1), maxWaiting: 2, maxWait: "1 second" })
      const log: Array<string> = []
      const job = (name: string) =>
        fork(
          limit.withPermit(
            Effect.andThen(
              Effect.sleep("600 millis"),
              Effect.sync(() => void log.push(name))
            )
          )
        )
      yield* job("first")
      yield* job("second")
      const third = yield* fork(Effect.flip(limit.withPermit(Effect.void)))
      expect((yield* Effect.flip(limit.withPermit(Effect.void)))._tag).toBe("@sluice/semaphore/BulkheadFull")
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(third))._tag).toBe("@sluice/semaphore/BulkheadTimeout")
      yield* TestClock.adjust("1 second")
      expect(log).toEqual(["first", "second"])
      expect(limit.statsUnsafe()).toMatchObject({ held: 0, waiting: 0, rejected: 2 })
    })
  )

  it.effect("rises while it is used and lowers after drops", () =>
    Effect.gen(function* () {
      const limit = yield* AdaptiveLimit.make({ algorithm: fixed(10), minSamples: 1 })
      const round = (effect: Effect.Effect<unknown, unknown>) =>
        Effect.gen(function* () {
          for (let i = 0; i < 6; i++) yield* running(limit, effect)
          yield* TestClock.adjust("1 second")
        })
      yield* round(Effect.sleep("1 second"))
      expect(limit.statsUnsafe().capacity).toBe(11)
      yield* round(Effect.timeout(Effect.never, "1 second"))
      expect(limit.statsUnsafe()).toMatchObject({ capacity: 10, held: 0 })
      expect(limit.statsUnsafe().dropped).toBeGreaterThan(0)
    })
  )

  it.effect("believes who reports a drop, and the predicate on the exit", () =>
    Effect.gen(function* () {
      const reported = yield* AdaptiveLimit.make({ algorithm: fixed(10), minSamples: 1 })
      const job = Effect.andThen(reported.reportDrop, Effect.sleep("1 second"))
      yield* running(reported, job)
      yield* TestClock.adjust("1 second")
      expect(reported.statsUnsafe()).toMatchObject({ capacity: 9, dropped: 1 })

      const seen = yield* AdaptiveLimit.make({
        algorithm: fixed(10),
        minSamples: 1,
        isDrop: (exit) => Exit.isSuccess(exit) && exit.value === 503
      })
      yield* running(seen, Effect.delay(Effect.succeed(503), "1 second"))
      yield* TestClock.adjust("1 second")
      expect(seen.statsUnsafe().capacity).toBe(9)
    })
  )

  it.effect("learns nothing from failures and interruptions", () =>
    Effect.gen(function* () {
      const limit = yield* AdaptiveLimit.make({ algorithm: fixed(2), minSamples: 1 })
      yield* running(limit, Effect.delay(Effect.fail("no"), "1 second"))
      const doomed = yield* running(limit, Effect.sleep("2 seconds"))
      yield* TestClock.adjust("1500 millis")
      yield* Fiber.interrupt(doomed)
      expect(limit.statsUnsafe()).toMatchObject({ capacity: 2, held: 0, dropped: 0 })
    })
  )

  it.effect("lets those that run finish when it falls", () =>
    Effect.gen(function* () {
      const limit = yield* AdaptiveLimit.make({ algorithm: fixed(4), minSamples: 1 })
      for (let i = 0; i < 3; i++) yield* running(limit, Effect.sleep("10 seconds"))
      yield* running(limit, Effect.timeout(Effect.never, "1 second"))
      yield* TestClock.adjust("1 second")
      expect(limit.statsUnsafe()).toMatchObject({ capacity: 4, held: 3 })
      yield* limit.reportDrop
      yield* TestClock.adjust("10 seconds")
      expect(limit.statsUnsafe().held).toBe(0)
    })
  )

  describe("partitions", () => {
    const partitions = { live: 0.75, batch: 0.25 }

    it.effect("always have their share, and above it what nobody else uses", () =>
      Effect.gen(function* () {
        const limit = yield* AdaptiveLimit.make({ algorithm: fixed(8), partitions })
        const run = (name: string) => fork(Effect.exit(limit.withPartition(name)(Effect.never)))
        for (let i = 0; i < 8; i++) yield* run("batch")
        expect(limit.statsUnsafe()).toMatchObject({ held: 8, partitions: { batch: { guaranteed: 2, held: 8 } } })
        for (let i = 0; i < 10; i++) yield* run("live")
        expect(limit.statsUnsafe()).toMatchObject({
          held: 14,
          rejected: 4,
          partitions: { live: { guaranteed: 6, held: 6 } }
        })
        expect((yield* Effect.flip(limit.withPermit(Effect.void)))._tag).toBe("@sluice/semaphore/BulkheadFull")
      })
    )

    it.effect("are served before those that have their share already", () =>
      Effect.gen(function* () {
        const limit = yield* AdaptiveLimit.make({ algorithm: fixed(4), partitions, maxWaiting: 10 })
        const log: Array<string> = []
        const holders = yield* Effect.forEach(Array(4).keys(), () => fork(limit.withPartition("live")(Effect.never)))
        const waiting = (name: string) =>
          fork(
            limit.withPartition(name)(
              Effect.andThen(
                Effect.sync(() => log.push(name)),
                Effect.never
              )
            )
          )
        yield* waiting("live")
        yield* waiting("batch")
        yield* settle
        expect(log).toEqual(["batch"])
        yield* Effect.forEach(holders.slice(0, 2), Fiber.interrupt)
        yield* settle
        expect(log).toEqual(["batch", "live"])
      })
    )

    it.effect("must be known", () =>
      Effect.gen(function* () {
        const limit = yield* AdaptiveLimit.make({ algorithm: fixed(8), partitions })
        expect(() => limit.withPartition("other")).toThrow(
          "Cannot run in partition other: the partitions are live, batch"
        )
      })
    )
  })

  it.effect("refuses options that make no sense, by name and value", () =>
    Effect.gen(function* () {
      const message = (options: AdaptiveLimit.Options) =>
        Effect.map(Effect.exit(AdaptiveLimit.make(options)), (exit) => (Exit.isFailure(exit) ? String(exit.cause) : ""))
      const algorithm = AdaptiveLimit.aimd()
      expect(yield* message({ algorithm, maxWaiting: -1 })).toContain("maxWaiting must be a whole number, 0 or more")
      expect(yield* message({ algorithm, minSamples: 0 })).toContain("minSamples must be")
      expect(yield* message({ algorithm, partitions: { a: 0.6, b: 0.6 } })).toContain("partitions must be at most 1")
      expect(yield* message({ algorithm, partitions: { a: 2 } })).toContain("the share of a must be from 0 to 1")
      expect(() => AdaptiveLimit.aimd({ min: 0 })).toThrow("min must be a whole number, 1 or more, received 0")
      expect(() => AdaptiveLimit.aimd({ initial: 5, min: 10 })).toThrow(
        "initial must be a whole number from 10 to 1000"
      )
      expect(() => AdaptiveLimit.aimd({ backoff: 1 })).toThrow("backoff must be from 0.5 to 0.99, received 1")
      expect(() => AdaptiveLimit.vegas({ alpha: 3, beta: 2 })).toThrow("beta must be more than alpha")
      expect(() => AdaptiveLimit.gradient2({ tolerance: 0.5 })).toThrow("tolerance must be from 1 to 10")
    })
  )
})
