// What Effect's own semaphore promises, run on it and on ours: where the two agree,
// one can stand for the other.

import { describe, expect, it } from "@effect/vitest"
import { Semaphore } from "@sluice/semaphore"
import { Effect, Semaphore as EffectSemaphore, Exit, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import { fork } from "./fibers.ts"

const makes: ReadonlyArray<
  readonly [
    string,
    (
      permits: number
    ) => Effect.Effect<
      Pick<
        Semaphore.Semaphore,
        "withPermit" | "withPermits" | "withPermitsIfAvailable" | "take" | "release" | "takeIfAvailable" | "resize"
      >
    >
  ]
> = [
  ["Sluice", (permits) => Semaphore.make(permits)],
  [
    "Effect",
    (permits) =>
      Effect.map(EffectSemaphore.make(permits), (semaphore) => ({
        withPermit: (self) => semaphore.withPermit(self),
        withPermits: (permits) => (self) => semaphore.withPermits(permits)(self),
        withPermitsIfAvailable: (permits) => (self) => semaphore.withPermitsIfAvailable(permits)(self),
        take: (permits) => semaphore.take(permits),
        release: (permits) => semaphore.release(permits),
        takeIfAvailable: (permits) => semaphore.takeIfAvailable(permits),
        resize: (permits) => semaphore.resize(permits)
      }))
  ]
]

describe.each(makes)("a semaphore of %s", (_, make) => {
  it.effect("runs as many as its permits allow, and the next when they are done", () =>
    Effect.gen(function* () {
      const semaphore = yield* make(4)
      const done: Array<number> = []
      const job = (name: number) =>
        semaphore.withPermits(2)(
          Effect.delay(
            Effect.sync(() => done.push(name)),
            "2 seconds"
          )
        )
      yield* fork(Effect.forEach([0, 1, 2, 3], job, { concurrency: "unbounded" }))
      yield* TestClock.adjust("3 seconds")
      expect(done).toEqual([0, 1])
      yield* TestClock.adjust("3 seconds")
      expect(done).toEqual([0, 1, 2, 3])
    })
  )

  it.effect("answers how many permits were taken, and how many are free after a release", () =>
    Effect.gen(function* () {
      const semaphore = yield* make(3)
      expect(yield* semaphore.take(2)).toBe(2)
      expect(yield* semaphore.release(1)).toBe(2)
      expect(yield* semaphore.release(1)).toBe(3)
    })
  )

  it.effect("has its permits back after success, failure, defect and interruption", () =>
    Effect.gen(function* () {
      const semaphore = yield* make(1)
      expect(yield* semaphore.withPermit(Effect.succeed("value"))).toBe("value")
      expect(yield* Effect.flip(semaphore.withPermit(Effect.fail("failure")))).toBe("failure")
      expect(Exit.isFailure(yield* Effect.exit(semaphore.withPermit(Effect.die("defect"))))).toBe(true)
      const holder = yield* fork(semaphore.withPermit(Effect.never))
      yield* Fiber.interrupt(holder)
      expect(yield* semaphore.takeIfAvailable(1)).toBe(true)
    })
  )

  it.effect("forgets a waiter that is interrupted", () =>
    Effect.gen(function* () {
      const semaphore = yield* make(1)
      yield* semaphore.take(1)
      const doomed = yield* fork(semaphore.withPermit(Effect.void))
      const next = yield* fork(semaphore.withPermit(Effect.succeed("next")))
      yield* Fiber.interrupt(doomed)
      yield* semaphore.release(1)
      expect(yield* Fiber.join(next)).toBe("next")
      expect(yield* semaphore.takeIfAvailable(1)).toBe(true)
    })
  )

  it.effect("runs at once or not at all, if asked so", () =>
    Effect.gen(function* () {
      const semaphore = yield* make(2)
      expect(yield* semaphore.withPermitsIfAvailable(2)(Effect.succeed(1))).toEqual(Option.some(1))
      yield* semaphore.take(1)
      expect(yield* semaphore.withPermitsIfAvailable(2)(Effect.succeed(1))).toEqual(Option.none())
      expect(yield* semaphore.takeIfAvailable(2)).toBe(false)
      expect(yield* semaphore.takeIfAvailable(1)).toBe(true)
    })
  )

  it.effect("admits those who wait when it grows", () =>
    Effect.gen(function* () {
      const semaphore = yield* make(1)
      yield* semaphore.take(1)
      const waiter = yield* fork(semaphore.withPermit(Effect.succeed("in")))
      yield* semaphore.resize(2)
      expect(yield* Fiber.join(waiter)).toBe("in")
    })
  )

  it.effect("lets holders finish when it shrinks, and gives out no more than is left", () =>
    Effect.gen(function* () {
      const semaphore = yield* make(2)
      yield* semaphore.take(2)
      yield* semaphore.resize(1)
      yield* semaphore.release(1)
      expect(yield* semaphore.takeIfAvailable(1)).toBe(false)
      yield* semaphore.release(1)
      expect(yield* semaphore.takeIfAvailable(1)).toBe(true)
    })
  )

  it.effect("serves equals in the order of arrival", () =>
    Effect.gen(function* () {
      const semaphore = yield* make(1)
      yield* semaphore.take(1)
      const order: Array<number> = []
      const fibers = yield* Effect.forEach([0, 1, 2, 3], (name) =>
        fork(semaphore.withPermit(Effect.sync(() => order.push(name))))
      )
      yield* semaphore.release(1)
      yield* Effect.forEach(fibers, Fiber.join)
      expect(order).toEqual([0, 1, 2, 3])
    })
  )
})
