/**
 * Bounds how much runs at once, how much may wait for it, and for how long; what is
 * beyond that is refused at once.
 *
 * @module
 */
import { PermitQueue } from "@sluice/semaphore/queues"
import * as EffectDuration from "effect/Duration"
import type { Duration } from "./Duration.ts"
import { makePermit, type Permit } from "./internal/permit.ts"
import { type Bound, enter, type Refusal } from "./internal/turnstile.ts"
import type { SemaphoreStats } from "./Semaphore.ts"

/** Every permit is held and every place in the line is taken. Nothing was run. */
export class BulkheadFull extends Error {
  override readonly name: string = "BulkheadFull"
  readonly permits: number
  readonly maxWaiting: number

  constructor(permits: number, maxWaiting: number) {
    super(`The bulkhead is full: ${permits} running and ${maxWaiting} waiting are all it takes`)
    this.permits = permits
    this.maxWaiting = maxWaiting
  }
}

/** No permit came free within `maxWait` of arriving. Nothing was run. */
export class BulkheadTimeout extends Error {
  override readonly name: string = "BulkheadTimeout"
  /** Milliseconds since it arrived. */
  readonly waitedMillis: number

  constructor(waitedMillis: number) {
    super(`No permit of the bulkhead came free within ${waitedMillis} ms`)
    this.waitedMillis = waitedMillis
  }
}

export interface BulkheadOptions {
  /** How much runs at once. */
  readonly permits: number
  /** How many wait. With 0, whatever cannot run at once is refused. */
  readonly maxWaiting: number
  /** Longest wait, from arrival. Default: as long as it takes. */
  readonly maxWait?: Duration | undefined
}

/** Permits with a bounded line. First come, first served; who has a place in the line keeps it. O(1). */
export interface Bulkhead {
  /** Runs a function when a permit is free, or rejects with {@link BulkheadFull} or {@link BulkheadTimeout}. */
  run<A>(f: () => A | PromiseLike<A>, options?: { readonly signal?: AbortSignal | undefined }): Promise<A>
  /** The same for a permit, to be held with `using`. */
  acquire(options?: { readonly signal?: AbortSignal | undefined }): Promise<Permit>
  /** What the bulkhead is doing right now; `rejected` counts those refused and those that waited too long. */
  stats(): SemaphoreStats
}

/**
 * Makes a bulkhead. Throws a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { BulkheadFull, createBulkhead } from "@sluice/promise"
 *
 * const bulkhead = createBulkhead({ permits: 1, maxWaiting: 0 })
 * using permit = await bulkhead.acquire()
 * const refused = await bulkhead.run(() => "answer").catch((error) => error)
 * console.log(refused instanceof BulkheadFull) // => true
 * console.log(refused.message) // => The bulkhead is full: 1 running and 0 waiting are all it takes
 * ```
 */
export const createBulkhead = ({ maxWait, maxWaiting, permits }: BulkheadOptions): Bulkhead => {
  if (!Number.isSafeInteger(maxWaiting) || maxWaiting < 0) {
    throw new RangeError(`Cannot make a bulkhead with maxWaiting ${maxWaiting}: a whole number, 0 or more, is needed`)
  }
  const queue = new PermitQueue<Refusal>(permits)
  let refused = 0
  const bound = maxWait === undefined ? undefined : makeBound(maxWait, () => refused++)
  const pass = (signal: AbortSignal | undefined): Promise<void> | undefined => {
    signal?.throwIfAborted()
    if (!queue.isFree(1) && queue.waiting >= maxWaiting) {
      refused++
      throw new BulkheadFull(permits, maxWaiting)
    }
    return enter(queue, 1, signal, bound)
  }
  const acquire: Bulkhead["acquire"] = async ({ signal } = {}) => {
    const entering = pass(signal)
    if (entering !== undefined) await entering
    return makePermit(1, (taken) => queue.release(taken))
  }
  return {
    acquire,
    run: async (f, { signal } = {}) => {
      const entering = pass(signal)
      if (entering !== undefined) await entering
      try {
        return await f()
      } finally {
        queue.release(1)
      }
    },
    stats: () => ({ ...queue.snapshot(), rejected: refused })
  }
}

/** How long somebody waits for a permit; `onRefused` is told of each that waited too long. */
export const makeBound = (maxWait: Duration, onRefused: () => void): Bound => {
  const maxWaitMillis = EffectDuration.toMillis(maxWait)
  return {
    maxWaitMillis,
    onTimeout: () => {
      onRefused()
      return new BulkheadTimeout(maxWaitMillis)
    }
  }
}
