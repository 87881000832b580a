/**
 * Latency against load: as text, as SVG, and as a page of its own.
 *
 * @module
 */
import * as Units from "../output/units.ts"
import { type Axis, escaped, evenTicks, type Line, legend, lineChart } from "../report/charts.ts"
import { page } from "../report/page.ts"
import type * as Threshold from "../thresholds/Threshold.ts"
import { ofLatency, type Point, pointOf, type Run } from "./Objective.ts"
import type { Found, Trial } from "./Search.ts"

/** What was measured at each rate; of what was measured more often, the mean. */
const pointsOf = (trials: ReadonlyArray<Trial<Run>>): ReadonlyArray<Point> => {
  const all = new Map<number, Array<Trial<Run>>>()
  for (const one of trials) {
    const before = all.get(one.rate) ?? []
    // What the tester has spoiled says nothing of the server, where something else does.
    const sound = [...before, one].filter(({ measured }) => !measured.isClientLimited)
    all.set(one.rate, sound.length > 0 ? sound : [...before, one])
  }
  return Array.from(all, ([rate, at]): Point => {
    const points = at.map(({ measured }) => pointOf(rate, measured))
    const mean = (of: (point: Point) => number): number =>
      points.reduce((sum, point) => sum + of(point), 0) / points.length
    return {
      rate,
      isMet: points.every(({ isMet }) => isMet),
      observed: mean(({ observed }) => observed),
      p50: mean(({ p50 }) => p50),
      p99: mean(({ p99 }) => p99),
      p999: mean(({ p999 }) => p999)
    }
  }).sort((a, b) => a.rate - b.rate)
}

const rows = 14
const columns = 60

/** A plot of what the objective is about, in characters: `o` where it held, `x` where it did not, `-` for the limit. */
export const text = (trials: ReadonlyArray<Trial<Run>>, objectives: ReadonlyArray<Threshold.Threshold>): string => {
  const points = pointsOf(trials).filter(({ observed }) => observed > 0)
  const [objective] = ofLatency(objectives)
  const limit = objective?.limit
  if (points.length === 0) return ""
  const most = Math.max(...points.map(({ rate }) => rate))
  const values = [...points.map(({ observed }) => observed), ...(limit === undefined ? [] : [limit])]
  const low = Math.log(Math.min(...values))
  const span = Math.max(Math.log(Math.max(...values)) - low, 1e-9)
  const rowOf = (micros: number): number => Math.round((rows - 1) * (1 - (Math.log(micros) - low) / span))
  const canvas = Array.from({ length: rows }, () => new Array<string>(columns + 1).fill(" "))
  if (limit !== undefined) canvas[rowOf(limit)]?.fill("-")
  for (const { isMet, observed, rate } of points) {
    const row = canvas[rowOf(observed)]
    if (row !== undefined) row[Math.round((columns * rate) / most)] = isMet ? "o" : "x"
  }
  const label = (row: number): string => Units.duration(Math.exp(low + span * (1 - row / (rows - 1))))
  return [
    objective?.aggregate ?? "p(99)",
    ...canvas.map((row, at) => `${(at % 3 === 0 ? label(at) : "").padStart(9)} │${row.join("").trimEnd()}`),
    `${"".padStart(9)} └${"─".repeat(columns + 1)}`,
    `${"".padStart(9)}  0${`${Units.count(most)}/s`.padStart(columns)}`
  ].join("\n")
}

/** A chart, in a page's styles. */
const chart = (trials: ReadonlyArray<Trial<Run>>, objectives: ReadonlyArray<Threshold.Threshold>): string => {
  const points = pointsOf(trials)
  const xs = points.map(({ rate }) => rate)
  const most = Math.max(1, ...xs) * 1.03
  const axis: Axis = { from: 0, to: most, ticks: evenTicks(0, most, 8), text: (value) => Units.perSecond(value) }
  const lines: ReadonlyArray<Line> = [
    { name: "p50", style: "q1", values: points.map(({ p50 }) => p50) },
    { name: "p99", style: "q3", values: points.map(({ p99 }) => p99) },
    { name: "p99.9", style: "q5", values: points.map(({ p999 }) => p999) },
    ...ofLatency(objectives).map(
      ({ aggregate, limit }): Line => ({
        name: `objective: ${aggregate} ${Units.duration(limit)}`,
        style: "bad",
        values: xs.map(() => limit)
      })
    )
  ]
  return (
    legend(lines) +
    lineChart(axis, xs, lines, {
      label: "Latency against load",
      height: 320,
      isLogarithmic: true,
      yText: Units.duration
    })
  )
}

/** What the search came to, in a sentence. */
export const conclusion = ({ failsAt, isClientLimited, isConfirmed, rate }: Found<Run>): string => {
  if (rate === undefined) return "No rate held the objective."
  const at = Units.perSecond(rate)
  if (failsAt === undefined) return `The objective held at ${at}, the greatest rate that was allowed.`
  if (isClientLimited)
    return `The objective held at ${at}; at ${Units.perSecond(failsAt)} the tester itself was the limit.`
  return isConfirmed
    ? `The greatest rate that holds the objective is ${at}; at ${Units.perSecond(failsAt)} it fails.`
    : `The objective held at ${at}, which was not confirmed: the search ended early.`
}

/** One trial as a line. */
export const trial = ({ measured, rate, step }: Trial<Run>): string => {
  const { p50, p99 } = pointOf(rate, measured)
  const state = measured.isMet ? "✓" : measured.isClientLimited ? "! tester" : "✗"
  return `${step.padEnd(13)}${Units.perSecond(rate).padStart(12)}  ended ${Units.perSecond(measured.achieved).padStart(10)}  p50 ${Units.duration(p50).padStart(9)}  p99 ${Units.duration(p99).padStart(9)}  ${state}`
}

/** A page with the plot and every trial. */
export const html = (found: Found<Run>, objectives: ReadonlyArray<Threshold.Threshold>, target: string): string => {
  const body = found.trials
    .map(({ measured, rate, step }) => {
      const { p50, p99, p999 } = pointOf(rate, measured)
      const cells = [
        step,
        Units.perSecond(rate),
        Units.perSecond(measured.achieved),
        ...[p50, p99, p999].map(Units.duration),
        measured.isMet ? "held" : measured.isClientLimited ? "the tester was the limit" : "failed"
      ]
      return `<tr>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join("")}</tr>`
    })
    .join("")
  const head = ["trial", "rate", "ended", "p50", "p99", "p99.9", "objective"]
  return page(
    `Capacity of ${target}`,
    [
      `<header><h1>Capacity of ${escaped(target)}</h1><p class="note">${escaped(objectives.map(({ text }) => text).join(", "))}</p><p class="state ${found.rate === undefined ? "crossed" : "met"}">${escaped(conclusion(found))}</p></header>`,
      `<section><h2>Latency against load</h2><p class="note">Each point is a run at that rate; logarithmic.</p>${chart(found.trials, objectives)}</section>`,
      `<section><h2>Trials</h2><div class="wide"><table><thead><tr>${head.map((cell) => `<th>${cell}</th>`).join("")}</tr></thead><tbody>${body}</tbody></table></div></section>`
    ].join("\n")
  )
}
