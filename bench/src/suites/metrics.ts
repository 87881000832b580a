// Updates and scrapes. Call sites are as in a program: several series in turn,
// bound once, so that no engine can inline one of them away.

import {
  AggregationTemporality,
  AggregationType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader
} from "@opentelemetry/sdk-metrics"
import { Exposition, Registry } from "@sluice/metrics"
import { SharedRegistry } from "@sluice/metrics/shared"
import { Context, Metric } from "effect"
import { build } from "hdr-histogram-js"
import * as prom from "prom-client"
import { nanosPerOperationSync, type Suite } from "../harness.ts"

const labels = ["a", "b", "c", "d", "e", "f", "g", "h"]
const operations = 2_000_000
const values = Array.from({ length: 4096 }, (_, index) => 0.001 + ((index * 2_654_435_761) % 4096) / 1000)
const valueAt = (n: number): number => values[n & 4095] ?? 0

const updates = <S>(series: ReadonlyArray<S>, update: (one: S, n: number) => void): number =>
  nanosPerOperationSync(operations, () => {
    for (let n = 0; n < operations; n++) {
      const one = series[n & 7]
      if (one !== undefined) update(one, n)
    }
  })

const oursCounters = () => {
  const counter = Registry.makeUnsafe().counter({ name: "c_total", help: "", labels: ["method", "path"] })
  return updates(
    labels.map((label) => counter.bind({ method: "GET", path: label })),
    (series) => series.incrementUnsafe()
  )
}

const promCounters = () => {
  const counter = new prom.Counter({ name: "c_total", help: "h", labelNames: ["method", "path"], registers: [] })
  return updates(
    labels.map((label) => counter.labels({ method: "GET", path: label })),
    (series) => series.inc()
  )
}

const oursHistograms = () => {
  const histogram = Registry.makeUnsafe().histogram({ name: "h", help: "", labels: ["method", "path"] })
  return updates(
    labels.map((label) => histogram.bind({ method: "GET", path: label })),
    (series, n) => series.observeUnsafe(valueAt(n))
  )
}

const promHistograms = () => {
  const histogram = new prom.Histogram({ name: "h", help: "h", labelNames: ["method", "path"], registers: [] })
  return updates(
    labels.map((label) => histogram.labels({ method: "GET", path: label })),
    (series, n) => series.observe(valueAt(n))
  )
}

const hdrHistograms = () =>
  updates(
    labels.map(() =>
      build({ lowestDiscernibleValue: 1, highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 2 })
    ),
    (series, n) => series.recordValue(Math.round(valueAt(n) * 1e6))
  )

const provider = new MeterProvider({
  views: [{ instrumentName: "exponential", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
  readers: [
    new PeriodicExportingMetricReader({
      exporter: new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE),
      exportIntervalMillis: 1e8
    })
  ]
})
const meter = provider.getMeter("bench")

// OpenTelemetry has no bound series: attributes go with every update, as objects that are made once.
const attributes = labels.map((label) => ({ method: "GET", path: label }))

const otelCounters = () => {
  const counter = meter.createCounter("counter")
  return updates(attributes, (labels) => counter.add(1, labels))
}

const otelHistograms = () => {
  const histogram = meter.createHistogram("exponential")
  return updates(attributes, (labels, n) => histogram.record(valueAt(n), labels))
}

const effectCounters = () => {
  const context = Context.empty()
  return updates(
    labels.map((label) => Metric.counter("c", { incremental: true, attributes: { method: "GET", path: label } })),
    (counter) => counter.updateUnsafe(1, context)
  )
}

const effectHistograms = () => {
  const context = Context.empty()
  const boundaries = Metric.exponentialBoundaries({ start: 0.0001, factor: 2, count: 24 })
  return updates(
    labels.map((label) => Metric.histogram("h", { boundaries, attributes: { method: "GET", path: label } })),
    (histogram, n) => histogram.updateUnsafe(valueAt(n), context)
  )
}

const sharedCounters = () => {
  const definition = Object.fromEntries(
    labels.map((path) => [path, { kind: "counter", name: "c_total", help: "", labels: { path } } as const])
  )
  return updates(Object.values(SharedRegistry.make(definition).instruments), (counter) => counter.incrementUnsafe())
}

const series = 10_000

const ours = Registry.makeUnsafe()
const oursMany = ours.counter({ name: "many_total", help: "Many.", labels: ["method", "path"], maxSeries: series })
const theirs = new prom.Registry()
const theirsMany = new prom.Counter({
  name: "many_total",
  help: "Many.",
  labelNames: ["method", "path"],
  registers: [theirs]
})
for (let n = 0; n < series; n++) {
  oursMany.bind({ method: "GET", path: `/path/${n}` }).addUnsafe(n)
  theirsMany.labels({ method: "GET", path: `/path/${n}` }).inc(n)
}

const millis = async (work: () => unknown): Promise<number> => {
  const start = performance.now()
  await work()
  return ((performance.now() - start) * 1e6) / series
}

const suite: Suite = {
  name: "metrics",
  comparisons: [
    {
      name: "counter, labelled, bound",
      unit: "ns/op",
      against: "prom-client",
      bar: 8,
      ours: oursCounters,
      peer: promCounters
    },
    {
      name: "histogram, labelled, bound",
      unit: "ns/op",
      against: "prom-client",
      bar: 8,
      ours: oursHistograms,
      peer: promHistograms
    },
    {
      name: "histogram, bound",
      unit: "ns/op",
      against: "hdr-histogram-js",
      bar: 1,
      ours: oursHistograms,
      peer: hdrHistograms
    },
    {
      name: "counter, labelled, bound",
      unit: "ns/op",
      against: "OpenTelemetry",
      ours: oursCounters,
      peer: otelCounters
    },
    {
      name: "histogram, exponential, labelled",
      unit: "ns/op",
      against: "OpenTelemetry",
      ours: oursHistograms,
      peer: otelHistograms
    },
    {
      name: "counter, labelled, bound",
      unit: "ns/op",
      against: "Effect Metric",
      ours: oursCounters,
      peer: effectCounters
    },
    {
      name: "histogram, labelled, bound",
      unit: "ns/op",
      against: "Effect Metric",
      ours: oursHistograms,
      peer: effectHistograms
    },
    {
      name: "counter shared by threads",
      unit: "ns/op",
      against: "prom-client, in one thread",
      ours: sharedCounters,
      peer: promCounters
    },
    {
      name: "scrape of 10,000 series, for each",
      unit: "ns/op",
      against: "prom-client",
      bar: 3,
      ours: () => millis(() => Exposition.prometheusText(ours)),
      peer: () => millis(() => theirs.metrics())
    }
  ]
}

export default suite
