/**
 * Runs Effect's own rate limiter on the memory of this package's.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as EffectRateLimiter from "effect/persistence/RateLimiter"
import { type KeyStore, makeGenerations } from "./internal/keyStore.ts"
import { tolerance } from "./internal/meter.ts"
import { makeSteadyTime } from "./internal/steadyTime.ts"

export interface Options {
  /** Keys whose state is kept, for each algorithm; beyond it the least recently used start anew. Default 1,000,000. */
  readonly maxKeys?: number | undefined
}

interface Counted {
  count: number
  expiresAt: number
}

interface Bucket {
  tokens: number
  /** When the refill interval that runs now began. */
  since: number
  fullAt: number
}

/** How long a generation of keys lives at least. It lives on while one of its keys has something taken. */
const lifetime = 60_000

const clockOf = (fiber: Fiber.Fiber<unknown, unknown>): number => fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()

const storeOf = <S>(maxKeys: number, freeAt: (state: S) => number): KeyStore<S> =>
  makeGenerations<S>({ maxKeys, lifetime, maxIdle: undefined, freeAt: (_, state) => freeAt(state) })

const make = (
  maxKeys: number
): Effect.Effect<EffectRateLimiter.RateLimiterStore["Service"], never, EffectRateLimiter.RateLimiterStore> =>
  Effect.map(EffectRateLimiter.RateLimiterStore, (adaptive) => {
    const steady = makeSteadyTime()
    const counters = storeOf<Counted>(maxKeys, ({ expiresAt }) => expiresAt)
    const buckets = storeOf<Bucket>(maxKeys, ({ fullAt }) => fullAt)
    return EffectRateLimiter.RateLimiterStore.of({
      fixedWindow: ({ key, limit, refillRate, tokens }) =>
        Effect.withFiberSucceed((fiber): readonly [number, number] => {
          const now = steady.at(clockOf(fiber))
          const known = counters.get(key, now)
          const counter = known !== undefined && known.expiresAt > now ? known : { count: 0, expiresAt: now }
          if (limit !== undefined && counter.count + tokens > limit) {
            return [counter.count + tokens, counter.expiresAt - now]
          }
          counter.count += tokens
          counter.expiresAt += Duration.toMillis(refillRate) * tokens
          counters.set(key, counter, now)
          return [counter.count, counter.expiresAt - now]
        }),
      tokenBucket: ({ allowOverflow, key, limit, refillRate, tokens }) =>
        Effect.withFiberSucceed((fiber): readonly [number, number] => {
          const now = steady.at(clockOf(fiber))
          const refill = Duration.toMillis(refillRate)
          const bucket = buckets.get(key, now) ?? { tokens: limit, since: now, fullAt: now }
          const refills = Math.max(0, Math.floor((now - bucket.since + tolerance) / refill))
          bucket.tokens = Math.min(limit, bucket.tokens + refills)
          bucket.since = bucket.tokens >= limit ? now : bucket.since + refills * refill
          const left = bucket.tokens - tokens
          if (allowOverflow || left >= 0) bucket.tokens = left
          bucket.fullAt = bucket.since + (limit - bucket.tokens) * refill
          buckets.set(key, bucket, now)
          return [left, Math.max(0, now - bucket.since)]
        }),
      adaptiveConsume: adaptive.adaptiveConsume,
      adaptiveFeedback: adaptive.adaptiveFeedback
    })
  })

/**
 * A `RateLimiterStore` in memory, for Effect's `RateLimiter` and all that is built on it.
 *
 * **When to use**
 *
 * In place of Effect's `layerStoreMemory`, where keys come from users: that one keeps every key for ever.
 *
 * **Details**
 *
 * Keys whose limit is free again are forgotten, and of those that are not at most `maxKeys` are kept. Time never goes back:
 * where the clock is set back nobody waits for it to catch up. What Effect's limiter learns from answers of 429, it learns
 * in Effect's own memory store, which keeps a state for each key that has met one.
 *
 * @example
 * ```ts
 * import { RateLimiterStore } from "@sluice/rate-limiter/effect"
 * import { Effect, Layer } from "effect"
 * import { RateLimiter } from "effect/persistence"
 *
 * const program = Effect.gen(function*() {
 *   const withLimit = yield* RateLimiter.makeWithRateLimiter
 *   const call = withLimit({ key: "api", limit: 1, window: "1 minute" })(Effect.succeed("called"))
 *   console.log(yield* call) // => called
 *   console.log((yield* Effect.flip(call)).reason._tag) // => RateLimitExceeded
 * })
 *
 * const limiter = RateLimiter.layer.pipe(Layer.provide(RateLimiterStore.layer()))
 * await Effect.runPromise(program.pipe(Effect.provide(limiter)))
 * ```
 */
export const layer = (options?: Options): Layer.Layer<EffectRateLimiter.RateLimiterStore> =>
  Layer.effect(EffectRateLimiter.RateLimiterStore, make(options?.maxKeys ?? 1_000_000)).pipe(
    Layer.provide(EffectRateLimiter.layerStoreMemory)
  )
