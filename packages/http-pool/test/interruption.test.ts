import { describe, expect, it } from "@effect/vitest"
import { HttpPool } from "@sluice/http-pool"
import { Effect, Exit, Fiber, Option, Scope, Stream } from "effect"
import { HttpClientRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { listen, listenTcp, unscoped, until } from "./servers.ts"

const nothingLeft = { inFlight: 0, waiting: 0, open: 0, idle: 0 }

describe("interruption", () => {
  it.effect("of a request that waits frees nothing that others hold, and takes nothing", () =>
    Effect.gen(function* () {
      const server = yield* listen(() => {})
      const pool = yield* HttpPool.make({ maxConnections: 2, maxConnectionsPerOrigin: 1 })
      const holder = yield* Effect.forkScoped(unscoped(pool.client.get(server.url)))
      yield* until(() => server.sockets.size === 1)
      const waiter = yield* Effect.forkScoped(unscoped(pool.client.get(server.url)))
      yield* until(() => pool.statsUnsafe().waiting === 1)
      yield* Fiber.interrupt(waiter)
      expect(pool.statsUnsafe()).toMatchObject({ waiting: 0, inFlight: 1 })
      yield* Fiber.interrupt(holder)
      expect(pool.statsUnsafe()).toMatchObject({ waiting: 0, inFlight: 0 })
      yield* until(() => server.sockets.size === 0)
    })
  )

  it.effect("of a request that connects closes the socket at once", () =>
    Effect.gen(function* () {
      const server = yield* listenTcp((socket) => socket.resume())
      const pool = yield* HttpPool.make()
      const fiber = yield* Effect.forkScoped(unscoped(pool.client.get(`https://127.0.0.1:${server.port}`)))
      yield* until(() => server.sockets.size === 1)
      yield* Fiber.interrupt(fiber)
      expect(pool.statsUnsafe()).toMatchObject(nothingLeft)
      yield* until(() => server.sockets.size === 0)
    })
  )

  it.effect("of a request that sends stops what makes its body", () =>
    Effect.gen(function* () {
      const server = yield* listenTcp((socket) => socket.pause())
      const pool = yield* HttpPool.make()
      let isStopped = false
      let sent = 0
      const chunk = new Uint8Array(65_536)
      const body = Stream.range(1, 1_000).pipe(
        Stream.rechunk(1),
        Stream.map(() => {
          sent++
          return chunk
        }),
        Stream.concat(Stream.never),
        Stream.ensuring(
          Effect.sync(() => {
            isStopped = true
          })
        )
      )
      const request = HttpClientRequest.post(server.url).pipe(HttpClientRequest.bodyStream(body))
      const fiber = yield* Effect.forkScoped(unscoped(pool.client.execute(request)))
      yield* until(() => sent > 0 && server.sockets.size === 1)
      yield* Fiber.interrupt(fiber)
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, idle: 0 })
      yield* until(() => isStopped && pool.statsUnsafe().open === 0)
      // A server that does not read must not make the client buffer the whole body.
      expect(sent).toBeLessThan(1_000)
    })
  )

  it.effect("of a request that waits for its response closes the connection", () =>
    Effect.gen(function* () {
      let requests = 0
      const server = yield* listen(() => {
        requests++
      })
      const pool = yield* HttpPool.make()
      const fiber = yield* Effect.forkScoped(unscoped(pool.client.get(server.url)))
      yield* until(() => requests === 1)
      yield* Fiber.interrupt(fiber)
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, idle: 0 })
      yield* until(() => server.sockets.size === 0 && pool.statsUnsafe().open === 0)
      expect(pool.statsUnsafe()).toMatchObject({ closedBy: { interrupted: 1 } })
    })
  )

  it.effect("of a reader of the body closes the connection", () =>
    Effect.gen(function* () {
      const server = yield* listen((_, response) => response.write("start"))
      const pool = yield* HttpPool.make()
      const asText = yield* unscoped(pool.client.get(server.url))
      const fiber = yield* Effect.forkScoped(asText.text)
      yield* until(() => pool.statsUnsafe().inFlight === 1)
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, idle: 0 })
      const asStream = yield* unscoped(pool.client.get(server.url))
      const first = yield* Stream.runHead(asStream.stream)
      expect(Option.isSome(first)).toBe(true)
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, idle: 0 })
      yield* until(() => server.sockets.size === 0)
    })
  )
})

describe("a body", () => {
  const large = 8 * 1024 * 1024

  it.effect("that is small and not read holds nothing", () =>
    Effect.gen(function* () {
      const server = yield* listen((_, response) => response.end("small"))
      const pool = yield* HttpPool.make({ maxConnections: 1 })
      const responses = yield* unscoped(
        Effect.forEach(Array.from({ length: 10 }), () => pool.client.get(server.url), { concurrency: 5 })
      )
      yield* until(() => pool.statsUnsafe().inFlight === 0)
      for (const response of responses) expect(yield* response.text).toBe("small")
    })
  )

  it.effect("that is large waits for its reader, and comes whole", () =>
    Effect.gen(function* () {
      let written = 0
      const server = yield* listen((_, response) => {
        const chunk = Buffer.alloc(65_536, 1)
        const write = (): void => {
          while (written < large) {
            written += chunk.length
            if (!response.write(chunk)) {
              response.once("drain", write)
              return
            }
          }
          response.end()
        }
        write()
      })
      const pool = yield* HttpPool.make()
      const response = yield* unscoped(pool.client.get(server.url))
      let before = -1
      // The server writes until the buffers between are full, and then no more.
      while (before !== written) {
        before = written
        for (let i = 0; i < 50; i++) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      expect(written).toBeLessThan(large)
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 1, idle: 0 })
      let received = 0
      yield* Stream.runForEach(response.stream, (chunk) =>
        Effect.sync(() => {
          received += chunk.length
        })
      )
      expect(received).toBe(large)
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, idle: 1 })
    })
  )

  it.effect("that is large and never read is given up after the read timeout", () =>
    Effect.gen(function* () {
      const server = yield* listen((_, response) => response.end(Buffer.alloc(large)))
      const pool = yield* HttpPool.make({ readTimeout: "30 seconds" })
      const response = yield* unscoped(pool.client.get(server.url))
      yield* until(() => pool.statsUnsafe().open === 1)
      yield* TestClock.adjust("30 seconds")
      yield* until(() => server.sockets.size === 0)
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, closedBy: { timeout: 1 } })
      const error = yield* Effect.flip(response.text)
      expect(Option.getOrThrow(HttpPool.poolError(error))._tag).toBe("@sluice/http-pool/ReadTimeout")
    })
  )

  it.effect("is read whole, whichever way it is asked for", () =>
    Effect.gen(function* () {
      const server = yield* listen((_, response) => response.end(Buffer.alloc(large, "é")))
      const pool = yield* HttpPool.make()
      const text = yield* Effect.flatMap(unscoped(pool.client.get(server.url)), (response) => response.text)
      expect(text.length).toBe(large / 2)
      const bytes = yield* Effect.flatMap(unscoped(pool.client.get(server.url)), (response) => response.arrayBuffer)
      expect(bytes.byteLength).toBe(large)
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, created: 1, reused: 1 })
    })
  )
})

describe("the end of a pool", () => {
  it.effect("lets requests in flight end, and refuses new ones and those that wait", () =>
    Effect.gen(function* () {
      let answer: (() => void) | undefined
      const server = yield* listen((_, response) => {
        answer = () => response.end("late")
      })
      const pool = yield* HttpPool.make({ maxConnections: 1 })
      const inFlight = yield* Effect.forkScoped(
        unscoped(Effect.flatMap(pool.client.get(server.url), (response) => response.text))
      )
      yield* until(() => answer !== undefined)
      const waiting = yield* Effect.forkScoped(Effect.flip(unscoped(pool.client.get(server.url))))
      yield* until(() => pool.statsUnsafe().waiting === 1)
      const closing = yield* Effect.forkScoped(pool.close)
      const refused = yield* Effect.flip(unscoped(pool.client.get(server.url)))
      for (const error of [refused, yield* Fiber.join(waiting)]) {
        expect(Option.getOrThrow(HttpPool.poolError(error))).toMatchObject({
          _tag: "@sluice/http-pool/PoolClosed",
          mayHaveReachedServer: false
        })
      }
      answer?.()
      expect(yield* Fiber.join(inFlight)).toBe("late")
      yield* Fiber.join(closing)
      yield* until(() => server.sockets.size === 0)
      expect(pool.statsUnsafe()).toMatchObject({ ...nothingLeft, closedBy: { shutdown: 1 } })
    })
  )

  it.effect("gives up what does not end within the drain time", () =>
    Effect.gen(function* () {
      const server = yield* listen(() => {})
      const pool = yield* HttpPool.make({ drainTimeout: "3 seconds" })
      const inFlight = yield* Effect.forkScoped(Effect.flip(unscoped(pool.client.get(server.url))))
      yield* until(() => pool.statsUnsafe().open === 1)
      const closing = yield* Effect.forkScoped(pool.close)
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(closing)
      expect(Option.getOrThrow(HttpPool.poolError(yield* Fiber.join(inFlight)))._tag).toBe(
        "@sluice/http-pool/PoolClosed"
      )
      yield* until(() => server.sockets.size === 0)
    })
  )

  it.effect("does not wait for a body that nobody reads", () =>
    Effect.gen(function* () {
      const server = yield* listen((_, response) => response.end(Buffer.alloc(8 * 1024 * 1024)))
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(HttpPool.make(), scope)
      yield* unscoped(pool.client.get(server.url))
      yield* until(() => pool.statsUnsafe().open === 1)
      for (let i = 0; i < 50; i++) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* Scope.close(scope, Exit.void)
      yield* until(() => server.sockets.size === 0)
    })
  )
})
