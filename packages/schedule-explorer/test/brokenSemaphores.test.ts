// A check of the explorer itself: a small semaphore that is right, and twelve ways
// to get it wrong. The right one must pass, and each of the others be caught
// within a stated number of schedules.

import { Explorer } from "@sluice/schedule-explorer"
import { Effect, Fiber } from "effect"
import { describe, expect, it } from "vitest"

type Bug =
  | "release wakes nobody"
  | "a waiter joins the queue only when it suspends"
  | "a waiter that is woken has to look again, and does not"
  | "the permit is checked, then taken"
  | "an interrupted waiter stays in the queue"
  | "a waiter that is interrupted before it suspends is forgotten"
  | "what was handed to an interrupted waiter is lost"
  | "an interrupted holder releases twice"
  | "an interrupted holder does not release"
  | "the permit is given back before the effect has ended"
  | "growing by one admits two"
  | "the last to come is the first to go"

interface Waiter {
  resume: ((effect: Effect.Effect<void>) => void) | undefined
  isAdmitted: boolean
}

const makeSemaphore = (capacity: number, bug?: Bug) => {
  let free = capacity
  const arrived: Array<number> = []
  const waiters: Array<Waiter> = []

  /** Resumes in a task of its own, as real hand-offs do. */
  const wake = (waiter: Waiter): Effect.Effect<void> =>
    Effect.withFiber((fiber) => {
      fiber.currentDispatcher.scheduleTask(() => waiter.resume?.(Effect.void), 0)
      return Effect.void
    })

  const release: Effect.Effect<void> = Effect.suspend(() => {
    const waiter = bug === "the last to come is the first to go" ? waiters.pop() : waiters.shift()
    if (waiter === undefined || bug === "release wakes nobody") {
      free++
      return Effect.void
    }
    waiter.isAdmitted = true
    if (bug === "a waiter that is woken has to look again, and does not") {
      // The permit lies free until the waiter runs, and the waiter takes it without a look.
      free++
      return Effect.andThen(wake(waiter), Effect.void)
    }
    return wake(waiter)
  })

  const suspend = (waiter: Waiter): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      waiter.resume = resume
      if (bug === "a waiter joins the queue only when it suspends") waiters.push(waiter)
      if (waiter.isAdmitted) resume(Effect.void)
      return bug === "a waiter that is interrupted before it suspends is forgotten" ? leave(waiter) : Effect.void
    })

  const leave = (waiter: Waiter): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (bug === "an interrupted waiter stays in the queue") return Effect.void
      if (waiter.isAdmitted) return bug === "what was handed to an interrupted waiter is lost" ? Effect.void : release
      waiters.splice(waiters.indexOf(waiter), 1)
      return Effect.void
    })

  const take = (name: number, restore: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>): Effect.Effect<void> =>
    Effect.suspend(() => {
      arrived.push(name)
      const takeOne = Effect.sync(() => void free--)
      if (free > 0) {
        if (bug === "the permit is checked, then taken") return Effect.andThen(Effect.yieldNow, takeOne)
        free--
        return Effect.void
      }
      const waiter: Waiter = { resume: undefined, isAdmitted: false }
      if (bug !== "a waiter joins the queue only when it suspends") waiters.push(waiter)
      const wait =
        bug === "a waiter that is interrupted before it suspends is forgotten"
          ? restore(suspend(waiter))
          : Effect.onInterrupt(restore(suspend(waiter)), () => leave(waiter))
      return bug === "a waiter that is woken has to look again, and does not" ? Effect.andThen(wait, takeOne) : wait
    })

  const giveBack = (isInterrupted: boolean): Effect.Effect<void> => {
    if (isInterrupted && bug === "an interrupted holder releases twice") return Effect.andThen(release, release)
    if (isInterrupted && bug === "an interrupted holder does not release") return Effect.void
    return release
  }

  const withPermit = <A, E, R>(name: number, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(take(name, restore), () =>
        bug === "the permit is given back before the effect has ended"
          ? Effect.andThen(release, restore(self))
          : Effect.onExit(restore(self), (exit) =>
              giveBack(exit._tag === "Failure" && String(exit.cause).includes("Interrupt"))
            )
      )
    )

  const grow: Effect.Effect<void> = Effect.suspend(() =>
    bug === "growing by one admits two" ? Effect.andThen(release, release) : release
  )
  return { withPermit, grow, arrived, free: () => free, waiting: () => waiters.length }
}

/** What every semaphore owes: no more inside than it has permits, first come first served, and all back at the end. */
const promises = (fibers: number, grows: boolean, bug?: Bug) =>
  Effect.gen(function* () {
    const semaphore = makeSemaphore(1, bug)
    let capacity = 1
    let inside = 0
    const served: Array<number> = []
    const use = (name: number) =>
      Effect.gen(function* () {
        served.push(name)
        inside++
        if (inside > capacity) return yield* Effect.die(`${inside} hold ${capacity}`)
        yield* Effect.yieldNow
      }).pipe(Effect.ensuring(Effect.sync(() => void inside--)))
    const running = yield* Effect.forEach(Array(fibers).keys(), (name) =>
      Effect.forkChild(semaphore.withPermit(name, use(name)))
    )
    if (grows) {
      capacity++
      yield* semaphore.grow
    }
    const exits = yield* Effect.forEach(running, Fiber.await)
    for (const exit of exits) {
      if (exit._tag === "Failure" && String(exit.cause).includes("Die")) return yield* Effect.die(String(exit.cause))
    }
    const place = (name: number) => semaphore.arrived.indexOf(name)
    const overtaken = served.filter((name, at) => served.slice(0, at).some((before) => place(before) > place(name)))
    // With two permits, who runs first of two that have theirs is up to the scheduler.
    if (!grows && overtaken.length > 0) yield* Effect.die(`${overtaken.join(", ")} came before those that were served`)
    if (semaphore.free() !== capacity) yield* Effect.die(`${semaphore.free()} of ${capacity} permits came back`)
    if (semaphore.waiting() !== 0) yield* Effect.die("somebody waits")
  })

interface Case {
  readonly bug: Bug
  /** Schedules within which it must be caught. */
  readonly within: number
  readonly fibers?: number
  readonly interruptions?: number
  readonly grows?: boolean
}

const cases: ReadonlyArray<Case> = [
  { bug: "release wakes nobody", within: 1 },
  { bug: "a waiter joins the queue only when it suspends", within: 20 },
  { bug: "a waiter that is woken has to look again, and does not", within: 5, fibers: 3 },
  { bug: "the permit is checked, then taken", within: 1 },
  { bug: "an interrupted waiter stays in the queue", within: 15, interruptions: 1 },
  { bug: "a waiter that is interrupted before it suspends is forgotten", within: 20, interruptions: 1 },
  { bug: "what was handed to an interrupted waiter is lost", within: 15, interruptions: 1 },
  { bug: "an interrupted holder releases twice", within: 5, interruptions: 1 },
  { bug: "an interrupted holder does not release", within: 5, interruptions: 1 },
  { bug: "the permit is given back before the effect has ended", within: 1 },
  { bug: "growing by one admits two", within: 1, grows: true },
  { bug: "the last to come is the first to go", within: 5, fibers: 3 }
]

describe("a semaphore that", () => {
  for (const { bug, fibers = 2, grows = false, interruptions = 0, within } of cases) {
    it(`has the bug "${bug}" is caught within ${within} schedules`, () => {
      const report = Explorer.check(promises(fibers, grows, bug), {
        interruptions,
        strategy: Explorer.exhaustive({ maxPreemptions: 2 })
      })
      expect(report.failure).toBeDefined()
      expect(report.failure?.type).not.toBe("nondeterminism")
      expect(report.schedules).toBeLessThanOrEqual(within)
    })

    it(`is right holds where "${bug}" was caught`, () => {
      Explorer.assert(promises(2, grows), {
        interruptions,
        strategy: Explorer.exhaustive({ maxPreemptions: 1 })
      })
    })
  }
})
