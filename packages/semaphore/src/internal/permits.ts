// The permits of a semaphore as effects: the queue of `permitQueue.ts`, and the
// fibers that wait in it.

import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "./permitQueue.ts"

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

export interface Snapshot {
  readonly capacity: number
  readonly held: number
  readonly available: number
  readonly waiting: number
  readonly admitted: number
  readonly rejected: number
}

/** How long a waiter waits, and what it fails with then. */
export interface Bound<E> {
  readonly maxWait: Duration.Duration
  readonly onTimeout: () => E
}

export interface Permits {
  /** Throws unless `permits` could be served. */
  readonly check: (permits: number) => void
  readonly tryTake: (permits: number) => boolean
  /**
   * Takes permits, waiting with `restore`. To be run uninterruptibly, so that nothing comes between it and the holder.
   * With a `bound`, waits no longer than its `maxWait` and fails as it says.
   */
  readonly acquire: <E = never>(permits: number, restore: Restore, bound?: Bound<E>) => Effect.Effect<void, E>
  /** Runs an effect holding permits. */
  readonly using: <A, E, R, E2 = never>(
    self: Effect.Effect<A, E, R>,
    permits: number,
    bound?: Bound<E2>
  ) => Effect.Effect<A, E | E2, R>
  /** Whether a newcomer would have to wait where `maxWaiting` wait already. */
  readonly isFull: (maxWaiting: number) => boolean
  readonly release: (permits: number) => number
  readonly releasing: (permits: number) => Effect.Effect<void>
  readonly resize: (permits: number) => void
  readonly stats: () => Snapshot
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

const permitsWord = (count: number): string => (count === 1 ? "1 permit" : `${count} permits`)

export const makePermits = (capacity: number): Permits => {
  if (!isCount(capacity)) {
    throw new RangeError(`Cannot make a semaphore of ${capacity} permits: a whole number, 0 or more, is needed`)
  }
  const queue: Queue.PermitQueue = {
    capacity,
    held: 0,
    waiting: 0,
    admitted: 0,
    head: undefined,
    tail: undefined,
    resumed: Effect.void
  }
  let rejected = 0
  // What a resize may still grow to is not known, so only the largest capacity so far tells what can never be served.
  let largest = capacity

  const check = (permits: number): void => {
    if (!isCount(permits)) throw new RangeError(`Cannot take ${permits} permits: a whole number, 0 or more, is needed`)
    if (permits > largest) {
      throw new RangeError(`Cannot take ${permitsWord(permits)}: the semaphore holds ${largest}`)
    }
  }

  const tryTake = (permits: number): boolean => {
    check(permits)
    if (Queue.isFree(queue, permits)) {
      Queue.take(queue, permits)
      return true
    }
    rejected++
    return false
  }

  // The clean-up stands on the fiber's stack before the fiber can be interrupted: one that is interrupted after it has
  // joined the queue and before it has suspended leaves it too, and one that was handed its permits in the meantime
  // gives them on.
  const suspend = (waiter: Queue.Waiter, restore: Restore): Effect.Effect<void> =>
    Effect.onExitPrimitive(
      restore(
        Effect.callback<void>((resume) => {
          if (waiter.state === "admitted") resume(Effect.void)
          else waiter.resume = resume
        })
      ),
      (exit) => {
        if (Exit.isFailure(exit)) Queue.leave(queue, waiter)
        return undefined
      },
      true
    )

  const wait = <E>(waiter: Queue.Waiter, restore: Restore, bound: Bound<E> | undefined): Effect.Effect<void, E> => {
    const waiting = suspend(waiter, restore)
    if (bound === undefined) return waiting
    // The permits stay with this fiber: the clock ends the wait, it does not race it. A waiter that was handed its
    // permits in the same instant keeps them.
    const timer = Effect.sleep(bound.maxWait).pipe(
      Effect.andThen(
        Effect.sync(() => {
          if (waiter.state === "waiting") {
            Queue.leave(queue, waiter)
            waiter.state = "expired"
            waiter.resume?.(Effect.void)
          }
        })
      )
    )
    return Effect.flatMap(Effect.forkChild(timer), (timing) =>
      Effect.flatMap(
        Effect.onExit(waiting, () => Fiber.interrupt(timing)),
        () => (waiter.state === "expired" ? Effect.fail(bound.onTimeout()) : Effect.void)
      )
    )
  }

  const join = (fiber: Fiber.Fiber<unknown, unknown>, permits: number): Queue.Waiter => {
    const waiter: Queue.Waiter = {
      permits,
      dispatcher: fiber.currentDispatcher,
      resume: undefined,
      state: "waiting",
      previous: undefined,
      next: undefined
    }
    Queue.join(queue, waiter)
    return waiter
  }

  // Looking and joining are one primitive: a fiber that is preempted in between would miss the release that it waits for.
  const acquire = <E = never>(permits: number, restore: Restore, bound?: Bound<E>): Effect.Effect<void, E> =>
    Effect.withFiber((fiber) => {
      if (Queue.isFree(queue, permits)) {
        Queue.take(queue, permits)
        return Effect.void
      }
      return wait(join(fiber, permits), restore, bound)
    })

  const hold = <A, E, R>(self: Effect.Effect<A, E, R>, permits: number): Effect.Effect<A, E, R> =>
    Effect.onExitPrimitive(
      self,
      () => {
        Queue.release(queue, permits)
        return undefined
      },
      true
    )

  const release = (permits: number): number => {
    if (!isCount(permits) || permits > queue.held) {
      throw new RangeError(`Cannot release ${permitsWord(permits)}: ${queue.held} are held`)
    }
    Queue.release(queue, permits)
    return Math.max(0, queue.capacity - queue.held)
  }

  return {
    check,
    tryTake,
    acquire: (permits, restore, bound) =>
      Effect.suspend(() => {
        check(permits)
        return acquire(permits, restore, bound)
      }),
    using: (self, permits, bound) =>
      // One frame for the mask and one for the release is all that the uncontended path costs: what the mask calls is
      // run when the effect is, so that nothing else has to be suspended.
      Effect.uninterruptibleMask((restore) => {
        check(permits)
        if (Queue.isFree(queue, permits)) {
          Queue.take(queue, permits)
          return hold(restore(self), permits)
        }
        return Effect.flatMap(acquire(permits, restore, bound), () => hold(restore(self), permits))
      }),
    isFull: (maxWaiting) => !Queue.isFree(queue, 1) && queue.waiting >= maxWaiting,
    release,
    releasing: (permits) => Effect.sync(() => Queue.release(queue, permits)),
    resize: (permits) => {
      if (!isCount(permits))
        throw new RangeError(`Cannot resize to ${permits} permits: a whole number, 0 or more, is needed`)
      queue.capacity = permits
      largest = Math.max(largest, permits)
      Queue.admit(queue)
    },
    stats: () => ({
      capacity: queue.capacity,
      held: queue.held,
      available: Math.max(0, queue.capacity - queue.held),
      waiting: queue.waiting,
      admitted: queue.admitted,
      rejected
    })
  }
}
