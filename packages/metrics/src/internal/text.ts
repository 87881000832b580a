// The two text formats. They differ in how a counter and its help are named, in how
// numbers are written as labels, and in what OpenMetrics has besides: exemplars, the
// times at which series were made, and an end.

import type { Exemplar, FixedHistogramSnapshot, HistogramSnapshot, Labels, MetricSnapshot } from "../Instruments.ts"
import { escapeHelp, escapeLabelValue } from "./names.ts"

const number = (value: number): string =>
  value === Number.POSITIVE_INFINITY ? "+Inf" : value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value)

/** OpenMetrics wants the same text for the same number everywhere, which has a point where it is whole. */
const canonical = (value: number): string => {
  const text = number(value)
  return /^-?\d+$/.test(text) ? `${text}.0` : text
}

const writeLabels = (labels: Labels): string => {
  let text = ""
  for (const name in labels) {
    text += `${text === "" ? "" : ","}${name}="${escapeLabelValue(labels[name] ?? "")}"`
  }
  return text
}

const braced = (text: string): string => (text === "" ? "" : `{${text}}`)

// A series keeps its labels for as long as it lives, and most of a scrape is their text.
const written = new WeakMap<Labels, string>()

const bracedText = (labels: Labels): string => {
  const known = written.get(labels)
  if (known !== undefined) return known
  const text = braced(writeLabels(labels))
  written.set(labels, text)
  return text
}

const labelText = (labels: Labels): string => bracedText(labels).slice(1, -1)

const before = (own: string): string => (own === "" ? "" : `${own},`)

/** Cumulative counts at bounds, without the last, which is the count of all. */
export const cumulativeCounts = (
  bounds: ReadonlyArray<number>,
  value: HistogramSnapshot | FixedHistogramSnapshot
): ReadonlyArray<number> => {
  let upTo = 0
  if ("counts" in value) {
    return bounds.map((_, index) => {
      upTo += value.counts[index] ?? 0
      return upTo
    })
  }
  const { cumulative } = value
  let at = 0
  return bounds.map((bound) => {
    for (let next = cumulative[at]; next !== undefined && next[0] <= bound; next = cumulative[++at]) upTo = next[1]
    return upTo
  })
}

/** The most characters that the labels of an exemplar may have in all. */
const maxExemplar = 128

const exemplarText = (exemplar: Exemplar | undefined): string => {
  if (exemplar === undefined) return ""
  const length = Object.entries(exemplar.labels).reduce((sum, [name, value]) => sum + [...name, ...value].length, 0)
  return length > maxExemplar
    ? ""
    : ` # {${writeLabels(exemplar.labels)}} ${number(exemplar.value)} ${exemplar.timestampMillis / 1000}`
}

interface Format {
  readonly isOpen: boolean
  readonly bound: (value: number) => string
}

const seriesText = (metric: MetricSnapshot, { bound, isOpen }: Format): string => {
  const { name } = metric
  const created = (base: string, own: string, millis: number | undefined): string =>
    isOpen && millis !== undefined ? `${base}_created${braced(own)} ${millis / 1000}\n` : ""
  const exemplar = (examples: ReadonlyArray<Exemplar | undefined> | undefined, at: number): string =>
    isOpen ? exemplarText(examples?.[at]) : ""
  let text = ""
  switch (metric.type) {
    case "counter":
    case "gauge":
    case "updown":
      // Most of most scrapes: nothing is asked of a series here that the older format has no place for.
      if (!isOpen) {
        for (const { labels, value } of metric.series) text += `${name}${bracedText(labels)} ${number(value)}\n`
        return text
      }
      for (const { createdAtMillis, exemplars, labels, value } of metric.series) {
        const own = labelText(labels)
        text += `${name}${braced(own)} ${number(value)}${exemplar(exemplars, 0)}\n`
        if (metric.type === "counter") text += created(name.replace(/_total$/, ""), own, createdAtMillis)
      }
      return text
    case "summary":
      for (const { createdAtMillis, labels, value } of metric.series) {
        const own = labelText(labels)
        for (const [q, at] of value.quantiles) text += `${name}{${before(own)}quantile="${bound(q)}"} ${number(at)}\n`
        text += `${name}_sum${braced(own)} ${number(value.sum)}\n${name}_count${braced(own)} ${value.count}\n`
        text += created(name, own, createdAtMillis)
      }
      return text
    default:
      for (const { createdAtMillis, exemplars, labels, value } of metric.series) {
        const own = labelText(labels)
        const { bounds } = metric
        cumulativeCounts(bounds, value).forEach((count, at) => {
          text += `${name}_bucket{${before(own)}le="${bound(bounds[at] ?? 0)}"} ${count}${exemplar(exemplars, at)}\n`
        })
        text += `${name}_bucket{${before(own)}le="+Inf"} ${value.count}${exemplar(exemplars, bounds.length)}\n`
        text += `${name}_sum${braced(own)} ${number(value.sum)}\n${name}_count${braced(own)} ${value.count}\n`
        text += created(name, own, createdAtMillis)
      }
      return text
  }
}

const typeNames: Readonly<Record<MetricSnapshot["type"], string>> = {
  counter: "counter",
  updown: "gauge",
  gauge: "gauge",
  histogram: "histogram",
  fixed: "histogram",
  summary: "summary"
}

export const prometheus = (metrics: ReadonlyArray<MetricSnapshot>): string => {
  const format = { isOpen: false, bound: number }
  let text = ""
  for (const metric of metrics) {
    const { help, name, type } = metric
    text += `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${typeNames[type]}\n${seriesText(metric, format)}`
  }
  return text
}

export const openMetrics = (metrics: ReadonlyArray<MetricSnapshot>): string => {
  const format = { isOpen: true, bound: canonical }
  let text = ""
  for (const metric of metrics) {
    const { help, type } = metric
    const family = type === "counter" ? metric.name.replace(/_total$/, "") : metric.name
    // Unlike in the older format, quotes are escaped in help as they are in labels.
    text += `# TYPE ${family} ${typeNames[type]}\n# HELP ${family} ${escapeLabelValue(help)}\n${seriesText(metric, format)}`
  }
  return `${text}# EOF\n`
}
