/**
 * Several limits taken together, all or none, across all processes that share a Redis.
 *
 * @module
 */
import { RateLimiter } from "@sluice/rate-limiter"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { decisionOf } from "./internal/decision.ts"
import { takeScript } from "./internal/limitScripts.ts"
import { checkCost, type LimitOptions, makeLimits, type Outcome, type Shape, shapeOf } from "./internal/limits.ts"
import type { Stats } from "./RedisRateLimiter.ts"
import { type RedisAway, RedisSession } from "./RedisSession.ts"
import type { WhenAway } from "./WhenAway.ts"

export type { Stats } from "./RedisRateLimiter.ts"

export interface Options<Name extends string> {
  /** What names the quota: all who give the same name share it. */
  readonly name: string
  /** The limits by their names: `{ requests: { limit: 60, interval: "1 minute" }, tokens: { … } }`. */
  readonly limits: Readonly<Record<Name, LimitOptions>>
  /** What to do when Redis is away. Default `failClosed`. */
  readonly whenAway?: WhenAway | undefined
}

/** Whether a request may go, and how each limit stands. */
export interface QuotaDecision<Name extends string> {
  readonly allowed: boolean
  /** How long until the same request would be allowed by all. Zero when it was. */
  readonly retryAfter: Duration.Duration
  readonly limits: Readonly<Record<Name, RateLimiter.Decision>>
}

/**
 * Limits that a request has to satisfy all of: requests a minute and tokens a minute.
 *
 * **Details**
 *
 * One script, in one round trip, looks at all limits of a key and takes from all or from none; their keys are in one slot
 * of a cluster. Otherwise as `RedisRateLimiter`, which see. While Redis is away `localShare` holds a sliding window as a
 * GCRA of the same limit.
 */
export interface RedisQuota<Name extends string> {
  /** Takes a cost of each limit, if all are free at once. A limit without a cost is not touched. */
  tryTake(key: string, costs: Readonly<Partial<Record<Name, number>>>): Effect.Effect<QuotaDecision<Name>, RedisAway>
  /** Takes a cost of each limit, waiting until all are free, unless that would take too long. */
  take(
    key: string,
    costs: Readonly<Partial<Record<Name, number>>>,
    options?: RateLimiter.TakeOptions
  ): Effect.Effect<void, RedisAway | RateLimiter.RateLimitExceeded>
  /** What this process has had. */
  readonly stats: Effect.Effect<Stats>
  /** The same, outside of an effect. */
  statsUnsafe(): Stats
}

/**
 * Makes this process's side of a quota. Dies with a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { NodeRedis } from "@effect/platform-node"
 * import { RedisSession } from "@sluice/redis"
 * import { RedisQuota } from "@sluice/redis/quota"
 * import { Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const quota = yield* RedisQuota.make({
 *     name: "model",
 *     limits: { requests: { limit: 60, interval: "1 minute" }, tokens: { limit: 1000, interval: "1 minute" } }
 *   })
 *   yield* quota.tryTake("ann", { requests: 1, tokens: 800 })
 *   const { allowed, limits } = yield* quota.tryTake("ann", { requests: 1, tokens: 800 })
 *   console.log(allowed, limits.requests.remaining) // => false 59
 * })
 *
 * const redis = NodeRedis.layer({ url: process.env["REDIS_URL"] ?? "redis://localhost" })
 * const session = RedisSession.layer().pipe(Layer.provide(redis))
 * await Effect.runPromise(program.pipe(Effect.provide(session)))
 * ```
 */
export const make = <const Name extends string>(
  options: Options<Name>
): Effect.Effect<RedisQuota<Name>, never, RedisSession> =>
  Effect.gen(function* () {
    const session = yield* RedisSession
    const entries = Object.entries<LimitOptions>(options.limits).map(([name, limit]): readonly [string, Shape] => [
      name,
      shapeOf(limit)
    ])
    if (entries.length === 0) throw new RangeError(`Cannot make the quota ${options.name}: it has no limit`)
    const limits = makeLimits(session, {
      name: options.name,
      whenAway: options.whenAway ?? "failClosed",
      limits: Object.fromEntries(entries),
      script: yield* takeScript(entries.map(([, shape]) => shape))
    })

    const costsOf = (costs: Readonly<Record<string, number | undefined>>): ReadonlyArray<number> => {
      for (const name of Object.keys(costs)) {
        if (!entries.some(([known]) => known === name)) {
          throw new RangeError(`Cannot take ${name} from the quota ${options.name}: it has no such limit`)
        }
      }
      const list = entries.map(([name, shape]) => {
        const cost = costs[name] ?? 0
        checkCost(shape, cost, 0)
        return cost
      })
      if (!list.some((cost) => cost > 0)) {
        throw new RangeError(`Cannot take nothing from the quota ${options.name}: a cost above 0 is needed`)
      }
      return list
    }

    const decisionsOf = (outcome: Outcome): Record<Name, RateLimiter.Decision> => {
      const decisions: Partial<Record<string, RateLimiter.Decision>> = {}
      for (const [index, [name, shape]] of entries.entries()) decisions[name] = decisionOf(shape, outcome, index)
      // The names are those of `options.limits`, which `Object.entries` tells as strings.
      return decisions as Record<Name, RateLimiter.Decision>
    }

    const statsUnsafe = (): Stats => ({ ...limits.counts, isAway: session.isAway() })
    return {
      tryTake: (key, costs) =>
        Effect.suspend(() =>
          Effect.map(limits.decide(key, costsOf(costs), 0), (outcome) => ({
            allowed: outcome.allowed,
            retryAfter: Duration.millis(outcome.allowed ? 0 : outcome.waitMillis),
            limits: decisionsOf(outcome)
          }))
        ),
      take: (key, costs, takeOptions) => {
        const maxWait = takeOptions === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(takeOptions.maxWait)
        return Effect.uninterruptibleMask((restore) =>
          Effect.suspend(() => {
            const list = costsOf(costs)
            return Effect.flatMap(
              restore(limits.decide(key, list, maxWait)),
              (outcome): Effect.Effect<void, RateLimiter.RateLimitExceeded> => {
                if (outcome.allowed) return limits.await(key, outcome, restore)
                // The limit that has to be waited for longest is the one that refuses.
                const waits = outcome.parts.map((part) => part.retryMillis)
                const slowest = waits.indexOf(Math.max(...waits))
                return Effect.fail(
                  new RateLimiter.RateLimitExceeded({
                    key,
                    cost: list[slowest] ?? 0,
                    limit: entries[slowest]?.[1].limit ?? 0,
                    retryAfter: Duration.millis(outcome.waitMillis)
                  })
                )
              }
            )
          })
        )
      },
      stats: Effect.sync(statsUnsafe),
      statsUnsafe
    }
  })
