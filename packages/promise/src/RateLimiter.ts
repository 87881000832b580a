/**
 * Bounds how much may be done per unit of time.
 *
 * @module
 */
import { KeyedRateLimiter as Keyed, RateLimiter as Limiter } from "@sluice/rate-limiter"
import type { Duration } from "./Duration.ts"
import { plainDecision, plainReservation, toExceeded } from "./internal/decisions.ts"
import { run, runNow, unfailing } from "./internal/running.ts"
import type { RateDecision, RateReservation } from "./RateDecision.ts"

/**
 * How a limit of `N` per interval is kept. `gcra` and `token-bucket` allow, in any window of length `t`, at most
 * `burst + N · t / interval`; `leaky-bucket` spaces evenly; `fixed-window` allows `N` in each window, and twice as much
 * where two meet; `sliding-window-log` is exact and keeps each request; `sliding-window-counter` estimates it with four
 * numbers.
 */
export type RateAlgorithm =
  | "gcra"
  | "token-bucket"
  | "fixed-window"
  | "sliding-window-log"
  | "sliding-window-counter"
  | "leaky-bucket"

export interface RateLimit {
  /** Cost that an interval allows; a request costs 1 unless it says otherwise. May be a fraction. */
  readonly limit: number
  readonly interval: Duration
  /** Cost that may come at once, for `gcra` and `token-bucket`. Default: the limit. With 1, requests are evenly spaced. */
  readonly burst?: number | undefined
}

export interface RateLimiterOptions extends RateLimit {
  /** How the limit is kept. Default `gcra`. */
  readonly algorithm?: RateAlgorithm | undefined
}

export interface ReserveOptions {
  /** Default 1. */
  readonly cost?: number | undefined
  /** The longest wait. A request that cannot be served within it is refused at once, and takes nothing. */
  readonly maxWait?: Duration | undefined
}

export interface TakeOptions extends ReserveOptions {
  /** Leaves the line with nothing taken; the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** What a limiter is doing right now. */
export interface RateLimiterStats {
  /** Cost that is allowed at once when nothing was taken. */
  readonly capacity: number
  /** Requests that wait for their turn. */
  readonly waiting: number
  /** Requests that were allowed, reservations with them. */
  readonly admitted: number
  /** Requests that were refused. */
  readonly rejected: number
}

/**
 * A limit on cost per interval.
 *
 * **Details**
 *
 * Whoever waits is served in order of arrival, and while anybody waits nobody else is. A decision costs O(1); one timer
 * runs however many wait. A cost above the burst could never be allowed, and is rejected with a `RangeError`.
 */
export interface RateLimiter {
  /** Takes a cost if it is free at once. Default cost 1. */
  tryTake(cost?: number): RateDecision
  /** Takes a cost, waiting for its turn; rejects with `RateLimitExceeded` where that would take longer than `maxWait`. */
  take(options?: TakeOptions): Promise<void>
  /** Calls a function once its cost is taken. */
  run<A>(f: () => A | PromiseLike<A>, options?: TakeOptions): Promise<A>
  /** Takes a cost for the earliest time that it may be used, and tells that time. Throws `RateLimitExceeded`. */
  reserve(options?: ReserveOptions): RateReservation
  /** Settles afterwards what a request has really cost: takes `delta` more, or gives back where it is negative. */
  adjust(delta: number): void
  /** Changes the limit. What is taken stays taken, and those who wait keep their places. */
  updateLimit(change: Partial<RateLimit>): void
  /** Allows nothing for a time, from now on, whatever is free; zero ends it. */
  block(duration: Duration): void
  /** What the limiter is doing right now. */
  stats(): RateLimiterStats
}

/**
 * Makes a limiter. Throws a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { createRateLimiter } from "@sluice/promise"
 *
 * const limiter = createRateLimiter({ limit: 2, interval: "1 minute" })
 * console.log([1, 2, 3].map(() => limiter.tryTake().allowed)) // => [ true, true, false ]
 * ```
 */
export const createRateLimiter = (options: RateLimiterOptions): RateLimiter => {
  const limiter = Limiter.makeUnsafe(options)
  const take = ({ cost = 1, maxWait, signal }: TakeOptions = {}): Promise<void> =>
    run(maxWait === undefined ? limiter.take(cost) : limiter.take(cost, { maxWait }), signal, toExceeded)
  return {
    tryTake: (cost) => plainDecision(limiter.tryTakeUnsafe(Date.now(), cost)),
    take,
    run: async (f, takeOptions) => {
      await take(takeOptions)
      takeOptions?.signal?.throwIfAborted()
      return f()
    },
    reserve: ({ cost = 1, maxWait } = {}) =>
      plainReservation(
        runNow(maxWait === undefined ? limiter.reserve(cost) : limiter.reserve(cost, { maxWait }), toExceeded)
      ),
    adjust: (delta) => runNow(limiter.adjust(delta), unfailing),
    updateLimit: (change) => runNow(limiter.updateConfig(change), unfailing),
    block: (duration) => runNow(limiter.block(duration), unfailing),
    stats: () => limiter.statsUnsafe()
  }
}

export interface KeyedRateLimiterOptions extends RateLimiterOptions {
  /** Keys whose state is kept; beyond it the least recently used are forgotten, and start anew. Default 1,000,000. */
  readonly maxKeys?: number | undefined
  /** Forgets a key that nobody asks for during this time. Default: once nothing of its limit is taken. */
  readonly maxIdle?: Duration | undefined
  /**
   * Which key goes when there are too many: the half that was not asked for since the other half was (`generations`, the
   * default, at no cost), or exactly the one that was not asked for longest.
   */
  readonly eviction?: "generations" | "least-recently-used" | undefined
  /** A key's own limit, or nothing for the usual one. Return the same object for the same limit. */
  readonly limitOf?: ((key: string) => RateLimit | undefined) | undefined
}

/** What a keyed limiter is doing right now. */
export interface KeyedRateLimiterStats extends RateLimiterStats {
  /** Keys whose state is kept. */
  readonly keys: number
  /** Keys that were forgotten while they might still have had something taken. */
  readonly evicted: number
}

/** A limit for each key, in bounded memory; each is as a {@link RateLimiter} is. */
export interface KeyedRateLimiter {
  /** Takes a cost of a key if it is free at once. Default cost 1. */
  tryTake(key: string, cost?: number): RateDecision
  /** Takes a cost of a key, waiting for its turn among those that wait for the same key. */
  take(key: string, options?: TakeOptions): Promise<void>
  /** Calls a function once its cost is taken. */
  run<A>(key: string, f: () => A | PromiseLike<A>, options?: TakeOptions): Promise<A>
  /** Takes a cost for the earliest time that it may be used, and tells that time. */
  reserve(key: string, options?: ReserveOptions): RateReservation
  /** Settles afterwards what a request has really cost. */
  adjust(key: string, delta: number): void
  /** Changes the usual limit. Costs O(keys). */
  updateLimit(change: Partial<RateLimit>): void
  /** Allows nothing for a key for a time, from now on. */
  block(key: string, duration: Duration): void
  /** What the limiter is doing right now. */
  stats(): KeyedRateLimiterStats
}

/**
 * Makes a keyed limiter. Throws a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { createKeyedRateLimiter } from "@sluice/promise"
 *
 * const limiter = createKeyedRateLimiter({ limit: 1, interval: "1 minute" })
 * console.log(["ann", "bob", "ann"].map((user) => limiter.tryTake(user).allowed)) // => [ true, true, false ]
 * ```
 */
export const createKeyedRateLimiter = (options: KeyedRateLimiterOptions): KeyedRateLimiter => {
  const limiter = Keyed.makeUnsafe(options)
  const take = (key: string, { cost = 1, maxWait, signal }: TakeOptions = {}): Promise<void> =>
    run(maxWait === undefined ? limiter.take(key, cost) : limiter.take(key, cost, { maxWait }), signal, toExceeded)
  return {
    tryTake: (key, cost) => plainDecision(limiter.tryTakeUnsafe(Date.now(), key, cost)),
    take,
    run: async (key, f, takeOptions) => {
      await take(key, takeOptions)
      takeOptions?.signal?.throwIfAborted()
      return f()
    },
    reserve: (key, { cost = 1, maxWait } = {}) =>
      plainReservation(
        runNow(maxWait === undefined ? limiter.reserve(key, cost) : limiter.reserve(key, cost, { maxWait }), toExceeded)
      ),
    adjust: (key, delta) => runNow(limiter.adjust(key, delta), unfailing),
    updateLimit: (change) => runNow(limiter.updateConfig(change), unfailing),
    block: (key, duration) => runNow(limiter.block(key, duration), unfailing),
    stats: () => limiter.statsUnsafe()
  }
}
