// Those who wait for a limit, in the order of their arrival. Only the first
// watches the clock; the others are woken when the one before them has gone, by
// being admitted or by giving up, so a waiter costs O(1) and one timer runs
// however many wait. What a waiter takes, it takes itself once its turn and time
// have come, without a point at which it could be interrupted in between: so a
// waiter that leaves has taken nothing.

import * as Effect from "effect/Effect"
import type * as Scheduler from "effect/Scheduler"

export interface Waiter {
  readonly cost: number
  readonly dispatcher: Scheduler.SchedulerDispatcher
  wake: (() => void) | undefined
  previous: Waiter | undefined
  next: Waiter | undefined
}

export interface Turns {
  /** Waiters. */
  waiting: number
  /** What they will cost together. */
  cost: number
  head: Waiter | undefined
  tail: Waiter | undefined
}

export const makeTurns = (): Turns => ({ waiting: 0, cost: 0, head: undefined, tail: undefined })

/**
 * Puts a waiter at the end. To be called in the primitive that has looked whether there is a wait: a fiber that is
 * preempted in between would wait for longer than it was told.
 */
export const join = (turns: Turns, cost: number, dispatcher: Scheduler.SchedulerDispatcher): Waiter => {
  const waiter: Waiter = { cost, dispatcher, wake: undefined, previous: turns.tail, next: undefined }
  if (turns.tail === undefined) turns.head = waiter
  else turns.tail.next = waiter
  turns.tail = waiter
  turns.waiting++
  turns.cost += cost
  return waiter
}

const leave = (turns: Turns, waiter: Waiter): void => {
  const wasFirst = turns.head === waiter
  if (waiter.previous === undefined) turns.head = waiter.next
  else waiter.previous.next = waiter.next
  if (waiter.next === undefined) turns.tail = waiter.previous
  else waiter.next.previous = waiter.previous
  turns.waiting--
  // Sums of fractions drift; an empty queue costs nothing.
  turns.cost = turns.waiting === 0 ? 0 : turns.cost - waiter.cost
  const next = turns.head
  if (wasFirst && next?.wake !== undefined) next.dispatcher.scheduleTask(next.wake, 0)
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/**
 * Waits for the turn of a waiter that has joined, and for its time, then calls `take`. `due` tells the milliseconds until
 * the cost is free. To be run uninterruptibly; the waiting itself is interruptible through `restore`.
 */
export const waitTurn = (
  turns: Turns,
  waiter: Waiter,
  due: Effect.Effect<number>,
  take: () => void,
  restore: Restore
): Effect.Effect<void> => {
  const turn = Effect.callback<void>((resume) => {
    if (turns.head === waiter) resume(Effect.void)
    else waiter.wake = () => resume(Effect.void)
  })
  // A timer may fire a little early: what counts is the clock.
  const time: Effect.Effect<void> = Effect.flatMap(due, (millis) =>
    millis <= 0 ? Effect.void : Effect.andThen(Effect.sleep(millis), time)
  )
  return restore(Effect.andThen(turn, time)).pipe(
    Effect.tap(() => Effect.sync(take)),
    Effect.onExit(() => Effect.sync(() => leave(turns, waiter)))
  )
}
