/**
 * An HTTP client whose limits hold: so many connections in all and to each
 * server, so many kept idle, and a time for each phase of a request.
 *
 * `HttpPool.layer` provides Effect's `HttpClient`, so a program that uses
 * `HttpClient` need not know of the pool. Requests wait for a permit in the order
 * of their arrival, at no cost to the connections; when one is sent, its
 * connection is there for it alone.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { makeClient } from "./internal/client.ts"
import { Names } from "./internal/names.ts"
import { proxyOf, settings } from "./internal/options.ts"
import { Pool } from "./internal/pool.ts"
import { poolStats } from "./internal/stats.ts"
import * as undici from "./internal/undici.ts"
import type * as PoolErrors from "./PoolError.ts"

export * from "./PoolError.ts"

/** What a pool is made with. Everything has a default. */
export interface Options {
  /** Time for a connection to be ready: name, TCP, proxy and TLS together. Default 30 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /**
   * Longest time in which nothing moves on a connection that has a request: no byte sent, none received, none read by
   * the program. Default 180 seconds.
   */
  readonly readTimeout?: Duration.Input | undefined
  /** The same while the body of the response comes. Default: `readTimeout`. */
  readonly bodyTimeout?: Duration.Input | undefined
  /** Longest wait for a connection to come free. Default 300 seconds. */
  readonly poolTimeout?: Duration.Input | undefined
  /**
   * How long a request waits for a connection until a warning is logged, one a minute at most. Default 10 seconds;
   * `Infinity`: never.
   */
  readonly warnAfter?: Duration.Input | undefined
  /** Connections at once, over all origins, idle ones included. Default 50. */
  readonly maxConnections?: number | undefined
  /** Connections at once to one origin. Default: as many as `maxConnections`. */
  readonly maxConnectionsPerOrigin?: number | undefined
  /** Idle connections that are kept, over all origins. With 0, every request has a fresh connection. Default 10. */
  readonly maxKeepAliveConnections?: number | undefined
  /** How long an idle connection is kept; a shorter time that the server names holds instead. Default 300 seconds. */
  readonly keepAliveExpiry?: Duration.Input | undefined
  /** Age at which a connection is used no more, so that a change of address is seen. Default: none. */
  readonly maxConnectionAge?: Duration.Input | undefined
  /** Requests after which a connection is used no more. Default: no limit. */
  readonly maxRequestsPerConnection?: number | undefined
  /** Bytes that the body of a response may have. Default: no limit. */
  readonly maxResponseSize?: number | undefined
  /** Origins of which statistics and state are kept; of those without connections the oldest is forgotten. Default 1000. */
  readonly maxOrigins?: number | undefined
  /**
   * Whether to offer HTTP/2 to servers with TLS; with `"prior-knowledge"` it is spoken to every server, TLS or not,
   * without asking. Default false.
   */
  readonly http2?: boolean | "prior-knowledge" | undefined
  /** Requests at once on one HTTP/2 connection, if the server allows as many. Default 100. */
  readonly maxStreams?: number | undefined
  /** How often an HTTP/2 connection in use is asked whether it is alive; one that does not answer is closed. Default 60 seconds. */
  readonly pingInterval?: Duration.Input | undefined
  /** How long the addresses of a name are remembered; connections take them in turn. Default 10 seconds. */
  readonly dnsTtl?: Duration.Input | undefined
  /** Certificates, keys and what to accept, as in `node:tls`. Default: the runtime's. */
  readonly tls?: TlsOptions | undefined
  /** A proxy that every connection goes through, in a tunnel. Default: none; no environment variable is read. */
  readonly proxy?: ProxyOptions | undefined
  /** A unix socket that every connection goes to, whatever the origin. */
  readonly socketPath?: string | undefined
  /** The local address to connect from. */
  readonly localAddress?: string | undefined
  /** Whether `isolated` isolates. If not, it is the same as `client`. Default true. */
  readonly isolation?: boolean | undefined
  /** When the pool closes, how long requests in flight may go on. Default 5 seconds. */
  readonly drainTimeout?: Duration.Input | undefined
}

/** The part of Node's TLS options that a client needs; with `cert` and `key`, the client shows a certificate of its own. */
export interface TlsOptions {
  readonly ca?: string | Array<string>
  readonly cert?: string
  readonly key?: string
  readonly passphrase?: string
  /** Whether the server's certificate must be valid. Default true. */
  readonly rejectUnauthorized?: boolean
  /** The name that the server's certificate must have, if not the host's. */
  readonly servername?: string
  readonly minVersion?: "TLSv1.2" | "TLSv1.3"
  readonly ciphers?: string
}

/** A proxy. User and password may stand in the URL, or the whole `Proxy-Authorization` field in `authorization`. */
export interface ProxyOptions {
  readonly url: string | URL
  readonly authorization?: Redacted.Redacted<string> | undefined
  /** Hosts that are reached without the proxy; `.example.org` means the domain and all below it. */
  readonly except?: ReadonlyArray<string> | undefined
}

/** Why connections were closed. */
export interface ClosedBy {
  /** Idle for longer than `keepAliveExpiry`, or than the server allows. */
  readonly expired: number
  /** The server closed it. */
  readonly peer: number
  /** Idle, to make room within `maxConnections` or `maxKeepAliveConnections`. */
  readonly evicted: number
  /** Too old, or used for too many requests. */
  readonly retired: number
  /** It served one isolated request. */
  readonly isolated: number
  /** Its request was interrupted, or the body of its response was given up. */
  readonly interrupted: number
  /** Connecting or reading took too long. */
  readonly timeout: number
  /** The transport or the protocol failed. */
  readonly failed: number
  /** The pool was closed. */
  readonly shutdown: number
}

/** What the pool does for one origin right now, and what it has done since it was made. */
export interface OriginStats {
  readonly origin: string
  /** Connections that stand. */
  readonly open: number
  /** Connections that stand and wait for a request. */
  readonly idle: number
  /** Requests that hold a permit, from the first attempt to connect to the last byte of the body. */
  readonly inFlight: number
  /** Requests that wait for a permit. */
  readonly waiting: number
  /** Connections made. */
  readonly created: number
  /** Connections closed. */
  readonly closed: number
  readonly closedBy: ClosedBy
  /** Requests that found an idle connection. */
  readonly reused: number
  /** Requests sent a second time because an idle connection had been closed by the server. */
  readonly replayed: number
  /** Requests that got a permit. */
  readonly admitted: number
  /** Requests that got none in time. */
  readonly rejected: number
}

/** The sums over all origins. */
export interface Stats extends Omit<OriginStats, "origin"> {
  /** `maxConnections`. */
  readonly capacity: number
  readonly origins: ReadonlyArray<OriginStats>
}

/** Something that happened to a pool. */
export type PoolEvent =
  | { readonly _tag: "Opened"; readonly origin: string }
  | { readonly _tag: "Closed"; readonly origin: string; readonly reason: keyof ClosedBy }
  /** A request has to wait for a permit, and none before it has. */
  | { readonly _tag: "Exhausted"; readonly origin: string }

/** A pool of connections. */
export interface HttpPool {
  /** The client that sends through the pool. */
  readonly client: HttpClient.HttpClient
  /**
   * A client whose every request has a fresh connection, closed after it, over HTTP/2 where the pool's own requests
   * would go over it. Limits, timeouts and TLS are the pool's, and its connections count among the pool's.
   */
  readonly isolated: HttpClient.HttpClient
  /** What the pool does, read when asked. Costs O(origins). */
  readonly stats: Effect.Effect<Stats>
  /** The same, without an effect. */
  statsUnsafe(): Stats
  /** What happens from now on. While a reader is 1000 events behind, no more are kept for any. */
  readonly events: Stream.Stream<PoolEvent>
  /**
   * Takes no new requests, lets those in flight end for `drainTimeout`, then closes every connection. The end of the
   * pool's scope does the same.
   */
  readonly close: Effect.Effect<void>
}

/** The pool, for those who read its statistics or want isolated requests. */
export const HttpPool: Context.Service<HttpPool, HttpPool> = Context.Service<HttpPool>("@sluice/http-pool/HttpPool")

/**
 * Makes a pool that is closed with its scope. Dies with a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { HttpPool } from "@sluice/http-pool"
 *
 * const program = Effect.gen(function*() {
 *   const pool = yield* HttpPool.make({ maxConnections: 8 })
 *   const { capacity, inFlight } = pool.statsUnsafe()
 *   console.log(`${inFlight} of ${capacity}`) // => 0 of 8
 * })
 *
 * await Effect.runPromise(Effect.scoped(program))
 * ```
 */
export const make = (options: Options = {}): Effect.Effect<HttpPool, never, Scope.Scope> =>
  Effect.gen(function* () {
    const checked = settings(options)
    const transport = yield* undici.load
    const network = yield* Effect.promise(async () => ({
      net: await import("node:net"),
      tls: await import("node:tls"),
      http2: await import("node:http2"),
      dns: await import("node:dns/promises")
    }))
    const clock = yield* Clock.Clock
    const route = {
      network,
      names: new Names(network, clock, checked.dnsMillis, checked.maxOrigins),
      tls: options.tls ?? {},
      proxy: proxyOf(options.proxy),
      socketPath: options.socketPath,
      localAddress: options.localAddress
    }
    const http2 = checked.http2 === false ? undefined : yield* Effect.promise(() => import("./internal/multiplexer.ts"))
    const context = yield* Effect.context<never>()
    const parts = {
      settings: checked,
      undici: transport,
      route,
      clock,
      events: yield* PubSub.dropping<PoolEvent>(1_000),
      Multiplexer: http2?.Multiplexer,
      warn: (message: string) => void Effect.runForkWith(context)(Effect.logWarning(message))
    }
    const pool = yield* Effect.acquireRelease(
      Effect.sync(() => new Pool(parts)),
      (pool) => pool.close
    )
    const client = makeClient(pool, false)
    return {
      client,
      isolated: options.isolation === false ? client : makeClient(pool, true),
      stats: Effect.sync(() => poolStats(pool)),
      statsUnsafe: () => poolStats(pool),
      events: Stream.fromPubSub(parts.events),
      close: pool.close
    }
  })

/** Provides Effect's `HttpClient` and the pool behind it. */
export const layer = (options: Options = {}): Layer.Layer<HttpPool | HttpClient.HttpClient> =>
  Layer.effectContext(
    Effect.map(make(options), (pool) =>
      Context.make(HttpPool, pool).pipe(Context.add(HttpClient.HttpClient, pool.client))
    )
  )

/** The same, with options from configuration. */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<HttpPool | HttpClient.HttpClient, Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layer))

/** The error of the pool in an error of the client, if it is the pool that failed. */
export const poolError = (error: unknown): Option.Option<PoolErrors.PoolError> => {
  let cause = error
  for (let depth = 0; depth < 4 && typeof cause === "object" && cause !== null; depth++) {
    if (isPoolError(cause)) return Option.some(cause)
    cause = "reason" in cause ? cause.reason : "cause" in cause ? cause.cause : undefined
  }
  return Option.none()
}

const isPoolError = (value: object): value is PoolErrors.PoolError =>
  "_tag" in value && typeof value._tag === "string" && value._tag.startsWith("@sluice/http-pool/")
