// Draws what the simulations show. `npm run plots` writes the files anew; a test
// compares them with what the simulations give now.
import { writeFileSync } from "node:fs"
import { callers, outage, outageBudget, simulateOutage } from "./outage.ts"
import { quantile, simulateTail, tailHedge } from "./tail.ts"

interface Line {
  readonly label: string
  readonly color: string
  readonly points: ReadonlyArray<readonly [x: number, y: number]>
}

interface Chart {
  readonly title: string
  readonly x: { readonly label: string; readonly ticks: ReadonlyArray<readonly [at: number, text: string]> }
  readonly y: { readonly label: string; readonly ticks: ReadonlyArray<readonly [at: number, text: string]> }
  readonly shade?: readonly [from: number, to: number]
  readonly lines: ReadonlyArray<Line>
}

const width = 720
const height = 320
const left = 64
const right = 700
const top = 40
const bottom = 262

const draw = ({ lines, shade, title, x, y }: Chart): string => {
  const scale = (ticks: Chart["x"]["ticks"], from: number, to: number) => {
    const first = ticks[0]?.[0] ?? 0
    const last = ticks.at(-1)?.[0] ?? 1
    return (at: number): string => (from + ((at - first) / (last - first)) * (to - from)).toFixed(1)
  }
  const toX = scale(x.ticks, left, right)
  const toY = scale(y.ticks, bottom, top)
  const text = (atX: string | number, atY: string | number, content: string, more = "") =>
    `<text x="${atX}" y="${atY}"${more}>${content}</text>`
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#333">`,
    `<title>${title}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(left, 22, title, ' font-size="14" font-weight="bold"'),
    ...(shade === undefined
      ? []
      : [
          `<rect x="${toX(shade[0])}" y="${top}" width="${(Number(toX(shade[1])) - Number(toX(shade[0]))).toFixed(1)}" height="${bottom - top}" fill="#f3e3e3"/>`
        ]),
    ...x.ticks.map(([at, label]) => text(toX(at), bottom + 16, label, ' text-anchor="middle"')),
    ...y.ticks.flatMap(([at, label]) => [
      `<path d="M${left} ${toY(at)}H${right}" stroke="#ddd"/>`,
      text(left - 6, Number(toY(at)) + 4, label, ' text-anchor="end"')
    ]),
    text((left + right) / 2, bottom + 34, x.label, ' text-anchor="middle"'),
    text(16, (top + bottom) / 2, y.label, ` text-anchor="middle" transform="rotate(-90 16 ${(top + bottom) / 2})"`),
    ...lines.map(
      ({ color, points }) =>
        `<path d="M${points.map(([atX, atY]) => `${toX(atX)} ${toY(atY)}`).join("L")}" fill="none" stroke="${color}" stroke-width="2"/>`
    ),
    ...lines.map(({ color, label }, index) =>
      text(left + 220 * index, height - 8, label, ` fill="${color}" font-weight="bold"`)
    ),
    "</svg>"
  ].join("\n")}\n`
}

const outageChart = (): string => {
  const line = (label: string, color: string, seconds: ReturnType<typeof simulateOutage>): Line => ({
    label,
    color,
    points: seconds.map(({ load }, second) => [second, load / callers])
  })
  return draw({
    title: "Load on a dependency that fails for a minute, 1,000 callers, up to 3 retries each",
    x: { label: "seconds", ticks: [0, 30, 60, 90, 120].map((at) => [at, String(at)]) },
    y: { label: "times the normal load", ticks: [0, 1, 2, 3, 4, 5].map((at) => [at, String(at)]) },
    shade: [outage.fromSecond, outage.toSecond],
    lines: [
      line("without a budget", "#c0392b", simulateOutage(undefined)),
      line("with a budget of 20 %", "#1f6feb", simulateOutage(outageBudget()))
    ]
  })
}

const tailChart = (): string => {
  const percentiles = Array.from({ length: 200 }, (_, n) => 0.9 + n * 0.0005)
  const line = (label: string, color: string, { latencies }: ReturnType<typeof simulateTail>): Line => ({
    label,
    color,
    points: percentiles.map((q) => [q, Math.log10(quantile(latencies, q))])
  })
  return draw({
    title: "Latency of reads of which one in a hundred takes a second",
    x: { label: "percentile of calls", ticks: [90, 92, 94, 96, 98, 100].map((at) => [at / 100, String(at)]) },
    y: { label: "milliseconds", ticks: [0, 1, 2, 3].map((at) => [at, String(10 ** at)]) },
    lines: [
      line("not hedged", "#c0392b", simulateTail(undefined)),
      line("hedged at the 95th percentile", "#1f6feb", simulateTail(tailHedge()))
    ]
  })
}

const docs = new URL("../../docs/", import.meta.url)

export const plots: ReadonlyArray<{ readonly file: URL; readonly draw: () => string }> = [
  { file: new URL("outage.svg", docs), draw: outageChart },
  { file: new URL("tail.svg", docs), draw: tailChart }
]

if (import.meta.main) for (const { draw: render, file } of plots) writeFileSync(file, render())
