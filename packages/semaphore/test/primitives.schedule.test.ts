// Every schedule of small programs over keys, classes and a semaphore that closes,
// with an interruption at every point.

import { Explorer } from "@sluice/schedule-explorer"
import { AdaptiveLimit, KeyedSemaphore, PrioritySemaphore, Semaphore } from "@sluice/semaphore"
import { Effect, Exit, Fiber } from "effect"
import { describe, it } from "vitest"

/** Dies if more run at once than may. */
const guarded = (capacity: number) => {
  let inside = 0
  return Effect.suspend(() =>
    ++inside > capacity ? Effect.die(`${inside} of ${capacity} are held`) : Effect.yieldNow
  ).pipe(
    Effect.ensuring(
      Effect.sync(() => {
        inside--
      })
    )
  )
}

const joined = (fibers: ReadonlyArray<Fiber.Fiber<unknown, unknown>>) =>
  Effect.gen(function* () {
    const exits = yield* Effect.forEach(fibers, Fiber.await)
    for (const exit of exits) {
      if (Exit.isFailure(exit) && exit.cause.reasons.some((reason) => reason._tag === "Die")) {
        yield* Effect.die(String(exit))
      }
    }
  })

const explore = (program: Effect.Effect<unknown, unknown>) => {
  Explorer.assert(program, {
    interruptions: 1,
    strategy: Explorer.exhaustive({ maxPreemptions: 1, maxSchedules: 200_000 })
  })
  Explorer.assert(program, {
    interruptions: 1,
    strategy: Explorer.random({ runs: 2000, seed: 7, maxPreemptions: 3 })
  })
}

describe("KeyedSemaphore", () => {
  it("gives every permit back, forgets no waiter and no key, whoever is interrupted and when", () =>
    explore(
      Effect.gen(function* () {
        const semaphore = yield* KeyedSemaphore.make<string>({ permitsPerKey: 1, permits: 1 })
        const use = guarded(1)
        const fibers = yield* Effect.forEach(["a", "a", "b"], (key) => Effect.forkChild(semaphore.withPermit(key)(use)))
        yield* joined(fibers)
        const { held, keys, waiting } = semaphore.statsUnsafe()
        if (held + keys + waiting > 0) yield* Effect.die(`${held} held, ${keys} keys and ${waiting} waiting at the end`)
        yield* semaphore.withPermit("b")(Effect.void)
      })
    ))
})

describe("PrioritySemaphore", () => {
  it("gives every permit back and forgets no waiter, whoever is interrupted and when", () =>
    explore(
      Effect.gen(function* () {
        const semaphore = yield* PrioritySemaphore.make({ permits: 1, classes: 2, ageing: 1 })
        const use = guarded(1)
        const fibers = yield* Effect.forEach([1, 0, 0], (priority) =>
          Effect.forkChild(semaphore.withPermit(priority)(use))
        )
        yield* joined(fibers)
        const { held, waiting } = semaphore.statsUnsafe()
        if (held + waiting > 0) yield* Effect.die(`${held} held and ${waiting} waiting at the end`)
        yield* semaphore.withPermit(1)(Effect.void)
      })
    ))
})

describe("AdaptiveLimit", () => {
  it("keeps its places and permits whole, whoever is interrupted or refused, while its limit moves", () =>
    explore(
      Effect.gen(function* () {
        const limit = yield* AdaptiveLimit.make({
          algorithm: AdaptiveLimit.aimd({ initial: 1, max: 2 }),
          maxWaiting: 1,
          minSamples: 1,
          window: "1 millis",
          partitions: { live: 0.5 }
        })
        const use = guarded(2)
        const fibers = [
          yield* Effect.forkChild(Effect.exit(limit.withPermit(use))),
          yield* Effect.forkChild(Effect.exit(limit.withPartition("live")(use))),
          yield* Effect.forkChild(Effect.exit(limit.withPermit(Effect.andThen(limit.reportDrop, use))))
        ]
        yield* joined(fibers)
        const { held, waiting } = limit.statsUnsafe()
        if (held + waiting > 0) yield* Effect.die(`${held} held and ${waiting} waiting at the end`)
        yield* limit.withPermit(Effect.void)
      })
    ))
})

describe("Semaphore, closed or last in first out", () => {
  it("leaves nobody waiting, and nothing held once idle, whoever is interrupted and when", () =>
    explore(
      Effect.gen(function* () {
        const semaphore = yield* Semaphore.makeClosable(1)
        const use = guarded(1)
        const fibers = yield* Effect.forEach([1, 2], () => Effect.forkChild(semaphore.withPermit(use)))
        yield* Effect.forkChild(semaphore.close)
        yield* joined(fibers)
        yield* semaphore.close
        yield* semaphore.awaitIdle
        const refused = yield* Effect.exit(semaphore.withPermit(Effect.void))
        if (Exit.isSuccess(refused)) yield* Effect.die("A closed semaphore gave out a permit")
      })
    ))

  it("serves who came last first, and loses nothing", () =>
    explore(
      Effect.gen(function* () {
        const semaphore = yield* Semaphore.make(1, { order: "lifo" })
        const use = guarded(1)
        const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(semaphore.withPermit(use)))
        yield* joined(fibers)
        yield* semaphore.awaitIdle
        yield* semaphore.withPermit(Effect.void)
      })
    ))
})
