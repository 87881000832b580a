/**
 * Bounds how many effects run at once, and serves the urgent before the rest,
 * without ever forgetting the rest: whoever waits is overtaken by so many
 * newcomers and no more.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { acquire, using, usingIfAvailable } from "./internal/gate.ts"
import { tryTake } from "./internal/line.ts"
import { PriorityQueue } from "./internal/priorityQueue.ts"
import type * as Semaphore from "./Semaphore.ts"

/** What a priority semaphore is doing right now. */
export interface Stats extends Semaphore.Stats {
  /** Fibers that wait in each class, the most urgent first. */
  readonly waitingByClass: ReadonlyArray<number>
}

export interface Options {
  /** Permits that exist. */
  readonly permits: number
  /** How many classes there are: 0 is the most urgent, `classes - 1` the least. 1 to 16. Default 3. */
  readonly classes?: number | undefined
  /**
   * How many later arrivals may overtake a waiter for each class that it is below the first. With 0, classes make no
   * difference. Default 16.
   */
  readonly ageing?: number | undefined
}

/**
 * Permits with a line in which the urgent go first.
 *
 * **When to use**
 *
 * Where some callers wait for an answer and others do not mind: requests of people before those of batches, over the same
 * scarce resource.
 *
 * **Details**
 *
 * Each class is served in the order of arrival. A waiter of class `c` ranks as if it had come `c × ageing` arrivals later
 * than it did, and the lowest rank goes next. So it is overtaken by at most `c × ageing` of those that come after it,
 * however many come; a waiter of the lowest class that finds `n` before it is admitted after at most
 * `n + (classes - 1) × ageing` others. While the next waiter cannot be served for want of permits, nobody is: weight
 * starves nobody. Every operation costs O(classes).
 *
 * **Gotchas**
 *
 * Urgency counts only in the line: whoever holds permits is never interrupted for somebody more urgent.
 */
export interface PrioritySemaphore {
  /** Runs an effect holding one permit, waiting in a class. */
  withPermit(priority: number): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Runs an effect holding `permits` permits, which are given back however it ends. */
  withPermits(permits: number, priority: number): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Runs an effect if the permits are free at once and nobody waits, and answers `None` if not. */
  withPermitsIfAvailable(
    permits: number
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<Option.Option<A>, E, R>
  /** Takes permits, waiting for them in a class, and answers how many. Whoever takes must `release`. */
  take(permits: number, priority: number): Effect.Effect<number>
  /** Takes permits until the scope closes. */
  takeScoped(permits: number, priority: number): Effect.Effect<void, never, Scope.Scope>
  /** Takes permits if they are free at once and nobody waits, and answers whether it did. */
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

/** Makes a priority semaphore outside of an effect. Throws a `RangeError` if an option is out of range. */
export const makeUnsafe = ({ ageing = 16, classes = 3, permits }: Options): PrioritySemaphore => {
  const queue = new PriorityQueue(permits, classes, ageing)
  let rejected = 0
  const takeIfAvailable = (permits: number): boolean => {
    const isTaken = tryTake(queue.gate(0), permits)
    if (!isTaken) rejected++
    return isTaken
  }
  const take = (permits: number, priority: number): Effect.Effect<void> =>
    Effect.uninterruptibleMask((restore) => acquire(queue.gate(priority), permits, restore))
  const withPermits =
    (permits: number, priority: number) =>
    <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.suspend(() => using(queue.gate(priority), self, permits))
  const statsUnsafe = (): Stats => ({ ...queue.snapshot(), rejected })
  return {
    withPermit: (priority) => withPermits(1, priority),
    withPermits,
    withPermitsIfAvailable: (permits) => (self) =>
      Effect.tap(usingIfAvailable(queue.gate(0), self, permits), (result) => {
        if (result._tag === "None") rejected++
        return Effect.void
      }),
    take: (permits, priority) => Effect.as(take(permits, priority), permits),
    takeScoped: (permits, priority) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(acquire(queue.gate(priority), permits, restore), () =>
          Effect.addFinalizer(() => Effect.sync(() => queue.release(permits)))
        )
      ),
    takeIfAvailable: (permits) => Effect.sync(() => takeIfAvailable(permits)),
    release: (permits) => Effect.sync(() => queue.giveBack(permits)),
    resize: (permits) => Effect.sync(() => queue.resize(permits)),
    stats: Effect.sync(statsUnsafe),
    statsUnsafe
  }
}

/**
 * Makes a priority semaphore. Dies with a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { PrioritySemaphore } from "@sluice/semaphore"
 * import { Effect, Fiber } from "effect"
 *
 * const person = 0
 * const batch = 1
 *
 * const program = Effect.gen(function*() {
 *   const semaphore = yield* PrioritySemaphore.make({ permits: 1, classes: 2 })
 *   const served: Array<string> = []
 *   const request = (name: string, priority: number) =>
 *     Effect.sync(() => served.push(name)).pipe(
 *       semaphore.withPermit(priority),
 *       Effect.forkChild({ startImmediately: true })
 *     )
 *   yield* semaphore.take(1, person)
 *   const waiting = [yield* request("batch", batch), yield* request("person", person)]
 *   yield* semaphore.release(1)
 *   yield* Effect.forEach(waiting, Fiber.join)
 *   console.log(served.join(", ")) // => person, batch
 * })
 *
 * await Effect.runPromise(program)
 * ```
 */
export const make = (options: Options): Effect.Effect<PrioritySemaphore> => Effect.sync(() => makeUnsafe(options))
