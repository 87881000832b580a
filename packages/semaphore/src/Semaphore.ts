/**
 * Bounds how many effects run at once.
 *
 * Waiters are served strictly in the order of their arrival, whatever their
 * weight, so a heavy request is never starved by light ones. Every operation
 * costs O(1), however many fibers wait.
 *
 * @module
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { acquire, using, usingIfAvailable } from "./internal/gate.ts"
import { tryTake } from "./internal/line.ts"
import { PermitQueue } from "./internal/permitQueue.ts"

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

/** What a refused caller is told. */
export interface SemaphoreClosedFields {
  /** Permits that there were. */
  readonly capacity: number
}

const SemaphoreClosedBase: new (
  fields: SemaphoreClosedFields
) => Cause.YieldableError & { readonly _tag: "@sluice/semaphore/SemaphoreClosed" } & SemaphoreClosedFields =
  Data.TaggedError("@sluice/semaphore/SemaphoreClosed")<SemaphoreClosedFields>

/** The semaphore was closed before the permits were taken. The effect was not run. */
export class SemaphoreClosed extends SemaphoreClosedBase {
  override get message(): string {
    return "The semaphore is closed: it gives out no more permits"
  }
}

export interface Options {
  /**
   * Who is served first: the one that waits for the longest (`"fifo"`) or for the shortest (`"lifo"`). Default `"fifo"`.
   *
   * Under a lasting overload a fair line makes everybody wait for so long that nobody is served in time. Last in, first
   * out serves those that came last in no time and lets the oldest time out, so it belongs around work whose callers
   * give up, with a deadline on each; where everything must be done in the end, it starves what came first.
   */
  readonly order?: "fifo" | "lifo" | undefined
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
 * whoever releases them, so a newcomer cannot overtake a fiber that was just woken. `E` is what those who wait may fail
 * with: nothing, unless the semaphore can be closed.
 *
 * **Gotchas**
 *
 * Asking for more permits than the semaphore has dies with a `RangeError`: it could never be served. One that a later
 * `resize` has made too large waits until the semaphore grows again. The queue has no bound: see `Bulkhead`.
 */
export interface Semaphore<out E = never> {
  /** Runs an effect holding one permit. O(1); allocates no waiter and does not suspend if the permit is free. */
  withPermit<A, E1, R>(self: Effect.Effect<A, E1, R>): Effect.Effect<A, E1 | E, R>
  /** Runs an effect holding `permits` permits, which are given back however it ends. O(1). */
  withPermits(permits: number): <A, E1, R>(self: Effect.Effect<A, E1, R>) => Effect.Effect<A, E1 | E, R>
  /** Runs an effect if the permits are free at once, and answers `None` if they are not. */
  withPermitsIfAvailable(
    permits: number
  ): <A, E1, R>(self: Effect.Effect<A, E1, R>) => Effect.Effect<Option.Option<A>, E1, R>
  /** Takes permits, waiting for them if need be, and answers how many. Whoever takes must `release`. */
  take(permits: number): Effect.Effect<number, E>
  /** Takes permits until the scope closes. */
  takeScoped(permits: number): Effect.Effect<void, E, Scope.Scope>
  /** Takes permits if they are free at once, and answers whether they were. */
  takeIfAvailable(permits: number): Effect.Effect<boolean>
  /** The same, without an effect. */
  takeIfAvailableUnsafe(permits: number): boolean
  /** Gives permits back, and answers how many are then free. Dies with a `RangeError` for more than are held. */
  release(permits: number): Effect.Effect<number>
  /** The same, without an effect: throws the `RangeError`. */
  releaseUnsafe(permits: number): number
  /** Changes how many permits exist. Growing admits waiters at once; shrinking lets holders finish. */
  resize(permits: number): Effect.Effect<void>
  /** Waits until no permit is held and nobody waits for one. */
  readonly awaitIdle: Effect.Effect<void>
  /** What the semaphore is doing right now. */
  readonly stats: Effect.Effect<Stats>
  /** The same, without an effect. */
  statsUnsafe(): Stats
}

/** A semaphore that can be closed, for a drain: `close`, then `awaitIdle`. */
export interface ClosableSemaphore extends Semaphore<SemaphoreClosed> {
  /**
   * Gives out no more permits: those who wait fail with {@link SemaphoreClosed}, and so does whoever comes later (what
   * asks only for what is free finds nothing). Holders finish. O(waiters).
   */
  readonly close: Effect.Effect<void>
}

const fromQueue = <E>(queue: PermitQueue<Effect.Effect<never, E>>): Semaphore<E> => {
  let rejected = 0
  const takeIfAvailableUnsafe = (permits: number): boolean => {
    const isTaken = tryTake(queue, permits)
    if (!isTaken) rejected++
    return isTaken
  }
  const statsUnsafe = (): Stats => ({ ...queue.snapshot(), rejected })
  return {
    withPermit: (self) => using(queue, self, 1),
    withPermits: (permits) => {
      queue.check(permits)
      return (self) => using(queue, self, permits)
    },
    withPermitsIfAvailable: (permits) => (self) =>
      Effect.tap(usingIfAvailable(queue, self, permits), (result) => {
        if (result._tag === "None") rejected++
        return Effect.void
      }),
    take: (permits) =>
      Effect.as(
        Effect.uninterruptibleMask((restore) => acquire(queue, permits, restore)),
        permits
      ),
    takeScoped: (permits) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(acquire(queue, permits, restore), () =>
          Effect.addFinalizer(() => Effect.sync(() => queue.release(permits)))
        )
      ),
    takeIfAvailable: (permits) => Effect.sync(() => takeIfAvailableUnsafe(permits)),
    takeIfAvailableUnsafe,
    release: (permits) => Effect.sync(() => queue.giveBack(permits)),
    releaseUnsafe: (permits) => queue.giveBack(permits),
    resize: (permits) => Effect.sync(() => queue.resize(permits)),
    awaitIdle: Effect.callback((resume) => {
      const forget = queue.onIdle(() => resume(Effect.void))
      return Effect.sync(forget)
    }),
    stats: Effect.sync(statsUnsafe),
    statsUnsafe
  }
}

/** Makes a semaphore outside of an effect. Throws a `RangeError` unless `permits` is a whole number, 0 or more. */
export const makeUnsafe = (permits: number, options: Options = {}): Semaphore =>
  fromQueue(new PermitQueue<Effect.Effect<never>>(permits, options.order === "lifo"))

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
export const make = (permits: number, options?: Options): Effect.Effect<Semaphore> =>
  Effect.sync(() => makeUnsafe(permits, options))

/**
 * Makes a semaphore that can be closed; whoever waits for its permits may fail with {@link SemaphoreClosed}.
 *
 * @example
 * ```ts
 * import { Semaphore } from "@sluice/semaphore"
 * import { Effect, Fiber } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const semaphore = yield* Semaphore.makeClosable(1)
 *   const request = (name: string) => semaphore.withPermit(Effect.delay(Effect.succeed(name), "10 millis"))
 *   const running = yield* Effect.forkChild(request("running"), { startImmediately: true })
 *   const waiting = yield* Effect.forkChild(Effect.flip(request("waiting")), { startImmediately: true })
 *   yield* semaphore.close
 *   yield* semaphore.awaitIdle
 *   console.log(yield* Fiber.join(running)) // => running
 *   console.log((yield* Fiber.join(waiting)).message) // => The semaphore is closed: it gives out no more permits
 * })
 *
 * await Effect.runPromise(program)
 * ```
 */
export const makeClosable = (permits: number, options: Options = {}): Effect.Effect<ClosableSemaphore> =>
  Effect.sync(() => {
    const queue = new PermitQueue<Effect.Effect<never, SemaphoreClosed>>(permits, options.order === "lifo")
    return {
      ...fromQueue(queue),
      close: Effect.sync(() =>
        queue.close(Effect.suspend(() => Effect.fail(new SemaphoreClosed({ capacity: queue.capacity }))))
      )
    }
  })
