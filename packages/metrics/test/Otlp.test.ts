import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { Registry } from "@sluice/metrics"
import { Otlp } from "@sluice/metrics/otlp"
import { Effect, Layer, Schema } from "effect"
import { FetchHttpClient } from "effect/http"
import { TestClock } from "effect/testing"

// As much of the collector's own model as is told here (opentelemetry-proto, metrics.proto, in JSON).
const Int64 = Schema.String.check(Schema.isPattern(/^\d+$/))
const Attributes = Schema.Array(
  Schema.Struct({ key: Schema.String, value: Schema.Struct({ stringValue: Schema.String }) })
)
const point = { attributes: Attributes, startTimeUnixNano: Int64, timeUnixNano: Int64 }
const NumberPoint = Schema.Struct({ ...point, asDouble: Schema.Number })
const Temporality = Schema.Literals([1, 2])
const Metric = Schema.Struct({
  name: Schema.String,
  description: Schema.String,
  sum: Schema.optionalKey(
    Schema.Struct({
      aggregationTemporality: Temporality,
      isMonotonic: Schema.Boolean,
      dataPoints: Schema.Array(NumberPoint)
    })
  ),
  gauge: Schema.optionalKey(Schema.Struct({ dataPoints: Schema.Array(NumberPoint) })),
  histogram: Schema.optionalKey(
    Schema.Struct({
      aggregationTemporality: Temporality,
      dataPoints: Schema.Array(
        Schema.Struct({
          ...point,
          count: Int64,
          sum: Schema.Number,
          bucketCounts: Schema.Array(Int64),
          explicitBounds: Schema.Array(Schema.Number)
        })
      )
    })
  ),
  exponentialHistogram: Schema.optionalKey(
    Schema.Struct({
      aggregationTemporality: Temporality,
      dataPoints: Schema.Array(
        Schema.Struct({
          ...point,
          count: Int64,
          sum: Schema.Number,
          scale: Schema.Int,
          zeroCount: Int64,
          positive: Schema.Struct({ offset: Schema.Int, bucketCounts: Schema.Array(Int64) }),
          min: Schema.optionalKey(Schema.Number),
          max: Schema.optionalKey(Schema.Number),
          exemplars: Schema.optionalKey(
            Schema.Array(
              Schema.Struct({
                asDouble: Schema.Number,
                traceId: Schema.String,
                timeUnixNano: Int64,
                filteredAttributes: Attributes
              })
            )
          )
        })
      )
    })
  ),
  summary: Schema.optionalKey(
    Schema.Struct({
      dataPoints: Schema.Array(
        Schema.Struct({
          ...point,
          count: Int64,
          sum: Schema.Number,
          quantileValues: Schema.Array(Schema.Struct({ quantile: Schema.Number, value: Schema.Number }))
        })
      )
    })
  )
})
const Data = Schema.fromJsonString(
  Schema.Struct({
    resourceMetrics: Schema.Array(
      Schema.Struct({
        resource: Schema.Struct({ attributes: Schema.Array(Schema.Unknown), droppedAttributesCount: Schema.Number }),
        scopeMetrics: Schema.Array(
          Schema.Struct({ scope: Schema.Struct({ name: Schema.String }), metrics: Schema.Array(Metric) })
        )
      })
    )
  })
)

/** Takes pushes, refuses what it cannot read, and keeps the rest. */
const collector = Effect.acquireRelease(
  Effect.promise(async () => {
    const pushes: Array<typeof Data.Type> = []
    const requests: Array<Pick<IncomingMessage, "url" | "headers">> = []
    const server = createServer((request, response) => {
      let body = ""
      request.on("data", (chunk) => {
        body += String(chunk)
      })
      request.on("end", () => {
        requests.push({ url: request.url, headers: request.headers })
        try {
          pushes.push(Schema.decodeUnknownSync(Data)(body, { onExcessProperty: "error" }))
          response.end("{}")
        } catch (error) {
          response.writeHead(400).end(String(error))
        }
      })
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()))
    const { port } = server.address() as AddressInfo
    return { pushes, requests, url: `http://127.0.0.1:${port}/v1/metrics`, server }
  }),
  ({ server }) =>
    Effect.promise(() => {
      server.closeAllConnections()
      return new Promise<void>((resolve) => server.close(() => resolve()))
    })
)

const until = (isSo: () => boolean): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const look = (): void => {
      if (isSo()) resume(Effect.void)
      else setImmediate(look)
    }
    look()
  })

const filled = Effect.gen(function* () {
  const registry = yield* Registry.make()
  const counter = registry.counter({ name: "jobs_total", help: "Jobs.", labels: ["kind"] }).bind({ kind: "a" })
  counter.addUnsafe(3)
  registry.upDownCounter({ name: "active", help: "" }).bind().addUnsafe(-1)
  registry.gauge({ name: "level", help: "" }).bind().setUnsafe(2.5)
  const histogram = registry.histogram({ name: "h", help: "" }).bind()
  for (const value of [0, 1, 2, 4]) histogram.observeUnsafe(value)
  histogram.observeWithExemplarUnsafe(8, { trace_id: "0af7651916cd43dd8448eb211c80319c", user: "u" })
  registry
    .fixedHistogram({ name: "f", help: "", bounds: [1, 2] })
    .bind()
    .observeUnsafe(1.5)
  registry
    .summary({ name: "s", help: "", quantiles: [0.5] })
    .bind()
    .observeUnsafe(7)
  return { registry, counter, histogram }
})

describe("OTLP", () => {
  it.effect("tells a collector everything, exponential histograms included", () =>
    Effect.gen(function* () {
      const { pushes, requests, url } = yield* collector
      const { registry } = yield* filled
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Layer.build(
            Otlp.layer({
              url,
              headers: { "api-key": "secret" },
              resource: { serviceName: "test" },
              exportInterval: "10 seconds"
            })
          )
          yield* TestClock.adjust("10 seconds")
          yield* until(() => pushes.length === 1)
        })
      ).pipe(Effect.provide(FetchHttpClient.layer), Effect.provideService(Registry.Registry, registry))
      expect(requests[0]).toMatchObject({
        url: "/v1/metrics",
        headers: { "api-key": "secret", "content-type": "application/json" }
      })
      const metrics = Object.fromEntries(
        pushes[0]?.resourceMetrics[0]?.scopeMetrics[0]?.metrics.map((metric) => [metric.name, metric]) ?? []
      )
      expect(metrics["jobs_total"]?.sum).toMatchObject({
        aggregationTemporality: 2,
        isMonotonic: true,
        dataPoints: [
          {
            attributes: [{ key: "kind", value: { stringValue: "a" } }],
            asDouble: 3,
            startTimeUnixNano: "0",
            timeUnixNano: "10000000000"
          }
        ]
      })
      expect(metrics["active"]?.sum).toMatchObject({ isMonotonic: false, dataPoints: [{ asDouble: -1 }] })
      expect(metrics["level"]?.gauge?.dataPoints[0]?.asDouble).toBe(2.5)
      const [point] = metrics["h"]?.exponentialHistogram?.dataPoints ?? []
      expect(point).toMatchObject({ count: "5", sum: 15, zeroCount: "1", min: 0, max: 8 })
      expect(point?.exemplars).toMatchObject([
        {
          asDouble: 8,
          traceId: "0af7651916cd43dd8448eb211c80319c",
          filteredAttributes: [{ key: "user", value: { stringValue: "u" } }]
        }
      ])
      // The buckets hold 1, 2, 4 and 8, each in the one that ends there.
      const base = 2 ** (2 ** -(point?.scale ?? 0))
      const ends = (point?.positive.bucketCounts ?? []).flatMap((count, index) =>
        count === "0" ? [] : [Math.round(base ** ((point?.positive.offset ?? 0) + index + 1) * 1e6) / 1e6]
      )
      expect(ends).toEqual([1, 2, 4, 8])
      expect(metrics["f"]?.histogram?.dataPoints[0]).toMatchObject({
        count: "1",
        bucketCounts: ["0", "1", "0"],
        explicitBounds: [1, 2]
      })
      expect(metrics["s"]?.summary?.dataPoints[0]?.quantileValues[0]?.quantile).toBe(0.5)
    })
  )

  it.effect("tells what came on top, where the backend adds up", () =>
    Effect.gen(function* () {
      const { pushes, url } = yield* collector
      const { counter, histogram, registry } = yield* filled
      const figures = (push: number) => {
        const metrics = pushes[push]?.resourceMetrics[0]?.scopeMetrics[0]?.metrics ?? []
        const jobs = metrics.find(({ name }) => name === "jobs_total")?.sum
        const h = metrics.find(({ name }) => name === "h")?.exponentialHistogram
        return [jobs?.aggregationTemporality, jobs?.dataPoints[0]?.asDouble, h?.dataPoints[0]?.count]
      }
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Layer.build(Otlp.layer({ url, exportInterval: "10 seconds", temporality: "delta" }))
          yield* TestClock.adjust("10 seconds")
          yield* until(() => pushes.length === 1)
          counter.addUnsafe(2)
          histogram.observeUnsafe(16)
          // The collector has the first push before the exporter knows it and waits for the time of the second.
          const oneTurn = Effect.promise(() => new Promise<void>((resolve) => void setImmediate(resolve)))
          yield* Effect.andThen(TestClock.adjust("10 seconds"), oneTurn).pipe(
            Effect.repeat({ until: () => pushes.length >= 2 })
          )
        })
      ).pipe(Effect.provide(FetchHttpClient.layer), Effect.provideService(Registry.Registry, registry))
      expect(figures(0)).toEqual([1, 3, "5"])
      expect(figures(1)).toEqual([1, 2, "1"])
    })
  )
})
