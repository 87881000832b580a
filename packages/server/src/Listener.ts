/**
 * A `node:http` server that hostile clients cannot hold: so many connections and no
 * more, so many requests on each, and a time for every phase of a request.
 *
 * @module
 */

import type * as Http from "node:http"
import type { Socket } from "node:net"
import * as Duration from "effect/Duration"
import { holdEarly } from "./internal/early.ts"
import { oneWriteResponse } from "./internal/oneWrite.ts"

export interface Options {
  /** Connections at once; further ones are closed before a byte is read. Default 1,000. */
  readonly maxConnections?: number | undefined
  /** Requests after which a connection is closed, 0 for any number. Default 0. */
  readonly maxRequestsPerConnection?: number | undefined
  /** How long the head of a request may take. Default 10 seconds. */
  readonly headersTimeout?: Duration.Input | undefined
  /** How long a request may take to come in, with its body. Default 1 minute. */
  readonly requestTimeout?: Duration.Input | undefined
  /** How long a connection may be idle between requests. Default 5 seconds. */
  readonly keepAliveTimeout?: Duration.Input | undefined
  /** Bytes of the largest head. Default 16 KiB. */
  readonly maxHeaderSize?: number | undefined
}

/** What a listener is doing right now. */
export interface Stats {
  readonly maxConnections: number
  /** Connections that are open. */
  readonly connections: number
  /** Connections that were closed since there were too many. Deno does not tell of them. */
  readonly dropped: number
  /** Requests that were no HTTP, or not in time, or had too large a head. */
  readonly refused: number
}

export interface Listener extends Http.Server {
  /** What the listener is doing right now. */
  statsUnsafe(): Stats
}

const whole = (name: string, value: number, least: number): number => {
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new RangeError(`Cannot make a listener with ${name} ${value}: a whole number, ${least} or more, is needed`)
}

const millis = (name: string, duration: Duration.Input): number => {
  const value = Duration.toMillis(duration)
  if (value >= 1 && Number.isFinite(value)) return Math.ceil(value)
  throw new RangeError(`Cannot make a listener with ${name} ${value} ms: 1 ms or more is needed`)
}

const refusals: Readonly<Record<string, readonly [status: number, title: string, detail: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, "Request Timeout", "The request did not come in time."],
  HPE_HEADER_OVERFLOW: [431, "Request Header Fields Too Large", "The head of the request is too large."],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, "Content Too Large", "The body of the request has too large an extension."]
}

const answerTo = (code: string | undefined): string => {
  const [status, title, detail] = refusals[code ?? ""] ?? [400, "Bad Request", "The request cannot be read."]
  const body = JSON.stringify({ type: "about:blank", title, status, detail })
  const head = [
    `HTTP/1.1 ${status} ${title}`,
    "Content-Type: application/problem+json",
    `Content-Length: ${body.length}`,
    "Connection: close"
  ]
  return `${head.join("\r\n")}\r\n\r\n${body}`
}

const isNode = (): boolean => process.versions["bun"] === undefined && process.versions["deno"] === undefined

const beginnings: ReadonlySet<unknown> = new Set(["request", "checkContinue", "upgrade"])

/**
 * Lets requests that their clients have given up fail in silence. They do so on Bun whether or not anybody reads them, and
 * a failure that nobody hears would end the process.
 */
const heedAborts = (server: Http.Server): void => {
  const { EventEmitter } = process.getBuiltinModule("node:events")
  const emit = server.emit.bind(server)
  server.emit = (name: string | symbol, ...args: ReadonlyArray<unknown>): boolean => {
    const [request] = args
    if (beginnings.has(name) && request instanceof EventEmitter) request.on("error", () => undefined)
    return Reflect.apply(emit, server, [name, ...args])
  }
}

/**
 * Makes the server that `NodeHttpServer.layer` serves with. Throws a `RangeError` if an option is out of range.
 *
 * **Details**
 *
 * Slow heads and bodies end with 408, heads that are too large with 431, what is no HTTP with 400, all as problem details
 * and with the connection closed. Timeouts are looked at each second, or ten times within the shortest. A request that
 * waits for its handler is under none of them: `Admission` has timeouts for these.
 *
 * What comes before there are routes is kept for them.
 *
 * Node, Bun and Deno do all of it, with three differences. Deno does not tell which connections it has dropped. Bun counts
 * a connection that never sends a byte to `requestTimeout`, not to `headersTimeout`. And only on Node head and body of a
 * short response go out in one write.
 *
 * @example
 * ```ts
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Listener } from "@sluice/server"
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 *
 * const routes = HttpRouter.add("GET", "/", Effect.succeed(HttpServerResponse.text("hello")))
 * const listener = Listener.make({ maxConnections: 500, headersTimeout: "5 seconds" })
 * const server = HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
 *   Layer.provide(NodeHttpServer.layer(() => listener, { host: "127.0.0.1", port: 0 }))
 * )
 *
 * const program = Effect.gen(function*() {
 *   yield* Layer.build(server)
 *   console.log(listener.statsUnsafe().maxConnections) // => 500
 * })
 *
 * await Effect.runPromise(Effect.scoped(program))
 * ```
 */
export const make = (options: Options = {}): Listener => {
  const http = process.getBuiltinModule("node:http")
  const maxConnections = whole("maxConnections", options.maxConnections ?? 1000, 1)
  const headersTimeout = millis("headersTimeout", options.headersTimeout ?? "10 seconds")
  const requestTimeout = millis("requestTimeout", options.requestTimeout ?? "1 minute")
  if (headersTimeout > requestTimeout) {
    throw new RangeError(
      `Cannot make a listener with headersTimeout ${headersTimeout} ms: it is part of requestTimeout, which is ${requestTimeout} ms`
    )
  }
  const server = http.createServer({
    headersTimeout,
    requestTimeout,
    keepAliveTimeout: millis("keepAliveTimeout", options.keepAliveTimeout ?? "5 seconds"),
    maxHeaderSize: whole("maxHeaderSize", options.maxHeaderSize ?? 16_384, 256),
    connectionsCheckingInterval: Math.max(10, Math.min(1000, Math.floor(headersTimeout / 10))),
    ...(isNode() ? { ServerResponse: oneWriteResponse(http) } : undefined)
  })
  server.maxConnections = maxConnections
  const maxRequests = whole("maxRequestsPerConnection", options.maxRequestsPerConnection ?? 0, 0)
  if (maxRequests > 0) {
    // Node's own limit leaves the connection open, and refuses what comes on it.
    const counts = new WeakMap<Socket, number>()
    server.on("request", ({ socket }, response) => {
      const count = (counts.get(socket) ?? 0) + 1
      counts.set(socket, count)
      if (count >= maxRequests) response.shouldKeepAlive = false
    })
  }
  if (process.versions["bun"] !== undefined) heedAborts(server)
  let connections = 0
  let dropped = 0
  let refused = 0
  server.on("connection", (socket: Socket) => {
    connections++
    socket.once("close", () => connections--)
  })
  server.on("drop", () => dropped++)
  server.on("clientError", (error: Error & { readonly code?: string }, socket) => {
    refused++
    if (error.code === "ECONNRESET" || !socket.writable) socket.destroy()
    // What has been written is sent; what the client still sends is not waited for.
    else socket.end(answerTo(error.code), () => socket.destroy())
  })
  holdEarly(server, maxConnections)
  return Object.assign(server, { statsUnsafe: (): Stats => ({ maxConnections, connections, dropped, refused }) })
}
