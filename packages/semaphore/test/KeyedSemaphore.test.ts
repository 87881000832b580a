import { describe, expect, it } from "@effect/vitest"
import { KeyedSemaphore } from "@sluice/semaphore"
import { Effect, Exit, Fiber } from "effect"
import { fork, settle } from "./fibers.ts"

const logging = (semaphore: KeyedSemaphore.KeyedSemaphore<string>, log: Array<string>, key: string, permits = 1) =>
  fork(
    Effect.andThen(
      semaphore.take(key, permits),
      Effect.sync(() => void log.push(key))
    )
  )

describe("KeyedSemaphore", () => {
  it.effect("keeps each key and all of them within their limits", () =>
    Effect.gen(function* () {
      const semaphore = yield* KeyedSemaphore.make<string>({ permitsPerKey: 2, permits: 3 })
      expect(yield* semaphore.takeIfAvailable("a", 2)).toBe(true)
      expect(yield* semaphore.takeIfAvailable("a", 1)).toBe(false)
      expect(yield* semaphore.takeIfAvailable("b", 1)).toBe(true)
      expect(yield* semaphore.takeIfAvailable("b", 1)).toBe(false)
      expect(semaphore.statsUnsafe()).toMatchObject({ held: 3, available: 0, keys: 2, rejected: 2, admitted: 2 })
      expect(semaphore.keyStatsUnsafe("a")).toEqual({ capacity: 2, held: 2, waiting: 0 })
      expect(semaphore.keyStatsUnsafe("c")).toEqual({ capacity: 2, held: 0, waiting: 0 })
    })
  )

  it.effect("gives each key what the function says", () =>
    Effect.gen(function* () {
      const semaphore = yield* KeyedSemaphore.make<string>({ permitsPerKey: (key) => key.length })
      expect(yield* semaphore.takeIfAvailable("abc", 3)).toBe(true)
      const exit = yield* Effect.exit(semaphore.take("ab", 3))
      expect(Exit.isFailure(exit) && String(exit.cause)).toContain("Cannot take 3 permits: the semaphore holds 2")
      expect(semaphore.statsUnsafe().keys).toBe(1)
    })
  )

  it.effect("serves the keys in turn, however long the line of one is", () =>
    Effect.gen(function* () {
      const semaphore = yield* KeyedSemaphore.make<string>({ permitsPerKey: 10, permits: 1 })
      yield* semaphore.take("noisy", 1)
      const log: Array<string> = []
      for (let i = 0; i < 5; i++) yield* logging(semaphore, log, "noisy")
      yield* logging(semaphore, log, "quiet")
      yield* logging(semaphore, log, "other")
      yield* semaphore.release("noisy", 1)
      for (let i = 0; i < 6; i++) {
        yield* settle
        yield* semaphore.release(log.at(-1) ?? "", 1)
      }
      yield* settle
      expect(log).toEqual(["noisy", "quiet", "other", "noisy", "noisy", "noisy", "noisy"])
    })
  )

  it.effect("lets a key pass that has used up its own permits", () =>
    Effect.gen(function* () {
      const semaphore = yield* KeyedSemaphore.make<string>({ permitsPerKey: 1, permits: 2 })
      yield* semaphore.take("a", 1)
      const log: Array<string> = []
      yield* logging(semaphore, log, "a")
      yield* logging(semaphore, log, "b")
      yield* settle
      expect(log).toEqual(["b"])
      yield* semaphore.release("a", 1)
      yield* settle
      expect(log).toEqual(["b", "a"])
    })
  )

  it.effect("starves no heavy request of one key by light ones of others", () =>
    Effect.gen(function* () {
      const semaphore = yield* KeyedSemaphore.make<string>({ permitsPerKey: 4, permits: 4 })
      yield* semaphore.take("light", 2)
      const log: Array<string> = []
      yield* logging(semaphore, log, "heavy", 4)
      yield* logging(semaphore, log, "light")
      yield* settle
      expect(log).toEqual([])
      yield* semaphore.release("light", 2)
      yield* settle
      expect(log).toEqual(["heavy"])
    })
  )

  it.effect("gives the place and the permits of who is interrupted to the next", () =>
    Effect.gen(function* () {
      const semaphore = yield* KeyedSemaphore.make<string>({ permitsPerKey: 1, permits: 1 })
      yield* semaphore.take("a", 1)
      const log: Array<string> = []
      const doomed = yield* logging(semaphore, log, "b")
      yield* logging(semaphore, log, "c")
      yield* semaphore.release("a", 1)
      yield* Fiber.interrupt(doomed)
      yield* settle
      expect(log).toEqual(["c"])
      expect(semaphore.statsUnsafe()).toMatchObject({ held: 1, waiting: 0, keys: 1 })
    })
  )

  it.effect("forgets a key with its last use, scoped or not", () =>
    Effect.gen(function* () {
      const semaphore = yield* KeyedSemaphore.make<string>({ permitsPerKey: 1 })
      yield* semaphore.withPermit("a")(Effect.void)
      yield* Effect.exit(semaphore.withPermit("b")(Effect.fail("no")))
      yield* Effect.scoped(semaphore.takeScoped("c", 1))
      expect((yield* semaphore.withPermitsIfAvailable("d", 1)(Effect.succeed(1)))._tag).toBe("Some")
      expect(yield* semaphore.takeIfAvailable("e", 0)).toBe(true)
      expect(semaphore.statsUnsafe()).toMatchObject({ held: 0, keys: 0 })
    })
  )

  it("holds no memory for ten million keys that come and go", () => {
    const semaphore = KeyedSemaphore.makeUnsafe<number>({ permitsPerKey: 1 })
    const use = (key: number) => Effect.runSync(semaphore.withPermit(key)(Effect.void))
    for (let key = 0; key < 100_000; key++) use(key)
    // What comes and goes by hand goes the same way, and is quicker to run ten million times.
    for (let key = 0; key < 10_000_000; key++) {
      Effect.runSync(semaphore.takeIfAvailable(key, 1))
      if (key % 100_000 === 0) expect(semaphore.statsUnsafe().keys).toBe(1)
      Effect.runSync(semaphore.release(key, 1))
    }
    expect(semaphore.statsUnsafe()).toMatchObject({ keys: 0, held: 0, admitted: 10_100_000 })
  }, 120_000)

  it("refuses what makes no sense", () => {
    expect(() => KeyedSemaphore.makeUnsafe({ permitsPerKey: 0 })).toThrow("permitsPerKey 0")
    expect(() => KeyedSemaphore.makeUnsafe({ permitsPerKey: 1, permits: 1.5 })).toThrow("permits 1.5")
    const semaphore = KeyedSemaphore.makeUnsafe<string>({ permitsPerKey: () => -1 })
    expect(() => Effect.runSync(semaphore.take("k", 1))).toThrow("permitsPerKey of key k -1")
    const one = KeyedSemaphore.makeUnsafe<string>({ permitsPerKey: 1 })
    expect(() => Effect.runSync(one.release("k", 1))).toThrow("Cannot release 1 permit of key k: 0 are held")
  })
})
