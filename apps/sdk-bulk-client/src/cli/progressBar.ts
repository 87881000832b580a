// A bar on the terminal: how much is done, how much of it failed, how fast, and
// how long it will still take. Drawn ten times a second at the most.

import type { Progress } from "../Bulk.ts"

const width = 30
const betweenMillis = 100

const time = (seconds: number): string =>
  seconds < 60 ? `${Math.ceil(seconds)} s` : `${Math.floor(seconds / 60)} min ${Math.ceil(seconds % 60)} s`

/** One line: the bar after `elapsedMillis`. */
export const line = ({ done, failed }: Progress, total: number, elapsedMillis: number): string => {
  const share = total === 0 ? 1 : done / total
  const filled = Math.floor(width * share)
  const rate = elapsedMillis > 0 ? (done * 1000) / elapsedMillis : 0
  const parts = [
    `[${"#".repeat(filled)}${".".repeat(width - filled)}] ${done}/${total} ${Math.floor(100 * share)}%`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    `${rate < 10 ? rate.toFixed(1) : Math.round(rate)}/s`,
    ...(done < total && rate > 0 ? [`${time((total - done) / rate)} left`] : [])
  ]
  return parts.join(" · ")
}

export interface ProgressBar {
  readonly update: (progress: Progress) => void
  /** Writes a line of its own above the bar. */
  readonly note: (text: string) => void
  /** Leaves the last state standing and ends the line. */
  readonly end: () => void
}

const clear = "\r\u001b[K"

/** A bar on `out`; where that is no terminal, its notes alone. */
export const make = (
  total: number,
  out: { readonly isTTY?: boolean | undefined; readonly write: (text: string) => unknown },
  now: () => number
): ProgressBar => {
  if (out.isTTY !== true) {
    return { update: () => undefined, note: (text) => out.write(`${text}\n`), end: () => undefined }
  }
  const startedAt = now()
  let drawnAt = Number.NEGATIVE_INFINITY
  let last: Progress = { done: 0, total, created: 0, failed: 0 }
  const draw = (): void => {
    drawnAt = now()
    out.write(`${clear}${line(last, total, drawnAt - startedAt)}`)
  }
  return {
    update: (progress) => {
      last = progress
      if (now() - drawnAt >= betweenMillis) draw()
    },
    note: (text) => {
      out.write(`${clear}${text}\n`)
      draw()
    },
    end: () => {
      draw()
      out.write("\n")
    }
  }
}
