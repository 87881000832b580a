// Charts as SVG, drawn here so that the page that holds them needs no script and
// nothing from elsewhere. Colours are classes, so that the page's light and dark
// styles apply to them. Figures appear on hovering, through <title>.

const width = 860
const left = 64
const right = 14
const top = 12
const bottom = 34

export interface Line {
  readonly name: string
  /** A class of the page's styles: `q50`, `bad`, … */
  readonly style: string
  /** Undefined where there is nothing to draw, which breaks the line. */
  readonly values: ReadonlyArray<number | undefined>
}

export interface Frame {
  /** What a screen reader says of it. */
  readonly label: string
  readonly height?: number | undefined
  readonly isLogarithmic?: boolean | undefined
  readonly yText: (value: number) => string
}

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" }

export const escaped = (text: string): string =>
  text.replaceAll(/[&<>"]/g, (character) => escapes[character] ?? character)

const digits = (value: number): string => String(Math.round(value * 10) / 10)

/** Round numbers that part a range evenly: 1, 2 or 5 times a power of ten. */
export const evenTicks = (from: number, to: number, most: number): ReadonlyArray<number> => {
  const span = to - from
  if (!(span > 0)) return [from]
  const rough = span / most
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? rough
  const ticks: Array<number> = []
  for (let index = Math.ceil(from / step); index * step <= to * 1.000001; index++) ticks.push(index * step)
  return ticks
}

const powerTicks = (from: number, to: number): ReadonlyArray<number> => {
  const ticks: Array<number> = []
  for (let power = Math.floor(Math.log10(from)); 10 ** power <= to; power++) {
    for (const factor of to / from > 100 ? [1] : [1, 2, 5]) {
      const tick = factor * 10 ** power
      if (tick >= from && tick <= to) ticks.push(tick)
    }
  }
  return ticks
}

interface Scale {
  readonly at: (value: number) => number
  readonly ticks: ReadonlyArray<number>
}

const yScale = (low: number, high: number, height: number, isLogarithmic: boolean): Scale => {
  const span = height - top - bottom
  if (isLogarithmic) {
    const from = Math.max(1, low)
    const to = Math.max(from * 2, high)
    const ratio = Math.log(to / from)
    return {
      at: (value) => top + span * (1 - Math.log(Math.max(from, value) / from) / ratio),
      ticks: powerTicks(from, to)
    }
  }
  const to = high > 0 ? high : 1
  return { at: (value) => top + span * (1 - value / to), ticks: evenTicks(0, to, 5) }
}

export interface Axis {
  readonly from: number
  readonly to: number
  readonly ticks: ReadonlyArray<number>
  readonly text: (value: number) => string
}

const xAt = ({ from, to }: Axis, value: number): number =>
  left + ((width - left - right) * (value - from)) / (to > from ? to - from : 1)

const grid = (axis: Axis, y: Scale, height: number, yText: (value: number) => string): string =>
  [
    ...y.ticks.map(
      (tick) =>
        `<line class="grid" x1="${left}" x2="${width - right}" y1="${digits(y.at(tick))}" y2="${digits(y.at(tick))}"/><text class="tick" x="${left - 8}" y="${digits(y.at(tick) + 4)}" text-anchor="end">${escaped(yText(tick))}</text>`
    ),
    ...axis.ticks.map(
      (tick) =>
        `<text class="tick" x="${digits(xAt(axis, tick))}" y="${height - bottom + 18}" text-anchor="middle">${escaped(axis.text(tick))}</text>`
    ),
    `<line class="axis" x1="${left}" x2="${width - right}" y1="${height - bottom}" y2="${height - bottom}"/>`
  ].join("")

const svg = (height: number, label: string, content: string): string =>
  `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(label)}">${content}</svg>`

/** Invisible columns over a chart, each of which tells its figures. */
const hovers = (axis: Axis, xs: ReadonlyArray<number>, height: number, titleOf: (index: number) => string): string =>
  xs
    .map((x, index) => {
      const before = xs[index - 1]
      const after = xs[index + 1]
      const from = before === undefined ? axis.from : (before + x) / 2
      const to = after === undefined ? axis.to : (x + after) / 2
      return `<rect class="hover" x="${digits(xAt(axis, from))}" y="${top}" width="${digits(Math.max(1, xAt(axis, to) - xAt(axis, from)))}" height="${height - top - bottom}"><title>${escaped(titleOf(index))}</title></rect>`
    })
    .join("")

const pathOf = (axis: Axis, y: Scale, xs: ReadonlyArray<number>, values: Line["values"]): string => {
  let path = ""
  let isDrawing = false
  for (const [index, x] of xs.entries()) {
    const value = values[index]
    if (value === undefined) {
      isDrawing = false
      continue
    }
    path += `${isDrawing ? "L" : "M"}${digits(xAt(axis, x))} ${digits(y.at(value))}`
    // A point alone would not be seen.
    if (!isDrawing && values[index + 1] === undefined) path += "h1"
    isDrawing = true
  }
  return path
}

const present = (lines: ReadonlyArray<Line>): ReadonlyArray<number> =>
  lines.flatMap(({ values }) => values.filter((value) => value !== undefined))

export const legend = (entries: ReadonlyArray<{ readonly name: string; readonly style: string }>): string =>
  `<div class="legend">${entries.map(({ name, style }) => `<span><i class="${style}"></i>${escaped(name)}</span>`).join("")}</div>`

const titleWith = (axis: Axis, x: number, lines: ReadonlyArray<Line>, index: number, yText: Frame["yText"]): string =>
  [
    axis.text(x),
    ...lines.map(({ name, values }) => {
      const value = values[index]
      return `${name}: ${value === undefined ? "–" : yText(value)}`
    })
  ].join("\n")

/** Lines over an axis. */
export const lineChart = (axis: Axis, xs: ReadonlyArray<number>, lines: ReadonlyArray<Line>, frame: Frame): string => {
  const { height = 250, isLogarithmic = false, label, yText } = frame
  const values = present(lines)
  const low = values.reduce((least, value) => (value > 0 && value < least ? value : least), Number.POSITIVE_INFINITY)
  const high = values.reduce((most, value) => Math.max(most, value), 0)
  const y = yScale(low === Number.POSITIVE_INFINITY ? 1 : low * 0.8, high * 1.08, height, isLogarithmic)
  return svg(
    height,
    label,
    [
      grid(axis, y, height, yText),
      ...lines.map(({ style, values: of }) => `<path class="line ${style}" d="${pathOf(axis, y, xs, of)}"/>`),
      hovers(axis, xs, height, (index) => titleWith(axis, xs[index] ?? 0, lines, index, yText))
    ].join("")
  )
}

/** Areas on top of each other, the first at the bottom. */
export const areaChart = (axis: Axis, xs: ReadonlyArray<number>, lines: ReadonlyArray<Line>, frame: Frame): string => {
  const { height = 250, label, yText } = frame
  const sums = xs.map((_, index) => lines.reduce((sum, { values }) => sum + (values[index] ?? 0), 0))
  const y = yScale(0, sums.reduce((most, sum) => Math.max(most, sum), 0) * 1.08, height, false)
  const below = xs.map(() => 0)
  const areas = lines.map(({ style, values }) => {
    const floor = xs.map((x, index) => `${digits(xAt(axis, x))} ${digits(y.at(below[index] ?? 0))}`).reverse()
    for (const index of below.keys()) below[index] = (below[index] ?? 0) + (values[index] ?? 0)
    const roof = xs.map((x, index) => `${digits(xAt(axis, x))} ${digits(y.at(below[index] ?? 0))}`)
    return xs.length === 0 ? "" : `<path class="area ${style}" d="M${[...roof, ...floor].join("L")}Z"/>`
  })
  return svg(
    height,
    label,
    [
      grid(axis, y, height, yText),
      ...areas,
      hovers(axis, xs, height, (index) => titleWith(axis, xs[index] ?? 0, lines, index, yText))
    ].join("")
  )
}

export interface Cell {
  readonly fromX: number
  readonly toX: number
  readonly low: number
  readonly high: number
  readonly count: number
}

export const heatLevels = 7

/** Counts as colours, in a few levels of the logarithm; logarithmic upwards. */
export const heatMap = (axis: Axis, cells: ReadonlyArray<Cell>, frame: Frame): string => {
  const { height = 250, label, yText } = frame
  const low = cells.reduce((least, cell) => Math.min(least, cell.low), Number.POSITIVE_INFINITY)
  const high = cells.reduce((most, cell) => Math.max(most, cell.high), 0)
  const largest = cells.reduce((most, { count }) => Math.max(most, count), 1)
  const y = yScale(low === Number.POSITIVE_INFINITY ? 1 : low, high, height, true)
  const paths = new Array<string>(heatLevels).fill("")
  for (const { count, fromX, high: up, low: down, toX } of cells) {
    const level = Math.min(heatLevels - 1, Math.floor((heatLevels * Math.log(count + 1)) / Math.log(largest + 1)))
    const x = xAt(axis, fromX)
    paths[level] += `M${digits(x)} ${digits(y.at(up))}H${digits(xAt(axis, toX))}V${digits(y.at(down))}H${digits(x)}Z`
  }
  return svg(
    height,
    label,
    grid(axis, y, height, yText) +
      paths.map((path, level) => (path === "" ? "" : `<path class="heat${level}" d="${path}"/>`)).join("")
  )
}
