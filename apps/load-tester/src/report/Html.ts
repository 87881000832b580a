/**
 * A run as one page that holds all it needs: charts, tables, light and dark.
 * It has no script and loads nothing, so that it can be kept, mailed and
 * attached to a build.
 *
 * @module
 */
import { verdict } from "../output/Summary.ts"
import * as Units from "../output/units.ts"
import * as Histogram from "../results/Histogram.ts"
import * as Result from "../results/Result.ts"
import * as Saturation from "../results/Saturation.ts"
import type * as Threshold from "../thresholds/Threshold.ts"
import { type Axis, areaChart, type Cell, escaped, evenTicks, heatMap, legend, lineChart } from "./charts.ts"
import { page } from "./page.ts"

/** How many columns a chart has at most; windows beyond that are drawn together. */
const mostColumns = 240

const columns = (result: Result.Result): ReadonlyArray<Result.Point> => {
  const points = Result.series(result).filter(({ seconds }) => seconds > 0)
  const each = Math.ceil(points.length / mostColumns)
  if (each <= 1) return points
  const found: Array<Result.Point> = []
  for (let from = 0; from < points.length; from += each) {
    found.push(points.slice(from, from + each).reduce(Result.joinPoints))
  }
  return found
}

const clock = (seconds: number): string => Units.duration(Math.round(seconds * 1e6))

const middle = ({ atSeconds, seconds }: Result.Point): number => atSeconds + seconds / 2

const timeAxis = (result: Result.Result): Axis => {
  const to = Math.max(Result.seconds(result), 0.001)
  return { from: 0, to, ticks: evenTicks(0, to, 10), text: clock }
}

const quantiles: ReadonlyArray<readonly [name: string, style: string, q: number]> = [
  ["p50", "q1", 0.5],
  ["p90", "q2", 0.9],
  ["p99", "q3", 0.99],
  ["p99.9", "q4", 0.999],
  ["max", "q5", 1]
]

const section = (title: string, note: string, content: string): string =>
  `<section><h2>${escaped(title)}</h2><p class="note">${escaped(note)}</p>${content}</section>`

const latencyOverTime = (result: Result.Result, points: ReadonlyArray<Result.Point>): string => {
  const lines = quantiles.map(([name, style, q]) => ({
    name,
    style,
    values: points.map(({ latency }) => (latency.count === 0 ? undefined : Histogram.quantile(latency, q)))
  }))
  return section(
    "Latency over time",
    "From the planned time to the end, by the second in which a request ended; logarithmic.",
    legend(lines) +
      lineChart(timeAxis(result), points.map(middle), lines, {
        label: "Quantiles of latency over time",
        isLogarithmic: true,
        yText: Units.duration
      })
  )
}

/** Buckets wide enough that a map has some forty rows. */
const heatScale = (latency: Histogram.Histogram): number => {
  const octaves = Math.max(1, Math.log2(Math.max(latency.max, 2) / Math.max(latency.min, 1)))
  return Math.max(0, Math.min(Histogram.windowScale, Math.floor(Math.log2(40 / octaves))))
}

const latencyHeat = (
  result: Result.Result,
  points: ReadonlyArray<Result.Point>,
  latency: Histogram.Histogram
): string => {
  const scale = heatScale(latency)
  const cells: Array<Cell> = []
  for (const point of points) {
    const histogram = Histogram.atScale(point.latency, scale)
    for (const [at, count] of histogram.counts.entries()) {
      if (count === 0) continue
      const [low, high] = Histogram.boundsAt(histogram, at)
      cells.push({ fromX: point.atSeconds, toX: point.atSeconds + point.seconds, low, high, count })
    }
  }
  return section(
    "Latency heat map",
    "How many requests took how long, in each moment: the stronger the colour, the more.",
    heatMap(timeAxis(result), cells, { label: "Heat map of latency", yText: Units.duration })
  )
}

/** From 0 to five nines, each nine as wide as the other. */
const quantilePlot = (total: Result.Total): string => {
  const nines = Math.min(5, Math.max(1, Math.log10(Math.max(10, total.latency.count))))
  const steps = 120
  const xs = Array.from({ length: steps + 1 }, (_, index) => (nines * index) / steps)
  const of = (histogram: Histogram.Histogram) =>
    xs.map((x) => (histogram.count === 0 ? undefined : Histogram.quantile(histogram, 1 - 10 ** -x)))
  const text = (x: number): string => (x === 0 ? "p0" : `p${Number(((1 - 10 ** -x) * 100).toFixed(4))}`)
  const ticks = Array.from({ length: Math.floor(nines) + 1 }, (_, index) => index)
  const lines = [
    { name: "latency, from the planned time", style: "q4", values: of(total.latency) },
    { name: "service, from the time it was sent", style: "q2", values: of(total.service) }
  ]
  return section(
    "Latency by quantile",
    "Each step to the right leaves a tenth of the requests: what the slowest of them took.",
    legend(lines) +
      lineChart({ from: 0, to: nines, ticks, text }, xs, lines, {
        label: "Latency by quantile",
        isLogarithmic: true,
        yText: Units.duration
      })
  )
}

const rates = (result: Result.Result, points: ReadonlyArray<Result.Point>): string => {
  const each = (of: (point: Result.Point) => number) => points.map((point) => of(point) / point.seconds)
  const isPlanned = points.some(({ planned }) => planned > 0)
  const lines = [
    ...(isPlanned ? [{ name: "planned", style: "plan", values: each(({ planned }) => planned) }] : []),
    { name: "requests", style: "q3", values: each(({ requests }) => requests) },
    { name: "failed", style: "bad", values: each(({ failed }) => failed) },
    ...(points.some(({ dropped }) => dropped > 0)
      ? [{ name: "dropped", style: "warn", values: each(({ dropped }) => dropped) }]
      : [])
  ]
  return section(
    "Rate",
    "A second: what was planned, what ended, what failed.",
    legend(lines) +
      lineChart(timeAxis(result), points.map(middle), lines, {
        label: "Requests a second over time",
        yText: (value) => Units.count(value)
      })
  )
}

const phaseNames: Readonly<Record<Result.Phase, string>> = {
  poolWait: "waiting for a connection",
  connect: "connecting",
  tls: "TLS",
  firstByte: "first byte",
  body: "body"
}

const phases = (result: Result.Result, points: ReadonlyArray<Result.Point>, total: Result.Total): string => {
  const lines = Result.phases.map((phase, index) => ({
    name: phaseNames[phase],
    style: `phase${index}`,
    values: points.map(({ phaseSums, requests }) => (requests === 0 ? 0 : (phaseSums[index] ?? 0) / requests))
  }))
  if (lines.every(({ values }) => values.every((value) => value === 0))) return ""
  return section(
    "Phases",
    "What the mean request spent its time on.",
    legend(lines) +
      areaChart(timeAxis(result), points.map(middle), lines, {
        label: "Mean time in each phase over time",
        yText: Units.duration
      }) +
      phaseTable(total)
  )
}

const tester = (result: Result.Result, points: ReadonlyArray<Result.Point>): string => {
  const warnings = Saturation.warnings(result)
  const { loopDelay, sendDelay } = result.client
  const figures = [
    ["event loop late", loopDelay],
    ["sends late", sendDelay]
  ] as const
  const lines = [{ name: "event loop's greatest delay", style: "warn", values: points.map((point) => point.loopDelay) }]
  return section(
    "The tester itself",
    warnings.length === 0 ? "It had room: what was measured is the server." : "It was a limit of its own.",
    [
      warnings.length === 0
        ? ""
        : `<ul class="warnings">${warnings.map(({ message }) => `<li>${escaped(message)}</li>`).join("")}</ul>`,
      table(
        ["", "count", "p50", "p99", "p99.9", "max"],
        figures
          .filter(([, histogram]) => histogram.count > 0)
          .map(([name, histogram]) => [
            name,
            Units.count(histogram.count),
            ...[0.5, 0.99, 0.999, 1].map((q) => Units.duration(Histogram.quantile(histogram, q)))
          ])
      ),
      loopDelay.count === 0
        ? ""
        : legend(lines) +
          lineChart(timeAxis(result), points.map(middle), lines, {
            label: "Delay of the event loop over time",
            height: 160,
            yText: Units.duration
          })
    ].join("")
  )
}

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  rows.length === 0
    ? ""
    : `<div class="wide"><table><thead><tr>${head.map((cell) => `<th>${escaped(cell)}</th>`).join("")}</tr></thead><tbody>${rows
        .map((row) => `<tr>${row.map((cell) => `<td>${escaped(cell)}</td>`).join("")}</tr>`)
        .join("")}</tbody></table></div>`

const spreadHead = ["mean", "min", "p50", "p90", "p99", "p99.9", "p99.99", "max"]

const spread = (histogram: Histogram.Histogram): ReadonlyArray<string> =>
  [
    Histogram.mean(histogram),
    histogram.min,
    ...[0.5, 0.9, 0.99, 0.999, 0.9999].map((q) => Histogram.quantile(histogram, q)),
    histogram.max
  ].map((micros) => (histogram.count === 0 ? "–" : Units.duration(micros)))

const steps = (result: Result.Result, total: Result.Total): string => {
  const seconds = Math.max(Result.seconds(result), 1e-6)
  const row = (name: string, step: Result.Total): ReadonlyArray<string> => [
    name,
    Units.count(step.requests),
    Units.perSecond(step.requests / seconds),
    Units.percent(step.requests === 0 ? 0 : step.failed / step.requests),
    ...spread(step.latency)
  ]
  return section(
    "Steps",
    "Latency, from the planned time.",
    table(
      ["step", "requests", "rate", "failed", ...spreadHead],
      [
        ...result.steps.map((step) =>
          row([step.scenario, step.group, step.name].filter((part) => part !== "").join(" › "), step)
        ),
        ...(result.steps.length > 1 ? [row("all", total)] : [])
      ]
    )
  )
}

const phaseTable = (total: Result.Total): string => {
  const rows = Result.phases
    .filter((phase) => total.phases[phase].count > 0)
    .map((phase) => [phaseNames[phase], Units.count(total.phases[phase].count), ...spread(total.phases[phase])])
  return rows.length === 0 ? "" : table(["phase", "count", ...spreadHead], rows)
}

const bars = (title: string, counts: ReadonlyArray<Result.Count>, all: number, style: string): string =>
  counts.length === 0
    ? ""
    : `<div><h3>${escaped(title)}</h3>${[...counts]
        .sort(([, a], [, b]) => b - a)
        .map(
          ([name, count]) =>
            `<div class="bar"><span>${escaped(name)}</span><span class="track"><i class="${style}" style="width:${((100 * count) / Math.max(1, all)).toFixed(2)}%"></i></span><span>${Units.count(count)}</span></div>`
        )
        .join("")}</div>`

const outcome = (result: Result.Result, total: Result.Total): string => {
  const checks = result.checks.map(({ failed, name, passed }) => [
    `${failed === 0 ? "✓" : "✗"} ${name}`,
    Units.count(passed),
    Units.count(failed)
  ])
  return section(
    "Outcomes",
    "Statuses of the answers, kinds of errors, and checks.",
    [
      `<div class="pair">${bars("Statuses", total.statuses, total.requests, "q3")}${bars("Errors", total.errors, total.failed, "bad")}</div>`,
      table(["check", "passed", "failed"], checks)
    ].join("")
  )
}

const tile = (name: string, value: string, style = ""): string =>
  `<div class="tile ${style}"><span>${escaped(name)}</span><b>${escaped(value)}</b></div>`

const tiles = (result: Result.Result, total: Result.Total): string => {
  const seconds = Math.max(Result.seconds(result), 1e-6)
  const at = (q: number): string => Units.duration(Histogram.quantile(total.latency, q))
  const dropped = result.scenarios.reduce((sum, scenario) => sum + scenario.dropped, 0)
  return `<div class="tiles">${[
    tile("requests", Units.count(total.requests)),
    tile("rate", Units.perSecond(total.requests / seconds)),
    tile(
      "failed",
      Units.percent(total.requests === 0 ? 0 : total.failed / total.requests),
      total.failed > 0 ? "wrong" : ""
    ),
    tile("p50", at(0.5)),
    tile("p99", at(0.99)),
    tile("p99.99", at(0.9999)),
    tile("received", Units.bytes(total.bytesIn)),
    ...(dropped > 0 ? [tile("dropped", Units.count(dropped), "wrong")] : []),
    ...(result.opened + result.reused > 0 ? [tile("connections", Units.count(result.opened))] : [])
  ].join("")}</div>`
}

const thresholds = (verdicts: ReadonlyArray<Threshold.Verdict>): string =>
  verdicts.length === 0
    ? ""
    : `<section><h2>Thresholds</h2><ul class="verdicts">${verdicts
        .map((one) => `<li class="${one.isMet ? "met" : "crossed"}">${escaped(verdict(one))}</li>`)
        .join("")}</ul></section>`

/** The whole page. O(windows + steps). */
export const html = (result: Result.Result, verdicts: ReadonlyArray<Threshold.Verdict> = []): string => {
  const total = Result.total(result.steps)
  const points = columns(result)
  const title = result.names.join(", ") || "Load test"
  const crossed = verdicts.filter(({ isMet }) => !isMet).length
  const state =
    verdicts.length === 0 ? "" : crossed === 0 ? "passed" : `${crossed} of ${verdicts.length} thresholds crossed`
  const began = new Date(result.startedAtMicros / 1000).toISOString().replace("T", " ").slice(0, 19)
  const ran = Units.duration(result.endedAtMicros - result.startedAtMicros)
  const by = result.client.recorders > 1 ? `, by ${result.client.recorders} recorders` : ""
  return page(
    title,
    [
      `<header><h1>${escaped(title)}</h1><p class="note">${began} UTC, ${ran}${by}</p>${state === "" ? "" : `<p class="state ${crossed === 0 ? "met" : "crossed"}">${state}</p>`}</header>`,
      tiles(result, total),
      thresholds(verdicts),
      latencyOverTime(result, points),
      latencyHeat(result, points, total.latency),
      quantilePlot(total),
      rates(result, points),
      phases(result, points, total),
      steps(result, total),
      outcome(result, total),
      tester(result, points)
    ].join("\n")
  )
}
