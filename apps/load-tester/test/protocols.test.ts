import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { framed } from "../src/protocols/Http2.ts"
import * as Result from "../src/results/Result.ts"
import { drive } from "../src/run/Drive.ts"
import type { HttpPlan, LoadPlan } from "../src/run/Plan.ts"
import type * as Targets from "../src/scenarios/Targets.ts"
import { targeting, users } from "./plans.ts"
import { echoWebSocketServer, http2Server, httpServer, httpsServer, type Running, tcpServer } from "./servers.ts"

const run = async (target: Targets.TargetInput, options: Partial<HttpPlan> & { readonly load?: LoadPlan } = {}) => {
  const { load = users(4, 20), ...http } = options
  const { result } = await Effect.runPromise(drive(targeting(target, load, http)))
  const total = Result.total(result.steps)
  return { result, total, statuses: Object.fromEntries(total.statuses), errors: Object.fromEntries(total.errors) }
}

let server: Running
let base: string
const seen: Array<{ method: string; url: string; headers: unknown; body: string }> = []

beforeAll(async () => {
  server = await httpServer((request, response) => {
    let body = ""
    request.on("data", (chunk) => {
      body += String(chunk)
    })
    request.on("end", () => {
      seen.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, body })
      switch (request.url) {
        case "/bad":
          response.writeHead(503).end("no")
          return
        case "/missing":
          response.writeHead(404).end()
          return
        case "/chunks":
          response.write("one")
          response.end("two")
          return
        case "/never":
          return
        case "/cut":
          response.writeHead(200, { "content-length": 100 })
          response.write("half", () => response.destroy())
          return
        default:
          response.end("hello")
      }
    })
  })
  base = `http://127.0.0.1:${server.port}`
})
afterAll(() => server.close())

describe("HTTP/1.1", () => {
  it("reuses one connection for each user", async () => {
    const { errors, result, statuses, total } = await run({ url: `${base}/` })
    expect(statuses).toEqual({ 200: 20 })
    expect(errors).toEqual({})
    expect(result.opened).toBe(4)
    expect(result.reused).toBe(16)
    expect(total.phases.connect.count).toBe(4)
    expect(total.phases.firstByte.count).toBe(20)
    expect(total.bytesIn).toBeGreaterThan(20 * 5)
    expect(total.latency.count).toBe(20)
  })

  it("opens a connection for each request where none is kept", async () => {
    const { result, statuses } = await run({ url: `${base}/` }, { keepAlive: false })
    expect(statuses).toEqual({ 200: 20 })
    expect(result.opened).toBe(20)
    expect(result.reused).toBe(0)
  })

  it("sends method, headers and body as they are given", async () => {
    seen.length = 0
    const { statuses } = await run(
      {
        method: "PUT",
        url: `${base}/things?a=1`,
        headers: [
          ["X-One", "1"],
          ["Host", "example.test"]
        ],
        body: Buffer.from("héllo")
      },
      { load: users(1, 1) }
    )
    expect(statuses).toEqual({ 200: 1 })
    expect(seen).toMatchObject([
      {
        method: "PUT",
        url: "/things?a=1",
        headers: { "x-one": "1", host: "example.test", "content-length": "6" },
        body: "héllo"
      }
    ])
  })

  it("counts statuses that are not expected as failures", async () => {
    expect((await run({ url: `${base}/bad` })).errors).toEqual({ status_5xx: 20 })
    expect((await run({ url: `${base}/missing` })).errors).toEqual({ status_4xx: 20 })
    expect((await run({ url: `${base}/missing` }, { expected: [[404, 404]] })).errors).toEqual({})
  })

  it("reads answers that come in chunks", async () => {
    expect((await run({ url: `${base}/chunks` })).statuses).toEqual({ 200: 20 })
  })

  it("makes more users than connections wait", async () => {
    const { result, statuses, total } = await run({ url: `${base}/` }, { connections: 2 })
    expect(statuses).toEqual({ 200: 20 })
    expect(result.opened).toBe(2)
    expect(total.phases.poolWait.count).toBe(20)
    expect(total.phases.poolWait.max).toBeGreaterThan(0)
  })

  it("ends what takes longer than it may", async () => {
    const { errors, total } = await run({ url: `${base}/never` }, { timeoutSeconds: 0.1, load: users(3, 3) })
    expect(errors).toEqual({ timeout: 3 })
    expect(total.latency.min).toBeGreaterThanOrEqual(100_000)
  })

  it("tells a connection that nobody takes", async () => {
    const { port, close } = await tcpServer(() => undefined)
    await close()
    expect((await run({ url: `http://127.0.0.1:${port}/` }, { load: users(2, 4) })).errors).toEqual({ refused: 4 })
  })

  it("tells an answer that is cut short", async () => {
    expect((await run({ url: `${base}/cut` }, { load: users(2, 4) })).errors).toEqual({ reset: 4 })
  })

  it("tells an answer that is none", async () => {
    const { port, close } = await tcpServer((socket) =>
      socket.on("data", () => socket.write("SSH-2.0-nothing\r\n\r\n"))
    )
    try {
      expect((await run({ url: `http://127.0.0.1:${port}/` }, { load: users(2, 4) })).errors).toEqual({ protocol: 4 })
    } finally {
      await close()
    }
  })

  it("takes an answer that ends with its connection", async () => {
    const { port, close } = await tcpServer((socket) =>
      socket.on("data", () => socket.end("HTTP/1.0 200 OK\r\n\r\nbye"))
    )
    try {
      const { result, statuses } = await run({ url: `http://127.0.0.1:${port}/` }, { load: users(2, 6) })
      expect(statuses).toEqual({ 200: 6 })
      expect(result.opened).toBe(6)
    } finally {
      await close()
    }
  })

  it("speaks TLS, and takes a certificate that nobody signed only when told to", async () => {
    const secure = await httpsServer((_, response) => response.end("secret"))
    try {
      const { statuses, total } = await run({ url: `https://127.0.0.1:${secure.port}/` }, { insecure: true })
      expect(statuses).toEqual({ 200: 20 })
      expect(total.phases.tls.count).toBe(4)
      expect((await run({ url: `https://127.0.0.1:${secure.port}/` }, { load: users(1, 2) })).errors).toEqual({
        tls: 2
      })
    } finally {
      await secure.close()
    }
  })

  it("keeps to the planned moments when answers are late", async () => {
    const moments = Array.from({ length: 50 }, (_, index) => index * 1000)
    const { result, statuses } = await run(
      { url: `${base}/` },
      { load: { model: "replay", moments, maxInFlight: 100 } }
    )
    expect(statuses).toEqual({ 200: 50 })
    expect(result.client.sendDelay.count).toBe(50)
  })
})

describe("HTTP/2", () => {
  it("carries all users on one connection", async () => {
    const { port, close } = await http2Server((stream) => {
      stream.respond({ ":status": 200 })
      stream.end("hello")
    })
    try {
      const { errors, result, statuses, total } = await run(
        { url: `http://127.0.0.1:${port}/` },
        { http2: true, load: users(10, 100) }
      )
      expect(errors).toEqual({})
      expect(statuses).toEqual({ 200: 100 })
      expect(result.opened).toBe(1)
      expect(total.bytesIn).toBe(500)
      expect(total.phases.connect.count).toBe(1)
    } finally {
      await close()
    }
  })

  it("sends a body, and tells failures by their status", async () => {
    const { port, close } = await http2Server((stream, headers) => {
      let size = 0
      stream.on("data", (chunk: Buffer) => {
        size += chunk.length
      })
      stream.on("end", () => {
        stream.respond({ ":status": headers[":method"] === "POST" && size === 5000 ? 500 : 200 })
        stream.end()
      })
    })
    try {
      const { errors } = await run(
        { url: `http://127.0.0.1:${port}/`, body: Buffer.alloc(5000) },
        { http2: true, load: users(2, 6) }
      )
      expect(errors).toEqual({ status_5xx: 6 })
    } finally {
      await close()
    }
  })

  it("ends what takes longer than it may, and tells a server that is not there", async () => {
    const { port, close } = await http2Server(() => undefined)
    const { errors } = await run(
      { url: `http://127.0.0.1:${port}/` },
      { http2: true, timeoutSeconds: 0.1, load: users(2, 2) }
    )
    expect(errors).toEqual({ timeout: 2 })
    await close()
    expect((await run({ url: `http://127.0.0.1:${port}/` }, { http2: true, load: users(2, 4) })).errors).toEqual({
      refused: 4
    })
  })
})

describe("gRPC", () => {
  it("calls with a message, and tells the code of each answer", async () => {
    const { port, close } = await http2Server((stream, headers) => {
      const parts: Array<Buffer> = []
      stream.on("data", (chunk: Buffer) => parts.push(chunk))
      stream.on("end", () => {
        const isRight = Buffer.concat(parts).equals(framed([Buffer.from("ping")])) && headers["te"] === "trailers"
        stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true })
        stream.on("wantTrailers", () =>
          stream.sendTrailers({ "grpc-status": headers[":path"] === "/test.Echo/Fail" ? "14" : isRight ? "0" : "3" })
        )
        stream.end(framed([Buffer.from("pong"), Buffer.from("pong")]))
      })
    })
    try {
      const body = Buffer.from("ping")
      const { errors, statuses, total } = await run({ url: `grpc://127.0.0.1:${port}/test.Echo/Echo`, body })
      expect(errors).toEqual({})
      expect(statuses).toEqual({ OK: 20 })
      expect(total.bytesIn).toBe(20 * 18)
      const failed = await run({ url: `grpc://127.0.0.1:${port}/test.Echo/Fail`, body })
      expect(failed.errors).toEqual({ grpc: 20 })
      expect(failed.statuses).toEqual({ UNAVAILABLE: 20 })
    } finally {
      await close()
    }
  })
})

describe("WebSocket", () => {
  it("sends a message and waits for the next, on a connection for each user", async () => {
    const { port, close } = await echoWebSocketServer()
    try {
      const { errors, result, statuses, total } = await run({
        url: `ws://127.0.0.1:${port}/chat`,
        body: Buffer.from("hello")
      })
      expect(errors).toEqual({})
      expect(statuses).toEqual({ 101: 20 })
      expect(result.opened).toBe(4)
      expect(total.phases.firstByte.count).toBe(20)
    } finally {
      await close()
    }
  })

  it("tells a handshake that is refused", async () => {
    const { port, close } = await echoWebSocketServer()
    try {
      const { errors } = await run(
        { url: `ws://127.0.0.1:${port}/refused`, body: Buffer.from("hello") },
        { load: users(1, 2) }
      )
      expect(errors).toEqual({ status_4xx: 2 })
    } finally {
      await close()
    }
  })
})
