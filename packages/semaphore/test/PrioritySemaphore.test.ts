import { describe, expect, it } from "@effect/vitest"
import { PrioritySemaphore } from "@sluice/semaphore"
import { Effect, Exit, Fiber } from "effect"
import { fork, settle } from "./fibers.ts"

const logging = (
  semaphore: PrioritySemaphore.PrioritySemaphore,
  log: Array<string>,
  name: string,
  priority: number,
  permits = 1
) =>
  fork(
    Effect.andThen(
      semaphore.take(permits, priority),
      Effect.sync(() => void log.push(name))
    )
  )

describe("PrioritySemaphore", () => {
  it.effect("serves the urgent first, and each class in the order of arrival", () =>
    Effect.gen(function* () {
      const semaphore = yield* PrioritySemaphore.make({ permits: 1 })
      yield* semaphore.take(1, 0)
      const log: Array<string> = []
      for (const [name, priority] of [
        ["low", 2],
        ["middle", 1],
        ["high", 0],
        ["second high", 0],
        ["second low", 2]
      ] as const) {
        yield* logging(semaphore, log, name, priority)
      }
      expect(semaphore.statsUnsafe()).toMatchObject({ waiting: 5, waitingByClass: [2, 1, 2] })
      for (let i = 0; i < 5; i++) {
        yield* semaphore.release(1)
        yield* settle
      }
      expect(log).toEqual(["high", "second high", "middle", "low", "second low"])
    })
  )

  it.effect("lets no more newcomers overtake than it says", () =>
    Effect.gen(function* () {
      const semaphore = yield* PrioritySemaphore.make({ permits: 1, classes: 2, ageing: 3 })
      yield* semaphore.take(1, 0)
      const log: Array<string> = []
      yield* logging(semaphore, log, "low", 1)
      for (let i = 0; i < 6; i++) yield* logging(semaphore, log, `high ${i}`, 0)
      for (let i = 0; i < 7; i++) {
        yield* semaphore.release(1)
        yield* settle
      }
      expect(log.indexOf("low")).toBe(3)
    })
  )

  it.effect("starves no heavy request by light ones that are as urgent or less", () =>
    Effect.gen(function* () {
      const semaphore = yield* PrioritySemaphore.make({ permits: 3 })
      yield* semaphore.take(1, 0)
      const log: Array<string> = []
      yield* logging(semaphore, log, "heavy", 0, 3)
      yield* logging(semaphore, log, "light", 0)
      yield* logging(semaphore, log, "low", 2)
      yield* settle
      expect(log).toEqual([])
      expect(yield* semaphore.takeIfAvailable(1)).toBe(false)
      yield* semaphore.release(1)
      yield* settle
      expect(log).toEqual(["heavy"])
    })
  )

  it.effect("gives back however the effect ends, and to the next if it is interrupted", () =>
    Effect.gen(function* () {
      const semaphore = yield* PrioritySemaphore.make({ permits: 1 })
      yield* Effect.exit(semaphore.withPermit(1)(Effect.fail("no")))
      yield* Effect.scoped(semaphore.takeScoped(1, 2))
      expect((yield* semaphore.withPermitsIfAvailable(1)(Effect.succeed(1)))._tag).toBe("Some")
      yield* semaphore.take(1, 0)
      expect((yield* semaphore.withPermitsIfAvailable(1)(Effect.void))._tag).toBe("None")
      const log: Array<string> = []
      const doomed = yield* logging(semaphore, log, "doomed", 0)
      yield* logging(semaphore, log, "next", 1)
      yield* semaphore.release(1)
      yield* Fiber.interrupt(doomed)
      yield* settle
      expect(log).toEqual(["next"])
      expect(semaphore.statsUnsafe()).toMatchObject({ held: 1, waiting: 0, rejected: 1 })
    })
  )

  it.effect("admits when it grows", () =>
    Effect.gen(function* () {
      const semaphore = yield* PrioritySemaphore.make({ permits: 0 })
      yield* semaphore.resize(2)
      yield* semaphore.resize(0)
      const fibers = [yield* fork(semaphore.take(1, 2)), yield* fork(semaphore.take(1, 0))]
      yield* semaphore.resize(2)
      yield* Effect.forEach(fibers, Fiber.join)
      expect(yield* semaphore.release(2)).toBe(2)
    })
  )

  it.effect("refuses a class that there is not, and permits that there cannot be", () =>
    Effect.gen(function* () {
      const semaphore = yield* PrioritySemaphore.make({ permits: 1, classes: 2 })
      const message = (effect: Effect.Effect<unknown>) =>
        Effect.map(Effect.exit(effect), (exit) => (Exit.isFailure(exit) ? String(exit.cause) : ""))
      expect(yield* message(Effect.suspend(() => semaphore.withPermit(2)(Effect.void)))).toContain(
        "Cannot wait in class 2: the classes are 0 to 1"
      )
      expect(yield* message(semaphore.take(2, 0))).toContain("Cannot take 2 permits: the semaphore holds 1")
      expect(yield* message(semaphore.release(1))).toContain("Cannot release 1 permit: 0 are held")
    })
  )

  it("refuses to be made of what makes no sense", () => {
    expect(() => PrioritySemaphore.makeUnsafe({ permits: -1 })).toThrow("permits -1")
    expect(() => PrioritySemaphore.makeUnsafe({ permits: 1, classes: 17 })).toThrow("classes 17")
    expect(() => PrioritySemaphore.makeUnsafe({ permits: 1, ageing: 0.5 })).toThrow("ageing 0.5")
  })
})
