import { spawn } from "node:child_process"
import { once } from "node:events"
import { connect } from "node:net"
import { fileURLToPath } from "node:url"
import { expect, it } from "@effect/vitest"
import { HttpPool } from "@sluice/http-pool"
import { Effect, Option, Schedule, Schema } from "effect"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { chaos } from "./chaosServer.ts"
import { listenTcp, unscoped, until } from "./servers.ts"

const total = Number(process.env["SLUICE_CHAOS_REQUESTS"] ?? 10_000)
const timeout = 60_000 + 6 * total

/**
 * Sends GETs, which are tried again until they end well, and POSTs, which are tried again only if they certainly did not
 * reach the server; 200 at a time.
 */
const requests = (pool: HttpPool.HttpPool, url: string) => {
  const client = pool.client.pipe(
    HttpClient.filterStatusOk,
    HttpClient.retryTransient({ schedule: Schedule.spaced("1 millis"), times: 40 })
  )
  const get = (key: number) =>
    client.get(`${url}/${key}`).pipe(
      Effect.flatMap((response) => response.text),
      Effect.retry({ times: 40, while: HttpClient.isTransientError }),
      Effect.andThen((text) => Effect.sync(() => expect(text.length).toBeGreaterThan(0)))
    )
  const post = (key: number) => {
    const request = HttpClientRequest.post(`${url}/${key}`).pipe(
      HttpClientRequest.setHeader("idempotency-key", String(key)),
      HttpClientRequest.bodyText("x".repeat(key % 1_000))
    )
    return pool.client.execute(request).pipe(
      Effect.flatMap((response) => response.text),
      Effect.retry({
        times: 40,
        while: (error) =>
          Option.match(HttpPool.poolError(error), {
            onNone: () => false,
            onSome: (error) => !error.mayHaveReachedServer
          })
      })
    )
  }
  let refused = 0
  return Effect.forEach(
    Array.from({ length: total }, (_, key) => key),
    (key) => (key % 3 === 0 ? Effect.ignore(Effect.tapError(post(key), () => Effect.sync(() => refused++))) : get(key)),
    { concurrency: 200, discard: true }
  ).pipe(
    // Else nothing would have been shown of what was answered.
    Effect.andThen(Effect.sync(() => expect(refused).toBeLessThan(total / 6)))
  )
}

it.live(
  "brings every idempotent request to its end, executes no POST twice, and leaves nothing behind",
  () =>
    Effect.gen(function* () {
      const server = yield* chaos(20_261_120)
      const pool = yield* HttpPool.make({ maxConnections: 50, maxKeepAliveConnections: 20, readTimeout: "250 millis" })
      yield* requests(pool, server.url)
      expect(Math.max(...server.executions.values())).toBe(1)
      yield* until(() => {
        const { idle, open } = pool.statsUnsafe()
        return open === idle && idle <= 20 && server.sockets.size === open
      })
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, waiting: 0 })
      expect(server.faults()).toBeGreaterThan(total / 10)
    }),
  timeout
)

/** What the server says of itself: how often it did ill, and how often a POST was executed at most. */
const Report = Schema.Struct({ faults: Schema.Number, most: Schema.Number })

const http2Server = Effect.acquireRelease(
  Effect.promise(async () => {
    const node = fileURLToPath(new URL("../../../node_modules/.bin/node", import.meta.url))
    const program = fileURLToPath(new URL("./chaosHttp2Server.ts", import.meta.url))
    const server = spawn(node, [program], { stdio: ["pipe", "pipe", "inherit"] })
    const [port] = await once(server.stdout, "data")
    return { server, port: Number(port) }
  }),
  ({ server }) => Effect.sync(() => server.stdin.end())
)

it.live(
  "does so over HTTP/2",
  () =>
    Effect.gen(function* () {
      const { port } = yield* http2Server
      // Sees the connections as they are, since Node's server keeps some for ever that the client has closed.
      const relay = yield* listenTcp((socket) => {
        const onward = connect(port, "127.0.0.1")
        for (const [one, other] of [
          [socket, onward],
          [onward, socket]
        ] as const) {
          one.pipe(other)
          one.on("error", () => {})
          one.on("close", () => other.destroy())
        }
      })
      const pool = yield* HttpPool.make({
        http2: "prior-knowledge",
        maxConnections: 10,
        maxStreams: 25,
        readTimeout: "500 millis"
      })
      yield* requests(pool, relay.url)
      yield* until(() => {
        const { idle, open } = pool.statsUnsafe()
        return open === idle && relay.sockets.size === open
      })
      const report = yield* pool.client
        .get(`${relay.url}/report`)
        .pipe(Effect.flatMap(HttpClientResponse.schemaBodyJson(Report)), unscoped)
      expect(report.most).toBe(1)
      expect(report.faults).toBeGreaterThan(total / 10)
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, waiting: 0 })
    }),
  timeout
)
