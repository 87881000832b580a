import { describe, expect, it } from "@effect/vitest"
import { Semaphore } from "@sluice/semaphore"
import { Effect, Exit, Fiber } from "effect"

const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

describe("close", () => {
  it.effect("fails those who wait, and whoever comes later", () =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.makeClosable(1)
      yield* semaphore.take(1)
      const waiting = yield* Effect.forEach([1, 2], () => fork(Effect.flip(semaphore.withPermit(Effect.void))))
      yield* semaphore.close
      for (const fiber of waiting) expect((yield* Fiber.join(fiber))._tag).toBe("@sluice/semaphore/SemaphoreClosed")
      expect(yield* Effect.flip(semaphore.take(1))).toBeInstanceOf(Semaphore.SemaphoreClosed)
      expect(yield* Effect.flip(Effect.scoped(semaphore.takeScoped(1)))).toBeInstanceOf(Semaphore.SemaphoreClosed)
      expect(yield* semaphore.takeIfAvailable(1)).toBe(false)
      expect((yield* semaphore.withPermitsIfAvailable(1)(Effect.void))._tag).toBe("None")
      expect(semaphore.statsUnsafe()).toMatchObject({ held: 1, waiting: 0, rejected: 2 })
    })
  )

  it.effect("lets holders finish", () =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.makeClosable(2)
      const holder = yield* fork(semaphore.withPermit(Effect.andThen(Effect.yieldNow, Effect.succeed("done"))))
      yield* semaphore.close
      yield* semaphore.close
      expect(yield* Fiber.join(holder)).toBe("done")
      expect(semaphore.statsUnsafe().held).toBe(0)
    })
  )

  it.effect("fails who has joined the line and not yet suspended", () =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.makeClosable(1)
      yield* semaphore.take(1)
      const waiting = yield* fork(Effect.exit(semaphore.withPermit(Effect.void)))
      yield* semaphore.close
      yield* semaphore.release(1)
      expect(Exit.isFailure(yield* Fiber.join(waiting))).toBe(true)
    })
  )
})

describe("awaitIdle", () => {
  it.effect("completes at once when nothing is held", () =>
    Effect.gen(function* () {
      yield* (yield* Semaphore.make(3)).awaitIdle
    })
  )

  it.effect("waits for holders and for those who wait", () =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(1)
      yield* semaphore.take(1)
      const waiter = yield* fork(semaphore.take(1))
      let isIdle = false
      const idle = yield* fork(
        Effect.tap(semaphore.awaitIdle, () =>
          Effect.sync(() => {
            isIdle = true
          })
        )
      )
      yield* semaphore.release(1)
      yield* Fiber.join(waiter)
      expect(isIdle).toBe(false)
      yield* semaphore.release(1)
      yield* Fiber.join(idle)
      expect(isIdle).toBe(true)
    })
  )

  it.effect("is told when the last that waited gives up", () =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(0)
      yield* semaphore.resize(1)
      yield* semaphore.resize(0)
      const waiter = yield* fork(semaphore.take(1))
      const idle = yield* fork(semaphore.awaitIdle)
      yield* Fiber.interrupt(waiter)
      yield* Fiber.join(idle)
    })
  )

  it.effect("forgets who stops waiting for it", () =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(1)
      yield* semaphore.take(1)
      const idle = yield* fork(semaphore.awaitIdle)
      yield* Fiber.interrupt(idle)
      yield* semaphore.release(1)
      yield* semaphore.awaitIdle
    })
  )
})

describe("last in, first out", () => {
  const order = "lifo"

  it.effect("serves the one that came last", () =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(1, { order })
      const admitted: Array<string> = []
      yield* semaphore.take(1)
      for (const name of ["a", "b", "c"]) {
        yield* fork(
          Effect.andThen(
            semaphore.take(1),
            Effect.sync(() => admitted.push(name))
          )
        )
      }
      for (let i = 0; i < 3; i++) {
        yield* semaphore.release(1)
        yield* Effect.promise(() => new Promise<void>((resolve) => void setImmediate(resolve)))
      }
      expect(admitted).toEqual(["c", "b", "a"])
    })
  )

  it.effect("lets a newcomer go whose permits are free, though others wait", () =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(3, { order })
      yield* semaphore.take(2)
      const heavy = yield* fork(semaphore.take(3))
      yield* semaphore.take(1)
      expect(semaphore.statsUnsafe()).toMatchObject({ held: 3, waiting: 1 })
      yield* semaphore.release(3)
      yield* Fiber.join(heavy)
    })
  )
})

describe("without an effect", () => {
  it("takes and gives back", () => {
    const semaphore = Semaphore.makeUnsafe(2)
    expect(semaphore.takeIfAvailableUnsafe(2)).toBe(true)
    expect(semaphore.takeIfAvailableUnsafe(1)).toBe(false)
    expect(semaphore.releaseUnsafe(1)).toBe(1)
    expect(() => semaphore.releaseUnsafe(2)).toThrow("Cannot release 2 permits: 1 are held")
  })
})
