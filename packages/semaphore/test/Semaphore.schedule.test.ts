// Every schedule of small programs, with an interruption at every point.

import { Explorer } from "@sluice/schedule-explorer"
import { Bulkhead, Semaphore } from "@sluice/semaphore"
import { Effect, Exit, Fiber } from "effect"
import { describe, it } from "vitest"

/** Dies if more is held than there is, and counts what holds it. */
const guarded = (capacity: number) => {
  let inside = 0
  return (weight: number) =>
    Effect.gen(function* () {
      inside += weight
      if (inside > capacity) return yield* Effect.die(`${inside} of ${capacity} are held`)
      yield* Effect.yieldNow
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          inside -= weight
        })
      )
    )
}

const isDefect = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && exit.cause.reasons.some((reason) => reason._tag === "Die")

const joined = (fibers: ReadonlyArray<Fiber.Fiber<unknown, unknown>>) =>
  Effect.gen(function* () {
    const exits = yield* Effect.forEach(fibers, Fiber.await)
    for (const exit of exits) if (isDefect(exit)) yield* Effect.die(String(exit))
  })

const isIdle = ({ statsUnsafe }: { readonly statsUnsafe: () => Semaphore.Stats }) =>
  Effect.suspend(() => {
    const { held, waiting } = statsUnsafe()
    return held === 0 && waiting === 0 ? Effect.void : Effect.die(`${held} held and ${waiting} waiting at the end`)
  })

const bounds = { maxPreemptions: 2, maxSchedules: 200_000 }

describe("Semaphore", () => {
  it("gives every permit back and forgets no waiter, whoever is interrupted and when", () => {
    const program = Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(1)
      const use = guarded(1)
      const fibers = yield* Effect.forEach([1, 2], () => Effect.forkChild(semaphore.withPermit(use(1))))
      yield* joined(fibers)
      yield* isIdle(semaphore)
      yield* semaphore.withPermit(Effect.void)
    })
    Explorer.assert(program, { interruptions: 1, strategy: Explorer.exhaustive(bounds) })
  })

  it("never has more held than it has, with weights", () => {
    const program = Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(3)
      const use = guarded(3)
      const fibers = yield* Effect.forEach([2, 3, 1], (weight) =>
        Effect.forkChild(semaphore.withPermits(weight)(use(weight)))
      )
      yield* joined(fibers)
      yield* isIdle(semaphore)
    })
    Explorer.assert(program, { strategy: Explorer.exhaustive({ maxPreemptions: 1, maxSchedules: 200_000 }) })
    Explorer.assert(program, {
      interruptions: 1,
      strategy: Explorer.random({ runs: 3000, seed: 11, maxPreemptions: 4 })
    })
  })

  it("admits all that fit when it grows, and forgets nobody when it shrinks", () => {
    const program = Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(1)
      const fibers = yield* Effect.forEach([1, 2], () => Effect.forkChild(semaphore.withPermit(Effect.yieldNow)))
      yield* semaphore.resize(2)
      yield* semaphore.resize(1)
      yield* joined(fibers)
      yield* isIdle(semaphore)
    })
    Explorer.assert(program, {
      interruptions: 1,
      strategy: Explorer.exhaustive({ maxPreemptions: 1, maxSchedules: 200_000 })
    })
  })

  it("gives what a scope holds back when it closes, interrupted or not", () => {
    const program = Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(1)
      const hold = Effect.scoped(Effect.andThen(semaphore.takeScoped(1), Effect.yieldNow))
      const fibers = yield* Effect.forEach([1, 2], () => Effect.forkChild(hold))
      yield* joined(fibers)
      yield* isIdle(semaphore)
    })
    Explorer.assert(program, {
      interruptions: 1,
      strategy: Explorer.exhaustive({ maxPreemptions: 1, maxSchedules: 200_000 })
    })
  })
})

describe("Bulkhead", () => {
  it("keeps its places and permits whole, whoever is interrupted, refused or too late", () => {
    const program = Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, maxWaiting: 1, maxWait: "1 second" })
      const use = guarded(1)
      const slow = Effect.andThen(use(1), Effect.sleep("1 second"))
      const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(Effect.exit(bulkhead.withPermit(slow))))
      yield* joined(fibers)
      yield* isIdle(bulkhead)
      yield* bulkhead.withPermit(Effect.void)
    })
    Explorer.assert(program, { strategy: Explorer.exhaustive({ maxPreemptions: 1, maxSchedules: 200_000 }) })
    Explorer.assert(program, {
      interruptions: 1,
      strategy: Explorer.random({ runs: 3000, seed: 5, maxPreemptions: 3 })
    })
  })
})
