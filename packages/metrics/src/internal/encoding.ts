// Snapshots as JSON. Of a histogram the buckets are written as they are, so that
// what is read merges as exactly as what was written.

import * as Schema from "effect/Schema"
import type { HistogramSnapshot, MetricSnapshot, SeriesSnapshot } from "../Instruments.ts"
import type * as Exponential from "./exponential.ts"
import { bucketsOf, Snapshot } from "./series.ts"

// JSON knows no infinities and no NaN.
const JsonNumber = Schema.Union([Schema.Number, Schema.Literals(["NaN", "Infinity", "-Infinity"])])
type JsonNumber = typeof JsonNumber.Type

const Labels = Schema.Record(Schema.String, Schema.String)

const series = <S extends Schema.Top>(value: S) =>
  Schema.Array(
    Schema.Struct({
      labels: Labels,
      value,
      createdAtMillis: Schema.optionalKey(Schema.Number),
      exemplars: Schema.optionalKey(
        Schema.Array(
          Schema.NullOr(Schema.Struct({ labels: Labels, value: JsonNumber, timestampMillis: Schema.Number }))
        )
      )
    })
  )

const described = { name: Schema.String, help: Schema.String }
const Bounds = Schema.Array(Schema.Number)

const Buckets = Schema.Struct({
  /** The window's length. */
  maxBuckets: Schema.Number,
  scale: Schema.Number,
  offset: Schema.Number,
  counts: Schema.Array(Schema.Number),
  zero: Schema.Number,
  count: Schema.Number,
  sum: JsonNumber,
  min: JsonNumber,
  max: JsonNumber
})

const Metric = Schema.Union([
  Schema.Struct({ type: Schema.Literals(["counter", "updown"]), ...described, series: series(JsonNumber) }),
  Schema.Struct({
    type: Schema.Literal("gauge"),
    ...described,
    aggregation: Schema.Literals(["sum", "max", "min", "last"]),
    series: series(JsonNumber)
  }),
  Schema.Struct({ type: Schema.Literal("histogram"), ...described, bounds: Bounds, series: series(Buckets) }),
  Schema.Struct({
    type: Schema.Literal("fixed"),
    ...described,
    bounds: Bounds,
    series: series(Schema.Struct({ count: Schema.Number, sum: JsonNumber, counts: Schema.Array(Schema.Number) }))
  }),
  Schema.Struct({
    type: Schema.Literal("summary"),
    ...described,
    series: series(
      Schema.Struct({
        count: Schema.Number,
        sum: JsonNumber,
        quantiles: Schema.Array(Schema.Tuple([Schema.Number, JsonNumber]))
      })
    )
  })
])
type Metric = typeof Metric.Type

const All = Schema.Struct({ version: Schema.Literal(1), metrics: Schema.Array(Metric) })

/** What `Snapshots.encode` makes: JSON can hold it, and `Snapshots.decode` reads it. */
export interface Encoded {
  readonly version: 1
  readonly metrics: ReadonlyArray<object>
}

const toJson = (value: number): JsonNumber =>
  Number.isFinite(value) ? value : Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity"

const encodeBuckets = (snapshot: HistogramSnapshot): typeof Buckets.Type => {
  const { count, counts, max, min, offset, scale, sum, used, zero } = bucketsOf(snapshot)
  return {
    maxBuckets: counts.length,
    scale,
    offset,
    counts: [...counts.subarray(0, used)],
    zero,
    count,
    sum: toJson(sum),
    min: toJson(min),
    max: toJson(max)
  }
}

const decodeBuckets = ({ counts, maxBuckets, max, min, sum, ...rest }: typeof Buckets.Type): HistogramSnapshot => {
  const window = new Float64Array(Math.max(maxBuckets, counts.length))
  window.set(counts)
  const buckets: Exponential.Buckets = {
    ...rest,
    perOctave: 2 ** rest.scale,
    counts: window,
    used: counts.length,
    sum: Number(sum),
    min: Number(min),
    max: Number(max)
  }
  return new Snapshot(buckets)
}

const encodeSeries = <A, B>(all: ReadonlyArray<SeriesSnapshot<A>>, encode: (value: A) => B) =>
  all.map(({ createdAtMillis, exemplars, labels, value }) => ({
    labels,
    value: encode(value),
    ...(createdAtMillis === undefined ? undefined : { createdAtMillis }),
    ...(exemplars === undefined
      ? undefined
      : {
          exemplars: exemplars.map((exemplar) =>
            exemplar === undefined ? null : { ...exemplar, value: toJson(exemplar.value) }
          )
        })
  }))

const encodeOne = (metric: MetricSnapshot): Metric => {
  switch (metric.type) {
    case "histogram":
      return { ...metric, series: encodeSeries(metric.series, encodeBuckets) }
    case "fixed":
      return { ...metric, series: encodeSeries(metric.series, (value) => ({ ...value, sum: toJson(value.sum) })) }
    case "summary":
      return {
        ...metric,
        series: encodeSeries(metric.series, ({ count, quantiles, sum }) => ({
          count,
          sum: toJson(sum),
          quantiles: quantiles.map(([q, value]): [number, JsonNumber] => [q, toJson(value)])
        }))
      }
    case "gauge":
      return { ...metric, series: encodeSeries(metric.series, toJson) }
    default:
      return { ...metric, series: encodeSeries(metric.series, toJson) }
  }
}

export const encodeMetric = (metric: MetricSnapshot): object => encodeOne(metric)

interface DecodedSeries<B> {
  readonly labels: Readonly<Record<string, string>>
  readonly value: B
  readonly createdAtMillis?: number
  readonly exemplars?: ReadonlyArray<{
    readonly labels: Readonly<Record<string, string>>
    readonly value: JsonNumber
    readonly timestampMillis: number
  } | null>
}

const decodeSeries = <A, B>(
  all: ReadonlyArray<DecodedSeries<B>>,
  decode: (value: B) => A
): ReadonlyArray<SeriesSnapshot<A>> =>
  all.map(({ createdAtMillis, exemplars, labels, value }) => ({
    labels,
    value: decode(value),
    createdAtMillis,
    exemplars: exemplars?.map((exemplar) =>
      exemplar === null ? undefined : { ...exemplar, value: Number(exemplar.value) }
    )
  }))

const decodeMetric = (metric: Metric): MetricSnapshot => {
  switch (metric.type) {
    case "histogram":
      return { ...metric, series: decodeSeries(metric.series, decodeBuckets) }
    case "fixed":
      return { ...metric, series: decodeSeries(metric.series, (value) => ({ ...value, sum: Number(value.sum) })) }
    case "summary":
      return {
        ...metric,
        series: decodeSeries(metric.series, ({ count, quantiles, sum }) => ({
          count,
          sum: Number(sum),
          quantiles: quantiles.map(([q, value]): [number, number] => [q, Number(value)])
        }))
      }
    case "gauge":
      return { ...metric, series: decodeSeries(metric.series, Number) }
    default:
      return { ...metric, series: decodeSeries(metric.series, Number) }
  }
}

const decodeAll = Schema.decodeUnknownSync(All)

export const decodeMetrics = (encoded: unknown): ReadonlyArray<MetricSnapshot> => {
  try {
    return decodeAll(encoded).metrics.map(decodeMetric)
  } catch (error) {
    throw new TypeError(`Cannot read snapshots: ${error instanceof Error ? error.message : String(error)}`)
  }
}
