import { readFileSync } from "node:fs"
import { createServer as createTlsServer } from "node:https"
import type { AddressInfo } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { HttpPool } from "@sluice/http-pool"
import { Effect, Fiber, Option, Stream } from "effect"
import { HttpClient, type HttpClientError, HttpClientRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { closedPort, listen, listenTcp, unscoped, until } from "./servers.ts"

const errorOf = <A>(effect: Effect.Effect<A, HttpClientError.HttpClientError>): Effect.Effect<HttpPool.PoolError, A> =>
  Effect.map(Effect.flip(unscoped(effect)), (error) => {
    expect(error.reason._tag).toBe("TransportError")
    expect(HttpClient.isTransientError(error)).toBe(true)
    return Option.getOrThrow(HttpPool.poolError(error))
  })

const read = (client: HttpClient.HttpClient, url: string) =>
  Effect.flatMap(client.get(url), (response) => response.text)

const nothingLeft = { inFlight: 0, waiting: 0, open: 0, idle: 0 }

describe("failures", () => {
  it.effect("tell that nobody listens", () =>
    Effect.gen(function* () {
      const origin = `http://127.0.0.1:${yield* closedPort}`
      const pool = yield* HttpPool.make()
      const error = yield* errorOf(read(pool.client, origin))
      expect(error).toMatchObject({
        _tag: "@sluice/http-pool/ConnectFailed",
        origin,
        phase: "connecting",
        mayHaveReachedServer: false
      })
      expect(error.message).toContain(origin)
      expect(pool.statsUnsafe()).toMatchObject({ ...nothingLeft, created: 0 })
    })
  )

  it.effect("tell that a name is unknown", () =>
    Effect.gen(function* () {
      const pool = yield* HttpPool.make()
      const error = yield* errorOf(read(pool.client, "http://name.invalid/"))
      expect(error).toMatchObject({ _tag: "@sluice/http-pool/ConnectFailed", mayHaveReachedServer: false })
    })
  )

  it.effect("tell that TLS failed, and why", () =>
    Effect.gen(function* () {
      const { port } = yield* listenTcp((socket) => socket.end("this is not TLS\r\n\r\n"))
      const pool = yield* HttpPool.make()
      const error = yield* errorOf(read(pool.client, `https://127.0.0.1:${port}`))
      expect(error).toMatchObject({
        _tag: "@sluice/http-pool/TlsError",
        phase: "connecting",
        mayHaveReachedServer: false
      })
      const tls = yield* selfSigned
      const untrusted = yield* errorOf(read(pool.client, `https://127.0.0.1:${tls}`))
      expect(untrusted).toMatchObject({ _tag: "@sluice/http-pool/TlsError", mayHaveReachedServer: false })
      yield* until(() => pool.statsUnsafe().open === 0)
      expect(pool.statsUnsafe()).toMatchObject(nothingLeft)
    })
  )

  it.effect("tell that connecting took too long", () =>
    Effect.gen(function* () {
      const server = yield* listenTcp((socket) => socket.resume())
      const pool = yield* HttpPool.make({ connectTimeout: "5 seconds" })
      const failing = yield* Effect.forkScoped(errorOf(read(pool.client, `https://127.0.0.1:${server.port}`)))
      yield* until(() => server.sockets.size === 1)
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(failing)).toMatchObject({
        _tag: "@sluice/http-pool/ConnectTimeout",
        phase: "connecting",
        elapsedMillis: 5_000,
        mayHaveReachedServer: false
      })
      yield* until(() => server.sockets.size === 0)
      expect(pool.statsUnsafe()).toMatchObject(nothingLeft)
    })
  )

  it.effect("tell that no response came in time", () =>
    Effect.gen(function* () {
      const server = yield* listen(() => {})
      const pool = yield* HttpPool.make({ readTimeout: "20 seconds" })
      const failing = yield* Effect.forkScoped(errorOf(read(pool.client, server.url)))
      yield* until(() => server.sockets.size === 1 && pool.statsUnsafe().open === 1)
      yield* TestClock.adjust("20 seconds")
      expect(yield* Fiber.join(failing)).toMatchObject({
        _tag: "@sluice/http-pool/ReadTimeout",
        phase: "responding",
        mayHaveReachedServer: true
      })
      yield* until(() => server.sockets.size === 0 && pool.statsUnsafe().open === 0)
      expect(pool.statsUnsafe()).toMatchObject({ ...nothingLeft, closedBy: { timeout: 1 } })
    })
  )

  it.effect("count the time in which nothing moves, not the time that a response takes", () =>
    Effect.gen(function* () {
      let write = (): void => {}
      const server = yield* listen((_, response) => {
        write = () => response.write("chunk")
        write()
      })
      const pool = yield* HttpPool.make({ readTimeout: "10 seconds" })
      let received = 0
      const reading = pool.client.get(server.url).pipe(
        Effect.flatMap((response) =>
          Stream.runForEach(response.stream, (chunk) =>
            Effect.sync(() => {
              received += chunk.length
            })
          )
        )
      )
      const failing = yield* Effect.forkScoped(errorOf(reading))
      yield* until(() => received === 5)
      for (const expected of [10, 15, 20]) {
        yield* TestClock.adjust("9 seconds")
        write()
        yield* until(() => received === expected)
      }
      yield* TestClock.adjust("10 seconds")
      expect(yield* Fiber.join(failing)).toMatchObject({
        _tag: "@sluice/http-pool/ReadTimeout",
        phase: "receiving",
        elapsedMillis: 37_000
      })
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0 })
    })
  )

  it.effect("give the body a time of its own", () =>
    Effect.gen(function* () {
      const server = yield* listen((_, response) => response.write("start"))
      const pool = yield* HttpPool.make({ readTimeout: "1 minute", bodyTimeout: "2 seconds" })
      const response = yield* unscoped(pool.client.get(server.url))
      const failing = yield* Effect.forkScoped(errorOf(response.text))
      yield* TestClock.adjust("2 seconds")
      expect(yield* Fiber.join(failing)).toMatchObject({ _tag: "@sluice/http-pool/ReadTimeout", phase: "receiving" })
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0 })
    })
  )

  it.effect("tell that the connection was closed before the response", () =>
    Effect.gen(function* () {
      const server = yield* listen((request) => request.socket.destroy())
      const pool = yield* HttpPool.make()
      const error = yield* errorOf(read(pool.client, server.url))
      expect(error).toMatchObject({
        _tag: "@sluice/http-pool/ConnectionReset",
        phase: "responding",
        mayHaveReachedServer: true
      })
      expect(pool.statsUnsafe()).toMatchObject({ ...nothingLeft, replayed: 0 })
    })
  )

  it.effect("tell that the connection was closed within the body", () =>
    Effect.gen(function* () {
      const server = yield* listen((request, response) => {
        response.setHeader("content-length", "1000")
        response.write("half", () => request.socket.destroy())
      })
      const pool = yield* HttpPool.make()
      const error = yield* errorOf(read(pool.client, server.url))
      expect(error).toMatchObject({ _tag: "@sluice/http-pool/ConnectionReset", phase: "receiving" })
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, idle: 0 })
    })
  )

  it.effect("tell that what came is no HTTP, or has too much of a head", () =>
    Effect.gen(function* () {
      const pool = yield* HttpPool.make()
      for (const answer of ["SSH-2.0-server\r\n\r\n", `HTTP/1.1 200 OK\r\nx: ${"x".repeat(100_000)}\r\n\r\n`]) {
        const { url } = yield* listenTcp((socket) => {
          socket.once("data", () => socket.write(answer))
        })
        expect(yield* errorOf(read(pool.client, url))).toMatchObject({ _tag: "@sluice/http-pool/ProtocolError" })
      }
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, idle: 0 })
    })
  )

  it.effect("tell that a response is larger than allowed, whatever it says of its length", () =>
    Effect.gen(function* () {
      const server = yield* listen((request, response) => {
        if (request.url === "/exact") response.end("x".repeat(1_000))
        else if (request.url === "/declared") response.setHeader("content-length", 1_001).end("x".repeat(1_001))
        else for (let i = 0; i < 100; i++) response.write("x".repeat(100))
      })
      const pool = yield* HttpPool.make({ maxResponseSize: 1_000 })
      expect(yield* unscoped(read(pool.client, `${server.url}/exact`))).toHaveLength(1_000)
      for (const path of ["/declared", "/chunked"]) {
        const error = yield* errorOf(read(pool.client, server.url + path))
        expect(error).toMatchObject({ _tag: "@sluice/http-pool/ResponseTooLarge", phase: "receiving" })
      }
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, idle: 0 })
    })
  )

  it.effect("of the request's own body end it, and are told as such", () =>
    Effect.gen(function* () {
      const server = yield* listen(() => {})
      const pool = yield* HttpPool.make()
      const bodies = Stream.concat(Stream.succeed(new Uint8Array(10)), Stream.fail("broken"))
      const request = HttpClientRequest.post(server.url).pipe(HttpClientRequest.bodyStream(bodies))
      const error = yield* Effect.flip(unscoped(pool.client.execute(request)))
      expect(error.reason._tag).toBe("EncodeError")
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, idle: 0 })
    })
  )
})

const selfSigned = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly close: Effect.Effect<void> }>((resume) => {
    const fixture = (name: string) => readFileSync(new URL(`./fixtures/${name}`, import.meta.url))
    const server = createTlsServer({ key: fixture("server.key"), cert: fixture("server.crt") }, (_, response) =>
      response.end("ok")
    )
    const close = Effect.callback<void>((resume) => {
      server.closeAllConnections()
      server.close(() => resume(Effect.void))
    })
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ port: (server.address() as AddressInfo).port, close })))
  }),
  ({ close }) => close
).pipe(Effect.map(({ port }) => port))
