/**
 * Bounds what all callers of a dependency retry together, so that retries do
 * not keep down what is already down.
 *
 * @module
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { makeRatio } from "./internal/ratioBudget.ts"
import { makeThrottle } from "./internal/throttleBudget.ts"

/** What a budget has seen and decided. */
export interface Stats {
  /** Retries that it granted and that were not given back. */
  readonly granted: number
  /** Retries that it denied. */
  readonly denied: number
  /** Retries that it would grant now, one after the other. */
  readonly available: number
}

/**
 * A budget, shared by as many callers as there are. `Retry` and `Hedge` do the book-keeping; the methods are for code
 * that has a loop of its own. Each costs O(1) and allocates nothing. Times are milliseconds of a clock that only goes
 * forward.
 */
export interface RetryBudget {
  /** A call begins; not a retry. */
  callUnsafe(now: number): void
  /** An attempt succeeded. */
  succeededUnsafe(): void
  /** An attempt failed in a way that is worth another, or was pushed back. */
  failedUnsafe(): void
  /** Takes one retry out of the budget. `false` if there is none: then it may not be made. */
  tryRetryUnsafe(now: number): boolean
  /** Gives back one that was taken at a time and not made: its caller was interrupted while it waited. */
  refundUnsafe(takenAt: number): void
  /** The same figures as `stats`, without an effect. */
  statsUnsafe(now: number): Stats
  readonly stats: Effect.Effect<Stats>
}

export interface Options {
  /** Retries for a call. Kept to six decimals. Default 0.2. */
  readonly ratio?: number | undefined
  /** Retries a second that are granted however few calls there are. Default 10. */
  readonly minPerSecond?: number | undefined
  /** How long a call counts; a second or more. Default 10 seconds. */
  readonly window?: Duration.Input | undefined
}

/**
 * Grants retries as a part of the calls of the last seconds. Throws a `RangeError` if an option is out of range.
 *
 * **Details**
 *
 * In any window, granted retries are at most `ratio · calls + minPerSecond · window`: with the defaults a dependency that
 * fails wholly sees 1.2 times its normal load, and ten attempts a second more. What the window has saved up may be spent
 * at once: a shorter window spreads it more evenly.
 *
 * A hedge within a retry, or a retry within another, that share a budget count as one call.
 *
 * The parameters are Finagle's (`RetryBudget.scala`: 10 s, 10 a second, 20 %). Counts are whole numbers, so that no
 * ratio is rounded to another, and the window slides by a tenth of itself.
 *
 * @example
 * ```ts
 * import { Backoff, Retry, RetryBudget } from "@sluice/retry"
 * import { Effect } from "effect"
 *
 * const budget = RetryBudget.makeUnsafe({ ratio: 0.2, minPerSecond: 0 })
 * let attempts = 0
 * const call = Effect.suspend(() => (attempts++, Effect.fail("down"))).pipe(
 *   Retry.retry({ backoff: Backoff.exponential({ base: "1 millis" }), maxAttempts: 4, budget }),
 *   Effect.ignore
 * )
 *
 * await Effect.runPromise(Effect.repeat(call, { times: 99 }))
 * console.log(attempts) // => 120
 * ```
 */
export const makeUnsafe = (options: Options = {}): RetryBudget => {
  const ratio = options.ratio ?? 0.2
  const minPerSecond = options.minPerSecond ?? 10
  const window = Duration.toMillis(options.window ?? "10 seconds")
  if (!(ratio >= 0 && ratio <= 1000)) {
    throw new RangeError(`Cannot make a retry budget with ratio ${ratio}: a number from 0 to 1000 is needed`)
  }
  if (!(minPerSecond >= 0 && minPerSecond <= 1e6)) {
    throw new RangeError(`Cannot make a retry budget with minPerSecond ${minPerSecond}: 0 to 1000000 is needed`)
  }
  if (!(window >= 1000 && window <= 3_600_000)) {
    throw new RangeError(`Cannot make a retry budget with window ${window} ms: a second to an hour is needed`)
  }
  return makeRatio(ratio, minPerSecond, window)
}

/** Makes a budget. Dies with a `RangeError` if an option is out of range. */
export const make = (options?: Options): Effect.Effect<RetryBudget> => Effect.sync(() => makeUnsafe(options))

export interface ThrottleOptions {
  /** Tokens at most and at first; above 0, to 1000. Default 10. */
  readonly maxTokens?: number | undefined
  /** What a success gives back; above 0. Kept to three decimals. Default 0.1. */
  readonly tokenRatio?: number | undefined
}

/**
 * gRPC's retry throttling (proposal A6, `retryThrottling`): a failure takes a token, a success gives back a part of one,
 * and retries are granted while more than half of the tokens are there. Throws a `RangeError` if an option is out of
 * range.
 */
export const throttleUnsafe = (options: ThrottleOptions = {}): RetryBudget => {
  const maxTokens = options.maxTokens ?? 10
  const tokenRatio = options.tokenRatio ?? 0.1
  if (!(maxTokens > 0 && maxTokens <= 1000)) {
    throw new RangeError(`Cannot throttle retries with maxTokens ${maxTokens}: a number above 0, to 1000, is needed`)
  }
  if (!(tokenRatio >= 0.001 && tokenRatio <= 1000)) {
    throw new RangeError(`Cannot throttle retries with tokenRatio ${tokenRatio}: 0.001 to 1000 is needed`)
  }
  return makeThrottle(maxTokens, tokenRatio)
}

/** Makes a throttle. Dies with a `RangeError` if an option is out of range. */
export const throttle = (options?: ThrottleOptions): Effect.Effect<RetryBudget> =>
  Effect.sync(() => throttleUnsafe(options))
