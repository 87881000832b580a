import { readFileSync } from "node:fs"
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream
} from "node:http2"
import type { AddressInfo, Socket } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { HttpPool } from "@sluice/http-pool"
import { Effect, Fiber, Option, type Scope, Stream } from "effect"
import { HttpClientRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { listenTcp, unscoped, until } from "./servers.ts"

const fixture = (name: string): string => readFileSync(new URL(`./fixtures/${name}`, import.meta.url), "utf8")
const http2 = "prior-knowledge"

interface Http2TestServer {
  readonly url: string
  readonly port: number
  readonly sessions: ReadonlySet<ServerHttp2Session>
  readonly accepted: () => number
  /** Destroys every connection. */
  readonly cut: () => void
}

const serve = (
  server: Http2Server | Http2SecureServer,
  onStream: (stream: ServerHttp2Stream, path: string) => void
): Effect.Effect<Http2TestServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Http2TestServer & { readonly stop: Effect.Effect<void> }>((resume) => {
      const sessions = new Set<ServerHttp2Session>()
      let accepted = 0
      const sockets = new Set<Socket>()
      const cut = (): void => {
        for (const socket of sockets) socket.destroy()
      }
      server.on("connection", (socket: Socket) => sockets.add(socket))
      server.on("session", (session: ServerHttp2Session) => {
        accepted++
        sessions.add(session)
        session.on("error", () => {})
        session.on("close", () => sessions.delete(session))
      })
      server.on("stream", (stream: ServerHttp2Stream, headers: { readonly ":path"?: string }) => {
        stream.on("error", () => {})
        onStream(stream, headers[":path"] ?? "")
      })
      const stop = Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const session of sessions) session.destroy()
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, port, sessions, accepted: () => accepted, cut, stop }))
      })
    }),
    ({ stop }) => stop
  )

const plain = (streams: number, onStream: (stream: ServerHttp2Stream, path: string) => void) =>
  Effect.suspend(() => serve(createServer({ settings: { maxConcurrentStreams: streams } }), onStream))

// A server of bare frames, since not every runtime's server resets streams and goes away as it is told.
const frame = (type: number, flags: number, stream: number, payload: ReadonlyArray<number>): Buffer => {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, Buffer.from(payload)])
}
const settings = frame(4, 0, 0, [])
const settingsSeen = frame(4, 1, 0, [])
const ok = (stream: number): Buffer => frame(1, 5, stream, [0x88])
const resetStream = (stream: number, code: number): Buffer => frame(3, 0, stream, [0, 0, 0, code])
const goAway = (last: number): Buffer => frame(7, 0, 0, [0, 0, 0, last, 0, 0, 0, 0])

const frames = (onRequest: (stream: number) => ReadonlyArray<Buffer>) =>
  listenTcp((socket) => {
    let data = Buffer.alloc(0)
    let hasPreface = false
    socket.write(settings)
    socket.on("data", (chunk: Buffer) => {
      data = Buffer.concat([data, chunk])
      if (!hasPreface && data.length >= 24) {
        hasPreface = true
        data = data.subarray(24)
      }
      while (hasPreface && data.length >= 9 && data.length >= 9 + data.readUIntBE(0, 3)) {
        const length = 9 + data.readUIntBE(0, 3)
        if (data[3] === 4 && data[4] === 0) socket.write(settingsSeen)
        if (data[3] === 1) for (const answer of onRequest(data.readUInt32BE(5))) socket.write(answer)
        data = data.subarray(length)
      }
    })
  })

const answer = (stream: ServerHttp2Stream, body: string | Buffer): void => {
  stream.respond({ ":status": 200, "content-type": "text/plain" })
  stream.end(body)
}

const read = (pool: HttpPool.HttpPool, url: string) =>
  unscoped(Effect.flatMap(pool.client.get(url), (response) => response.text))

const failure = (pool: HttpPool.HttpPool, url: string) =>
  Effect.map(Effect.flip(read(pool, url)), (error) => Option.getOrThrow(HttpPool.poolError(error)))

describe("HTTP/2", () => {
  it.effect("answers, with headers and bodies both ways", () =>
    Effect.gen(function* () {
      const server = yield* plain(10, (stream, path) => {
        const chunks: Array<Buffer> = []
        stream.on("data", (chunk: Buffer) => chunks.push(chunk))
        stream.on("end", () => answer(stream, `${path} ${Buffer.concat(chunks).toString()}`))
      })
      const pool = yield* HttpPool.make({ http2 })
      const response = yield* unscoped(pool.client.get(`${server.url}/a?b=c`))
      expect(response.status).toBe(200)
      expect(response.headers["content-type"]).toBe("text/plain")
      expect(yield* response.text).toBe("/a?b=c ")
      const send = (request: HttpClientRequest.HttpClientRequest) =>
        unscoped(Effect.flatMap(pool.client.execute(request), (response) => response.text))
      expect(yield* send(HttpClientRequest.post(server.url).pipe(HttpClientRequest.bodyText("text")))).toBe("/ text")
      const pieces = Stream.make("one ", "two").pipe(Stream.map((text) => new TextEncoder().encode(text)))
      expect(yield* send(HttpClientRequest.put(server.url).pipe(HttpClientRequest.bodyStream(pieces)))).toBe(
        "/ one two"
      )
      expect(pool.statsUnsafe()).toMatchObject({ created: 1, reused: 2, idle: 1, inFlight: 0 })
    })
  )

  it.effect("opens no more sessions in a cold burst than its streams need", () =>
    Effect.gen(function* () {
      let most = 0
      let open = 0
      const server = yield* plain(100, (stream) => {
        most = Math.max(most, ++open)
        setImmediate(() => {
          open--
          answer(stream, "ok")
        })
      })
      const pool = yield* HttpPool.make({ http2, maxStreams: 100, maxConnections: 50 })
      const all = yield* Effect.forEach(Array.from({ length: 250 }), () => read(pool, server.url), {
        concurrency: "unbounded"
      })
      expect(all).toHaveLength(250)
      expect(server.accepted()).toBeLessThanOrEqual(3)
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, waiting: 0, admitted: 250 })
    })
  )

  it.effect("keeps within the server's limit of streams and the pool's of connections", () =>
    Effect.gen(function* () {
      const held: Array<ServerHttp2Stream> = []
      let most = 0
      const server = yield* plain(3, (stream) => {
        held.push(stream)
        most = Math.max(most, held.length)
      })
      const pool = yield* HttpPool.make({ http2, maxConnections: 2, maxStreams: 5 })
      const fibers = yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.forkScoped(read(pool, server.url)))
      for (let answered = 0; answered < 20; answered++) {
        yield* until(() => held.length > 0)
        const stream = held.shift()
        if (stream !== undefined) answer(stream, "ok")
      }
      for (const fiber of fibers) expect(yield* Fiber.join(fiber)).toBe("ok")
      expect(most).toBeLessThanOrEqual(6)
      expect(server.accepted()).toBeLessThanOrEqual(2)
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, waiting: 0 })
    })
  )

  it.effect("frees a stream, and not the connection, when a request is interrupted", () =>
    Effect.gen(function* () {
      const streams: Array<ServerHttp2Stream> = []
      const server = yield* plain(10, (stream, path) => {
        if (path === "/hang") streams.push(stream)
        else answer(stream, "ok")
      })
      const pool = yield* HttpPool.make({ http2, maxConnections: 1 })
      const hanging = yield* Effect.forkScoped(read(pool, `${server.url}/hang`))
      yield* until(() => streams.length === 1)
      expect(yield* read(pool, server.url)).toBe("ok")
      yield* Fiber.interrupt(hanging)
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, open: 1 })
      yield* until(() => streams[0]?.closed === true)
      expect(yield* read(pool, server.url)).toBe("ok")
      expect(server.accepted()).toBe(1)
    })
  )

  it.effect("refuses who has waited for a stream for the pool timeout", () =>
    Effect.gen(function* () {
      let streams = 0
      const server = yield* plain(1, () => {
        streams++
      })
      const pool = yield* HttpPool.make({ http2, maxConnections: 1, poolTimeout: "10 seconds" })
      yield* Effect.forkScoped(read(pool, server.url))
      yield* until(() => streams === 1)
      const late = yield* Effect.forkScoped(failure(pool, server.url))
      yield* until(() => pool.statsUnsafe().waiting === 1)
      yield* TestClock.adjust("10 seconds")
      expect(yield* Fiber.join(late)).toMatchObject({
        _tag: "@sluice/http-pool/PoolTimeout",
        mayHaveReachedServer: false
      })
      expect(pool.statsUnsafe()).toMatchObject({ waiting: 0, rejected: 1, inFlight: 1 })
    })
  )

  it.effect("sends again what the server refuses, a POST too", () =>
    Effect.gen(function* () {
      let requests = 0
      const server = yield* frames((stream) => (++requests <= 2 ? [resetStream(stream, 7)] : [ok(stream)]))
      const pool = yield* HttpPool.make({ http2 })
      const response = yield* unscoped(pool.client.execute(HttpClientRequest.post(server.url)))
      expect(response.status).toBe(200)
      expect(requests).toBe(3)
      expect(pool.statsUnsafe()).toMatchObject({ replayed: 2, inFlight: 0, admitted: 1 })
    })
  )

  it.effect("does not try for ever, and tells that nothing has reached the server", () =>
    Effect.gen(function* () {
      const server = yield* frames((stream) => [resetStream(stream, 7)])
      const pool = yield* HttpPool.make({ http2 })
      const error = yield* Effect.flip(unscoped(pool.client.execute(HttpClientRequest.post(server.url))))
      expect(Option.getOrThrow(HttpPool.poolError(error))).toMatchObject({
        _tag: "@sluice/http-pool/ConnectionReset",
        mayHaveReachedServer: false
      })
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, waiting: 0 })
    })
  )

  it.effect("leaves a connection that the server goes away from", () =>
    Effect.gen(function* () {
      const server = yield* frames((stream) => [ok(stream), goAway(stream)])
      const pool = yield* HttpPool.make({ http2 })
      for (let i = 0; i < 4; i++) {
        const response = yield* unscoped(pool.client.execute(HttpClientRequest.post(server.url)))
        expect(response.status).toBe(200)
        yield* until(() => pool.statsUnsafe().open === 0)
      }
      expect(pool.statsUnsafe()).toMatchObject({ created: 4, closed: 4, inFlight: 0 })
    })
  )

  it.effect("sends again what the server went away from before it took notice, a POST too", () =>
    Effect.gen(function* () {
      let requests = 0
      const server = yield* frames((stream) => (++requests === 1 ? [goAway(0)] : [ok(stream)]))
      const pool = yield* HttpPool.make({ http2 })
      const response = yield* unscoped(pool.client.execute(HttpClientRequest.post(server.url)))
      expect(response.status).toBe(200)
      expect(server.accepted()).toBe(2)
      expect(pool.statsUnsafe()).toMatchObject({ replayed: 1, inFlight: 0 })
    })
  )

  it.effect("tells of a session that breaks, and opens another", () =>
    Effect.gen(function* () {
      const server: Http2TestServer = yield* plain(10, (stream, path) => {
        if (path === "/break") server.cut()
        else answer(stream, "ok")
      })
      const pool = yield* HttpPool.make({ http2 })
      expect(yield* failure(pool, `${server.url}/break`)).toMatchObject({
        _tag: "@sluice/http-pool/ConnectionReset",
        mayHaveReachedServer: true
      })
      expect(yield* read(pool, server.url)).toBe("ok")
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, created: 2 })
    })
  )

  it.effect("gives up a request in which nothing moves", () =>
    Effect.gen(function* () {
      let streams = 0
      const server = yield* plain(10, () => {
        streams++
      })
      const pool = yield* HttpPool.make({ http2, readTimeout: "5 seconds" })
      const failing = yield* Effect.forkScoped(failure(pool, server.url))
      yield* until(() => streams === 1)
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(failing)).toMatchObject({ _tag: "@sluice/http-pool/ReadTimeout" })
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0 })
    })
  )

  it.effect("closes a session that was idle for too long", () =>
    Effect.gen(function* () {
      const server = yield* plain(10, (stream) => answer(stream, "ok"))
      const pool = yield* HttpPool.make({ http2, keepAliveExpiry: "1 minute" })
      expect(yield* read(pool, server.url)).toBe("ok")
      yield* TestClock.adjust("1 minute")
      expect(pool.statsUnsafe()).toMatchObject({ open: 0, closedBy: { expired: 1 } })
      yield* until(() => server.sessions.size === 0)
    })
  )

  it.effect("receives a large body as fast as it is read", () =>
    Effect.gen(function* () {
      const size = 4 * 1024 * 1024
      const server = yield* plain(10, (stream) => answer(stream, Buffer.alloc(size, 1)))
      const pool = yield* HttpPool.make({ http2 })
      const response = yield* unscoped(pool.client.get(server.url))
      let received = 0
      yield* Stream.runForEach(response.stream, (chunk) =>
        Effect.sync(() => {
          received += chunk.length
        })
      )
      expect(received).toBe(size)
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, idle: 1 })
    })
  )

  it.effect("is offered in the TLS handshake, and HTTP/1.1 is spoken where it is not taken", () =>
    Effect.gen(function* () {
      const certificate = { key: fixture("server.key"), cert: fixture("server.crt") }
      const modern = yield* serve(createSecureServer(certificate), (stream) => answer(stream, "two"))
      const pool = yield* HttpPool.make({ http2: true, tls: { ca: fixture("server.crt") } })
      const both = yield* Effect.forEach([1, 2, 3], () => read(pool, `https://127.0.0.1:${modern.port}`), {
        concurrency: "unbounded"
      })
      expect(both).toEqual(["two", "two", "two"])
      expect(modern.accepted()).toBe(1)
      const old = yield* plainTls
      const answers = yield* Effect.forEach([1, 2, 3, 4, 5], () => read(pool, `https://127.0.0.1:${old}`), {
        concurrency: "unbounded"
      })
      expect(answers).toEqual(["one", "one", "one", "one", "one"])
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, waiting: 0 })
    })
  )

  it.effect("does not insist on a server that takes no streams", () =>
    Effect.gen(function* () {
      const server = yield* plain(0, () => {})
      const pool = yield* HttpPool.make({ http2 })
      expect(yield* failure(pool, server.url)).toMatchObject({
        _tag: "@sluice/http-pool/ConnectFailed",
        mayHaveReachedServer: false
      })
      expect(server.accepted()).toBe(1)
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, waiting: 0, open: 0 })
    })
  )

  it.effect("gives an isolated request a session of its own, which ends with it", () =>
    Effect.gen(function* () {
      const server = yield* plain(10, (stream) => answer(stream, "ok"))
      const pool = yield* HttpPool.make({ http2 })
      yield* read(pool, server.url)
      for (let i = 0; i < 3; i++) {
        const isolated = Effect.flatMap(pool.isolated.get(server.url), (response) => response.text)
        expect(yield* unscoped(isolated)).toBe("ok")
      }
      yield* until(() => server.sessions.size === 1)
      expect(server.accepted()).toBe(4)
      expect(pool.statsUnsafe()).toMatchObject({ idle: 1, open: 1, inFlight: 0, closedBy: { isolated: 3 } })
      yield* read(pool, server.url)
      expect(server.accepted()).toBe(4)
    })
  )

  it.effect("isolates by TLS too, whichever protocol the server chooses", () =>
    Effect.gen(function* () {
      const certificate = { key: fixture("server.key"), cert: fixture("server.crt") }
      const modern = yield* serve(createSecureServer(certificate), (stream) => answer(stream, "two"))
      const old = yield* plainTls
      const pool = yield* HttpPool.make({ http2: true, tls: { ca: fixture("server.crt") } })
      const isolated = (port: number) =>
        unscoped(Effect.flatMap(pool.isolated.get(`https://127.0.0.1:${port}`), (response) => response.text))
      expect(yield* isolated(modern.port)).toBe("two")
      expect(yield* isolated(old)).toBe("one")
      expect(pool.statsUnsafe()).toMatchObject({ idle: 0, open: 0, inFlight: 0, closedBy: { isolated: 2 } })
    })
  )

  it.effect("gives up the connection that is being made when nobody waits for it any more", () =>
    Effect.gen(function* () {
      const server = yield* listenTcp((socket) => socket.resume())
      const pool = yield* HttpPool.make({ http2, maxConnections: 1 })
      for (const client of [pool.client, pool.isolated]) {
        const waiting = yield* Effect.forEach([1, 2], () => Effect.forkScoped(unscoped(client.get(server.url))))
        yield* until(() => server.sockets.size === 1)
        const [first, second] = waiting
        if (first !== undefined) yield* Fiber.interrupt(first)
        if (client === pool.client) expect(server.sockets.size).toBe(1)
        if (second !== undefined) yield* Fiber.interrupt(second)
        yield* until(() => server.sockets.size === 0)
      }
      const working = yield* plain(1, (stream) => answer(stream, "ok"))
      expect(yield* read(pool, working.url)).toBe("ok")
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, waiting: 0, open: 1 })
    })
  )

  it.effect("tells that nobody listens to all that wait", () =>
    Effect.gen(function* () {
      const pool = yield* HttpPool.make({ http2 })
      const errors = yield* Effect.forEach([1, 2, 3], () => failure(pool, "http://127.0.0.1:1"), {
        concurrency: "unbounded"
      })
      for (const error of errors) {
        expect(error).toMatchObject({
          _tag: "@sluice/http-pool/ConnectFailed",
          phase: "connecting",
          mayHaveReachedServer: false
        })
      }
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, waiting: 0, open: 0 })
    })
  )
})

const plainTls = Effect.acquireRelease(
  Effect.promise(async () => {
    const { createServer } = await import("node:https")
    const certificate = { key: fixture("server.key"), cert: fixture("server.crt") }
    const server = createServer(certificate, (_, response) => response.end("one"))
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()))
    return server
  }),
  (server) =>
    Effect.callback<void>((resume) => {
      server.closeAllConnections()
      server.close(() => resume(Effect.void))
    })
).pipe(Effect.map((server) => (server.address() as AddressInfo).port))
