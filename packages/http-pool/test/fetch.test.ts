import type { ServerResponse } from "node:http"
import { describe, expect, it } from "@effect/vitest"
import { HttpPool } from "@sluice/http-pool"
import { FetchPool } from "@sluice/http-pool/fetch"
import { Context, Effect, Fiber, Layer, Option, Stream } from "effect"
import { HttpClient, type HttpClientError } from "effect/http"
import { TestClock } from "effect/testing"
import { listen, until } from "./servers.ts"

const make = (options: FetchPool.Options) =>
  Effect.map(Layer.build(FetchPool.layer(options)), (context) => ({
    client: Context.get(context, HttpClient.HttpClient),
    stats: () => Context.get(context, FetchPool.FetchPool).statsUnsafe()
  }))

const holding = Effect.gen(function* () {
  const held: Array<ServerResponse> = []
  const server = yield* listen((_, response) => held.push(response))
  return { ...server, held }
})

const read = (client: HttpClient.HttpClient, url: string) =>
  Effect.flatMap(client.get(url), (response) => response.text)

const failure = <A>(effect: Effect.Effect<A, HttpClientError.HttpClientError>) =>
  Effect.map(Effect.flip(effect), (error) => Option.getOrThrow(HttpPool.poolError(error)))

describe("the pool over fetch", () => {
  it.effect("keeps requests within its limits", () =>
    Effect.gen(function* () {
      const a = yield* holding
      const b = yield* holding
      const { client, stats } = yield* make({ maxConnections: 3, maxConnectionsPerOrigin: 2 })
      const fibers = yield* Effect.forEach([a, a, a, a, b, b], ({ url }) => Effect.forkScoped(read(client, url)))
      yield* until(() => a.held.length === 2 && b.held.length === 1)
      expect(stats()).toMatchObject({ capacity: 3, inFlight: 3, waiting: 3 })
      for (let answered = 0; answered < 6; answered++) {
        yield* until(() => a.held.length + b.held.length > 0)
        ;(a.held.shift() ?? b.held.shift())?.end("ok")
        expect(stats().inFlight).toBeLessThanOrEqual(3)
      }
      for (const fiber of fibers) expect(yield* Fiber.join(fiber)).toBe("ok")
      expect(stats()).toMatchObject({ inFlight: 0, waiting: 0, admitted: 6, rejected: 0 })
    })
  )

  it.effect("refuses who has waited for too long", () =>
    Effect.gen(function* () {
      const server = yield* holding
      const { client, stats } = yield* make({ maxConnections: 1, poolTimeout: "10 seconds" })
      yield* Effect.forkScoped(read(client, server.url))
      yield* until(() => server.held.length === 1)
      const late = yield* Effect.forkScoped(failure(read(client, server.url)))
      yield* until(() => stats().waiting === 1)
      yield* TestClock.adjust("10 seconds")
      expect(yield* Fiber.join(late)).toMatchObject({
        _tag: "@sluice/http-pool/PoolTimeout",
        mayHaveReachedServer: false
      })
      expect(stats()).toMatchObject({ inFlight: 1, waiting: 0, rejected: 1 })
    })
  )

  it.effect("gives up a response that does not come, and a body that does not go on", () =>
    Effect.gen(function* () {
      const server = yield* holding
      const { client, stats } = yield* make({ readTimeout: "10 seconds" })
      const silent = yield* Effect.forkScoped(failure(read(client, server.url)))
      yield* until(() => server.held.length === 1)
      yield* TestClock.adjust("10 seconds")
      expect(yield* Fiber.join(silent)).toMatchObject({ _tag: "@sluice/http-pool/ReadTimeout", phase: "responding" })
      const started = yield* Effect.forkScoped(client.get(server.url))
      yield* until(() => server.held.length === 2)
      server.held[1]?.write("half")
      const response = yield* Fiber.join(started)
      const stalled = yield* Effect.forkScoped(Effect.flip(response.text))
      yield* until(() => stats().inFlight === 1)
      for (let turn = 0; turn < 20; turn++) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(stalled)
      expect(Option.getOrThrow(HttpPool.poolError(error))).toMatchObject({ phase: "receiving" })
      yield* until(() => stats().inFlight === 0)
    })
  )

  it.effect("gives permits back when a request or the reading of its body is interrupted", () =>
    Effect.gen(function* () {
      const server = yield* holding
      const { client, stats } = yield* make({ maxConnections: 1 })
      const silent = yield* Effect.forkScoped(read(client, server.url))
      yield* until(() => server.held.length === 1)
      const waiting = yield* Effect.forkScoped(read(client, server.url))
      yield* until(() => stats().waiting === 1)
      yield* Fiber.interrupt(waiting)
      yield* until(() => stats().waiting === 0)
      yield* Fiber.interrupt(silent)
      yield* until(() => stats().inFlight === 0)
      const started = yield* Effect.forkScoped(client.get(server.url))
      yield* until(() => server.held.length === 2)
      server.held[1]?.write("start")
      const response = yield* Fiber.join(started)
      expect(Option.isSome(yield* Stream.runHead(response.stream))).toBe(true)
      yield* until(() => stats().inFlight === 0)
    })
  )

  it.effect("refuses a body that is too large", () =>
    Effect.gen(function* () {
      const server = yield* listen((_, response) => response.end("x".repeat(2_000)))
      const { client, stats } = yield* make({ maxResponseSize: 1_000 })
      expect(yield* failure(read(client, server.url))).toMatchObject({ _tag: "@sluice/http-pool/ResponseTooLarge" })
      yield* until(() => stats().inFlight === 0)
    })
  )
})
