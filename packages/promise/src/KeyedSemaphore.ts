/**
 * Bounds how much runs at once for each key, and over all keys.
 *
 * @module
 */
import { isCount, KeyedPermits, tryTake } from "@sluice/semaphore/queues"
import { makePermit, type Permit } from "./internal/permit.ts"
import { enter, hold } from "./internal/turnstile.ts"
import type { AcquireOptions, SemaphoreStats } from "./Semaphore.ts"

/** What the semaphore is doing right now, over all keys. */
export interface KeyedSemaphoreStats extends SemaphoreStats {
  /** Keys that hold or await permits. Of no other is anything kept. */
  readonly keys: number
}

/** What one key is doing right now. */
export interface KeyStats {
  readonly capacity: number
  readonly held: number
  readonly waiting: number
}

export interface KeyedSemaphoreOptions<K> {
  /**
   * Permits of each key: a whole number, 1 or more, or a function of the key that answers one. The function is asked
   * whenever a key comes into use.
   */
  readonly permitsPerKey: number | ((key: K) => number)
  /** Permits over all keys: a whole number, 1 or more. Default: no limit. */
  readonly permits?: number | undefined
}

/**
 * Permits for each key and over all.
 *
 * **Details**
 *
 * Within a key, first come, first served; between keys, in turn: a request at the head of its key waits for at most one of
 * every other key, however many wait there. Every operation costs O(1), and a key has state only while it is in use.
 */
export interface KeyedSemaphore<in K> {
  /** Runs a function holding permits of a key, which are given back however it ends. */
  run<A>(key: K, f: () => A | PromiseLike<A>, options?: AcquireOptions): Promise<A>
  /** Takes permits of a key, to be held with `using`. */
  acquire(key: K, options?: AcquireOptions): Promise<Permit>
  /** Takes permits of a key if they are free at once. */
  tryAcquire(key: K, permits?: number): Permit | undefined
  /** What the semaphore is doing right now. */
  stats(): KeyedSemaphoreStats
  /** What a key is doing right now. */
  keyStats(key: K): KeyStats
}

const checked = (name: string, value: number): number => {
  if (isCount(value) && value > 0) return value
  throw new RangeError(`Cannot make a keyed semaphore with ${name} ${value}: a whole number, 1 or more, is needed`)
}

/**
 * Makes a keyed semaphore. Throws a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { createKeyedSemaphore } from "@sluice/promise"
 *
 * const hosts = createKeyedSemaphore<string>({ permitsPerKey: 2, permits: 100 })
 * console.log(await hosts.run("a.example", () => "from a.example")) // => from a.example
 * console.log(hosts.stats().keys) // => 0
 * ```
 */
export const createKeyedSemaphore = <K>({ permits, permitsPerKey }: KeyedSemaphoreOptions<K>): KeyedSemaphore<K> => {
  const all = permits === undefined ? Number.MAX_SAFE_INTEGER : checked("permits", permits)
  if (typeof permitsPerKey === "number") checked("permitsPerKey", permitsPerKey)
  const capacityOf =
    typeof permitsPerKey === "number"
      ? () => permitsPerKey
      : (key: K) => checked(`permitsPerKey of key ${String(key)}`, permitsPerKey(key))
  const keyed = new KeyedPermits<K>(all, capacityOf)
  let rejected = 0
  return {
    run: async (key, f, { permits = 1, signal } = {}) => hold(keyed.gate(key), permits, f, signal),
    acquire: async (key, { permits = 1, signal } = {}) => {
      const gate = keyed.gate(key)
      const entering = enter(gate, permits, signal)
      if (entering !== undefined) await entering
      return makePermit(permits, (taken) => gate.release(taken))
    },
    tryAcquire: (key, permits = 1) => {
      const gate = keyed.gate(key)
      if (tryTake(gate, permits)) return makePermit(permits, (taken) => gate.release(taken))
      rejected++
      return undefined
    },
    stats: () => ({ ...keyed.snapshot(), rejected }),
    keyStats: (key) => keyed.snapshotOf(key)
  }
}
