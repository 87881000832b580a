// Draws limit and latency over time for each algorithm, from 1 and from ten times
// too many. `npm run plots` writes the files anew; a test compares them with what
// the simulations give now.
import { writeFileSync } from "node:fs"
import { algorithms, steps } from "./algorithms.ts"
import { type Point, simulate } from "./server.ts"

interface Panel {
  readonly label: string
  readonly top: number
  readonly most: number
  readonly ticks: ReadonlyArray<number>
  readonly valueOf: (point: Point) => number
}

const width = 720
const height = 460
const left = 64
const right = 700
const panelHeight = 170

const panels: ReadonlyArray<Panel> = [
  {
    label: "limit",
    top: 40,
    most: 200,
    ticks: [0, 50, 100, 150, 200],
    valueOf: ({ limits }) => limits[0] ?? Number.NaN
  },
  {
    label: "latency, ms",
    top: 240,
    most: 300,
    ticks: [0, 100, 200, 300],
    valueOf: ({ latencyMillis }) => latencyMillis
  }
]

const starts = [
  { initial: 1, color: "#1f6feb", label: "from 1" },
  { initial: 1000, color: "#c0392b", label: "from 1,000" }
]

const toX = (second: number): string => (left + (second / steps.seconds) * (right - left)).toFixed(1)

const toY = ({ most, top }: Panel, value: number): string =>
  (top + panelHeight * (1 - Math.min(value, most) / most)).toFixed(1)

/** The best limit over time, dashed. */
const knee = (panel: Panel): string => {
  const corners = steps.capacity.flatMap(({ concurrency, fromSecond }, index) => {
    const until = steps.capacity[index + 1]?.fromSecond ?? steps.seconds
    return [`${toX(fromSecond)} ${toY(panel, concurrency)}`, `${toX(until)} ${toY(panel, concurrency)}`]
  })
  return `<path d="M${corners.join("L")}" fill="none" stroke="#777" stroke-dasharray="5 4"/>`
}

const draw = (name: string, start: (typeof algorithms)[number]["start"]): string => {
  const runs = starts.map((run) => ({ ...run, points: simulate(steps, [start(run.initial)]) }))
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#333">`,
    `<title>${name} on a server that does 100 requests at once, then 50, then 100</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${left}" y="22" font-size="14" font-weight="bold">${name} on a server that does 100 requests at once, then 50, then 100</text>`,
    ...panels.flatMap((panel) => [
      ...panel.ticks.flatMap((tick) => [
        `<path d="M${left} ${toY(panel, tick)}H${right}" stroke="#ddd"/>`,
        `<text x="${left - 6}" y="${(Number(toY(panel, tick)) + 4).toFixed(1)}" text-anchor="end">${tick}</text>`
      ]),
      `<text x="16" y="${panel.top + panelHeight / 2}" text-anchor="middle" transform="rotate(-90 16 ${panel.top + panelHeight / 2})">${panel.label}</text>`,
      ...(panel.label === "limit" ? [knee(panel)] : []),
      ...runs.map(
        ({ color, points }) =>
          `<path d="M${points.map((point) => `${toX(point.second)} ${toY(panel, panel.valueOf(point))}`).join("L")}" fill="none" stroke="${color}" stroke-width="1.5"/>`
      )
    ]),
    ...[0, 100, 200, 300, 400].map(
      (second) => `<text x="${toX(second)}" y="428" text-anchor="middle">${second} s</text>`
    ),
    ...runs.map(
      ({ color, label }, index) =>
        `<text x="${left + 120 * index}" y="450" fill="${color}" font-weight="bold">${label}</text>`
    ),
    `<text x="${left + 240}" y="450" fill="#777">dashed: the best limit</text>`,
    "</svg>"
  ].join("\n")}\n`
}

export const plots = algorithms.map(({ name, start }) => ({
  name,
  file: new URL(`../../docs/${name.toLowerCase()}.svg`, import.meta.url),
  draw: () => draw(name, start)
}))

if (import.meta.main) for (const { draw, file } of plots) writeFileSync(file, draw())
