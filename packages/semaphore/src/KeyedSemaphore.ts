/**
 * Bounds how many effects run at once for each key, and over all keys, so that a
 * noisy tenant can neither take everything nor keep a quiet one waiting.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { acquire, using, usingIfAvailable } from "./internal/gate.ts"
import { KeyedPermits } from "./internal/keyedPermits.ts"
import { isCount, tryTake } from "./internal/line.ts"
import type * as Semaphore from "./Semaphore.ts"

/** What the semaphore is doing right now, over all keys. */
export interface Stats extends Semaphore.Stats {
  /** Keys that hold or await permits. Of no other is anything kept. */
  readonly keys: number
}

/** What one key is doing right now. */
export interface KeyStats {
  readonly capacity: number
  readonly held: number
  readonly waiting: number
}

export interface Options<K> {
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
 * **When to use**
 *
 * To bound calls to each host of a crawler, requests of each tenant, jobs of each customer, where all of them share
 * something that is scarce too.
 *
 * **Details**
 *
 * Within a key, first come, first served. Permits that come free over all go to the keys in turn, one request each, so a
 * request at the head of its key waits for at most one of every other key, however many wait there. A key that has used up
 * its own permits passes its turn. Every operation costs O(1), and a key has state only while it holds or awaits permits:
 * memory grows with what is in use, not with the keys that were ever seen.
 *
 * **Gotchas**
 *
 * Keys are compared as those of a `Map`. Asking for more than a key or all of them together can have dies with a
 * `RangeError`.
 */
export interface KeyedSemaphore<in K> {
  /** Runs an effect holding one permit of a key. */
  withPermit(key: K): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Runs an effect holding `permits` permits of a key, which are given back however it ends. */
  withPermits(key: K, permits: number): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Runs an effect if the permits are free at once, and answers `None` if they are not. */
  withPermitsIfAvailable(
    key: K,
    permits: number
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<Option.Option<A>, E, R>
  /** Takes permits of a key, waiting for them if need be, and answers how many. Whoever takes must `release`. */
  take(key: K, permits: number): Effect.Effect<number>
  /** Takes permits of a key until the scope closes. */
  takeScoped(key: K, permits: number): Effect.Effect<void, never, Scope.Scope>
  /** Takes permits of a key if they are free at once, and answers whether they were. */
  takeIfAvailable(key: K, permits: number): Effect.Effect<boolean>
  /** Gives permits of a key back. Dies with a `RangeError` for more than the key holds. */
  release(key: K, permits: number): Effect.Effect<void>
  /** What the semaphore is doing right now. */
  readonly stats: Effect.Effect<Stats>
  /** The same, without an effect. */
  statsUnsafe(): Stats
  /** What a key is doing right now. */
  keyStatsUnsafe(key: K): KeyStats
}

const checked = (name: string, value: number): number => {
  if (isCount(value) && value > 0) return value
  throw new RangeError(`Cannot make a keyed semaphore with ${name} ${value}: a whole number, 1 or more, is needed`)
}

/** Makes a keyed semaphore outside of an effect. Throws a `RangeError` if an option is out of range. */
export const makeUnsafe = <K>({ permits, permitsPerKey }: Options<K>): KeyedSemaphore<K> => {
  const all = permits === undefined ? Number.MAX_SAFE_INTEGER : checked("permits", permits)
  const capacityOf =
    typeof permitsPerKey === "number"
      ? () => permitsPerKey
      : (key: K) => checked(`permitsPerKey of key ${String(key)}`, permitsPerKey(key))
  if (typeof permitsPerKey === "number") checked("permitsPerKey", permitsPerKey)
  const keyed = new KeyedPermits<K>(all, capacityOf)
  let rejected = 0
  const count = <A>(isTaken: boolean, result: A): A => {
    if (!isTaken) rejected++
    return result
  }
  const takeIfAvailable = (key: K, permits: number): boolean => {
    const isTaken = tryTake(keyed.gate(key), permits)
    return count(isTaken, isTaken)
  }
  const withPermits =
    (key: K, permits: number) =>
    <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.suspend(() => using(keyed.gate(key), self, permits))
  const statsUnsafe = (): Stats => ({ ...keyed.snapshot(), rejected })
  return {
    withPermit: (key) => withPermits(key, 1),
    withPermits,
    withPermitsIfAvailable: (key, permits) => (self) =>
      Effect.suspend(() =>
        Effect.map(usingIfAvailable(keyed.gate(key), self, permits), (result) => count(result._tag === "Some", result))
      ),
    take: (key, permits) =>
      Effect.as(
        Effect.uninterruptibleMask((restore) => acquire(keyed.gate(key), permits, restore)),
        permits
      ),
    takeScoped: (key, permits) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(acquire(keyed.gate(key), permits, restore), () =>
          Effect.addFinalizer(() => Effect.sync(() => keyed.giveBack(key, permits)))
        )
      ),
    takeIfAvailable: (key, permits) => Effect.sync(() => takeIfAvailable(key, permits)),
    release: (key, permits) => Effect.sync(() => keyed.giveBack(key, permits)),
    stats: Effect.sync(statsUnsafe),
    statsUnsafe,
    keyStatsUnsafe: (key) => keyed.snapshotOf(key)
  }
}

/**
 * Makes a keyed semaphore. Dies with a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { KeyedSemaphore } from "@sluice/semaphore"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const semaphore = yield* KeyedSemaphore.make<string>({ permitsPerKey: 2, permits: 100 })
 *   const fetch = (host: string) => semaphore.withPermit(host)(Effect.succeed(`from ${host}`))
 *   console.log(yield* fetch("a.example")) // => from a.example
 *   console.log(semaphore.statsUnsafe().keys) // => 0
 * })
 *
 * await Effect.runPromise(program)
 * ```
 */
export const make = <K>(options: Options<K>): Effect.Effect<KeyedSemaphore<K>> => Effect.sync(() => makeUnsafe(options))
