/**
 * Writes what a registry holds in the formats that scrapers read.
 *
 * @module
 */
import type { HistogramSnapshot, Labels } from "./Instruments.ts"
import { escapeHelp, escapeLabelValue } from "./internal/names.ts"
import type { MetricSnapshot, Registry } from "./Registry.ts"

/** The `Content-Type` of {@link prometheusText}. */
export const prometheusContentType = "text/plain; version=0.0.4; charset=utf-8"

const number = (value: number): string =>
  value === Number.POSITIVE_INFINITY ? "+Inf" : value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value)

const labelText = (labels: Labels): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeLabelValue(value)}"`)
    .join(",")

const braced = (text: string): string => (text === "" ? "" : `{${text}}`)

const histogramLines = (name: string, labels: Labels, value: HistogramSnapshot): ReadonlyArray<string> => {
  const own = labelText(labels)
  const before = own === "" ? "" : `${own},`
  return [
    ...value.cumulative.map(([bound, count]) => `${name}_bucket{${before}le="${number(bound)}"} ${count}`),
    `${name}_bucket{${before}le="+Inf"} ${value.count}`,
    `${name}_sum${braced(own)} ${number(value.sum)}`,
    `${name}_count${braced(own)} ${value.count}`
  ]
}

const metricLines = (metric: MetricSnapshot): ReadonlyArray<string> => [
  `# HELP ${metric.name} ${escapeHelp(metric.help)}`,
  `# TYPE ${metric.name} ${metric.type}`,
  ...(metric.type === "histogram"
    ? metric.series.flatMap(({ labels, value }) => histogramLines(metric.name, labels, value))
    : metric.series.map(({ labels, value }) => `${metric.name}${braced(labelText(labels))} ${number(value)}`))
]

/**
 * The Prometheus text format, version 0.0.4. A histogram's buckets are the powers of two between its least and its
 * largest value; their counts are exact. O(series).
 */
export const prometheusText = (registry: Registry): string =>
  `${registry.snapshotUnsafe().flatMap(metricLines).join("\n")}\n`
