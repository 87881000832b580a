// Snapshots in OpenTelemetry's data model, as its JSON encoding has it
// (opentelemetry-proto, `metrics.proto`): 64-bit numbers are strings there, and what
// is not finite is a string too. A bucket `i` of an exponential histogram holds the
// values in (base^i, base^(i+1)], as ours do.

import type * as OtlpResource from "effect/observability/OtlpResource"
import type { Exemplar, Labels, MetricSnapshot, SeriesSnapshot } from "../Instruments.ts"
import { bucketsOf } from "./series.ts"

export type OtlpTemporality = "cumulative" | "delta"

export interface Context {
  readonly resource: OtlpResource.Resource
  readonly temporality: OtlpTemporality
  readonly sinceMillis: number
  readonly nowMillis: number
}

const nanos = (millis: number): string => `${BigInt(Math.round(millis * 1000)) * 1000n}`

const double = (value: number): number | string => (Number.isFinite(value) ? value : String(value))

const attributesOf = (labels: Labels) =>
  Object.entries(labels).map(([key, value]) => ({ key, value: { stringValue: value } }))

/** Trace and span have fields of their own. */
const exemplarOf = ({ labels, timestampMillis, value }: Exemplar) => {
  const { span_id: spanId, trace_id: traceId, ...others } = labels
  return {
    timeUnixNano: nanos(timestampMillis),
    asDouble: double(value),
    filteredAttributes: attributesOf(others),
    ...(spanId === undefined ? undefined : { spanId }),
    ...(traceId === undefined ? undefined : { traceId })
  }
}

const pointOf = (
  { createdAtMillis, exemplars, labels }: SeriesSnapshot<unknown>,
  { nowMillis, sinceMillis, temporality }: Context
) => {
  const examples = exemplars?.flatMap((exemplar) => (exemplar === undefined ? [] : [exemplarOf(exemplar)])) ?? []
  return {
    attributes: attributesOf(labels),
    startTimeUnixNano: nanos(temporality === "delta" ? sinceMillis : (createdAtMillis ?? sinceMillis)),
    timeUnixNano: nanos(nowMillis),
    ...(examples.length === 0 ? undefined : { exemplars: examples })
  }
}

const dataOf = (metric: MetricSnapshot, context: Context): object => {
  const aggregationTemporality = context.temporality === "delta" ? 1 : 2
  switch (metric.type) {
    case "counter":
    case "updown":
      return {
        sum: {
          // What goes up and down is always told whole.
          aggregationTemporality: metric.type === "counter" ? aggregationTemporality : 2,
          isMonotonic: metric.type === "counter",
          dataPoints: metric.series.map((series) => ({ ...pointOf(series, context), asDouble: double(series.value) }))
        }
      }
    case "gauge":
      return {
        gauge: {
          dataPoints: metric.series.map((series) => ({ ...pointOf(series, context), asDouble: double(series.value) }))
        }
      }
    case "summary":
      return {
        summary: {
          dataPoints: metric.series.map((series) => ({
            ...pointOf(series, context),
            count: String(series.value.count),
            sum: double(series.value.sum),
            quantileValues: series.value.quantiles.map(([quantile, value]) => ({ quantile, value: double(value) }))
          }))
        }
      }
    case "fixed":
      return {
        histogram: {
          aggregationTemporality,
          dataPoints: metric.series.map((series) => ({
            ...pointOf(series, context),
            count: String(series.value.count),
            sum: double(series.value.sum),
            bucketCounts: series.value.counts.map(String),
            explicitBounds: metric.bounds
          }))
        }
      }
    case "histogram":
      return {
        exponentialHistogram: {
          aggregationTemporality,
          dataPoints: metric.series.map((series) => {
            const { count, counts, max, min, offset, scale, sum, used, zero } = bucketsOf(series.value)
            // Least and largest value are of all that was recorded, which a later part of it need not have.
            const extremes = context.temporality === "delta" || count === 0 ? undefined : { min, max }
            return {
              ...pointOf(series, context),
              count: String(count),
              sum: double(sum),
              scale,
              zeroCount: String(zero),
              positive: { offset, bucketCounts: Array.from(counts.subarray(0, used), String) },
              ...extremes
            }
          })
        }
      }
  }
}

export const toOtlp = (metrics: ReadonlyArray<MetricSnapshot>, context: Context): object => ({
  resourceMetrics: [
    {
      resource: context.resource,
      scopeMetrics: [
        {
          scope: { name: "@sluice/metrics" },
          metrics: metrics.map((metric) => ({
            name: metric.name,
            description: metric.help,
            ...dataOf(metric, context)
          }))
        }
      ]
    }
  ]
})
