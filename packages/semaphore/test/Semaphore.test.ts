import { describe, expect, it } from "@effect/vitest"
import { Semaphore } from "@sluice/semaphore"
import { Effect, Exit, Fiber, Option } from "effect"

/** Takes permits and writes its name down when it gets them. */
const taker = (semaphore: Semaphore.Semaphore, admitted: Array<string>, name: string, permits: number) =>
  Effect.forkChild(
    Effect.andThen(
      semaphore.take(permits),
      Effect.sync(() => void admitted.push(name))
    ),
    {
      startImmediately: true
    }
  )

describe("Semaphore", () => {
  it.effect("hands permits to the longest waiter first", () =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(1)
      const admitted: Array<string> = []
      yield* semaphore.take(1)
      yield* taker(semaphore, admitted, "a", 1)
      yield* taker(semaphore, admitted, "b", 1)
      yield* semaphore.release(1)
      yield* Effect.yieldNow
      expect(admitted).toEqual(["a"])
      yield* semaphore.release(1)
      yield* Effect.yieldNow
      expect(admitted).toEqual(["a", "b"])
    })
  )

  it.effect("lets no light request overtake a heavy one", () =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(3)
      const admitted: Array<string> = []
      yield* semaphore.take(1)
      yield* taker(semaphore, admitted, "heavy", 3)
      yield* taker(semaphore, admitted, "light", 1)
      yield* Effect.yieldNow
      expect(admitted).toEqual([])
      yield* semaphore.release(1)
      yield* Effect.yieldNow
      expect(admitted).toEqual(["heavy"])
    })
  )

  it.effect("lets nobody take what has been handed over but not yet resumed", () =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(1)
      const admitted: Array<string> = []
      yield* semaphore.take(1)
      yield* taker(semaphore, admitted, "waiter", 1)
      yield* semaphore.release(1)
      expect(yield* semaphore.takeIfAvailable(1)).toBe(false)
      yield* Effect.yieldNow
      expect(admitted).toEqual(["waiter"])
    })
  )

  it.effect("passes on a permit whose waiter is interrupted between hand-over and resumption", () =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(1)
      const admitted: Array<string> = []
      yield* semaphore.take(1)
      const doomed = yield* taker(semaphore, admitted, "doomed", 1)
      yield* taker(semaphore, admitted, "next", 1)
      yield* semaphore.release(1)
      yield* Fiber.interrupt(doomed)
      yield* Effect.yieldNow
      expect(admitted).toEqual(["next"])
      expect(semaphore.statsUnsafe()).toMatchObject({ held: 1, waiting: 0 })
    })
  )

  it.effect("admits those behind a heavy waiter that leaves", () =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(2)
      const admitted: Array<string> = []
      yield* semaphore.take(1)
      const heavy = yield* taker(semaphore, admitted, "heavy", 2)
      yield* taker(semaphore, admitted, "light", 1)
      yield* Fiber.interrupt(heavy)
      yield* Effect.yieldNow
      expect(admitted).toEqual(["light"])
    })
  )

  it.effect("gives permits back however the effect ends", () =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(2)
      yield* semaphore.withPermits(2)(Effect.void)
      yield* Effect.exit(semaphore.withPermit(Effect.fail("no")))
      yield* Effect.exit(semaphore.withPermit(Effect.die("worse")))
      const held = yield* Effect.forkChild(semaphore.withPermit(Effect.never), { startImmediately: true })
      expect(semaphore.statsUnsafe().held).toBe(1)
      yield* Fiber.interrupt(held)
      expect(semaphore.statsUnsafe()).toMatchObject({ held: 0, admitted: 4 })
    })
  )

  it.effect("gives a scope's permits back when it closes", () =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(2)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* semaphore.takeScoped(2)
          expect(semaphore.statsUnsafe().available).toBe(0)
        })
      )
      expect(semaphore.statsUnsafe().available).toBe(2)
    })
  )

  it.effect("answers None where the permits are not free at once", () =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(1)
      const inner = semaphore.withPermitsIfAvailable(1)(Effect.succeed("ran"))
      expect(yield* inner).toEqual(Option.some("ran"))
      expect(yield* semaphore.withPermit(inner)).toEqual(Option.none())
      expect(semaphore.statsUnsafe()).toMatchObject({ held: 0, rejected: 1 })
    })
  )

  it.effect("admits at once when it grows, and drains when it shrinks", () =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(1)
      const admitted: Array<string> = []
      yield* semaphore.take(1)
      yield* taker(semaphore, admitted, "a", 1)
      yield* semaphore.resize(2)
      yield* Effect.yieldNow
      expect(admitted).toEqual(["a"])
      yield* semaphore.resize(1)
      yield* taker(semaphore, admitted, "b", 1)
      yield* semaphore.release(1)
      yield* Effect.yieldNow
      expect(admitted).toEqual(["a"])
      expect(semaphore.statsUnsafe()).toMatchObject({ capacity: 1, held: 1, waiting: 1, available: 0 })
      yield* semaphore.release(1)
      yield* Effect.yieldNow
      expect(admitted).toEqual(["a", "b"])
    })
  )

  const impossible = [
    ["take(3)", (semaphore: Semaphore.Semaphore) => semaphore.take(3), "Cannot take 3 permits: the semaphore holds 2"],
    ["take(-1)", (semaphore: Semaphore.Semaphore) => semaphore.take(-1), "Cannot take -1 permits"],
    ["take(1.5)", (semaphore: Semaphore.Semaphore) => semaphore.take(1.5), "Cannot take 1.5 permits"],
    ["release(1)", (semaphore: Semaphore.Semaphore) => semaphore.release(1), "Cannot release 1 permit: 0 are held"],
    ["resize(-1)", (semaphore: Semaphore.Semaphore) => semaphore.resize(-1), "Cannot resize to -1 permits"]
  ] as const

  for (const [name, call, message] of impossible) {
    it.effect(`dies of ${name} with a message instead of hanging`, () =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(call(yield* Semaphore.make(2)))
        expect(Exit.isFailure(exit) && String(exit.cause)).toContain(message)
      })
    )
  }
})
