/**
 * A `fetch` with pooled connections and limits that hold.
 *
 * @module
 */
import { HttpPool } from "@sluice/http-pool"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import type { Duration } from "./Duration.ts"
import { makeFetch } from "./internal/pooledFetch.ts"
import { run, unfailing } from "./internal/running.ts"

/** What Node's TLS needs to be told of a client. */
export interface PoolTlsOptions {
  readonly ca?: string | Array<string>
  readonly cert?: string
  readonly key?: string
  readonly passphrase?: string
  /** Whether the server's certificate must be valid. Default true. */
  readonly rejectUnauthorized?: boolean
  readonly servername?: string
  readonly minVersion?: "TLSv1.2" | "TLSv1.3"
  readonly ciphers?: string
}

/** A proxy. User and password may stand in the URL, or the whole `Proxy-Authorization` field in `authorization`. */
export interface PoolProxyOptions {
  readonly url: string | URL
  readonly authorization?: string | undefined
  /** Hosts that are reached without the proxy; `.example.org` means the domain and all below it. */
  readonly except?: ReadonlyArray<string> | undefined
}

export interface PoolOptions {
  /** Time for a connection to be ready: name, TCP, proxy and TLS together. Default 30 seconds. */
  readonly connectTimeout?: Duration | undefined
  /** Longest time in which nothing moves on a connection that has a request. Default 180 seconds. */
  readonly readTimeout?: Duration | undefined
  /** The same while the body of the response comes. Default: `readTimeout`. */
  readonly bodyTimeout?: Duration | undefined
  /** Longest wait for a connection to come free. Default 300 seconds. */
  readonly poolTimeout?: Duration | undefined
  /** Connections at once, over all origins, idle ones included. Default 50. */
  readonly maxConnections?: number | undefined
  /** Connections at once to one origin. Default: as many as `maxConnections`. */
  readonly maxConnectionsPerOrigin?: number | undefined
  /** Idle connections that are kept, over all origins. With 0, every request has a fresh connection. Default 10. */
  readonly maxKeepAliveConnections?: number | undefined
  /** How long an idle connection is kept; a shorter time that the server names holds instead. Default 300 seconds. */
  readonly keepAliveExpiry?: Duration | undefined
  /** Age at which a connection is used no more, so that a change of address is seen. Default: none. */
  readonly maxConnectionAge?: Duration | undefined
  /** Requests after which a connection is used no more. Default: no limit. */
  readonly maxRequestsPerConnection?: number | undefined
  /** Bytes that the body of a response may have. Default: no limit. */
  readonly maxResponseSize?: number | undefined
  /** Origins of which statistics and state are kept. Default 1000. */
  readonly maxOrigins?: number | undefined
  /** Whether to offer HTTP/2 to servers with TLS; `"prior-knowledge"` speaks it to every server. Default false. */
  readonly http2?: boolean | "prior-knowledge" | undefined
  /** Requests at once on one HTTP/2 connection, if the server allows as many. Default 100. */
  readonly maxStreams?: number | undefined
  /** How long the addresses of a name are remembered. Default 10 seconds. */
  readonly dnsTtl?: Duration | undefined
  readonly tls?: PoolTlsOptions | undefined
  /** A proxy that every connection goes through, in a tunnel. Default: none; no environment variable is read. */
  readonly proxy?: PoolProxyOptions | undefined
  /** A unix socket that every connection goes to, whatever the origin. */
  readonly socketPath?: string | undefined
  /** The local address to connect from. */
  readonly localAddress?: string | undefined
  /** When the pool closes, how long requests in flight may go on. Default 5 seconds. */
  readonly drainTimeout?: Duration | undefined
}

/** What the pool does for one origin right now, and what it has done. */
export interface PoolOriginStats {
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
export interface PoolStats extends Omit<PoolOriginStats, "origin"> {
  /** `maxConnections`. */
  readonly capacity: number
  readonly origins: ReadonlyArray<PoolOriginStats>
}

/** Pooled connections. `await using pool = await createPool()` closes it. */
export interface Pool extends AsyncDisposable {
  /**
   * Sends through the pool. As the platform's `fetch`, with these differences: failures of the connection are a
   * `PoolError`; there is no cache, no cookie jar, no CORS and no decompression, and none is asked for; a connection is in
   * use until the body is read or cancelled.
   */
  readonly fetch: typeof globalThis.fetch
  /** The same, with a fresh connection for each request, closed after it. */
  readonly isolated: typeof globalThis.fetch
  /** What the pool does. Costs O(origins). */
  stats(): PoolStats
  /** Takes no new requests, lets those in flight end for `drainTimeout`, then closes every connection. */
  close(): Promise<void>
}

/**
 * Makes a pool. Rejects with a `RangeError` if an option is out of range. For Node, Bun and Deno.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http"
 * import { createPool } from "@sluice/promise/pool"
 *
 * const server = createServer((_, response) => response.end("hello")).listen(0)
 * const address = server.address()
 * const port = typeof address === "object" && address !== null ? address.port : 0
 * {
 *   await using pool = await createPool({ maxConnections: 8, readTimeout: "10 seconds" })
 *   const response = await pool.fetch(`http://localhost:${port}/`)
 *   console.log(response.status, await response.text()) // => 200 hello
 *   console.log(pool.stats().capacity) // => 8
 * }
 * server.close()
 * ```
 */
export const createPool = async (options: PoolOptions = {}): Promise<Pool> => {
  const { proxy, ...others } = options
  const authorization = proxy?.authorization
  const scope = await run(Scope.make(), undefined, unfailing)
  const making = HttpPool.make({
    ...others,
    proxy:
      proxy === undefined
        ? undefined
        : { ...proxy, authorization: authorization === undefined ? undefined : Redacted.make(authorization) }
  })
  const pool = await run(Effect.provideService(making, Scope.Scope, scope), undefined, unfailing)
  const close = (): Promise<void> => run(Scope.close(scope, Exit.void), undefined, unfailing)
  return {
    fetch: makeFetch(pool.client),
    isolated: makeFetch(pool.isolated),
    stats: () => pool.statsUnsafe(),
    close,
    [Symbol.asyncDispose]: close
  }
}
