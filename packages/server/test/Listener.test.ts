import { connect, type Socket } from "node:net"
import { NodeHttpServer } from "@effect/platform-node"
import { Listener } from "@sluice/server"
import { Effect, Exit, Layer, Scope, Stream } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { afterEach, describe, expect, it } from "vitest"

const onDeno = "Deno" in globalThis

const routes = Layer.mergeAll(
  HttpRouter.add("GET", "/", Effect.succeed(HttpServerResponse.text("hëllo"))),
  HttpRouter.add(
    "GET",
    "/stream",
    Effect.succeed(HttpServerResponse.stream(Stream.encodeText(Stream.make("one ", "two"))))
  ),
  HttpRouter.add(
    "POST",
    "/",
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      return HttpServerResponse.text(yield* request.text)
    })
  )
)

const scopes: Array<Scope.Closeable> = []
const sockets: Array<Socket> = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const scope of scopes.splice(0)) await Effect.runPromise(Scope.close(scope, Exit.void))
})

const serve = async (options: Listener.Options) => {
  const listener = Listener.make(options)
  const scope = Scope.makeUnsafe()
  scopes.push(scope)
  await Effect.runPromise(
    HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provide(
        NodeHttpServer.layer(() => listener, { host: "127.0.0.1", port: 0, gracefulShutdownTimeout: "10 millis" })
      ),
      Layer.buildWithScope(scope)
    )
  )
  const address = listener.address()
  const port = address !== null && typeof address === "object" ? address.port : 0
  return { listener, port }
}

/** Says something on a connection of its own, and answers all that comes until it is closed or `until` has come. */
const talk = (port: number, text: string, until?: string): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(text))
    sockets.push(socket)
    let heard = ""
    socket.on("data", (chunk) => {
      heard += String(chunk)
      if (until !== undefined && heard.includes(until)) resolve(heard)
    })
    socket.on("error", () => undefined)
    socket.on("close", () => resolve(heard))
  })

/** Lets the event loop go round. */
const turn = () => new Promise((resolve) => setImmediate(resolve))

const get = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

describe("a listener", () => {
  it("ends what is slow, too large or no HTTP with what is wrong with it", async () => {
    const { listener, port } = await serve({
      headersTimeout: "200 millis",
      requestTimeout: "300 millis",
      maxHeaderSize: 4096
    })
    const [slowHead, slowBody, largeHead, garbage] = await Promise.all([
      talk(port, "GET / HTTP/1.1\r\nHost: localhost\r\n"),
      talk(port, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc"),
      talk(port, `GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: ${"x".repeat(8000)}\r\n\r\n`),
      talk(port, "\u0000\u0001 what\r\n\r\n")
    ])
    expect(slowHead).toContain("HTTP/1.1 408 Request Timeout")
    expect(slowHead).toContain('"detail":"The request did not come in time."')
    expect(slowHead).toContain("Content-Type: application/problem+json")
    expect(slowBody).toContain("HTTP/1.1 408")
    expect(largeHead).toContain("HTTP/1.1 431")
    expect(garbage).toContain("HTTP/1.1 400")
    expect(listener.statsUnsafe().refused).toBeGreaterThanOrEqual(4)
    expect(await talk(port, get, "hëllo")).toContain("HTTP/1.1 200")
  })

  it("closes connections that are idle", async () => {
    const { port } = await serve({ keepAliveTimeout: "50 millis" })
    expect(await talk(port, get)).toContain("HTTP/1.1 200")
  })

  it("closes a connection after so many requests", async () => {
    const { port } = await serve({ maxRequestsPerConnection: 2 })
    const heard = await talk(port, get + get + get)
    expect(heard.match(/HTTP\/1.1/g)).toHaveLength(2)
    expect(heard.toLowerCase().match(/connection: [a-z-]+/g)).toEqual(["connection: keep-alive", "connection: close"])
  })

  it("takes so many connections and no more", async () => {
    const { listener, port } = await serve({ maxConnections: 2 })
    expect(await talk(port, get, "hëllo")).toContain("200")
    expect(await talk(port, get, "hëllo")).toContain("200")
    expect(await talk(port, get)).toBe("")
    expect(listener.statsUnsafe()).toEqual({ maxConnections: 2, connections: 2, dropped: onDeno ? 0 : 1, refused: 0 })
    const [first] = sockets
    first?.destroy()
    while (listener.statsUnsafe().connections === 2) await turn()
    expect(await talk(port, get, "hëllo")).toContain("200")
  })

  it("answers as it is told, be it in one write or in many", async () => {
    const { port } = await serve({})
    const read = (path: string) => fetch(`http://127.0.0.1:${port}${path}`).then((response) => response.text())
    expect(await read("/")).toBe("hëllo")
    expect(await read("/stream")).toBe("one two")
    const posted = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: "back" })
    expect(await posted.text()).toBe("back")
    const head = await fetch(`http://127.0.0.1:${port}/`, { method: "HEAD" })
    expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, "6", ""])
  })

  it("is made only with options that make sense", () => {
    expect(() => Listener.make({ maxConnections: 0 })).toThrow("maxConnections 0")
    expect(() => Listener.make({ headersTimeout: 0 })).toThrow("headersTimeout 0")
    expect(() => Listener.make({ headersTimeout: "2 minutes" })).toThrow("part of requestTimeout")
    expect(() => Listener.make({ maxRequestsPerConnection: 1.5 })).toThrow("maxRequestsPerConnection 1.5")
  })

  it("keeps requests that come before there are routes, and those answer them", async () => {
    const listener = Listener.make()
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve))
    const address = listener.address()
    const port = address !== null && typeof address === "object" ? address.port : 0
    const early = talk(port, "GET /early HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    // What needs no routes is answered at once; by then the request before it has been read.
    expect(await talk(port, "no http\r\n\r\n")).toContain("400")
    listener.on("request", (request, response) => response.end(`answer to ${request.url}`))
    expect(await early).toContain("answer to /early")
    expect(await talk(port, "GET /late HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).toContain("answer to /late")
    await new Promise((resolve) => listener.close(resolve))
  })
})
