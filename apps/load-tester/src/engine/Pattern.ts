/**
 * Shapes by name, and in short notation.
 *
 * @module
 */
import { Data } from "effect"
import type { Piece, Shape } from "./Shape.ts"

/** A notation that says nothing that could be done. */
export class BadNotation extends Data.TaggedError("@sluice/load-tester/BadNotation")<{ readonly message: string }> {}

const units: Readonly<Record<string, number>> = { us: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 }

/** Seconds from `500ms`, `10s`, `1m30s`, `2h`; a bare number is seconds. */
export const parseSeconds = (text: string): number => {
  const trimmed = text.trim()
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed)
  if (!/^(\d+(\.\d+)?(us|ms|s|m|h))+$/.test(trimmed)) {
    throw new BadNotation({ message: `Cannot read ${JSON.stringify(text)} as a time: write 500ms, 10s, 1m30s or 2h` })
  }
  let seconds = 0
  for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(us|ms|s|m|h)/g)) {
    seconds += Number(amount) * (units[unit ?? "s"] ?? 1)
  }
  return seconds
}

/** A rate a second from `100`, `100/s`, `6000/m`, `5/h`. */
export const parseRate = (text: string): number => {
  const match = /^(\d+(?:\.\d+)?)(?:\/(s|m|h))?$/.exec(text.trim())
  if (match === null) {
    throw new BadNotation({ message: `Cannot read ${JSON.stringify(text)} as a rate: write 100, 100/s or 6000/m` })
  }
  return Number(match[1]) / (units[match[2] ?? "s"] ?? 1)
}

/**
 * Stages as `10s:100,1m:100,10s:0`: each goes evenly from the level that is reached to the one that it names. `30s@200`
 * is at its level at once.
 */
export const parseStages = (text: string, from = 0): Shape => {
  let level = from
  return text.split(",").map((stage): Piece => {
    const match = /^([^:@]+)([:@])(.+)$/.exec(stage.trim())
    if (match === null) {
      throw new BadNotation({
        message: `Cannot read the stage ${JSON.stringify(stage)}: write 10s:100 to go to 100 within 10 s, or 10s@100 to stay there`
      })
    }
    const [, time = "", mark, target = ""] = match
    const to = parseRate(target)
    const piece: Piece = { kind: "linear", seconds: parseSeconds(time), from: mark === "@" ? to : level, to }
    level = to
    return piece
  })
}

const linear = (seconds: number, from: number, to: number): Piece => ({ kind: "linear", seconds, from, to })
const hold = (seconds: number, level: number): Piece => linear(seconds, level, level)

interface Settings {
  /** The highest level. */
  readonly level: number
  readonly seconds: number
  readonly number: (name: string, otherwise: number) => number
  readonly time: (name: string, otherwise: number) => number
}

interface Pattern {
  readonly name: string
  readonly summary: string
  readonly shape: (settings: Settings) => Shape
}

/** The patterns that have a name. `replay` is one more, which takes its moments from a file. */
export const all: ReadonlyArray<Pattern> = [
  { name: "steady", summary: "the level, all the time", shape: ({ level, seconds }) => [hold(seconds, level)] },
  {
    name: "ramp",
    summary: "evenly from one level (from=0) to the other",
    shape: ({ level, number, seconds }) => [linear(seconds, number("from", 0), level)]
  },
  {
    name: "step",
    summary: "up to the level in equal steps (steps=5, from=level/steps)",
    shape: ({ level, number, seconds }) => {
      const steps = Math.max(1, Math.round(number("steps", 5)))
      const from = number("from", level / steps)
      return Array.from({ length: steps }, (_, step) =>
        hold(seconds / steps, steps === 1 ? level : from + ((level - from) * step) / (steps - 1))
      )
    }
  },
  {
    name: "spike",
    summary: "at rest (base=level/10), up to the level for a tenth of the time, and cooling down",
    shape: ({ level, number, seconds }) => {
      const base = number("base", level / 10)
      return [
        hold(seconds * 0.3, base),
        linear(seconds * 0.05, base, level),
        hold(seconds * 0.1, level),
        linear(seconds * 0.05, level, base),
        hold(seconds * 0.5, base)
      ]
    }
  },
  {
    name: "burst",
    summary: "so many at once (size=level), again and again (every=1s)",
    shape: ({ level, number, seconds, time }) => {
      const every = time("every", 1)
      return Array.from({ length: Math.max(1, Math.round(seconds / every)) }, () => ({
        kind: "burst" as const,
        seconds: every,
        size: Math.round(number("size", level))
      }))
    }
  },
  {
    name: "sine",
    summary: "between a low level (low=level/4) and the level, over and over (period=a quarter of the time)",
    shape: ({ level, number, seconds, time }) => {
      const low = Math.min(level, number("low", level / 4))
      return [
        {
          kind: "sine",
          seconds,
          mean: (level + low) / 2,
          amplitude: (level - low) / 2,
          periodSeconds: time("period", seconds / 4)
        }
      ]
    }
  },
  {
    name: "soak",
    summary: "up to the level gently (ramp=a twentieth of the time, at most 1m), long there, and down",
    shape: ({ level, seconds, time }) => {
      const ramp = Math.min(seconds / 2, time("ramp", Math.min(60, seconds / 20)))
      return [linear(ramp, 0, level), hold(seconds - 2 * ramp, level), linear(ramp, level, 0)]
    }
  }
]

/** The shape that a name stands for, as `spike` or `spike:base=20`. */
export const parsePattern = (
  text: string,
  { level, seconds }: { readonly level: number; readonly seconds: number }
): Shape => {
  const colon = text.indexOf(":")
  const name = colon < 0 ? text : text.slice(0, colon)
  const pattern = all.find((pattern) => pattern.name === name)
  if (pattern === undefined) {
    throw new BadNotation({
      message: `Cannot find the pattern ${name}: the patterns are ${all.map(({ name }) => name).join(", ")}`
    })
  }
  const given = new Map(
    (colon < 0 ? [] : text.slice(colon + 1).split(",")).map((pair): [string, string] => {
      const equals = pair.indexOf("=")
      if (equals < 0) {
        throw new BadNotation({
          message: `Cannot read ${JSON.stringify(pair)} of the pattern ${name}: write name=value`
        })
      }
      return [pair.slice(0, equals).trim(), pair.slice(equals + 1)]
    })
  )
  const used = new Set<string>()
  const read = (parse: (text: string) => number) => (key: string, otherwise: number) => {
    const value = given.get(key)
    used.add(key)
    return value === undefined ? otherwise : parse(value)
  }
  const shape = pattern.shape({ level, seconds, number: read(parseRate), time: read(parseSeconds) })
  const unknown = [...given.keys()].find((key) => !used.has(key))
  if (unknown !== undefined) {
    throw new BadNotation({ message: `Cannot set ${unknown} of the pattern ${name}: it has ${pattern.summary}` })
  }
  // Pieces of no length say nothing, and would be divided by.
  return shape.filter((piece) => piece.seconds > 0)
}
