/**
 * Several limits taken together, all or none: requests a minute and tokens a minute.
 *
 * @module
 */
import { Quota as EffectQuota } from "@sluice/rate-limiter"
import * as EffectDuration from "effect/Duration"
import type { Duration } from "./Duration.ts"
import { plainDecision, toExceeded } from "./internal/decisions.ts"
import { run, runNow, unfailing } from "./internal/running.ts"
import type { RateDecision } from "./RateDecision.ts"
import type { RateLimit, RateLimiterOptions, RateLimiterStats } from "./RateLimiter.ts"

export interface QuotaOptions<Name extends string> {
  /** The limits by their names: `{ requests: { limit: 60, interval: "1 minute" }, tokens: { … } }`. */
  readonly limits: Readonly<Record<Name, RateLimiterOptions>>
}

/** What a request takes of each limit, by name. A limit that is not named is not touched. */
export type QuotaCosts<Name extends string> = Readonly<Partial<Record<Name, number>>>

/** Whether a request may go, and how each limit stands. */
export interface QuotaDecision<Name extends string> {
  readonly allowed: boolean
  /** Milliseconds until the same request would be allowed by all. Zero when it was. */
  readonly retryAfterMillis: number
  /** How each limit stands, and whether it would have allowed its cost. */
  readonly limits: Readonly<Record<Name, RateDecision>>
}

export interface QuotaTakeOptions {
  /** The longest wait. A request that cannot be served within it is refused at once, and takes nothing. */
  readonly maxWait?: Duration | undefined
  /** Leaves the line with nothing taken; the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** Limits that are taken together. Who waits is served in order of arrival. */
export interface Quota<Name extends string> {
  /** Takes a cost of each limit, if all are free at once. */
  tryTake(costs: QuotaCosts<Name>): QuotaDecision<Name>
  /** Takes a cost of each limit, waiting until all are free; rejects with `RateLimitExceeded` after `maxWait`. */
  take(costs: QuotaCosts<Name>, options?: QuotaTakeOptions): Promise<void>
  /** Calls a function once its costs are taken. */
  run<A>(costs: QuotaCosts<Name>, f: () => A | PromiseLike<A>, options?: QuotaTakeOptions): Promise<A>
  /** Settles afterwards what a request has really cost: takes more, even where that is not free, or gives back. */
  adjust(deltas: QuotaCosts<Name>): void
  /** Changes one limit. What is taken stays taken, and those who wait keep their places. */
  updateLimit(name: Name, change: Partial<RateLimit>): void
  /** Allows nothing for a time, from now on, whatever is free; zero ends it. */
  block(duration: Duration): void
  /** What the quota is doing right now. */
  stats(): Omit<RateLimiterStats, "capacity">
}

/**
 * Makes a quota. Throws a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { createQuota } from "@sluice/promise"
 *
 * const quota = createQuota({
 *   limits: {
 *     requests: { limit: 60, interval: "1 minute" },
 *     tokens: { limit: 10_000, interval: "1 minute" }
 *   }
 * })
 *
 * const answer = await quota.run({ requests: 1, tokens: 4_000 }, async () => ({ tokens: 1_500 }))
 * quota.adjust({ tokens: answer.tokens - 4_000 })
 * const { allowed, limits } = quota.tryTake({ requests: 1, tokens: 9_000 })
 * console.log(allowed, limits.requests.allowed, limits.tokens.allowed) // => false true false
 * ```
 */
export const createQuota = <const Name extends string>(options: QuotaOptions<Name>): Quota<Name> => {
  const quota = EffectQuota.makeUnsafe<Name>(options)
  const take = (costs: QuotaCosts<Name>, { maxWait, signal }: QuotaTakeOptions = {}): Promise<void> =>
    run(maxWait === undefined ? quota.take(costs) : quota.take(costs, { maxWait }), signal, toExceeded)
  return {
    tryTake: (costs) => {
      const decision = quota.tryTakeUnsafe(Date.now(), costs)
      const limits: Partial<Record<Name, RateDecision>> = {}
      for (const name in decision.limits) limits[name] = plainDecision(decision.limits[name])
      return {
        allowed: decision.allowed,
        retryAfterMillis: EffectDuration.toMillis(decision.retryAfter),
        // Each of the quota's names has been filled in.
        limits: limits as Record<Name, RateDecision>
      }
    },
    take,
    run: async (costs, f, takeOptions) => {
      await take(costs, takeOptions)
      takeOptions?.signal?.throwIfAborted()
      return f()
    },
    adjust: (deltas) => runNow(quota.adjust(deltas), unfailing),
    updateLimit: (name, change) => runNow(quota.updateConfig(name, change), unfailing),
    block: (duration) => runNow(quota.block(duration), unfailing),
    stats: () => quota.statsUnsafe()
  }
}
