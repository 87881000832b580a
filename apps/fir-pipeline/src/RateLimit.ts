/**
 * How many requests a client may make: of this server, or of all that share a Redis.
 *
 * @module
 */
import { KeyedRateLimiter, type RateLimiter } from "@sluice/rate-limiter"
import { RedisRateLimiter, type RedisSession } from "@sluice/redis"
import { Context, Duration, Effect, Layer } from "effect"

/** Clients whose requests are counted; the least recently seen are forgotten beyond it. */
const CLIENTS = 100_000

export interface RateLimitApi {
  /** The seconds to wait, or 0 when the request may go. */
  admit(client: string): Effect.Effect<number>
  /** Clients of this server that have used some of their share. */
  activeClients(): number
}

export const RateLimit: Context.Service<RateLimitApi, RateLimitApi> =
  Context.Service<RateLimitApi>("fir-pipeline/RateLimit")

export interface Options {
  readonly requests: number
  readonly windowSeconds: number
}

const secondsOf = ({ allowed, retryAfter }: RateLimiter.Decision): number =>
  allowed ? 0 : Math.max(1, Math.ceil(Duration.toSeconds(retryAfter)))

const alone = (options: Options) =>
  KeyedRateLimiter.make({
    limit: options.requests,
    interval: `${options.windowSeconds} seconds`,
    maxKeys: CLIENTS
  })

export const layer = (options: Options): Layer.Layer<RateLimitApi> =>
  Layer.effect(
    RateLimit,
    Effect.map(alone(options), (limiter) => ({
      admit: (client) => Effect.map(limiter.tryTake(client), secondsOf),
      activeClients: () => limiter.statsUnsafe().keys
    }))
  )

/**
 * One limit for all servers. While Redis is away each holds clients to its share of it; those seen here are counted beside,
 * for the figures.
 */
export const shared = (options: Options): Layer.Layer<RateLimitApi, never, RedisSession.RedisSession> =>
  Layer.effect(
    RateLimit,
    Effect.gen(function* () {
      const seen = yield* alone(options)
      const limiter = yield* RedisRateLimiter.make({
        name: "requests",
        limit: options.requests,
        interval: `${options.windowSeconds} seconds`,
        whenAway: "localShare"
      })
      return {
        admit: (client) =>
          Effect.andThen(
            seen.tryTake(client),
            Effect.matchEffect(limiter.tryTake(client), {
              onFailure: () => Effect.succeed(0),
              onSuccess: (decision) => Effect.succeed(secondsOf(decision))
            })
          ),
        activeClients: () => seen.statsUnsafe().keys
      }
    })
  )
