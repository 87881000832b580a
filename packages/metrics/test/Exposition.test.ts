import { spawnSync } from "node:child_process"
import { Exposition, Registry, Snapshots } from "@sluice/metrics"
import { Http } from "@sluice/metrics/http"
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { describe, expect, it } from "vitest"
import { sample } from "./sample.ts"

const hasPromtool = spawnSync("promtool", ["--version"]).status === 0

describe("OpenMetrics", () => {
  it("names counters by their family, shows examples and the times of making, and ends", () => {
    expect(Exposition.openMetricsText(sample()).split("\n")).toEqual([
      "# TYPE app_requests counter",
      '# HELP app_requests All\\nof \\"them\\" \\\\o/.',
      'app_requests_total{worker="1",path="/a\\"\\\\\\n"} 2',
      'app_requests_created{worker="1",path="/a\\"\\\\\\n"} 1.5',
      'app_requests_total{worker="1",path="/b"} 3 # {trace_id="abc",span_id="def"} 3 1.5',
      'app_requests_created{worker="1",path="/b"} 1.5',
      "# TYPE app_temperature gauge",
      "# HELP app_temperature Degrees.",
      'app_temperature{worker="1"} -1.5',
      "# TYPE app_jobs gauge",
      "# HELP app_jobs Jobs.",
      'app_jobs{worker="1"} 4',
      "# TYPE app_latency_seconds histogram",
      "# HELP app_latency_seconds Latency.",
      'app_latency_seconds_bucket{worker="1",le="0.25"} 2',
      'app_latency_seconds_bucket{worker="1",le="0.5"} 3',
      'app_latency_seconds_bucket{worker="1",le="1.0"} 4',
      'app_latency_seconds_bucket{worker="1",le="+Inf"} 5 # {trace_id="xyz"} 3 1.5',
      'app_latency_seconds_sum{worker="1"} 4.4',
      'app_latency_seconds_count{worker="1"} 5',
      'app_latency_seconds_created{worker="1"} 1.5',
      "# TYPE app_size_bytes histogram",
      "# HELP app_size_bytes Sizes.",
      'app_size_bytes_bucket{worker="1",le="10.0"} 0',
      'app_size_bytes_bucket{worker="1",le="100.0"} 1',
      'app_size_bytes_bucket{worker="1",le="+Inf"} 1',
      'app_size_bytes_sum{worker="1"} 50',
      'app_size_bytes_count{worker="1"} 1',
      'app_size_bytes_created{worker="1"} 1.5',
      "# TYPE app_recent_seconds summary",
      "# HELP app_recent_seconds Recent.",
      'app_recent_seconds{worker="1",quantile="0.5"} 0.5',
      'app_recent_seconds_sum{worker="1"} 0.5',
      'app_recent_seconds_count{worker="1"} 1',
      'app_recent_seconds_created{worker="1"} 1.5',
      "# EOF",
      ""
    ])
  })

  it("leaves an example out that is longer than it may be", () => {
    const registry = Registry.makeUnsafe()
    registry
      .counter({ name: "a_total", help: "" })
      .bind()
      .addWithExemplarUnsafe(1, { trace_id: "x".repeat(200) })
    expect(Exposition.openMetricsText(registry)).not.toContain("trace_id")
  })
})

describe("the Prometheus text", () => {
  it.skipIf(!hasPromtool)("is what promtool takes", () => {
    const { status, stderr } = spawnSync("promtool", ["check", "metrics"], {
      input: Exposition.prometheusText(sample()),
      encoding: "utf8"
    })
    // Advice on names is not an error; what it cannot read is.
    expect(stderr).not.toContain("error while linting")
    expect(status).not.toBe(1)
  })
})

describe("JSON", () => {
  it("is read back as it was written, and merges as exactly", () => {
    const registry = sample()
    const read = Snapshots.decode(JSON.parse(Exposition.json(registry)))
    expect(JSON.stringify(Snapshots.encode(read))).toBe(Exposition.json(registry))
    const twice = Snapshots.merge(read, registry.snapshotUnsafe())
    expect(twice.find(({ name }) => name === "app_requests_total")?.series.map(({ value }) => value)).toEqual([4, 6])
  })

  it("that is none is refused with what is wrong", () => {
    expect(() => Snapshots.decode({ version: 1, metrics: [{ type: "gauge" }] })).toThrow("Cannot read snapshots")
    expect(() => Snapshots.decode("x")).toThrow("Cannot read snapshots")
  })
})

describe("negotiation", () => {
  const types = (accept: string | undefined) => Exposition.negotiate(sample(), accept).contentType.split(";")[0]

  it.each([
    [undefined, "text/plain"],
    ["*/*", "text/plain"],
    ["text/html,*/*;q=0.1", "text/plain"],
    ["application/json", "application/json"],
    [
      "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
      "application/openmetrics-text"
    ],
    ["application/openmetrics-text;q=0.1,text/plain;q=0.9", "text/plain"],
    [
      "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8",
      "application/vnd.google.protobuf"
    ],
    ["application/json;q=0", "text/plain"],
    ["image/png", "text/plain"]
  ])("gives for %s %s", (accept, type) => {
    expect(types(accept)).toBe(type)
  })
})

describe("over HTTP", () => {
  const request = (headers: Record<string, string> = {}, method = "GET") =>
    new Request("http://localhost/metrics", { headers, method })

  it("a handler answers GET and HEAD, in the format asked for", async () => {
    const answer = Http.handler(sample())
    const text = answer(request())
    expect(text.headers.get("content-type")).toBe(Exposition.prometheusContentType)
    expect(await text.text()).toBe(Exposition.prometheusText(sample()))
    expect(await answer(request({ accept: "application/json" })).json()).toMatchObject({ version: 1 })
    expect(await answer(request({}, "HEAD")).text()).toBe("")
    expect(answer(request({}, "POST")).status).toBe(405)
  })

  it("a route answers in Effect's router", async () => {
    const registry = sample()
    const { dispose, handler } = HttpRouter.toWebHandler(
      Http.route().pipe(HttpRouter.provideRequest(Layer.succeed(Registry.Registry, registry)))
    )
    try {
      const response = await handler(request({ accept: "application/openmetrics-text" }))
      expect(response.headers.get("content-type")).toBe(Exposition.openMetricsContentType)
      expect(await response.text()).toBe(Exposition.openMetricsText(registry))
      const binary = await handler(request({ accept: "application/vnd.google.protobuf" }))
      expect(new Uint8Array(await binary.arrayBuffer())).toEqual(Exposition.prometheusProtobuf(registry))
    } finally {
      await Effect.runPromise(Effect.promise(() => dispose()))
    }
  })
})
