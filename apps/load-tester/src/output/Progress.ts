/**
 * Shows a run while it goes on: drawn over itself on a terminal, line by line elsewhere.
 *
 * @module
 */
import type * as Result from "../results/Result.ts"
import * as LiveView from "./LiveView.ts"

export type Mode = "live" | "plain" | "quiet"

/** Where it is shown. */
export interface Screen {
  readonly write: (text: string) => void
  readonly isTerminal: boolean
  readonly width: () => number
  readonly isColoured: boolean
}

export interface Options {
  readonly mode: Mode
  readonly screen: Screen
  readonly read: () => Result.Result
  readonly plannedSeconds: number | undefined
}

/** How often a frame is drawn: seldom enough that the view costs about a hundredth of a core, or less. */
const frameMillis = 500
const lineMillis = 5000

/** Standard error, so that standard output has the summary alone. */
export const standardError = (): Screen => ({
  write: (text) => void process.stderr.write(text),
  isTerminal: process.stderr.isTTY === true,
  width: () => process.stderr.columns ?? 100,
  isColoured: process.stderr.isTTY === true && (process.env["NO_COLOR"] ?? "") === ""
})

/** What fits where it is shown: a terminal that is not a build's is drawn on. */
export const modeFor = (screen: Screen, asked: { readonly plain: boolean; readonly quiet: boolean }): Mode => {
  if (asked.quiet) return "quiet"
  return asked.plain || !screen.isTerminal || (process.env["CI"] ?? "") !== "" ? "plain" : "live"
}

// Colours take no room, and a line that wrapped would be drawn over only in part.
const cut = (line: string, width: number): string => {
  let room = width
  return line
    .split("\u001b[")
    .map((part, at) => {
      const codeEnd = at === 0 ? 0 : part.indexOf("m") + 1
      const kept = [...part.slice(codeEnd)].slice(0, room)
      room -= kept.length
      return `${at === 0 ? "" : "\u001b["}${part.slice(0, codeEnd)}${kept.join("")}`
    })
    .join("")
}

/** A screen that lines are drawn on, again and again in the same place. */
export const makeCanvas = ({ width, write }: Screen) => {
  let height = 0
  const up = (): string => (height > 0 ? `\u001b[${height}A\r` : "")
  return {
    draw: (lines: ReadonlyArray<string>): void => {
      const room = width()
      const text = lines.map((line) => `${cut(line, room - 1)}\u001b[K\n`).join("")
      write(`${up()}${text}\u001b[J`)
      height = lines.length
    },
    clear: (): void => {
      write(`${up()}\u001b[J`)
      height = 0
    }
  }
}

/** Begins to show, and answers how to end that. */
export const show = ({ mode, plannedSeconds, read, screen }: Options): (() => void) => {
  if (mode === "quiet") return () => {}
  if (mode === "plain") {
    const timer = setInterval(() => screen.write(`${LiveView.line(read())}\n`), lineMillis)
    return () => clearInterval(timer)
  }
  const canvas = makeCanvas(screen)
  const began = performance.now()
  let spent = 0
  const draw = (): void => {
    const start = performance.now()
    const cost = spent / Math.max(1, start - began)
    const { isColoured } = screen
    canvas.draw(LiveView.render({ result: read(), plannedSeconds, width: screen.width(), cost, isColoured }))
    spent += performance.now() - start
  }
  const timer = setInterval(draw, frameMillis)
  return () => {
    clearInterval(timer)
    canvas.clear()
  }
}
