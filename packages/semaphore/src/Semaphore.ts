/**
 * Bounds how many effects run at once.
 *
 * Waiters are served strictly in the order of their arrival, whatever their
 * weight, so a heavy request is never starved by light ones. Every operation
 * costs O(1), however many fibers wait.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { makePermits } from "./internal/permits.ts"

/** What a semaphore is doing right now. Reading it has no side effects. */
export interface Stats {
  /** Permits that exist. */
  readonly capacity: number
  /** Permits that are held. More than `capacity` only while a shrink drains. */
  readonly held: number
  /** Permits that are free. Zero while a shrink drains. */
  readonly available: number
  /** Fibers that wait. */
  readonly waiting: number
  /** Requests that were given their permits, since the semaphore was made. */
  readonly admitted: number
  /** Requests that were refused because the permits were not free at once. */
  readonly rejected: number
}

/**
 * Permits that effects take and give back.
 *
 * **When to use**
 *
 * To bound work in flight: calls to an API, files that are open, memory that is held, by weight if calls differ.
 *
 * **Details**
 *
 * First come, first served: while the longest waiter cannot be served, nobody behind it is. Permits are handed over by
 * whoever releases them, so a newcomer cannot overtake a fiber that was just woken.
 *
 * **Gotchas**
 *
 * Asking for more permits than the semaphore has dies with a `RangeError`: it could never be served. One that a later
 * `resize` has made too large waits until the semaphore grows again.
 */
export interface Semaphore {
  /** Runs an effect holding one permit. O(1). */
  withPermit<A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R>
  /** Runs an effect holding `permits` permits, which are given back however it ends. O(1). */
  withPermits(permits: number): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Runs an effect if the permits are free at once, and answers `None` if they are not. */
  withPermitsIfAvailable(
    permits: number
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<Option.Option<A>, E, R>
  /** Takes permits, waiting for them if need be, and answers how many. Whoever takes must `release`. */
  take(permits: number): Effect.Effect<number>
  /** Takes permits until the scope closes. */
  takeScoped(permits: number): Effect.Effect<void, never, Scope.Scope>
  /** Takes permits if they are free at once, and answers whether they were. */
  takeIfAvailable(permits: number): Effect.Effect<boolean>
  /** Gives permits back, and answers how many are then free. Dies with a `RangeError` for more than are held. */
  release(permits: number): Effect.Effect<number>
  /** Changes how many permits exist. Growing admits waiters at once; shrinking lets holders finish. */
  resize(permits: number): Effect.Effect<void>
  /** What the semaphore is doing right now. */
  readonly stats: Effect.Effect<Stats>
  /** The same, without an effect. */
  statsUnsafe(): Stats
}

/** Makes a semaphore outside of an effect. Throws a `RangeError` unless `permits` is a whole number, 0 or more. */
export const makeUnsafe = (permits: number): Semaphore => {
  const queue = makePermits(permits)
  const statsUnsafe = (): Stats => queue.stats()
  return {
    withPermit: (self) => queue.using(self, 1),
    withPermits: (permits) => {
      queue.check(permits)
      return (self) => queue.using(self, permits)
    },
    withPermitsIfAvailable: (permits) => (self) =>
      Effect.uninterruptibleMask((restore) => {
        if (!queue.tryTake(permits)) return Effect.succeedNone
        return Effect.onExit(Effect.asSome(restore(self)), () => queue.releasing(permits))
      }),
    take: (permits) =>
      Effect.as(
        Effect.uninterruptibleMask((restore) => queue.acquire(permits, restore)),
        permits
      ),
    takeScoped: (permits) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(queue.acquire(permits, restore), () => Effect.addFinalizer(() => queue.releasing(permits)))
      ),
    takeIfAvailable: (permits) => Effect.sync(() => queue.tryTake(permits)),
    release: (permits) => Effect.sync(() => queue.release(permits)),
    resize: (permits) => Effect.sync(() => queue.resize(permits)),
    stats: Effect.sync(statsUnsafe),
    statsUnsafe
  }
}

/**
 * Makes a semaphore. Dies with a `RangeError` unless `permits` is a whole number, 0 or more.
 *
 * @example
 * ```ts
 * import { Semaphore } from "@sluice/semaphore"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const semaphore = yield* Semaphore.make(2)
 *   let running = 0
 *   let most = 0
 *   const job = Effect.gen(function*() {
 *     most = Math.max(most, ++running)
 *     yield* Effect.yieldNow
 *     running--
 *   })
 *   yield* Effect.forEach(Array(10).keys(), () => semaphore.withPermit(job), { concurrency: "unbounded" })
 *   console.log(most) // => 2
 * })
 *
 * await Effect.runPromise(program)
 * ```
 */
export const make = (permits: number): Effect.Effect<Semaphore> => Effect.sync(() => makeUnsafe(permits))
