/**
 * A small server to call: it echoes in each of the four ways that gRPC has, and
 * tells of its health. For tests, examples and load.
 *
 * @module
 */
import * as http2 from "node:http2"
import { ConnectError, type ConnectRouter } from "@connectrpc/connect"
import { connectNodeAdapter } from "@connectrpc/connect-node"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Health, HealthCheckResponse_ServingStatus } from "./gen/grpc/health/v1/health_pb.ts"
import { EchoService } from "./gen/sluice/echo/v1/echo_pb.ts"

export interface Options {
  /** Default: one that is free. */
  readonly port?: number | undefined
  /** Streams that it allows on one connection. Default 100. */
  readonly maxConcurrentStreams?: number | undefined
}

/** What it has seen. */
export interface Stats {
  /** Connections that are open, and those that there have been. */
  readonly connections: number
  readonly accepted: number
  /** Calls of the echo service: all, those at work, and the most there were at once. */
  readonly calls: number
  readonly running: number
  readonly mostRunning: number
}

export interface EchoServer {
  /** `http://127.0.0.1:port` */
  readonly address: string
  readonly port: number
  statsUnsafe(): Stats
  /** What the health service answers from now on. It begins as serving. */
  setServing(isServing: boolean): void
  /** Sends GOAWAY on every connection, which finish what they have. */
  goAway(): void
  /** Drops every connection, and takes new ones. */
  dropConnections(): void
}

const sleep = (millis: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (millis === 0 || signal.aborted) {
      resolve()
      return
    }
    const timer = setTimeout(resolve, millis)
    signal.addEventListener("abort", () => {
      clearTimeout(timer)
      resolve()
    })
  })

class Running {
  readonly sessions: Set<http2.ServerHttp2Session> = new Set()
  accepted = 0
  calls = 0
  running = 0
  mostRunning = 0
  isServing = true

  begin(): number {
    this.running++
    this.mostRunning = Math.max(this.mostRunning, this.running)
    return ++this.calls
  }

  async *count(
    request: { readonly to: number; readonly delayMillis: number },
    signal: AbortSignal
  ): AsyncGenerator<{ message: string; call: number }> {
    const call = this.begin()
    try {
      for (let i = 1; i <= request.to && !signal.aborted; i++) {
        await sleep(request.delayMillis, signal)
        yield { message: String(i), call }
      }
    } finally {
      this.running--
    }
  }

  routes(router: ConnectRouter): void {
    const respond = async (
      request: { readonly message: string; readonly delayMillis: number; readonly failWith: number },
      signal: AbortSignal
    ): Promise<{ message: string; call: number }> => {
      const call = this.begin()
      try {
        await sleep(request.delayMillis, signal)
        signal.throwIfAborted()
        if (request.failWith !== 0) throw new ConnectError(request.message, request.failWith)
        return { message: request.message, call }
      } finally {
        this.running--
      }
    }
    router.service(EchoService, {
      echo: (request, context) => {
        const header = context.requestHeader.get("x-echo")
        if (header !== null) {
          context.responseHeader.set("x-echo", header)
          context.responseTrailer.set("x-echo-after", header)
        }
        return respond(request, context.signal)
      },
      count: (request, { signal }) => this.count(request, signal),
      async collect(requests) {
        const messages: Array<string> = []
        for await (const { message } of requests) messages.push(message)
        return { messages }
      },
      async *chat(requests, { signal }) {
        for await (const request of requests) yield respond(request, signal)
      }
    })
    const health = (): { status: HealthCheckResponse_ServingStatus } => ({
      status: this.isServing ? HealthCheckResponse_ServingStatus.SERVING : HealthCheckResponse_ServingStatus.NOT_SERVING
    })
    router.service(Health, { check: health })
  }
}

/**
 * Starts a server on loopback, which ends with its scope. It speaks gRPC, gRPC-web and Connect over HTTP/2 in plain text.
 *
 * @example
 * ```ts
 * import { GrpcPool } from "@sluice/grpc-pool"
 * import { EchoServer, EchoService } from "@sluice/grpc-pool/testing"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const server = yield* EchoServer.make()
 *   const pool = yield* GrpcPool.make({ addresses: [server.address] })
 *   const { message } = yield* pool.client(EchoService).echo({ message: "hello" })
 *   console.log(message) // => hello
 * })
 *
 * await Effect.runPromise(Effect.scoped(program))
 * ```
 */
export const make = (options: Options = {}): Effect.Effect<EchoServer, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ server: http2.Http2Server; running: Running }>((resume) => {
        const running = new Running()
        const server = http2.createServer(
          { settings: { maxConcurrentStreams: options.maxConcurrentStreams ?? 100 } },
          connectNodeAdapter({ routes: (router) => running.routes(router) })
        )
        server.on("session", (session) => {
          running.accepted++
          running.sessions.add(session)
          session.on("close", () => running.sessions.delete(session))
          // A client that goes away is nothing to report.
          session.on("error", () => {})
        })
        server.on("error", (error) => resume(Effect.die(error)))
        server.listen(options.port ?? 0, "127.0.0.1", () => resume(Effect.succeed({ server, running })))
      }),
      ({ running, server }) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          for (const session of running.sessions) session.destroy()
        })
    ),
    ({ running, server }) => {
      const bound = server.address()
      const port = typeof bound === "object" && bound !== null ? bound.port : 0
      return {
        address: `http://127.0.0.1:${port}`,
        port,
        statsUnsafe: () => ({
          connections: running.sessions.size,
          accepted: running.accepted,
          calls: running.calls,
          running: running.running,
          mostRunning: running.mostRunning
        }),
        setServing: (isServing) => {
          running.isServing = isServing
        },
        goAway: () => {
          for (const session of running.sessions) if (!session.destroyed) session.goaway(0)
        },
        dropConnections: () => {
          for (const session of running.sessions) session.destroy()
        }
      }
    }
  )
