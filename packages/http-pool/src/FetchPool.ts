/**
 * The limits of `HttpPool` over the platform's own `fetch`, for browsers and
 * workers, where there are no sockets to pool.
 *
 * What a program can hold there is how many requests are in flight and how long
 * they take. Connections belong to the platform: how many there are, which are
 * kept and which request is sent twice is its choice (Deno's `fetch` sends even
 * a `POST` again when a kept connection turns out to be closed).
 *
 * @module
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import { FetchLimits } from "./internal/fetchLimits.ts"
import { settings } from "./internal/options.ts"

/** What a pool over `fetch` is made with: those of `HttpPool.Options` that can be kept there. */
export interface Options {
  /** Requests in flight at once, each until the last byte of its body. Default 50. */
  readonly maxConnections?: number | undefined
  /** The same for one origin. Default: as many as `maxConnections`. */
  readonly maxConnectionsPerOrigin?: number | undefined
  /** Longest wait for a permit. Default 300 seconds. */
  readonly poolTimeout?: Duration.Input | undefined
  /** Longest time in which no head and no piece of the body comes, connecting included. Default 180 seconds. */
  readonly readTimeout?: Duration.Input | undefined
  /** Bytes that the body of a response may have. Default: no limit. */
  readonly maxResponseSize?: number | undefined
  /** Origins of which state is kept. Default 1000. */
  readonly maxOrigins?: number | undefined
  /** The function that sends. Default `globalThis.fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined
}

/** What the pool does right now, and has done. */
export interface Stats {
  /** `maxConnections`. */
  readonly capacity: number
  /** Requests that hold a permit. */
  readonly inFlight: number
  /** Requests that wait for one. */
  readonly waiting: number
  /** Requests that got one. */
  readonly admitted: number
  /** Requests that got none in time. */
  readonly rejected: number
}

/** Limits on the platform's `fetch`. */
export interface FetchPool {
  /** What the pool does, read when asked. */
  readonly stats: Effect.Effect<Stats>
  /** The same, without an effect. */
  statsUnsafe(): Stats
}

/** The pool, for those who read its statistics. */
export const FetchPool: Context.Service<FetchPool, FetchPool> =
  Context.Service<FetchPool>("@sluice/http-pool/FetchPool")

/**
 * Provides Effect's `HttpClient` over `fetch`, within limits. Failures are those of `HttpPool`: `PoolTimeout`,
 * `ReadTimeout`, `ResponseTooLarge`; whatever else `fetch` fails with stays as it is. Dies with a `RangeError` if an option
 * is out of range.
 *
 * @example
 * ```ts
 * import { FetchPool } from "@sluice/http-pool/fetch"
 * import { Effect } from "effect"
 * import { HttpClient } from "effect/http"
 *
 * const program = Effect.gen(function*() {
 *   const response = yield* HttpClient.get("data:text/plain,hello")
 *   console.log(yield* response.text) // => hello
 *   const pool = yield* FetchPool.FetchPool
 *   const { capacity, inFlight } = pool.statsUnsafe()
 *   console.log(`${inFlight} of ${capacity}`) // => 0 of 8
 * })
 *
 * await Effect.runPromise(Effect.provide(program, FetchPool.layer({ maxConnections: 8 })))
 * ```
 */
export const layer = (options: Options = {}): Layer.Layer<FetchPool | HttpClient.HttpClient> =>
  Layer.unwrap(
    Effect.map(Effect.context<never>(), (context) => {
      const limits = new FetchLimits(settings(options), options.fetch ?? globalThis.fetch, context)
      const pool: FetchPool = {
        stats: Effect.sync(() => limits.stats()),
        statsUnsafe: () => limits.stats()
      }
      return Layer.merge(
        Layer.provide(FetchHttpClient.layer, Layer.succeed(FetchHttpClient.Fetch)(limits.fetch)),
        Layer.succeed(FetchPool)(pool)
      )
    })
  )
