/**
 * Sends a second copy of what takes unusually long, and takes whichever answer
 * comes first.
 *
 * @module
 */
import { Hedge as EffectHedge } from "@sluice/retry"
import * as Effect from "effect/Effect"
import type { Duration } from "./Duration.ts"
import { budgetOf } from "./internal/budgets.ts"
import { run } from "./internal/running.ts"
import type { AttemptContext, RetryBudget } from "./Retry.ts"

/** A delay learned from how long recent calls took. */
export interface QuantileDelay {
  /** The part of recent calls that were faster: 0.95 sends a copy of about 5 % of them. */
  readonly quantile: number
  /** The delay until there are enough calls to go by. */
  readonly initial: Duration
  /** How many calls are enough. Default 50. */
  readonly minSamples?: number | undefined
}

export interface HedgeOptions {
  /** The caller's word that running it twice does no more than running it once. There is no default. */
  readonly idempotent: true
  /** How long a copy is waited for before the next is sent. */
  readonly delay: Duration | QuantileDelay
  /** Copies at once, the first among them. Default 2. */
  readonly maxCopies?: number | undefined
  /** Bounds the copies of all who share it, together with their retries. Default: none. */
  readonly budget?: RetryBudget | undefined
}

/** What a hedge has done, in all its uses together. */
export interface HedgeStats {
  readonly calls: number
  /** Copies sent beside the first. */
  readonly hedges: number
  /** Calls that a copy answered first. */
  readonly won: number
  /** Copies that the budget denied. */
  readonly denied: number
  /** The delay that the next call would have. */
  readonly delayMillis: number
}

/** A policy to be made once and shared, so that it learns from all its uses. */
export interface HedgePolicy {
  /**
   * Calls a function, and again if it takes too long; the first success is the result. The signals of the losers abort;
   * they are not waited for.
   */
  run<A>(
    f: (context: AttemptContext) => A | PromiseLike<A>,
    options?: { readonly signal?: AbortSignal | undefined }
  ): Promise<A>
  stats(): HedgeStats
}

/**
 * Makes a hedge. Throws a `RangeError` if an option is out of range.
 *
 * **Details**
 *
 * A failure before any copy was sent is the result: to try again is {@link retry}'s part. Later ones are, once every copy
 * has failed.
 *
 * @example
 * ```ts
 * import { createHedge } from "@sluice/promise"
 *
 * const policy = createHedge({ idempotent: true, delay: "10 millis" })
 * const never = new Promise<string>(() => {})
 * console.log(await policy.run(({ attempt }) => (attempt === 1 ? never : `copy ${attempt}`))) // => copy 2
 * ```
 */
export const createHedge = (options: HedgeOptions): HedgePolicy => {
  const { budget } = options
  const policy = EffectHedge.hedge({ ...options, budget: budget === undefined ? undefined : budgetOf(budget) })
  return {
    run: (f, { signal } = {}) => {
      let attempt = 0
      const copy = Effect.tryPromise({
        try: async (signal) => f({ attempt: ++attempt, signal }),
        catch: (error) => error
      })
      return run(policy(copy), signal, (error) => error)
    },
    stats: () => policy.statsUnsafe()
  }
}

/** Calls a function, and again if it takes too long: a {@link createHedge} for one call. */
export const hedge = <A>(
  f: (context: AttemptContext) => A | PromiseLike<A>,
  options: HedgeOptions & { readonly signal?: AbortSignal | undefined }
): Promise<A> => {
  const { signal, ...policy } = options
  return createHedge(policy).run(f, { signal })
}
