// Effect's own primitives under every schedule of small programs, with an
// interruption before every primitive. What this found is in docs/effect.md.

import { Explorer } from "@sluice/schedule-explorer"
import { Deferred, Effect, Exit, Fiber, Latch, Pool, Queue, Semaphore } from "effect"
import { describe, it } from "vitest"

const dieUnless = (holds: boolean, message: string) => (holds ? Effect.void : Effect.die(message))

const forkAll = <A, E>(effects: ReadonlyArray<Effect.Effect<A, E>>) =>
  Effect.forEach(effects, (effect) => Effect.forkChild(Explorer.victim(effect)))

/** Lets fibers come to their end, and dies of what is no failure but a defect in one. */
const ended = <A, E>(fibers: ReadonlyArray<Fiber.Fiber<A, E>>) =>
  Effect.tap(Effect.forEach(fibers, Fiber.await), (exits) =>
    Effect.forEach(exits, (exit) =>
      dieUnless(Exit.isSuccess(exit) || exit.cause.reasons.every(({ _tag }) => _tag !== "Die"), String(exit))
    )
  )

/** Preemptions anywhere; an interruption anywhere with one of them; both at random, further apart. */
const holds = (program: Effect.Effect<unknown, unknown>, preemptions = 3): void => {
  const maxSchedules = 200_000
  Explorer.assert(program, { strategy: Explorer.exhaustive({ maxPreemptions: preemptions, maxSchedules }) })
  Explorer.assert(program, { interruptions: 1, strategy: Explorer.exhaustive({ maxPreemptions: 1, maxSchedules }) })
  Explorer.assert(program, {
    interruptions: 2,
    strategy: Explorer.random({ runs: 3000, seed: 17, maxPreemptions: 3 })
  })
}

/** Dies if more are inside than may be. */
const guarded = (capacity: number) => {
  let inside = 0
  return (weight: number) =>
    Effect.acquireUseRelease(
      Effect.suspend(() => {
        inside += weight
        return dieUnless(inside <= capacity, `${inside} of ${capacity} are held`)
      }),
      () => Effect.yieldNow,
      () =>
        Effect.sync(() => {
          inside -= weight
        })
    )
}

describe("Effect's Semaphore", () => {
  it("admits no more than it has permits, and loses none", () => {
    holds(
      Effect.gen(function* () {
        const semaphore = yield* Semaphore.make(1)
        yield* Explorer.expectPermits("the semaphore", semaphore, 1)
        const use = guarded(1)
        yield* ended(yield* forkAll([semaphore.withPermit(use(1)), semaphore.withPermit(use(1))]))
      }),
      2
    )
  })

  it("keeps to weights, and wakes who fits", () => {
    holds(
      Effect.gen(function* () {
        const semaphore = yield* Semaphore.make(2)
        yield* Explorer.expectPermits("the semaphore", semaphore, 2)
        const use = guarded(2)
        yield* ended(yield* forkAll([1, 2].map((weight) => semaphore.withPermits(weight)(use(weight)))))
      }),
      2
    )
  })

  it("admits who waits when it grows", () => {
    holds(
      Effect.gen(function* () {
        const semaphore = yield* Semaphore.make(0)
        const fibers = yield* forkAll([semaphore.withPermit(Effect.void), semaphore.withPermit(Effect.void)])
        yield* semaphore.resize(1)
        yield* ended(fibers)
      }),
      2
    )
  })

  it("gives what a scope holds back", () => {
    holds(
      Effect.gen(function* () {
        const semaphore = yield* Semaphore.make(1)
        yield* Explorer.expectPermits("the semaphore", semaphore, 1)
        const hold = Effect.scoped(Effect.andThen(semaphore.takeScoped(1), Effect.yieldNow))
        yield* ended(yield* forkAll([hold, hold]))
      }),
      2
    )
  })
})

describe("Effect's Queue", () => {
  it("delivers what was offered once, in order, to one who takes", () => {
    holds(
      Effect.gen(function* () {
        const queue = yield* Queue.bounded<number>(1)
        const received: Array<number> = []
        const produce = Effect.forEach([1, 2, 3], (n) => Queue.offer(queue, n))
        const consume = Effect.forEach([1, 2, 3], () => Effect.map(Queue.take(queue), (n) => received.push(n)))
        const fibers = yield* forkAll<unknown, never>([produce, consume])
        // Where one is interrupted, the other would wait for ever.
        const first = yield* Explorer.spared(Effect.raceAllFirst(fibers.map(Fiber.await)))
        if (Exit.isFailure(first)) yield* Queue.shutdown(queue)
        const exits = yield* ended(fibers)
        yield* dieUnless(received.join() === [1, 2, 3].slice(0, received.length).join(), received.join())
        yield* dieUnless(received.length === 3 || exits.some(Exit.hasInterrupts), "something is missing")
      }),
      2
    )
  })

  it("loses nothing to a taker who is interrupted", () => {
    holds(
      Effect.gen(function* () {
        const queue = yield* Queue.unbounded<number>()
        const received: Array<number> = []
        const take = Effect.uninterruptibleMask((restore) =>
          Effect.map(restore(Queue.take(queue)), (n) => received.push(n))
        )
        const fibers = yield* forkAll([take, take])
        yield* Queue.offer(queue, 1)
        yield* Queue.offer(queue, 2)
        yield* Effect.forEach(fibers, (fiber) => Effect.timeoutOption(Fiber.await(fiber), "1 second")).pipe(
          Explorer.spared
        )
        const left = yield* Queue.clear(queue)
        const all = [...received, ...left].sort()
        yield* dieUnless(all.join() === "1,2", `${received.join()} received and ${left.join()} left`)
      }),
      1
    )
  })

  it("tells all who wait that it has ended", () => {
    holds(
      Effect.gen(function* () {
        const queue = yield* Queue.unbounded<number>()
        const fibers = yield* forkAll([Effect.exit(Queue.take(queue)), Effect.exit(Queue.take(queue))])
        yield* Queue.shutdown(queue)
        yield* ended(fibers)
      })
    )
  })
})

describe("Effect's Latch", () => {
  it("lets all through who came before it opened or come after", () => {
    holds(
      Effect.gen(function* () {
        const latch = yield* Latch.make(false)
        const fibers = yield* forkAll([latch.await, Effect.andThen(latch.await, latch.await)])
        yield* latch.open
        yield* ended(fibers)
      })
    )
  })

  it("releases who waits without opening for who comes", () => {
    holds(
      Effect.gen(function* () {
        const latch = yield* Latch.make(false)
        const fibers = yield* forkAll([latch.await, latch.await])
        yield* latch.release
        yield* latch.open
        yield* latch.close
        yield* latch.open
        yield* ended(fibers)
      }),
      2
    )
  })
})

describe("Effect's Deferred", () => {
  it("gives the first result to all who wait, before and after", () => {
    holds(
      Effect.gen(function* () {
        const deferred = yield* Deferred.make<number>()
        const waiters = yield* forkAll([Deferred.await(deferred), Deferred.await(deferred)])
        const writers = yield* forkAll([Deferred.succeed(deferred, 1), Deferred.succeed(deferred, 2)])
        yield* ended(writers)
        yield* Deferred.succeed(deferred, 3)
        const result = yield* Deferred.await(deferred)
        for (const exit of yield* ended(waiters)) {
          yield* dieUnless(Exit.isFailure(exit) || exit.value === result, "two results")
        }
      }),
      2
    )
  })
})

describe("Effect's Pool", () => {
  const counted = Effect.gen(function* () {
    const state = { open: 0, most: 0 }
    yield* Explorer.atEnd("every item is closed", () => state.open === 0 || `${state.open} are open`)
    const acquire = Effect.acquireRelease(
      Effect.sync(() => {
        state.open++
        state.most = Math.max(state.most, state.open)
        return state
      }),
      () => Effect.sync(() => void state.open--)
    )
    return { state, acquire }
  })

  it("lends an item to one at a time, and closes all that it opened", () => {
    const program = Effect.gen(function* () {
      const { acquire, state } = yield* counted
      const use = guarded(1)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const pool = yield* Explorer.spared(Pool.make({ acquire, size: 1 }))
          const borrow = Effect.scoped(Effect.andThen(Pool.get(pool), use(1)))
          yield* ended(yield* forkAll([borrow, borrow]))
          yield* Effect.scoped(Pool.get(pool))
        })
      )
      yield* dieUnless(state.most === 1, `${state.most} items at once`)
    })
    holds(program, 1)
  })

  it("grows to its maximum and no further, and is still of use after whoever was interrupted", () => {
    const program = Effect.gen(function* () {
      const { acquire, state } = yield* counted
      const use = guarded(2)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const pool = yield* Explorer.spared(Pool.makeWithTTL({ acquire, min: 0, max: 2, timeToLive: "1 minute" }))
          const borrow = Effect.scoped(Effect.andThen(Pool.get(pool), use(1)))
          yield* ended(yield* forkAll([borrow, borrow]))
          yield* Effect.scoped(Pool.get(pool))
        })
      )
      yield* dieUnless(state.most <= 2, `${state.most} items at once`)
    })
    Explorer.assert(program, {
      strategy: Explorer.random({ runs: 5000, seed: 23, maxPreemptions: 3 })
    })
    Explorer.assert(program, {
      interruptions: 1,
      strategy: Explorer.random({ runs: 5000, seed: 29, maxPreemptions: 3 })
    })
  })

  it("gives a place that is invalidated to who waits", () => {
    const program = Effect.gen(function* () {
      const { acquire } = yield* counted
      yield* Effect.scoped(
        Effect.gen(function* () {
          const pool = yield* Explorer.spared(Pool.make({ acquire, size: 1 }))
          const spoil = Effect.scoped(Effect.flatMap(Pool.get(pool), (item) => Pool.invalidate(pool, item)))
          const borrow = Effect.scoped(Effect.andThen(Pool.get(pool), Effect.yieldNow))
          yield* ended(yield* forkAll([spoil, borrow]))
          yield* Effect.scoped(Pool.get(pool))
        })
      )
    })
    Explorer.assert(program, {
      strategy: Explorer.exhaustive({ maxPreemptions: 1, maxSchedules: 200_000 })
    })
    Explorer.assert(program, {
      interruptions: 1,
      strategy: Explorer.random({ runs: 5000, seed: 31, maxPreemptions: 3 })
    })
  })
})
