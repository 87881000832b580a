// Moments of a recorded run, for instance of an access log.

import { BadNotation } from "../engine/Pattern.ts"

const momentOf = (text: string): number => (/^[\d.]+$/.test(text) ? Number(text) * 1000 : Date.parse(text))

const fieldOf = (line: string): string => {
  if (!line.startsWith("{")) return line.split(/[\s,]+/)[0] ?? ""
  const value: unknown = JSON.parse(line)
  const found = typeof value === "object" && value !== null ? Object.entries(value) : []
  const [, moment] = found.find(([key]) => ["timestamp", "time", "at", "ts"].includes(key)) ?? []
  return String(moment)
}

/**
 * Moments from lines that begin with one: ISO 8601, or seconds since any moment; or from lines of JSON with `timestamp`, `time`,
 * `at` or `ts`. They need not be in order. Microseconds since the first of them, as many times as fast as `speed` says.
 */
export const parseMoments = (text: string, speed = 1): ReadonlyArray<number> => {
  const moments: Array<number> = []
  for (const [index, line] of text.split("\n").entries()) {
    const trimmed = line.trim()
    if (trimmed === "" || trimmed.startsWith("#")) continue
    let millis = Number.NaN
    try {
      millis = momentOf(fieldOf(trimmed))
    } catch {
      // Told below, as whatever else is no moment.
    }
    if (!Number.isFinite(millis)) {
      throw new BadNotation({
        message: `Cannot read a moment in line ${index + 1}: it must begin with one, in ISO 8601 or in seconds`
      })
    }
    moments.push(millis)
  }
  moments.sort((a, b) => a - b)
  const first = moments[0]
  if (first === undefined) throw new BadNotation({ message: "Cannot replay no moments" })
  return moments.map((millis) => ((millis - first) * 1000) / speed)
}
