import { readFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { createServer, type Server } from "node:http"
import { connect, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createServer as createTlsServer } from "node:tls"
import { describe, expect, it } from "@effect/vitest"
import { HttpPool } from "@sluice/http-pool"
import { Effect, Option, Redacted } from "effect"
import { listen, started, unscoped } from "./servers.ts"

const fixture = (name: string): string => readFileSync(new URL(`./fixtures/${name}`, import.meta.url), "utf8")

// A TLS server by hand, since not every runtime's HTTPS server tells of the client's certificate.
const secure = (requestCert: boolean) =>
  Effect.suspend(() =>
    started(
      createTlsServer(
        {
          key: fixture("server.key"),
          cert: fixture("server.crt"),
          ca: fixture("server.crt"),
          requestCert,
          rejectUnauthorized: requestCert
        },
        (socket) => {
          socket.on("error", () => {})
          socket.on("data", () => {
            const name = requestCert ? String(socket.getPeerCertificate().subject?.CN) : "nobody"
            socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${6 + name.length}\r\n\r\nhello ${name}`)
          })
        }
      )
    )
  )

/** A proxy that makes tunnels, and notes what it was asked for. */
const proxy = Effect.gen(function* () {
  const asked: Array<string> = []
  const server = yield* listen(
    (_, response) => response.writeHead(405).end(),
    (server: Server) => {
      server.on("connect", (request, client: Socket) => {
        asked.push(`${request.url} ${request.headers["proxy-authorization"] ?? "-"}`)
        client.on("error", () => {})
        if (request.headers["proxy-authorization"] === "Basic bad") {
          client.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
          return
        }
        const [host, port] = String(request.url).split(":")
        const upstream = connect({ host: host ?? "", port: Number(port) }, () => {
          client.write("HTTP/1.1 200 Connection established\r\n\r\n")
          upstream.pipe(client).pipe(upstream)
        })
        upstream.on("error", () => client.destroy())
        client.on("close", () => upstream.destroy())
      })
    }
  )
  return { ...server, asked }
})

const read = (pool: HttpPool.HttpPool, url: string) =>
  unscoped(Effect.flatMap(pool.client.get(url), (response) => response.text))

const failure = (pool: HttpPool.HttpPool, url: string) =>
  Effect.map(Effect.flip(read(pool, url)), (error) => Option.getOrThrow(HttpPool.poolError(error)))

describe("TLS", () => {
  it.effect("trusts who it is told to trust, and takes up a session again", () =>
    Effect.gen(function* () {
      const { port } = yield* secure(false)
      const pool = yield* HttpPool.make({ tls: { ca: fixture("server.crt") }, maxKeepAliveConnections: 0 })
      expect(yield* read(pool, `https://localhost:${port}`)).toBe("hello nobody")
      expect(yield* read(pool, `https://127.0.0.1:${port}`)).toBe("hello nobody")
      expect(yield* read(pool, `https://127.0.0.1:${port}`)).toBe("hello nobody")
      const trusting = yield* HttpPool.make({ tls: { rejectUnauthorized: false } })
      expect(yield* read(trusting, `https://127.0.0.1:${port}`)).toBe("hello nobody")
    })
  )

  it.effect("shows its own certificate where the server asks for one", () =>
    Effect.gen(function* () {
      const { port } = yield* secure(true)
      const tls = { ca: fixture("server.crt"), cert: fixture("client.crt"), key: fixture("client.key") }
      const pool = yield* HttpPool.make({ tls })
      expect(yield* read(pool, `https://localhost:${port}`)).toBe("hello client")
    })
  )

  it.effect("refuses a certificate for another name", () =>
    Effect.gen(function* () {
      const { port } = yield* secure(false)
      const pool = yield* HttpPool.make({ tls: { ca: fixture("server.crt"), servername: "other.example" } })
      expect(yield* failure(pool, `https://localhost:${port}`)).toMatchObject({
        _tag: "@sluice/http-pool/TlsError",
        mayHaveReachedServer: false
      })
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, open: 0 })
    })
  )
})

describe("a proxy", () => {
  it.effect("carries both schemes through tunnels, which are used again", () =>
    Effect.gen(function* () {
      const plain = yield* listen((_, response) => response.end("plain"))
      const tls = yield* secure(false)
      const through = yield* proxy
      const pool = yield* HttpPool.make({
        proxy: { url: `http://user:pass@127.0.0.1:${through.port}` },
        tls: { ca: fixture("server.crt") }
      })
      for (let i = 0; i < 3; i++) {
        expect(yield* read(pool, plain.url)).toBe("plain")
        expect(yield* read(pool, `https://127.0.0.1:${tls.port}`)).toBe("hello nobody")
      }
      const credentials = `Basic ${btoa("user:pass")}`
      expect(through.asked).toEqual([`127.0.0.1:${plain.port} ${credentials}`, `127.0.0.1:${tls.port} ${credentials}`])
    })
  )

  it.effect("is passed by for the hosts that are excepted", () =>
    Effect.gen(function* () {
      const plain = yield* listen((_, response) => response.end("plain"))
      const through = yield* proxy
      const pool = yield* HttpPool.make({
        proxy: { url: `http://127.0.0.1:${through.port}`, except: ["127.0.0.1"] }
      })
      expect(yield* read(pool, plain.url)).toBe("plain")
      expect(through.asked).toEqual([])
    })
  )

  it.effect("that refuses is told of, and nothing has reached the server", () =>
    Effect.gen(function* () {
      const plain = yield* listen((_, response) => response.end("plain"))
      const through = yield* proxy
      const pool = yield* HttpPool.make({
        proxy: { url: `http://127.0.0.1:${through.port}`, authorization: Redacted.make("Basic bad") }
      })
      const error = yield* failure(pool, plain.url)
      expect(error).toMatchObject({ _tag: "@sluice/http-pool/ConnectFailed", mayHaveReachedServer: false })
      expect(error.message).toContain("407 Proxy Authentication Required")
      expect(plain.accepted()).toBe(0)
    })
  )
})

describe("other ways", () => {
  it.effect("lead through a unix socket", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "http-pool-"))),
        (folder) => Effect.promise(() => rm(folder, { recursive: true }))
      )
      const socketPath = join(folder, "socket")
      yield* Effect.acquireRelease(
        Effect.callback<Server>((resume) => {
          const server = createServer((request, response) => response.end(`${request.headers.host}`))
          server.listen(socketPath, () => resume(Effect.succeed(server)))
        }),
        (server) =>
          Effect.callback<void>((resume) => {
            server.closeAllConnections()
            server.close(() => resume(Effect.void))
          })
      )
      const pool = yield* HttpPool.make({ socketPath })
      expect(yield* read(pool, "http://service.internal/")).toBe("service.internal")
      expect(yield* read(pool, "http://service.internal/")).toBe("service.internal")
      expect(pool.statsUnsafe()).toMatchObject({ created: 1, reused: 1 })
    })
  )

  it.effect("find a name's addresses", () =>
    Effect.gen(function* () {
      const server = yield* listen((_, response) => response.end("by name"))
      const pool = yield* HttpPool.make({ maxKeepAliveConnections: 0 })
      for (let i = 0; i < 4; i++) expect(yield* read(pool, `http://localhost:${server.port}`)).toBe("by name")
    })
  )

  it.effect("do not isolate, where isolation is off", () =>
    Effect.gen(function* () {
      const server = yield* listen((_, response) => response.end("ok"))
      const pool = yield* HttpPool.make({ isolation: false })
      for (let i = 0; i < 3; i++) {
        yield* unscoped(Effect.flatMap(pool.isolated.get(server.url), (response) => response.text))
      }
      expect(pool.statsUnsafe()).toMatchObject({ created: 1, reused: 2 })
    })
  )
})
