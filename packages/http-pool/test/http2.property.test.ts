// Models: a multiset of requests over HTTP/2, each of which is answered, cut off or interrupted at some point; whatever
// happens, streams and sessions stay within their limits, and in the end nothing is held.
import { createServer, type ServerHttp2Stream } from "node:http2"
import type { AddressInfo, Socket } from "node:net"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { HttpPool } from "@sluice/http-pool"
import { Effect } from "effect"
import fc from "fast-check"
import { until } from "./servers.ts"

const maxServerStreams = 3
const sockets = new Set<Socket>()
const server = createServer({ settings: { maxConcurrentStreams: maxServerStreams } })
let url = ""

beforeAll(async () => {
  server.on("connection", (socket: Socket) => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
  })
  server.on("sessionError", () => {})
  server.on("stream", (stream: ServerHttp2Stream, headers: { readonly ":path"?: string }) => {
    stream.on("error", () => {})
    const path = headers[":path"]
    if (path === "/cut") {
      for (const socket of sockets) socket.destroy()
      return
    }
    stream.respond({ ":status": 200 })
    if (path === "/stall") stream.write("x")
    else stream.end(path === "/large" ? Buffer.alloc(300_000) : "ok")
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  for (const socket of sockets) socket.destroy()
  server.close()
})

const afterTurns = (turns: number): Effect.Effect<void> => {
  let left = turns
  return until(() => left-- === 0)
}

it("holds nothing when all requests have ended, however they ended", () => {
  const request = fc.record({
    kind: fc.constantFrom("ok", "ok", "ok", "stall", "large", "cut"),
    interruptAfterTurns: fc.option(fc.nat({ max: 6 }), { nil: undefined })
  })
  const options = fc.record({
    maxConnections: fc.integer({ min: 1, max: 3 }),
    maxStreams: fc.integer({ min: 1, max: 4 }),
    maxKeepAliveConnections: fc.nat({ max: 2 })
  })
  return fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 20 }), options, (requests, options) =>
      Effect.runPromise(
        Effect.scoped(
          Effect.gen(function* () {
            const pool = yield* HttpPool.make({ ...options, http2: "prior-knowledge" })
            let mostInFlight = 0
            let mostOpen = 0
            let isOver = false
            const watch = (): void => {
              const { inFlight, open } = pool.statsUnsafe()
              mostInFlight = Math.max(mostInFlight, inFlight)
              mostOpen = Math.max(mostOpen, open)
              if (!isOver) setImmediate(watch)
            }
            watch()
            yield* Effect.forEach(
              requests,
              ({ interruptAfterTurns, kind }) => {
                const turns = interruptAfterTurns ?? (kind === "stall" ? 5 : undefined)
                const read = Effect.flatMap(pool.client.get(`${url}/${kind}`), (response) => response.text)
                return Effect.exit(turns === undefined ? read : Effect.raceFirst(read, afterTurns(turns)))
              },
              { concurrency: "unbounded", discard: true }
            )
            isOver = true
            const { maxConnections, maxKeepAliveConnections, maxStreams } = options
            expect(mostOpen).toBeLessThanOrEqual(maxConnections)
            expect(mostInFlight).toBeLessThanOrEqual(maxConnections * Math.min(maxStreams, maxServerStreams))
            yield* until(() => {
              const { idle, open } = pool.statsUnsafe()
              return open === idle && idle <= maxKeepAliveConnections
            })
            expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, waiting: 0 })
          })
        )
      )
    ),
    { numRuns: 60 }
  )
})
