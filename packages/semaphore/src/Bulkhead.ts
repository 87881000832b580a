/**
 * Bounds how many effects run at once and how many may wait for it, and for how
 * long. What is beyond that is refused at once, with a typed error that says
 * how full it was, so that an overload is answered instead of queued.
 *
 * @module
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { using, usingInTime } from "./internal/gate.ts"
import { PermitQueue } from "./internal/permitQueue.ts"
import type * as Semaphore from "./Semaphore.ts"

/** What a refused caller is told. */
export interface BulkheadFullFields {
  readonly permits: number
  readonly maxWaiting: number
}

const BulkheadFullBase: new (
  fields: BulkheadFullFields
) => Cause.YieldableError & { readonly _tag: "@sluice/semaphore/BulkheadFull" } & BulkheadFullFields = Data.TaggedError(
  "@sluice/semaphore/BulkheadFull"
)<BulkheadFullFields>

/** Every permit is held and every place in the queue is taken. The effect was not run. */
export class BulkheadFull extends BulkheadFullBase {
  override get message(): string {
    return `The bulkhead is full: ${this.permits} running and ${this.maxWaiting} waiting are all it takes`
  }
}

/** What a caller that waited too long is told. */
export interface BulkheadTimeoutFields {
  /** Milliseconds since it arrived. */
  readonly waitedMillis: number
}

const BulkheadTimeoutBase: new (
  fields: BulkheadTimeoutFields
) => Cause.YieldableError & { readonly _tag: "@sluice/semaphore/BulkheadTimeout" } & BulkheadTimeoutFields =
  Data.TaggedError("@sluice/semaphore/BulkheadTimeout")<BulkheadTimeoutFields>

/** No permit came free within `maxWait` of arriving. The effect was not run. */
export class BulkheadTimeout extends BulkheadTimeoutBase {
  override get message(): string {
    return `No permit of the bulkhead came free within ${this.waitedMillis} ms`
  }
}

export interface Options {
  /** Effects that run at once. */
  readonly permits: number
  /** Effects that wait. With 0, whatever cannot run at once is refused. */
  readonly maxWaiting: number
  /** Longest wait, from arrival. Default: as long as it takes. */
  readonly maxWait?: Duration.Input | undefined
}

/**
 * Permits with a bounded queue.
 *
 * **Details**
 *
 * First come, first served. An effect that was given a place in the queue keeps it: no newcomer displaces it. Joining,
 * leaving and admission cost O(1).
 */
export interface Bulkhead {
  /** Runs an effect when a permit is free, or fails without having run it. */
  withPermit<A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | BulkheadFull | BulkheadTimeout, R>
  /** What the bulkhead is doing right now; `rejected` counts those refused and those that waited too long. */
  readonly stats: Effect.Effect<Semaphore.Stats>
  /** The same, without an effect. */
  statsUnsafe(): Semaphore.Stats
}

/** Makes a bulkhead outside of an effect. Throws a `RangeError` if an option is out of range. */
export const makeUnsafe = ({ maxWait, maxWaiting, permits }: Options): Bulkhead => {
  if (!Number.isSafeInteger(maxWaiting) || maxWaiting < 0) {
    throw new RangeError(`Cannot make a bulkhead with maxWaiting ${maxWaiting}: a whole number, 0 or more, is needed`)
  }
  const queue = new PermitQueue(permits)
  const duration = maxWait === undefined ? undefined : Duration.fromInputUnsafe(maxWait)
  let refused = 0
  const bound =
    duration === undefined
      ? undefined
      : {
          maxWait: duration,
          onTimeout: () => {
            refused++
            return new BulkheadTimeout({ waitedMillis: Duration.toMillis(duration) })
          }
        }
  const statsUnsafe = (): Semaphore.Stats => ({ ...queue.snapshot(), rejected: refused })
  return {
    withPermit: <A, E, R>(self: Effect.Effect<A, E, R>) =>
      Effect.suspend((): Effect.Effect<A, E | BulkheadFull | BulkheadTimeout, R> => {
        if (!queue.isFree(1) && queue.waiting >= maxWaiting) {
          refused++
          return Effect.fail(new BulkheadFull({ permits, maxWaiting }))
        }
        return bound === undefined ? using(queue, self, 1) : usingInTime(queue, self, 1, bound)
      }),
    stats: Effect.sync(statsUnsafe),
    statsUnsafe
  }
}

/**
 * Makes a bulkhead. Dies with a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { Bulkhead } from "@sluice/semaphore"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const bulkhead = yield* Bulkhead.make({ permits: 1, maxWaiting: 0 })
 *   const refused = yield* bulkhead.withPermit(Effect.flip(bulkhead.withPermit(Effect.void)))
 *   console.log(refused.message) // => The bulkhead is full: 1 running and 0 waiting are all it takes
 * })
 *
 * await Effect.runPromise(program)
 * ```
 */
export const make = (options: Options): Effect.Effect<Bulkhead> => Effect.sync(() => makeUnsafe(options))
