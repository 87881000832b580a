/** What `sluice-load compare` prints. */
import * as Units from "../output/units.ts"
import type { Comparison, Row, Verdict } from "./Compare.ts"

const figure = (unit: Row["unit"], value: number): string => {
  if (Number.isNaN(value)) return "–"
  if (unit === "micros") return Units.duration(value)
  return unit === "part" ? Units.percent(value) : Units.perSecond(value)
}

const change = (unit: Row["unit"], value: number): string => {
  const sign = value > 0 ? "+" : ""
  if (!Number.isFinite(value)) return `${sign}∞`
  return unit === "part" ? `${sign}${(value * 100).toFixed(2)} pt` : `${sign}${(value * 100).toFixed(1)} %`
}

const marks: Readonly<Record<Verdict, string>> = {
  better: "✓ better",
  worse: "✗ worse",
  same: "same",
  unknown: "unknown"
}

const widths = [8, 12, 12, 12, 24]

const line = (cells: ReadonlyArray<string>): string =>
  cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(" ")

const conclusions: Readonly<Record<Verdict, string>> = {
  worse: "✗ The second run is worse.",
  better: "✓ The second run is better, and nothing is worse.",
  same: "✓ No difference that could be told from chance, or that matters.",
  unknown: "? Too little was recorded to tell."
}

export const text = (comparison: Comparison, names: readonly [before: string, after: string]): string => {
  const { confidence, notes, rows, tolerance, verdict } = comparison
  return [
    `before: ${names[0]} (${Units.duration(comparison.seconds[0] * 1e6)})`,
    `after:  ${names[1]} (${Units.duration(comparison.seconds[1] * 1e6)})`,
    "",
    line(["", "before", "after", "change", `${Number((confidence * 100).toFixed(1))} % interval`, "  verdict"]),
    ...rows.map(({ after, before, interval, name, unit, verdict: of, ...row }) =>
      line([
        name,
        figure(unit, before),
        figure(unit, after),
        row.change === undefined ? "–" : change(unit, row.change),
        interval === undefined ? "–" : `[${change(unit, interval[0])}, ${change(unit, interval[1])}]`,
        `  ${marks[of]}`
      ])
    ),
    "",
    ...notes.map((note) => `! ${note}.`),
    `${conclusions[verdict]} Changes below ${Number((tolerance * 100).toFixed(1))} % count as none.`
  ].join("\n")
}
