import * as http2 from "node:http2"
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect"
import { connectNodeAdapter } from "@connectrpc/connect-node"
import { expect, it } from "@effect/vitest"
import { GrpcPool, GrpcRetry } from "@sluice/grpc-pool"
import { EchoService } from "@sluice/grpc-pool/testing"
import { Backoff, Hedge, RetryBudget } from "@sluice/retry"
import { Effect, Stream } from "effect"
import { startRefusingServer } from "./processes.ts"
import { until } from "./until.ts"

type Unary = (call: number) => { readonly message: string } | Promise<{ readonly message: string }>

/** A server whose answers the test decides, by the number of the call. */
const scripted = (echo: Unary) =>
  Effect.acquireRelease(
    Effect.callback<{ address: string; calls: () => number; close: () => void }>((resume) => {
      let calls = 0
      const sessions = new Set<http2.ServerHttp2Session>()
      const routes = (router: ConnectRouter): void => {
        router.service(EchoService, {
          echo: () => echo(++calls),
          async *count({ to }) {
            calls++
            if (calls < 3) throw new ConnectError("not yet", Code.Unavailable)
            for (let i = 1; i <= to; i++) {
              if (i === 3) throw new ConnectError("half way", Code.Unavailable)
              yield { message: String(i) }
            }
          }
        })
      }
      const server = http2.createServer(connectNodeAdapter({ routes }))
      server.on("session", (session) => sessions.add(session))
      server.listen(0, "127.0.0.1", () => {
        const bound = server.address()
        const port = typeof bound === "object" && bound !== null ? bound.port : 0
        const close = (): void => {
          server.close()
          for (const session of sessions) session.destroy()
        }
        resume(Effect.succeed({ address: `127.0.0.1:${port}`, calls: () => calls, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const soon = Backoff.exponential({ base: "1 millis" })

it.live("tries again what is unavailable, and nothing else", () =>
  Effect.gen(function* () {
    const server = yield* scripted((call) => {
      if (call < 3) throw new ConnectError("not yet", Code.Unavailable)
      if (call === 3) return { message: "third" }
      throw new ConnectError("never", Code.FailedPrecondition)
    })
    const pool = yield* GrpcPool.make({ addresses: [server.address] })
    const echo = pool.client(EchoService, { retry: GrpcRetry.policy({ backoff: soon }) })
    expect((yield* echo.echo({ message: "" })).message).toBe("third")
    expect((yield* Effect.flip(echo.echo({ message: "" }))).code).toBe(Code.FailedPrecondition)
    expect(server.calls()).toBe(4)
  })
)

it.live("does as the server's pushback says: no more, or exactly then", () =>
  Effect.gen(function* () {
    const pushback = (millis: string): ConnectError =>
      new ConnectError("full", Code.ResourceExhausted, { "grpc-retry-pushback-ms": millis })
    const server = yield* scripted((call) => {
      if (call === 1) throw pushback("5")
      if (call === 2) return { message: "second" }
      throw pushback("-1")
    })
    const pool = yield* GrpcPool.make({ addresses: [server.address] })
    const echo = pool.client(EchoService, { retry: GrpcRetry.policy({ backoff: soon }) })
    expect((yield* echo.echo({ message: "" })).message).toBe("second")
    expect((yield* Effect.flip(echo.echo({ message: "" }))).code).toBe(Code.ResourceExhausted)
    expect(server.calls()).toBe(3)
  })
)

it.live("throttles retries while more than half of the tokens are gone", () =>
  Effect.gen(function* () {
    const server = yield* scripted(() => {
      throw new ConnectError("down", Code.Unavailable)
    })
    const pool = yield* GrpcPool.make({ addresses: [server.address] })
    const budget = RetryBudget.throttleUnsafe({ maxTokens: 10 })
    const echo = pool.client(EchoService, { retry: GrpcRetry.policy({ backoff: soon, budget, maxAttempts: 5 }) })
    for (let i = 0; i < 20; i++) yield* Effect.flip(echo.echo({ message: "" }))
    // Four failures are retried before the tokens are down to half; from then on each call is one attempt.
    expect(server.calls()).toBe(24)
    expect(yield* budget.stats).toMatchObject({ granted: 4, available: 0 })
  })
)

it.live("tries a stream again until its first message, and no later", () =>
  Effect.gen(function* () {
    const server = yield* scripted(() => ({ message: "" }))
    const pool = yield* GrpcPool.make({ addresses: [server.address] })
    const echo = pool.client(EchoService, { retry: GrpcRetry.policy({ backoff: soon }) })
    const seen: Array<string> = []
    const error = yield* Effect.flip(
      Stream.runForEach(echo.count({ to: 5 }), ({ message }) => Effect.sync(() => seen.push(message)))
    )
    expect(error).toMatchObject({ code: Code.Unavailable, details: "half way" })
    expect(seen).toEqual(["1", "2"])
    expect(server.calls()).toBe(3)
  })
)

it.live("answers with the copy that is first, and cancels the other", () =>
  Effect.gen(function* () {
    const server = yield* scripted((call) => (call === 1 ? new Promise(() => {}) : { message: `copy ${call}` }))
    const pool = yield* GrpcPool.make({ addresses: [server.address] })
    const hedge = Hedge.hedge({ idempotent: true, delay: "20 millis" })
    const echo = pool.client(EchoService, { hedge })
    expect((yield* echo.echo({ message: "" })).message).toBe("copy 2")
    yield* until(() => pool.statsUnsafe().streamsInUse === 0)
    expect(pool.statsUnsafe()).toMatchObject({ calls: 2, succeeded: 1, cancelled: 1 })
    expect(yield* hedge.stats).toMatchObject({ calls: 1, hedges: 1, won: 1 })
  })
)

it.live("sends what a server refused again, without being asked to, and not for ever", () =>
  Effect.gen(function* () {
    const [address = ""] = yield* startRefusingServer(2)
    for (const protocol of ["grpc", "connect"] as const) {
      const pool = yield* GrpcPool.make({ addresses: [address], protocol })
      expect((yield* pool.client(EchoService).echo({ message: "" })).message).toBe("well")
      yield* until(() => pool.statsUnsafe().streamsInUse === 0)
      expect(pool.statsUnsafe().calls).toBe(3)
    }
    const [hostile = ""] = yield* startRefusingServer(1_000)
    const pool = yield* GrpcPool.make({ addresses: [hostile] })
    expect(yield* Effect.flip(pool.client(EchoService).echo({ message: "" }))).toMatchObject({
      code: Code.Unavailable,
      details: "the server refused the stream",
      isSent: false
    })
    expect(pool.statsUnsafe()).toMatchObject({ calls: 6, streamsInUse: 0 })
  })
)
