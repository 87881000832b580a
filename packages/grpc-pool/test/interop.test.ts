// grpc-js at either end.
import { create, type DescService, type Message } from "@bufbuild/protobuf"
import { Code } from "@connectrpc/connect"
import { expect, it } from "@effect/vitest"
import * as grpc from "@grpc/grpc-js"
import { GrpcPool } from "@sluice/grpc-pool"
import { CountRequestSchema, EchoRequestSchema, EchoServer, EchoService } from "@sluice/grpc-pool/testing"
import { Effect, Stream } from "effect"
import { describe } from "vitest"
import { serviceDefinition } from "./grpcJs.ts"
import { startGrpcJsServers } from "./processes.ts"
import { until } from "./until.ts"

describe("the pool and a server of grpc-js", () => {
  const make = Effect.gen(function* () {
    const addresses = yield* startGrpcJsServers(1)
    const pool = yield* GrpcPool.make({ addresses, healthCheck: { interval: "10 millis" } })
    return { pool, echo: pool.client(EchoService) }
  })

  it.live("call in each of the four ways", () =>
    Effect.gen(function* () {
      const { echo, pool } = yield* make
      expect((yield* echo.echo({ message: "hello" })).message).toBe("hello")
      const counted = yield* Stream.runCollect(echo.count({ to: 3 }))
      expect(counted.map(({ message }) => message)).toEqual(["1", "2", "3"])
      const requests = Stream.make({ message: "a" }, { message: "b" })
      expect((yield* echo.collect(requests)).messages).toEqual(["a", "b"])
      const chatted = yield* Stream.runCollect(echo.chat(requests))
      expect(chatted.map(({ message }) => message)).toEqual(["a", "b"])
      yield* until(() => pool.statsUnsafe().streamsInUse === 0)
      expect(pool.statsUnsafe()).toMatchObject({ created: 1, calls: 4, succeeded: 4, failures: 0 })
    })
  )

  it.live("agree on statuses, metadata and deadlines", () =>
    Effect.gen(function* () {
      const { echo } = yield* make
      const error = yield* Effect.flip(echo.echo({ message: "no such cat: Pünktchen", failWith: Code.NotFound }))
      expect(error).toMatchObject({ code: Code.NotFound, details: "no such cat: Pünktchen", isSent: true })
      const seen: Array<string | null> = []
      yield* echo.echo(
        { message: "a" },
        {
          headers: { "x-echo": "here" },
          onHeader: (headers) => seen.push(headers.get("x-echo")),
          onTrailer: (trailers) => seen.push(trailers.get("x-echo-after"))
        }
      )
      expect(seen).toEqual(["here", "here"])
      const late = yield* Effect.flip(echo.echo({ message: "slow", delayMillis: 60_000 }, { timeout: "50 millis" }))
      expect(late.code).toBe(Code.DeadlineExceeded)
    })
  )

  it.live("make 250 calls at once on a cold pool, over one session", () =>
    Effect.gen(function* () {
      const { echo, pool } = yield* make
      yield* Effect.forEach(Array(250).keys(), (i) => echo.echo({ message: `${i}` }), { concurrency: "unbounded" })
      expect(pool.statsUnsafe()).toMatchObject({ created: 1, succeeded: 250, failures: 0 })
    })
  )
})

describe("a client of grpc-js and the echo server", () => {
  const client = Effect.gen(function* () {
    const server = yield* EchoServer.make()
    const make = (service: DescService) => grpc.makeGenericClientConstructor(serviceDefinition(service), service.name)
    const Client = make(EchoService)
    return yield* Effect.acquireRelease(
      Effect.sync(() => new Client(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure())),
      (echo) => Effect.sync(() => echo.close())
    )
  })
  const definition = serviceDefinition(EchoService)

  it.live("call one and stream", () =>
    Effect.gen(function* () {
      const echo = yield* client
      const { count, echo: unary } = definition
      if (count === undefined || unary === undefined) return expect.fail("a method is missing")
      const answer = yield* Effect.callback<unknown>((resume) => {
        echo.makeUnaryRequest(
          unary.path,
          unary.requestSerialize,
          unary.responseDeserialize,
          create(EchoRequestSchema, { message: "hello" }),
          (error, message) => resume(error === null ? Effect.succeed(message) : Effect.die(error))
        )
      })
      expect(answer).toMatchObject({ message: "hello" })
      const counted = yield* Effect.callback<ReadonlyArray<unknown>>((resume) => {
        const messages: Array<Message> = []
        const stream = echo.makeServerStreamRequest(
          count.path,
          count.requestSerialize,
          count.responseDeserialize,
          create(CountRequestSchema, { to: 3 })
        )
        stream.on("data", (message: Message) => messages.push(message))
        stream.on("error", (error) => resume(Effect.die(error)))
        stream.on("end", () => resume(Effect.succeed(messages)))
      })
      expect(counted).toMatchObject([{ message: "1" }, { message: "2" }, { message: "3" }])
    })
  )
})
