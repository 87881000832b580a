import { spawnSync } from "node:child_process"
import { createServer, type IncomingMessage } from "node:http"
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Exporters from "../../src/output/Exporters.ts"
import * as Metrics from "../../src/output/Metrics.ts"
import * as RemoteWrite from "../../src/output/RemoteWrite.ts"
import { make } from "./sample.ts"

it("shows a run in the text of Prometheus", () => {
  const text = Metrics.text(make())
  const of = (name: string) => text.split("\n").filter((line) => line.startsWith(name))
  expect(of("sluice_load_requests_total")).toMatchInlineSnapshot(`
    [
      "sluice_load_requests_total{scenario="browse",group="",step="GET /items",protocol="http"} 540",
      "sluice_load_requests_total{scenario="order",group="checkout",step="Buy",protocol="grpc"} 60",
    ]
  `)
  expect(of("sluice_load_errors_total")).toMatchInlineSnapshot(`
    [
      "sluice_load_errors_total{scenario="browse",group="",step="GET /items",protocol="http",kind="status_5xx"} 15",
      "sluice_load_errors_total{scenario="order",group="checkout",step="Buy",protocol="grpc",kind="timeout"} 2",
    ]
  `)
  expect(of("sluice_load_responses_total")).toMatchInlineSnapshot(`
    [
      "sluice_load_responses_total{scenario="browse",group="",step="GET /items",protocol="http",status="200"} 525",
      "sluice_load_responses_total{scenario="browse",group="",step="GET /items",protocol="http",status="503"} 15",
      "sluice_load_responses_total{scenario="order",group="checkout",step="Buy",protocol="grpc",status="DEADLINE_EXCEEDED"} 2",
      "sluice_load_responses_total{scenario="order",group="checkout",step="Buy",protocol="grpc",status="OK"} 58",
    ]
  `)
  expect(of("sluice_load_request_duration_micros_count")).toMatchInlineSnapshot(`
    [
      "sluice_load_request_duration_micros_count{scenario="browse",group="",step="GET /items",protocol="http"} 540",
      "sluice_load_request_duration_micros_count{scenario="order",group="checkout",step="Buy",protocol="grpc"} 60",
    ]
  `)
  expect(of("sluice_load_users")).toMatchInlineSnapshot(`
    [
      "sluice_load_users 16",
    ]
  `)
})

it.skipIf(spawnSync("promtool", ["--version"]).status !== 0)("is text that promtool takes", () => {
  const { status, stderr } = spawnSync("promtool", ["check", "metrics"], {
    input: Metrics.text(make()),
    encoding: "utf8"
  })
  // It would rather have seconds than microseconds, which is advice.
  expect([0, 3]).toContain(status)
  expect(stderr).not.toContain("error while linting")
})

it.effect("answers scrapes while a run goes on", () =>
  Effect.gen(function* () {
    let reads = 0
    const url = yield* Exporters.scrape({ host: "127.0.0.1", port: 0 }, () => make({ seconds: ++reads }))
    const get = (path: string) => Effect.promise(() => fetch(new URL(path, url)))
    const lines = yield* Effect.promise(async () => {
      const [one, two] = [await (await fetch(url)).text(), await (await fetch(url)).text()]
      return [one, two].map((text) => /^sluice_load_iterations_total\{scenario="browse"\} (\d+)$/m.exec(text)?.[1])
    })
    expect(lines).toEqual(["45", "90"])
    expect((yield* get("/other")).status).toBe(404)
  }).pipe(Effect.scoped)
)

it.effect("says which address it cannot serve", () =>
  Effect.gen(function* () {
    expect(yield* Exporters.parseAddress("9464")).toEqual({ host: "127.0.0.1", port: 9464 })
    expect(yield* Exporters.parseAddress("0.0.0.0:9464")).toEqual({ host: "0.0.0.0", port: 9464 })
    const { message } = yield* Effect.flip(Exporters.parseAddress("somewhere"))
    expect(message).toBe("Cannot serve metrics at somewhere: a port is needed, or an address and a port")
    const taken = yield* Exporters.scrape({ host: "127.0.0.1", port: 0 }, () => make())
    const error = yield* Effect.flip(
      Exporters.scrape({ host: "127.0.0.1", port: Number(new URL(taken).port) }, () => make())
    )
    expect(error.message).toContain("Cannot serve metrics at 127.0.0.1:")
  }).pipe(Effect.scoped)
)

const bodyOf = async (request: IncomingMessage): Promise<Buffer> => {
  const parts: Array<Buffer> = []
  for await (const part of request) parts.push(Buffer.from(part))
  return Buffer.concat(parts)
}

/** A server that keeps what it is sent. */
const collector = (status = 200) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly taken: Array<Buffer>; readonly close: () => void }>((resume) => {
      const taken: Array<Buffer> = []
      const server = createServer((request, response) => {
        void bodyOf(request).then((body) => {
          taken.push(body)
          response.writeHead(status, { "content-type": "application/json" }).end(status === 200 ? "{}" : "no room")
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        const close = (): void => {
          server.closeAllConnections()
          server.close()
        }
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, taken, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

it.live("pushes a run in OpenTelemetry's protocol, at the latest when it ends", () =>
  Effect.gen(function* () {
    const { taken, url } = yield* collector()
    yield* Effect.scoped(Exporters.otlp(`${url}/v1/metrics`, () => make()))
    const pushed = JSON.parse(taken.at(-1)?.toString() ?? "{}")
    const metrics: ReadonlyArray<{ readonly name: string; readonly exponentialHistogram?: object }> =
      pushed.resourceMetrics[0].scopeMetrics[0].metrics
    expect(metrics.map(({ name }) => name)).toContain("sluice_load_requests_total")
    expect(
      metrics.find(({ name }) => name === "sluice_load_request_duration_micros")?.exponentialHistogram
    ).toBeDefined()
  }).pipe(Effect.scoped)
)

/** Reads a block of snappy as the format's description has it, literals alone. */
const unsnappy = (bytes: Uint8Array): Uint8Array => {
  let at = 0
  let length = 0
  for (let shift = 1; ; shift *= 128) {
    const byte = bytes[at++] ?? 0
    length += (byte % 128) * shift
    if (byte < 128) break
  }
  const found: Array<number> = []
  while (at < bytes.length) {
    expect(bytes[at]).toBe(61 << 2)
    const size = (bytes[at + 1] ?? 0) + (bytes[at + 2] ?? 0) * 256 + 1
    found.push(...bytes.subarray(at + 3, at + 3 + size))
    at += 3 + size
  }
  expect(found).toHaveLength(length)
  return Uint8Array.from(found)
}

it("packs blocks of snappy of any length", () => {
  for (const length of [0, 1, 60, 65_535, 65_536, 65_537, 200_000]) {
    const bytes = Uint8Array.from({ length }, (_, index) => index % 251)
    expect(Buffer.compare(unsnappy(RemoteWrite.snappy(bytes)), bytes)).toBe(0)
  }
})

it.live("writes the seconds of a run, in requests of a bounded size", () =>
  Effect.gen(function* () {
    const { taken, url } = yield* collector()
    yield* Exporters.remoteWrite(url, make({ seconds: 600, perSecond: 2 }))
    expect(taken).toHaveLength(2)
    expect(Buffer.from(unsnappy(taken[0] ?? new Uint8Array())).toString("latin1")).toContain(
      "sluice_load_request_duration_micros"
    )
    const refusing = yield* collector(507)
    const { message } = yield* Effect.flip(Exporters.remoteWrite(refusing.url, make()))
    expect(message).toBe(`Cannot write to ${refusing.url}: it answered 507 no room`)
    const away = yield* Effect.flip(Exporters.remoteWrite("http://127.0.0.1:1/write", make()))
    expect(away.message).toContain("Cannot write to http://127.0.0.1:1/write: ")
  }).pipe(Effect.scoped)
)
