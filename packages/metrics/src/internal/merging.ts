// Snapshots of several processes as one, and of one process less an earlier one.

import type {
  Aggregation,
  FixedHistogramSnapshot,
  HistogramSnapshot,
  Labels,
  MetricSnapshot,
  SeriesSnapshot
} from "../Instruments.ts"
import * as Exponential from "./exponential.ts"
import { bucketsOf, Snapshot } from "./series.ts"

const keyOf = (labels: Labels): string =>
  JSON.stringify(Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1)))

const least = (one: number | undefined, other: number | undefined): number | undefined =>
  one === undefined || other === undefined ? (one ?? other) : Math.min(one, other)

type Combine<A> = (one: A, other: A) => A

const combineSeries = <A>(
  all: ReadonlyArray<ReadonlyArray<SeriesSnapshot<A>>>,
  combine: Combine<A>
): ReadonlyArray<SeriesSnapshot<A>> => {
  const found = new Map<string, SeriesSnapshot<A>>()
  for (const series of all.flat()) {
    const key = keyOf(series.labels)
    const known = found.get(key)
    const createdAtMillis = least(known?.createdAtMillis, series.createdAtMillis)
    found.set(
      key,
      known === undefined
        ? series
        : {
            ...series,
            value: combine(known.value, series.value),
            ...(createdAtMillis === undefined ? {} : { createdAtMillis })
          }
    )
  }
  return [...found.values()]
}

const gauges: Readonly<Record<Aggregation, Combine<number>>> = {
  sum: (one, other) => one + other,
  max: Math.max,
  min: Math.min,
  last: (_, other) => other
}

const addFixed: Combine<FixedHistogramSnapshot> = (one, other) => ({
  count: one.count + other.count,
  sum: one.sum + other.sum,
  counts: one.counts.map((count, at) => count + (other.counts[at] ?? 0))
})

const addHistograms: Combine<HistogramSnapshot> = (one, other) => one.merge(other)

type Of<T extends MetricSnapshot["type"]> = Extract<MetricSnapshot, { readonly type: T }>

const isOf =
  <T extends MetricSnapshot["type"]>(type: T) =>
  (metric: MetricSnapshot): metric is Of<T> =>
    metric.type === type

const mergeOne = (metrics: ReadonlyArray<MetricSnapshot>): MetricSnapshot | undefined => {
  const [first] = metrics
  if (first === undefined || first.type === "summary") return undefined
  const different = metrics.find(
    (metric) =>
      metric.type !== first.type ||
      ("bounds" in metric && "bounds" in first && metric.bounds.join() !== first.bounds.join())
  )
  if (different !== undefined) {
    throw new TypeError(
      `Cannot merge the metric ${first.name}: it is a ${first.type} here and a ${different.type} there, or its bounds differ`
    )
  }
  switch (first.type) {
    case "gauge":
      return {
        ...first,
        series: combineSeries(
          metrics.filter(isOf("gauge")).map(({ series }) => series),
          gauges[first.aggregation]
        )
      }
    case "histogram":
      return {
        ...first,
        series: combineSeries(
          metrics.filter(isOf("histogram")).map(({ series }) => series),
          addHistograms
        )
      }
    case "fixed":
      return {
        ...first,
        series: combineSeries(
          metrics.filter(isOf("fixed")).map(({ series }) => series),
          addFixed
        )
      }
    default:
      return {
        ...first,
        series: combineSeries(
          metrics.flatMap((metric) => (metric.type === "counter" || metric.type === "updown" ? [metric.series] : [])),
          gauges.sum
        )
      }
  }
}

export const mergeMetrics = (
  snapshots: ReadonlyArray<ReadonlyArray<MetricSnapshot>>
): ReadonlyArray<MetricSnapshot> => {
  const byName = new Map<string, Array<MetricSnapshot>>()
  for (const metric of snapshots.flat()) {
    const known = byName.get(metric.name)
    if (known === undefined) byName.set(metric.name, [metric])
    else known.push(metric)
  }
  return [...byName.values()].flatMap((metrics) => mergeOne(metrics) ?? [])
}

const joinTwo = (one: MetricSnapshot, other: MetricSnapshot): MetricSnapshot => {
  if (one.type === "histogram" && other.type === "histogram")
    return { ...one, series: [...one.series, ...other.series] }
  if (one.type === "fixed" && other.type === "fixed") return { ...one, series: [...one.series, ...other.series] }
  if (one.type === "summary" && other.type === "summary") return { ...one, series: [...one.series, ...other.series] }
  if (one.type === "gauge" && other.type === "gauge") return { ...one, series: [...one.series, ...other.series] }
  if (one.type === "counter" && other.type === "counter") return { ...one, series: [...one.series, ...other.series] }
  if (one.type === "updown" && other.type === "updown") return { ...one, series: [...one.series, ...other.series] }
  throw new TypeError(`Cannot show ${one.name} both as a ${one.type} and as a ${other.type}`)
}

/** Makes one metric of those that share a name. */
export const joinSeries = (metrics: ReadonlyArray<MetricSnapshot>): ReadonlyArray<MetricSnapshot> => {
  const byName = new Map<string, MetricSnapshot>()
  for (const metric of metrics) {
    const known = byName.get(metric.name)
    byName.set(metric.name, known === undefined ? metric : joinTwo(known, metric))
  }
  return [...byName.values()]
}

const lessSeries = <A>(
  now: ReadonlyArray<SeriesSnapshot<A>>,
  before: ReadonlyArray<SeriesSnapshot<A>>,
  less: (after: A, before: A) => A
): ReadonlyArray<SeriesSnapshot<A>> => {
  const known = new Map(before.map((series) => [keyOf(series.labels), series.value]))
  return now.map((series) => {
    const value = known.get(keyOf(series.labels))
    return value === undefined ? series : { ...series, value: less(series.value, value) }
  })
}

/** What shrank has been reset, and counts from nothing. */
const lessNumber = (after: number, before: number): number => (after >= before ? after - before : after)

const lessHistogram = (after: HistogramSnapshot, before: HistogramSnapshot): HistogramSnapshot =>
  after.count < before.count ? after : new Snapshot(Exponential.difference(bucketsOf(after), bucketsOf(before)))

const lessFixed = (after: FixedHistogramSnapshot, before: FixedHistogramSnapshot): FixedHistogramSnapshot =>
  after.count < before.count
    ? after
    : {
        count: after.count - before.count,
        sum: after.sum - before.sum,
        counts: after.counts.map((count, at) => count - (before.counts[at] ?? 0))
      }

export const differenceOf = (
  now: ReadonlyArray<MetricSnapshot>,
  before: ReadonlyArray<MetricSnapshot>
): ReadonlyArray<MetricSnapshot> => {
  const known = new Map(before.map((metric) => [metric.name, metric]))
  return now.map((metric): MetricSnapshot => {
    const earlier = known.get(metric.name)
    if (metric.type === "counter" && earlier?.type === "counter") {
      return { ...metric, series: lessSeries(metric.series, earlier.series, lessNumber) }
    }
    if (metric.type === "histogram" && earlier?.type === "histogram") {
      return { ...metric, series: lessSeries(metric.series, earlier.series, lessHistogram) }
    }
    if (metric.type === "fixed" && earlier?.type === "fixed") {
      return { ...metric, series: lessSeries(metric.series, earlier.series, lessFixed) }
    }
    return metric
  })
}
