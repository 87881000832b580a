import type { Socket } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { HttpPool } from "@sluice/http-pool"
import { Effect, Option, Stream } from "effect"
import { HttpClientRequest } from "effect/http"
import { listen, unscoped, until } from "./servers.ts"

/** Serves one request on each connection, and resets it when it reads the second. */
const resettingOnSecond = Effect.gen(function* () {
  const seen = new Map<Socket, number>()
  const executed: Array<string> = []
  const server = yield* listen((request, response) => {
    const count = (seen.get(request.socket) ?? 0) + 1
    seen.set(request.socket, count)
    if (count > 1) {
      request.socket.resetAndDestroy()
      return
    }
    executed.push(request.method ?? "")
    response.end("ok")
  })
  return { ...server, executed }
})

describe("a request that fails on a used connection before its response", () => {
  for (const method of ["GET", "PUT", "DELETE", "OPTIONS"] as const) {
    it.effect(`is sent once more, if it is ${method}`, () =>
      Effect.gen(function* () {
        const server = yield* resettingOnSecond
        const pool = yield* HttpPool.make()
        for (let i = 0; i < 5; i++) {
          const response = yield* unscoped(pool.client.execute(HttpClientRequest.make(method)(server.url)))
          expect(yield* response.text).toBe("ok")
        }
        expect(server.executed).toHaveLength(5)
        expect(pool.statsUnsafe()).toMatchObject({ replayed: 4, inFlight: 0 })
      })
    )
  }

  for (const method of ["POST", "PATCH"] as const) {
    it.effect(`is not sent again, if it is ${method}`, () =>
      Effect.gen(function* () {
        const server = yield* resettingOnSecond
        const pool = yield* HttpPool.make()
        const request = HttpClientRequest.make(method)(server.url)
        expect(yield* unscoped(Effect.flatMap(pool.client.execute(request), (response) => response.text))).toBe("ok")
        const error = yield* Effect.flip(unscoped(pool.client.execute(request)))
        expect(Option.getOrThrow(HttpPool.poolError(error))).toMatchObject({
          _tag: "@sluice/http-pool/ConnectionReset",
          mayHaveReachedServer: true
        })
        expect(server.executed).toHaveLength(1)
        expect(pool.statsUnsafe()).toMatchObject({ replayed: 0, inFlight: 0 })
      })
    )
  }

  it.effect("is not sent again, if its body is a stream that has been used", () =>
    Effect.gen(function* () {
      const server = yield* resettingOnSecond
      const pool = yield* HttpPool.make()
      const request = HttpClientRequest.put(server.url).pipe(
        HttpClientRequest.bodyStream(Stream.succeed(new Uint8Array(3)))
      )
      yield* unscoped(Effect.flatMap(pool.client.execute(request), (response) => response.text))
      const error = yield* Effect.flip(unscoped(pool.client.execute(request)))
      expect(Option.getOrThrow(HttpPool.poolError(error))._tag).toBe("@sluice/http-pool/ConnectionReset")
    })
  )

  it.effect("is sent once more only, and not at all on a fresh connection", () =>
    Effect.gen(function* () {
      let requests = 0
      const server = yield* listen((request, response) => {
        if (++requests === 1) response.end("ok")
        else request.socket.resetAndDestroy()
      })
      const pool = yield* HttpPool.make()
      yield* unscoped(Effect.flatMap(pool.client.get(server.url), (response) => response.text))
      yield* Effect.flip(unscoped(pool.client.get(server.url)))
      expect(requests).toBe(3)
      yield* Effect.flip(unscoped(pool.client.get(server.url)))
      expect(requests).toBe(4)
      expect(pool.statsUnsafe()).toMatchObject({ replayed: 1, inFlight: 0 })
    })
  )

  it.effect("never meets a connection that is known to be closed", () =>
    Effect.gen(function* () {
      const server = yield* listen((_, response) => response.end("ok"))
      const pool = yield* HttpPool.make()
      for (let i = 0; i < 20; i++) {
        const post = pool.client.execute(HttpClientRequest.post(server.url))
        expect(yield* unscoped(Effect.flatMap(post, (response) => response.text))).toBe("ok")
        for (const socket of server.sockets) socket.end()
        yield* until(() => pool.statsUnsafe().open === 0)
      }
      expect(pool.statsUnsafe()).toMatchObject({ created: 20, replayed: 0 })
    })
  )
})
