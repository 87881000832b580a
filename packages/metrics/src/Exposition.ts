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

const writeLabels = (labels: Labels): string => {
  let text = ""
  for (const name in labels) {
    text += `${text === "" ? "" : ","}${name}="${escapeLabelValue(labels[name] ?? "")}"`
  }
  return text
}

// A series keeps its labels for as long as it lives, and most of a scrape is their text.
const written = new WeakMap<Labels, string>()

const labelText = (labels: Labels): string => {
  const known = written.get(labels)
  if (known !== undefined) return known
  const text = writeLabels(labels)
  written.set(labels, text)
  return text
}

const braced = (text: string): string => (text === "" ? "" : `{${text}}`)

const histogramText = (
  name: string,
  bounds: ReadonlyArray<number>,
  labels: Labels,
  value: HistogramSnapshot
): string => {
  const own = labelText(labels)
  const before = own === "" ? "" : `${own},`
  let text = ""
  const { cumulative } = value
  let at = 0
  let upTo = 0
  for (const bound of bounds) {
    for (let next = cumulative[at]; next !== undefined && next[0] <= bound; next = cumulative[++at]) upTo = next[1]
    text += `${name}_bucket{${before}le="${number(bound)}"} ${upTo}\n`
  }
  text += `${name}_bucket{${before}le="+Inf"} ${value.count}\n`
  text += `${name}_sum${braced(own)} ${number(value.sum)}\n`
  return `${text}${name}_count${braced(own)} ${value.count}\n`
}

const metricText = (metric: MetricSnapshot): string => {
  let text = `# HELP ${metric.name} ${escapeHelp(metric.help)}\n# TYPE ${metric.name} ${metric.type}\n`
  if (metric.type === "histogram") {
    for (const { labels, value } of metric.series) {
      text += histogramText(metric.name, metric.bounds, labels, value)
    }
  } else {
    for (const { labels, value } of metric.series) {
      text += `${metric.name}${braced(labelText(labels))} ${number(value)}\n`
    }
  }
  return text
}

/**
 * The Prometheus text format, version 0.0.4. A histogram is counted at its `bounds`, exactly. O(series).
 */
export const prometheusText = (registry: Registry): string => {
  let text = ""
  for (const metric of registry.snapshotUnsafe()) text += metricText(metric)
  return text
}
