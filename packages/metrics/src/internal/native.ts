// Prometheus's protobuf format with native histograms: `io.prometheus.client` of
// prometheus/client_model. A native bucket `i` of schema `s` holds the values in
// (base^(i-1), base^i] with base = 2^(2^-s), which are those of our bucket `i - 1`
// of scale `s`.

import type { Exemplar, HistogramSnapshot, Labels, MetricSnapshot, SeriesSnapshot } from "../Instruments.ts"
import { atScale, type Buckets } from "./exponential.ts"
import { Message } from "./protobuf.ts"
import { bucketsOf } from "./series.ts"
import { cumulativeCounts } from "./text.ts"

const leastSchema = -4
const mostSchema = 8

/** Empty buckets that are written out rather than skipped by another span. */
const maxGap = 2

const types: Readonly<Record<MetricSnapshot["type"], number>> = {
  counter: 0,
  gauge: 1,
  updown: 1,
  summary: 2,
  histogram: 4,
  fixed: 4
}

const timestamp = (millis: number): Message =>
  new Message().uint(1, Math.floor(millis / 1000)).uint(2, Math.floor((millis % 1000) * 1e6))

const writeLabels = (message: Message, labels: Labels): void => {
  for (const [name, value] of Object.entries(labels)) {
    message.message(1, new Message().string(1, name).string(2, value))
  }
}

const exemplarOf = ({ labels, timestampMillis, value }: Exemplar): Message => {
  const message = new Message()
  writeLabels(message, labels)
  return message.double(2, value).message(3, timestamp(timestampMillis))
}

interface Span {
  readonly offset: number
  readonly deltas: Array<number>
  length: number
}

/** Runs of buckets, each count told as what it is more than the one before. */
const spansOf = ({ counts, offset, used }: Buckets): ReadonlyArray<Span> => {
  const spans: Array<Span> = []
  let last = 0
  let end = 0
  for (let at = 0; at < used; at++) {
    const count = counts[at] ?? 0
    if (count === 0) continue
    const index = offset + at + 1
    const gap = index - end
    let span = spans.at(-1)
    if (span === undefined || gap > maxGap) {
      span = { offset: spans.length === 0 ? index : gap, deltas: [], length: 0 }
      spans.push(span)
    } else {
      for (let skipped = 0; skipped < gap; skipped++) {
        span.deltas.push(-last)
        span.length++
        last = 0
      }
    }
    span.deltas.push(count - last)
    span.length++
    last = count
    end = index + 1
  }
  return spans
}

const writeNative = (histogram: Message, snapshot: HistogramSnapshot): void => {
  const buckets = atScale(bucketsOf(snapshot), mostSchema)
  if (buckets.scale < leastSchema) return
  histogram.sint(5, buckets.scale).double(6, 0).uint(7, buckets.zero)
  const spans = spansOf(buckets)
  // Without any span the histogram would be taken for one of the older kind.
  if (spans.length === 0) histogram.message(12, new Message().sint(1, 0).uint(2, 0))
  for (const { length, offset } of spans) histogram.message(12, new Message().sint(1, offset).uint(2, length))
  for (const { deltas } of spans) for (const delta of deltas) histogram.sint(13, delta)
}

const histogramOf = (
  metric: Extract<MetricSnapshot, { readonly type: "histogram" | "fixed" }>,
  series: (typeof metric.series)[number]
): Message => {
  const { exemplars, value } = series
  const histogram = new Message().uint(1, value.count).double(2, value.sum)
  const bucket = (count: number, bound: number, at: number): void => {
    const message = new Message().uint(1, count).double(2, bound)
    const exemplar = exemplars?.[at]
    if (exemplar !== undefined) message.message(3, exemplarOf(exemplar))
    histogram.message(3, message)
  }
  for (const [at, count] of cumulativeCounts(metric.bounds, value).entries()) bucket(count, metric.bounds[at] ?? 0, at)
  bucket(value.count, Number.POSITIVE_INFINITY, metric.bounds.length)
  if (!("counts" in value)) writeNative(histogram, value)
  if (series.createdAtMillis !== undefined) histogram.message(15, timestamp(series.createdAtMillis))
  return histogram
}

const labelled = (series: SeriesSnapshot<unknown>): Message => {
  const message = new Message()
  writeLabels(message, series.labels)
  return message
}

const metricsOf = (metric: MetricSnapshot): ReadonlyArray<Message> => {
  switch (metric.type) {
    case "counter":
      return metric.series.map((series) => {
        const counter = new Message().double(1, series.value)
        const exemplar = series.exemplars?.[0]
        if (exemplar !== undefined) counter.message(2, exemplarOf(exemplar))
        if (series.createdAtMillis !== undefined) counter.message(3, timestamp(series.createdAtMillis))
        return labelled(series).message(3, counter)
      })
    case "gauge":
    case "updown":
      return metric.series.map((series) => labelled(series).message(2, new Message().double(1, series.value)))
    case "summary":
      return metric.series.map((series) => {
        const { count, quantiles, sum } = series.value
        const summary = new Message().uint(1, count).double(2, sum)
        for (const [q, value] of quantiles) summary.message(3, new Message().double(1, q).double(2, value))
        if (series.createdAtMillis !== undefined) summary.message(4, timestamp(series.createdAtMillis))
        return labelled(series).message(4, summary)
      })
    default:
      return metric.series.map((series) => labelled(series).message(7, histogramOf(metric, series)))
  }
}

export const nativeFamilies = (metrics: ReadonlyArray<MetricSnapshot>): Uint8Array => {
  const all = new Message()
  for (const metric of metrics) {
    const family = new Message().string(1, metric.name).string(2, metric.help).uint(3, types[metric.type])
    for (const one of metricsOf(metric)) family.message(4, one)
    all.delimited(family)
  }
  return all.finish()
}
