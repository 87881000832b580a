// How fibers pass a gate that lets a bounded number through: one that is let in
// at once neither allocates a waiter nor suspends; one that is not joins the gate's
// line and suspends. Which waiter goes next is the gate's own business.

import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"
import type * as Scheduler from "effect/Scheduler"
import { type Permits, quit, tryTake, type Waiter } from "./line.ts"

export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** What fibers pass. */
export type Gate<E = never> = Permits<Effect.Effect<never, E>>

/** How long a waiter waits, and what it fails with then. */
export interface Bound<E> {
  readonly maxWait: Duration.Duration
  readonly onTimeout: () => E
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

class FiberWaiter implements Waiter {
  readonly permits: number
  /** Resumes the fiber by its own scheduler, after the one that releases. */
  private readonly dispatcher: Scheduler.SchedulerDispatcher
  /** Unset until the fiber has suspended. */
  wake: (() => void) | undefined = undefined
  state: Waiter["state"] = "waiting"
  rank = 0
  previous: Waiter | undefined = undefined
  next: Waiter | undefined = undefined

  constructor(permits: number, dispatcher: Scheduler.SchedulerDispatcher) {
    this.permits = permits
    this.dispatcher = dispatcher
  }

  settled(): void {
    // One that has not yet suspended finds its state when it does.
    if (this.wake !== undefined) this.dispatcher.scheduleTask(this.wake, 0)
  }
}

const join = (gate: Permits<unknown>, fiber: Fiber.Fiber<unknown, unknown>, permits: number): FiberWaiter => {
  const waiter = new FiberWaiter(permits, dispatcherOf(fiber))
  gate.join(waiter)
  return waiter
}

/** Suspends until the waiter is settled, and goes on as `then` if it has not been refused. */
const suspend = <A, E, R, E2>(
  gate: Gate<E2>,
  waiter: FiberWaiter,
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
    let waiter: FiberWaiter | undefined
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
    let waiter: FiberWaiter | undefined
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

/** Runs an effect if its permits are free at once. */
export const usingIfAvailable = <A, E, R>(
  gate: Permits<unknown>,
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
