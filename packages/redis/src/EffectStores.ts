/**
 * The stores of Effect's own rate limiter and circuit breaker, on the same Redis.
 *
 * @module
 */
import * as Layer from "effect/Layer"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import * as RateLimiter from "effect/persistence/RateLimiter"
import type * as Redis from "effect/persistence/Redis"

export interface Options {
  /** What every key begins with. Default `sluice`. */
  readonly prefix?: string | undefined
}

/**
 * Provides the stores that Effect's `RateLimiter`, its `CircuitBreaker` and `HttpClient.withRateLimiter` ask for. They
 * are Effect's own, each under a prefix.
 *
 * **Gotchas**
 *
 * On a cluster, keys of a token bucket need a hash tag, `{client}`: Effect keeps two keys for one.
 *
 * @example
 * ```ts
 * import { NodeRedis } from "@effect/platform-node"
 * import { EffectStores } from "@sluice/redis/effect"
 * import { Effect, Layer } from "effect"
 * import { RateLimiter } from "effect/persistence"
 *
 * const program = Effect.gen(function*() {
 *   const limiter = yield* RateLimiter.RateLimiter
 *   const taken = yield* limiter.consume({ key: "client", limit: 10, window: "1 minute" })
 *   console.log(taken.remaining) // => 9
 * })
 *
 * const redis = NodeRedis.layer({ url: process.env["REDIS_URL"] ?? "redis://localhost" })
 * const live = RateLimiter.layer.pipe(Layer.provide(EffectStores.layer()), Layer.provide(redis))
 * await Effect.runPromise(program.pipe(Effect.provide(live)))
 * ```
 */
export const layer = (
  options: Options = {}
): Layer.Layer<RateLimiter.RateLimiterStore | CircuitBreaker.CircuitBreakerStore, never, Redis.Redis> => {
  const prefix = options.prefix ?? "sluice"
  return Layer.merge(
    RateLimiter.layerStoreRedis({ prefix: `${prefix}:limit:` }),
    CircuitBreaker.layerStoreRedis({ prefix: `${prefix}:circuit:` })
  )
}
