// How fibers pass a gate that lets a bounded number through: one that is let in
// at once neither allocates a waiter nor suspends; one that is not joins the gate's
// line and suspends. Which waiter goes next is the gate's own business.

import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"
import type * as Scheduler from "effect/Scheduler"

export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** One fiber that waits, and its place in the line that it waits in. */
export interface Waiter {
  readonly permits: number
  /** Resumes the fiber by its own scheduler, after the one that releases. */
  readonly dispatcher: Scheduler.SchedulerDispatcher
  /** Unset until the fiber has suspended. */
  wake: (() => void) | undefined
  state: "waiting" | "admitted" | "expired" | "refused"
  /** Where the line is ordered by more than arrival: what the waiter is ordered by. */
  rank: number
  previous: Waiter | undefined
  next: Waiter | undefined
}

/** A line of waiters, linked through themselves: joining, and leaving from the middle, are O(1) and allocate nothing. */
export class Line {
  head: Waiter | undefined
  tail: Waiter | undefined

  append(waiter: Waiter): void {
    waiter.previous = this.tail
    if (this.tail === undefined) this.head = waiter
    else this.tail.next = waiter
    this.tail = waiter
  }

  prepend(waiter: Waiter): void {
    waiter.next = this.head
    if (this.head === undefined) this.tail = waiter
    else this.head.previous = waiter
    this.head = waiter
  }

  remove(waiter: Waiter): void {
    if (waiter.previous === undefined) this.head = waiter.next
    else waiter.previous.next = waiter.next
    if (waiter.next === undefined) this.tail = waiter.previous
    else waiter.next.previous = waiter.previous
    waiter.previous = undefined
    waiter.next = undefined
  }
}

export interface Gate<E = never> {
  /** Throws a `RangeError` for permits that can never be had. */
  readonly check: (permits: number) => void
  /** Set once the gate is closed for good: what everybody who comes or waits fails with. */
  readonly refusal: Effect.Effect<never, E> | undefined
  /** Whether somebody who comes now need not wait. */
  readonly isFree: (permits: number) => boolean
  /** Takes permits that {@link isFree} has found. */
  readonly take: (permits: number) => void
  readonly join: (waiter: Waiter) => void
  /** Takes a waiter out that gives up; what it was handed already goes to the next. */
  readonly leave: (waiter: Waiter) => void
  readonly release: (permits: number) => void
}

/** How long a waiter waits, and what it fails with then. */
export interface Bound<E> {
  readonly maxWait: Duration.Duration
  readonly onTimeout: () => E
}

/** Tells a waiter that it has its permits, or that there will be none. */
export const settle = (waiter: Waiter, state: "admitted" | "refused"): void => {
  waiter.state = state
  // A waiter that has not yet suspended finds its state when it does.
  if (waiter.wake !== undefined) waiter.dispatcher.scheduleTask(waiter.wake, 0)
}

// One dispatcher for each scheduler that is met, as a rule one in all: with the dispatcher of its fiber, each waiter
// would be resumed by an entry of its own in the event loop's queue.
let lastScheduler: Scheduler.Scheduler | undefined
let lastDispatcher: Scheduler.SchedulerDispatcher | undefined

const dispatcherOf = (fiber: Fiber.Fiber<unknown, unknown>): Scheduler.SchedulerDispatcher => {
  const { scheduler } = fiber.cache
  if (lastDispatcher === undefined || scheduler !== lastScheduler) {
    lastScheduler = scheduler
    lastDispatcher = scheduler.makeDispatcher()
  }
  return lastDispatcher
}

const join = (gate: Gate<unknown>, fiber: Fiber.Fiber<unknown, unknown>, permits: number): Waiter => {
  const waiter: Waiter = {
    permits,
    dispatcher: dispatcherOf(fiber),
    wake: undefined,
    state: "waiting",
    rank: 0,
    previous: undefined,
    next: undefined
  }
  gate.join(waiter)
  return waiter
}

/** Suspends until the waiter is settled, and goes on as `then` if it has not been refused. */
const suspend = <A, E, R, E2>(
  gate: Gate<E2>,
  waiter: Waiter,
  then: Effect.Effect<A, E, R>
): Effect.Effect<A, E | E2, R> =>
  Effect.callback<A, E | E2, R>((resume) => {
    const wake = (): void => resume(waiter.state === "refused" && gate.refusal !== undefined ? gate.refusal : then)
    if (waiter.state === "waiting") waiter.wake = wake
    else wake()
  })

/**
 * Runs an effect holding permits.
 *
 * The frame that gives the permits back stands on the fiber's stack before they are taken, so that nothing need be
 * masked: wherever the fiber is interrupted (before it has joined the line, in it, after it was handed its permits and
 * before it knows, in the effect), the frame finds what there is to give back. Looking and joining are one primitive: a
 * fiber that is preempted in between would miss the release that it waits for. Whoever had to wait is resumed as the
 * effect itself.
 */
export const using = <A, E, R, E2>(
  gate: Gate<E2>,
  self: Effect.Effect<A, E, R>,
  permits: number
): Effect.Effect<A, E | E2, R> =>
  Effect.suspend(() => {
    gate.check(permits)
    let isHeld = false
    let waiter: Waiter | undefined
    return Effect.onExitPrimitive(
      Effect.withFiber((fiber): Effect.Effect<A, E | E2, R> => {
        if (gate.refusal !== undefined) return gate.refusal
        if (gate.isFree(permits)) {
          gate.take(permits)
          isHeld = true
          return self
        }
        waiter = join(gate, fiber, permits)
        return suspend(gate, waiter, self)
      }),
      () => {
        if (isHeld) gate.release(permits)
        else if (waiter !== undefined) quit(gate, waiter)
        return undefined
      }
    )
  })

/** Gives back what a waiter has, be it permits or a place. */
const quit = (gate: Gate<unknown>, waiter: Waiter): void => {
  if (waiter.state === "admitted") gate.release(waiter.permits)
  else if (waiter.state === "waiting") gate.leave(waiter)
}

/** Takes permits, waiting with `restore`. To be run uninterruptibly, so that nothing comes between it and the holder. */
export const acquire = <E>(gate: Gate<E>, permits: number, restore: Restore): Effect.Effect<void, E> =>
  Effect.withFiber((fiber): Effect.Effect<void, E> => {
    gate.check(permits)
    if (gate.refusal !== undefined) return gate.refusal
    if (gate.isFree(permits)) {
      gate.take(permits)
      return Effect.void
    }
    const waiter = join(gate, fiber, permits)
    return Effect.onExitPrimitive(restore(suspend(gate, waiter, Effect.void)), (exit) => {
      if (Exit.isFailure(exit)) quit(gate, waiter)
      return undefined
    })
  })

/**
 * Runs an effect holding permits, if they come in time.
 *
 * The permits stay with this fiber: the clock ends the wait, it does not race it. A waiter that was handed its permits in
 * the same instant keeps them.
 */
export const usingInTime = <A, E, R, E2, E3>(
  gate: Gate<E2>,
  self: Effect.Effect<A, E, R>,
  permits: number,
  { maxWait, onTimeout }: Bound<E3>
): Effect.Effect<A, E | E2 | E3, R> =>
  Effect.suspend(() => {
    gate.check(permits)
    let waiter: Waiter | undefined
    let isHeld = false
    const expire = Effect.sync(() => {
      if (waiter === undefined || waiter.state !== "waiting") return
      gate.leave(waiter)
      waiter.state = "expired"
      waiter.wake?.()
    })
    return Effect.onExitPrimitive(
      Effect.withFiber((fiber): Effect.Effect<A, E | E2 | E3, R> => {
        if (gate.refusal !== undefined) return gate.refusal
        if (gate.isFree(permits)) {
          gate.take(permits)
          isHeld = true
          return self
        }
        const joined = join(gate, fiber, permits)
        waiter = joined
        return Effect.flatMap(Effect.forkChild(Effect.andThen(Effect.sleep(maxWait), expire)), (timing) =>
          Effect.flatMap(
            Effect.onExit(suspend(gate, joined, Effect.void), () => Fiber.interrupt(timing)),
            (): Effect.Effect<A, E | E3, R> => (joined.state === "expired" ? Effect.fail(onTimeout()) : self)
          )
        )
      }),
      () => {
        if (isHeld) gate.release(permits)
        else if (waiter !== undefined) quit(gate, waiter)
        return undefined
      }
    )
  })

/** Takes permits if they are free at once. */
export const tryTake = (gate: Gate<unknown>, permits: number): boolean => {
  gate.check(permits)
  if (gate.refusal !== undefined || !gate.isFree(permits)) return false
  gate.take(permits)
  return true
}

/** Runs an effect if its permits are free at once. */
export const usingIfAvailable = <A, E, R>(
  gate: Gate<unknown>,
  self: Effect.Effect<A, E, R>,
  permits: number
): Effect.Effect<Option.Option<A>, E, R> =>
  Effect.suspend(() => {
    let isHeld = false
    return Effect.onExitPrimitive(
      Effect.suspend(() => {
        isHeld = tryTake(gate, permits)
        return isHeld ? Effect.asSome(self) : Effect.succeedNone
      }),
      () => {
        if (isHeld) gate.release(permits)
        return undefined
      }
    )
  })

export const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

export const permitsWord = (count: number): string => (count === 1 ? "1 permit" : `${count} permits`)

/** Throws unless `permits` may be asked of something that has never held more than `largest`. */
export const checkPermits = (permits: number, largest: number): void => {
  if (!isCount(permits)) throw new RangeError(`Cannot take ${permits} permits: a whole number, 0 or more, is needed`)
  if (permits > largest) throw new RangeError(`Cannot take ${permitsWord(permits)}: the semaphore holds ${largest}`)
}
