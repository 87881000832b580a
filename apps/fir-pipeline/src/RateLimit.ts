/**
 * How many requests an address may make.
 *
 * @module
 */
import { KeyedRateLimiter } from "@sluice/rate-limiter"
import { Context, Duration, Effect, Layer } from "effect"

/** Addresses whose requests are counted; the least recently seen are forgotten beyond it. */
const ADDRESSES = 100_000

export interface RateLimitApi {
  /** The seconds to wait, or 0 when the request may go. */
  admit(address: string): Effect.Effect<number>
  /** Addresses that have used some of their share. */
  activeClients(): number
}

export const RateLimit: Context.Service<RateLimitApi, RateLimitApi> =
  Context.Service<RateLimitApi>("fir-pipeline/RateLimit")

export const layer = (options: {
  readonly requests: number
  readonly windowSeconds: number
}): Layer.Layer<RateLimitApi> =>
  Layer.effect(
    RateLimit,
    Effect.map(
      KeyedRateLimiter.make({
        limit: options.requests,
        interval: `${options.windowSeconds} seconds`,
        maxKeys: ADDRESSES
      }),
      (limiter) => ({
        admit: (address) =>
          Effect.map(limiter.tryTake(address), ({ allowed, retryAfter }) =>
            allowed ? 0 : Math.max(1, Math.ceil(Duration.toSeconds(retryAfter)))
          ),
        activeClients: () => limiter.statsUnsafe().keys
      })
    )
  )
