/**
 * What a terminal shows while a run goes on: a frame is a list of lines.
 *
 * @module
 */
import * as Histogram from "../results/Histogram.ts"
import * as Result from "../results/Result.ts"
import * as Saturation from "../results/Saturation.ts"
import * as Units from "./units.ts"

export interface Frame {
  readonly result: Result.Result
  /** How long the run will be; unset where nobody knows. */
  readonly plannedSeconds: number | undefined
  readonly width: number
  /** What the view itself takes of one core, as a part. */
  readonly cost: number
  readonly isColoured: boolean
}

const colour = (isColoured: boolean, code: string, text: string): string =>
  isColoured ? `\u001b[${code}m${text}\u001b[0m` : text

const dim = "2"
const red = "31"
const yellow = "33"

const shades: ReadonlyArray<string> = [" ", "░", "▒", "▓", "█"]
const bars: ReadonlyArray<string> = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]

const gutter = 11

/** The last windows that a frame has room for. */
const lastPoints = (result: Result.Result, most: number): ReadonlyArray<Result.Point> =>
  Result.series(result)
    .filter(({ seconds }) => seconds > 0)
    .slice(-most)

const progress = ({ plannedSeconds, result, width }: Frame): string => {
  const elapsed = Result.seconds(result)
  const title = result.names.join(", ")
  if (plannedSeconds === undefined) return `${title}  ${Units.duration(elapsed * 1e6)}`
  const part = Math.min(1, elapsed / Math.max(plannedSeconds, 1e-9))
  const length = Math.max(10, Math.min(30, width - title.length - 30))
  const done = Math.round(part * length)
  const of = `${Units.duration(Math.floor(elapsed) * 1e6)} of ${Units.duration(plannedSeconds * 1e6)}`
  return `${title}  ${"█".repeat(done)}${"░".repeat(length - done)} ${of}`
}

const label = (text: string): string => text.padEnd(gutter)

/** The last second that is whole, or what there is of the first. */
const lastSecond = (points: ReadonlyArray<Result.Point>): Result.Point | undefined =>
  points.findLast(({ seconds }, at) => at < points.length - 1 || seconds >= 0.999) ?? points.at(-1)

const rate = (frame: Frame, points: ReadonlyArray<Result.Point>, total: Result.Total): string => {
  const last = lastSecond(points)
  const now = last === undefined ? 0 : last.requests / last.seconds
  const planned = last === undefined ? 0 : last.planned / last.seconds
  const mean = total.requests / Math.max(Result.seconds(frame.result), 1e-9)
  const users = (last?.userSeconds ?? 0) / frame.result.windowSeconds
  return `${label("rate")}${Units.perSecond(now)} now, ${Units.perSecond(mean)} in the mean${planned > 0 ? `, planned ${Units.perSecond(planned)}` : ""}, ${Units.count(users)} under way`
}

const requests = ({ isColoured, result }: Frame, total: Result.Total): string => {
  const dropped = result.scenarios.reduce((sum, scenario) => sum + scenario.dropped, 0)
  const failed = `${Units.count(total.failed)} failed (${Units.percent(total.requests === 0 ? 0 : total.failed / total.requests)})`
  return [
    `${label("requests")}${Units.count(total.requests)}`,
    colour(isColoured && total.failed > 0, red, failed),
    ...(dropped > 0 ? [colour(isColoured, yellow, `${Units.count(dropped)} dropped`)] : []),
    `${Units.bytes(total.bytesIn)} received`
  ].join(", ")
}

const quantiles: ReadonlyArray<readonly [name: string, q: number]> = [
  ["p50", 0.5],
  ["p90", 0.9],
  ["p99", 0.99],
  ["p99.9", 0.999],
  ["p99.99", 0.9999],
  ["max", 1]
]

const spread = (name: string, latency: Histogram.Histogram): string =>
  `${label(name)}${quantiles.map(([of, q]) => `${of} ${Units.duration(Histogram.quantile(latency, q)).padEnd(9)}`).join(" ")}`.trimEnd()

const sparkline = (points: ReadonlyArray<Result.Point>): string => {
  const rates = points.map(({ requests: count, seconds }) => count / seconds)
  const most = Math.max(1e-9, ...rates)
  const line = rates.map((value) => bars[Math.min(bars.length - 1, Math.floor((value / most) * bars.length))] ?? "")
  return `${Units.perSecond(most).padStart(gutter - 2)} ${line.join("")}`
}

const mostRows = 8

/** Rows of latency, the slowest on top, a column a second. */
const heatMap = (points: ReadonlyArray<Result.Point>): ReadonlyArray<string> => {
  const all = Histogram.mergeAll(points.map(({ latency }) => latency))
  if (all.counts.length === 0) return []
  // Rows are powers of two, or of four, until they fit.
  let octavesEach = 1
  const rowOf = (histogram: Histogram.Histogram, at: number): number =>
    Math.floor((histogram.offset + at) / (2 ** histogram.scale * octavesEach))
  const span = (): number => rowOf(all, all.counts.length - 1) - rowOf(all, 0) + 1
  while (span() > mostRows) octavesEach *= 2
  const [first, rows] = [rowOf(all, 0), span()]
  const counts = points.map(({ latency }) => {
    const column = new Array<number>(rows).fill(0)
    for (const [at, count] of latency.counts.entries()) {
      const row = rowOf(latency, at) - first
      column[row] = (column[row] ?? 0) + count
    }
    return column
  })
  const most = Math.log(1 + Math.max(1, ...counts.flat()))
  return Array.from({ length: rows }, (_, at) => {
    const row = rows - 1 - at
    const cells = counts.map((column) => {
      const count = column[row] ?? 0
      return count === 0 ? " " : (shades[1 + Math.min(3, Math.floor((4 * Math.log(1 + count)) / most))] ?? "█")
    })
    const upTo = 2 ** ((first + row + 1) * octavesEach)
    return `${`≤${Units.duration(upTo)}`.padStart(gutter - 2)} ${cells.join("")}`
  })
}

const errors = ({ isColoured }: Frame, total: Result.Total): ReadonlyArray<string> => {
  const found = [...total.errors].sort(([, a], [, b]) => b - a).slice(0, 5)
  return found.length === 0
    ? []
    : [
        colour(
          isColoured,
          red,
          `${label("errors")}${found.map(([name, count]) => `${name} ${Units.count(count)}`).join(", ")}`
        )
      ]
}

/** The lines of a frame. O(steps × buckets + seconds in view × buckets). */
export const render = (frame: Frame): ReadonlyArray<string> => {
  const { cost, isColoured, result, width } = frame
  const points = lastPoints(result, Math.max(10, Math.min(120, width - gutter)))
  const total = Result.total(result.steps)
  const recent = Histogram.mergeAll(points.slice(-10).map(({ latency }) => latency))
  return [
    progress(frame),
    "",
    rate(frame, points, total),
    requests(frame, total),
    spread("latency", total.latency),
    spread("last 10 s", recent),
    ...errors(frame, total),
    "",
    ...(total.requests === 0
      ? []
      : [
          colour(isColoured, dim, "requests a second"),
          sparkline(points),
          colour(isColoured, dim, "latency: how many in each second"),
          ...heatMap(points),
          ""
        ]),
    ...Saturation.warnings(result).map(({ message }) => colour(isColoured, yellow, `! ${message}`)),
    colour(isColoured, dim, `this view takes ${(cost * 100).toFixed(1)} % of a core; --plain does without`)
  ]
}

/** One line, for logs. */
export const line = (result: Result.Result): string => {
  const points = lastPoints(result, 6)
  const total = Result.total(result.steps)
  const last = lastSecond(points)
  const latency = last?.latency ?? Histogram.empty
  const dropped = result.scenarios.reduce((sum, scenario) => sum + scenario.dropped, 0)
  return [
    `${Result.seconds(result).toFixed(0)}s`.padStart(6),
    `${Units.perSecond(last === undefined ? 0 : last.requests / last.seconds)}`.padStart(10),
    `p50 ${Units.duration(Histogram.quantile(latency, 0.5))}`.padEnd(13),
    `p99 ${Units.duration(Histogram.quantile(latency, 0.99))}`.padEnd(13),
    `requests ${Units.count(total.requests)}`,
    `failed ${Units.count(total.failed)}`,
    ...(dropped > 0 ? [`dropped ${Units.count(dropped)}`] : [])
  ].join("  ")
}
