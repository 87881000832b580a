import { Code, type ConnectError, createClient } from "@connectrpc/connect"
import { expect, it } from "@effect/vitest"
import { GrpcPool } from "@sluice/grpc-pool"
import { EchoServer, EchoService } from "@sluice/grpc-pool/testing"
import { Deadline } from "@sluice/retry"
import { Cause, Effect, Fiber, Queue, Stream } from "effect"
import { describe } from "vitest"
import { until } from "./until.ts"

const protocols: ReadonlyArray<GrpcPool.Protocol> = ["grpc", "grpc-web", "connect"]

const make = (options: Partial<GrpcPool.Options> = {}) =>
  Effect.gen(function* () {
    const server = yield* EchoServer.make()
    const pool = yield* GrpcPool.make({ addresses: [server.address], ...options })
    return { server, pool, echo: pool.client(EchoService) }
  })

const isIdle = (pool: GrpcPool.GrpcPool) => () => pool.statsUnsafe().streamsInUse === 0

describe.each(protocols)("over %s", (protocol) => {
  it.live("answers a unary call", () =>
    Effect.gen(function* () {
      const { echo } = yield* make({ protocol })
      expect(yield* echo.echo({ message: "hello" })).toMatchObject({ message: "hello", call: 1 })
    })
  )

  it.live("streams from the server", () =>
    Effect.gen(function* () {
      const { echo, pool } = yield* make({ protocol })
      const messages = yield* Stream.runCollect(echo.count({ to: 5 }))
      expect(messages.map(({ message }) => message)).toEqual(["1", "2", "3", "4", "5"])
      yield* until(isIdle(pool))
      expect(pool.statsUnsafe()).toMatchObject({ calls: 1, succeeded: 1 })
    })
  )

  it.live("streams from the client", () =>
    Effect.gen(function* () {
      const { echo, pool } = yield* make({ protocol })
      const answer = yield* echo.collect(Stream.make({ message: "a" }, { message: "b" }, { message: "c" }))
      expect(answer.messages).toEqual(["a", "b", "c"])
      yield* until(isIdle(pool))
    })
  )

  it.live("streams both ways, each message answered before the next is sent", () =>
    Effect.gen(function* () {
      const { echo, pool } = yield* make({ protocol })
      const queue = yield* Queue.bounded<{ message: string }, Cause.Done>(1)
      yield* Queue.offer(queue, { message: "1" })
      const answers = yield* echo.chat(Stream.fromQueue(queue)).pipe(
        Stream.tap(({ message }) =>
          Number(message) < 4 ? Queue.offer(queue, { message: String(Number(message) + 1) }) : Queue.end(queue)
        ),
        Stream.runCollect
      )
      expect(answers.map(({ message }) => message)).toEqual(["1", "2", "3", "4"])
      yield* until(isIdle(pool))
    })
  )

  it.live("tells the server's status, words and metadata", () =>
    Effect.gen(function* () {
      const { echo, server } = yield* make({ protocol })
      const error = yield* Effect.flip(echo.echo({ message: "no such cat: Pünktchen", failWith: Code.NotFound }))
      expect(error).toMatchObject({
        _tag: "@sluice/grpc-pool/GrpcError",
        code: Code.NotFound,
        details: "no such cat: Pünktchen",
        method: "sluice.echo.v1.EchoService/Echo",
        address: server.address,
        isSent: true
      })
      const streamed = yield* Effect.flip(
        Stream.runDrain(echo.chat(Stream.make({ message: "x", failWith: Code.Aborted })))
      )
      expect(streamed).toMatchObject({ code: Code.Aborted, details: "x", isSent: true })
    })
  )

  it.live("sends metadata, and hands on what comes before and after the answer", () =>
    Effect.gen(function* () {
      const { echo } = yield* make({ protocol })
      let before = ""
      let after = ""
      yield* echo.echo(
        { message: "hello" },
        {
          headers: { "x-echo": "here" },
          onHeader: (headers) => {
            before = headers.get("x-echo") ?? ""
          },
          onTrailer: (headers) => {
            after = headers.get("x-echo-after") ?? ""
          }
        }
      )
      expect([before, after]).toEqual(["here", "here"])
    })
  )

  it.live("ends a call at its deadline, and tells the server so", () =>
    Effect.gen(function* () {
      const { echo, pool, server } = yield* make({ protocol })
      yield* pool.warmUp
      const error = yield* Effect.flip(echo.echo({ message: "slow", delayMillis: 60_000 }, { timeout: "50 millis" }))
      expect(error.code).toBe(Code.DeadlineExceeded)
      const streamed = yield* Effect.flip(
        Stream.runDrain(echo.count({ to: 2, delayMillis: 60_000 }, { timeout: "50 millis" }))
      )
      expect(streamed.code).toBe(Code.DeadlineExceeded)
      yield* until(() => server.statsUnsafe().running === 0 && isIdle(pool)())
    })
  )

  it.live("cancels a call whose fiber is interrupted, at the server too", () =>
    Effect.gen(function* () {
      const { echo, pool, server } = yield* make({ protocol })
      const unary = yield* Effect.forkChild(echo.echo({ message: "slow", delayMillis: 60_000 }))
      const stream = yield* Effect.forkChild(Stream.runDrain(echo.count({ to: 2, delayMillis: 60_000 })))
      yield* until(() => server.statsUnsafe().running === 2)
      expect(pool.statsUnsafe().streamsInUse).toBe(2)
      yield* Fiber.interruptAll([unary, stream])
      yield* until(() => server.statsUnsafe().running === 0 && isIdle(pool)())
    })
  )

  it.live("gives the stream back when the reader has had enough", () =>
    Effect.gen(function* () {
      const { echo, pool, server } = yield* make({ protocol })
      const taken = yield* Stream.runCollect(Stream.take(echo.count({ to: 1_000_000, delayMillis: 5 }), 3))
      expect(taken.map(({ message }) => message)).toEqual(["1", "2", "3"])
      yield* until(() => server.statsUnsafe().running === 0 && isIdle(pool)())
    })
  )

  it.live("fails with what stopped the requests", () =>
    Effect.gen(function* () {
      const { echo, pool } = yield* make({ protocol })
      const requests = Stream.concat(Stream.make({ message: "a" }), Stream.fail("out of paper"))
      expect(yield* Effect.flip(echo.collect(requests))).toBe("out of paper")
      expect(yield* Effect.flip(Stream.runDrain(echo.chat(requests)))).toBe("out of paper")
      yield* until(isIdle(pool))
    })
  )

  it.live("serves Connect's own clients", () =>
    Effect.gen(function* () {
      const { pool } = yield* make({ protocol })
      const client = createClient(EchoService, pool.transport)
      yield* Effect.promise(async () => {
        expect((await client.echo({ message: "hello" })).message).toBe("hello")
        const counted: Array<string> = []
        for await (const { message } of client.count({ to: 3 })) counted.push(message)
        expect(counted).toEqual(["1", "2", "3"])
        const failure = await client
          .echo({ message: "slow", delayMillis: 60_000 }, { timeoutMs: 30 })
          .catch((error: ConnectError) => error.code)
        expect(failure).toBe(Code.DeadlineExceeded)
        const controller = new AbortController()
        const cancelled = client.echo({ message: "slow", delayMillis: 60_000 }, { signal: controller.signal })
        controller.abort()
        expect(await cancelled.catch((error: ConnectError) => error.code)).toBe(Code.Canceled)
      })
      yield* until(isIdle(pool))
    })
  )
})

it.live("carries the deadline in force to the server", () =>
  Effect.gen(function* () {
    const { echo } = yield* make()
    const error = yield* Effect.flip(
      echo.echo({ message: "slow", delayMillis: 60_000 }).pipe(Deadline.within("50 millis"))
    )
    expect(["@sluice/retry/DeadlineExceeded", "@sluice/grpc-pool/GrpcError"]).toContain(error._tag)
  })
)

it.live("runs interceptors", () =>
  Effect.gen(function* () {
    const { echo } = yield* make({
      interceptors: [
        (next) => (request) => {
          request.header.set("x-echo", "intercepted")
          return next(request)
        }
      ]
    })
    const seen = yield* Effect.callback<string | null>((resume) => {
      Effect.runFork(
        echo.echo({ message: "a" }, { onHeader: (headers) => resume(Effect.succeed(headers.get("x-echo"))) })
      )
    })
    expect(seen).toBe("intercepted")
  })
)

it.live("refuses an answer over the bound on its size", () =>
  Effect.gen(function* () {
    const { echo, pool } = yield* make({ maxMessageBytes: 1_000 })
    const error = yield* Effect.flip(echo.echo({ message: "x".repeat(2_000) }))
    expect(error.code).toBe(Code.ResourceExhausted)
    yield* until(isIdle(pool))
    expect((yield* echo.echo({ message: "x".repeat(900) })).message.length).toBe(900)
  })
)

it.live("answers messages of a megabyte", () =>
  Effect.gen(function* () {
    const { echo } = yield* make()
    const message = "x".repeat(1_000_000)
    expect((yield* echo.echo({ message })).message).toBe(message)
  })
)

it.effect("dies of an option out of range, by its name and value", () =>
  Effect.gen(function* () {
    const cases: ReadonlyArray<[Partial<GrpcPool.Options>, string]> = [
      [{ addresses: ["http://"] }, 'Cannot take "http://" as an address'],
      [{ addresses: ["127.0.0.1:1/path"] }, 'Cannot take "127.0.0.1:1/path" as an address'],
      [{ maxSessionsPerAddress: 0 }, "Cannot make a gRPC pool with maxSessionsPerAddress 0"],
      [{ maxWaiting: -1 }, "Cannot make a gRPC pool with maxWaiting -1"],
      [{ connectTimeout: 0 }, "Cannot make a gRPC pool with connectTimeout 0 ms"]
    ]
    for (const [options, message] of cases) {
      const exit = yield* Effect.exit(Effect.scoped(GrpcPool.make({ addresses: [], ...options })))
      const defect = exit._tag === "Failure" ? Cause.squash(exit.cause) : undefined
      expect(String(defect)).toContain(message)
    }
  })
)
