/**
 * Whether one run was slower than another, or only looked so.
 *
 * A run is cut into its seconds, and many runs like it are drawn from them, with
 * repetition (the block bootstrap): what a figure comes to in those tells how far
 * it might have come out otherwise. Seconds and not requests are drawn, and several
 * that follow each other at once, since what makes one request slow makes its
 * neighbours slow. A change counts when its interval leaves zero out, and when it is
 * large enough to matter to anybody.
 *
 * What differs between two runs as a whole, such as other work on the machine, no
 * interval of theirs can tell from a difference of the server. Several runs of each
 * can: then runs are drawn first, and seconds out of those.
 *
 * @module
 */
import * as Random from "../engine/Random.ts"
import * as Result from "../results/Result.ts"
import { type Blocks, blocksOf, commonBuckets, figuresOf, pointsOf, quantiles } from "./blocks.ts"

export interface Options {
  /** The part of the drawn runs whose change lies in the interval. Default 0.99. */
  readonly confidence?: number | undefined
  /** The least change that matters, as a part. Default 0.03. */
  readonly tolerance?: number | undefined
  /** How many runs are drawn. Default 1,000. */
  readonly draws?: number | undefined
  /** Seconds at the beginning of each run that are left out. Default 0. */
  readonly warmUpSeconds?: number | undefined
  readonly seed?: number | undefined
}

export type Verdict = "better" | "worse" | "same" | "unknown"

export interface Row {
  readonly name: string
  readonly unit: "micros" | "perSecond" | "part"
  readonly before: number
  readonly after: number
  /** The change, as a part of what it was before; of a part, the difference. Unset where it cannot be told. */
  readonly change: number | undefined
  readonly interval: readonly [low: number, high: number] | undefined
  readonly verdict: Verdict
}

export interface Comparison {
  readonly confidence: number
  readonly tolerance: number
  readonly seconds: readonly [before: number, after: number]
  readonly rows: ReadonlyArray<Row>
  /** The worst of the rows. */
  readonly verdict: Verdict
  /** What makes the comparison doubtful. */
  readonly notes: ReadonlyArray<string>
}

/** Seconds in fewer than this many blocks tell nothing of how they vary. */
const leastBlocks = 5
const reliableBlocks = 20
interface Figure {
  readonly name: string
  readonly unit: Row["unit"]
  /** Whether less of it is better. */
  readonly isCost: boolean
}

const figures: ReadonlyArray<Figure> = [
  { name: "rate", unit: "perSecond", isCost: false },
  { name: "failed", unit: "part", isCost: true },
  { name: "mean", unit: "micros", isCost: true },
  ...quantiles.map((q): Figure => ({ name: `p${Number((q * 100).toFixed(2))}`, unit: "micros", isCost: true }))
]

const changeOf = (unit: Row["unit"], before: number, after: number): number =>
  unit === "part" ? after - before : before === 0 ? (after === 0 ? 0 : Number.POSITIVE_INFINITY) : after / before - 1

const quantileOf = (sorted: ReadonlyArray<number>, q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(q * (sorted.length - 1))))] ?? Number.NaN

/** Of failures, a thirtieth of the tolerance in points is what matters: 0.1 % at 3 %. */
const toleranceOf = (unit: Row["unit"], tolerance: number): number => (unit === "part" ? tolerance / 30 : tolerance)

const verdictOf = (
  { isCost, unit }: Figure,
  change: number,
  [low, high]: readonly [number, number],
  tolerance: number
): Verdict => {
  if ((low <= 0 && high >= 0) || Math.abs(change) < toleranceOf(unit, tolerance)) return "same"
  return change > 0 === isCost ? "worse" : "better"
}

const severity: ReadonlyArray<Verdict> = ["worse", "unknown", "better", "same"]

/** How many requests a quantile needs so that some lie beyond it in most draws. */
const needs = (name: string): number => {
  const q = /^p(.*)$/.exec(name)?.[1]
  return q === undefined ? 1 : 10 / (1 - Number(q) / 100)
}

const sum = (values: Iterable<number>): number => {
  let all = 0
  for (const value of values) all += value
  return all
}

const isPlanned = (runs: ReadonlyArray<Result.Result>): boolean =>
  runs.some(({ windows }) => windows.some(({ planned }) => planned > 0))

const notesOf = (
  before: ReadonlyArray<Result.Result>,
  after: ReadonlyArray<Result.Result>,
  rows: ReadonlyArray<Row>,
  least: number
): ReadonlyArray<string> => {
  const rate = rows.find(({ name }) => name === "rate")
  return [
    ...(least < reliableBlocks
      ? [`There are ${least} whole seconds of one side: below ${reliableBlocks} the intervals are a guess`]
      : []),
    ...(isPlanned(before) && isPlanned(after) && Math.abs(rate?.change ?? 0) > 0.05
      ? ["The runs had different rates: what a server does under another load is another question"]
      : []),
    ...(isPlanned(before) === isPlanned(after)
      ? []
      : ["One side was open and the other closed: a closed one waits for a slow server, and so measures less of it"])
  ]
}

/**
 * Compares runs with runs before them. Deterministic for a seed. O(draws × seconds × buckets), at most some seconds.
 */
export const compare = (
  before: ReadonlyArray<Result.Result>,
  after: ReadonlyArray<Result.Result>,
  options: Options = {}
): Comparison => {
  const { confidence = 0.99, draws = 1000, seed = 1, tolerance = 0.03, warmUpSeconds = 0 } = options
  const points = [before, after].map((runs) => runs.map((run) => pointsOf(run, warmUpSeconds)))
  const buckets = commonBuckets(points.flat(2))
  const length = buckets.length + 1
  const random = Random.random(seed)
  const [one, two] = [blocksOf(points[0] ?? [], buckets), blocksOf(points[1] ?? [], buckets)]
  const drawn = (blocks: Blocks): ReadonlyArray<number> => {
    const chosen: Array<number> = []
    for (const _ of blocks.runs) {
      const [from, of] = blocks.runs[Math.floor(random() * blocks.runs.length)] ?? [0, 0]
      // The cube root: long enough to keep what hangs together, short enough to leave many to draw from.
      const together = Math.max(1, Math.round(Math.cbrt(of)))
      for (let left = of; left > 0; left -= together) {
        const begin = Math.floor(random() * of)
        for (let step = 0; step < Math.min(together, left); step++) chosen.push(from + ((begin + step) % of))
      }
    }
    return figuresOf(blocks, chosen, buckets, length)
  }
  const all = (blocks: Blocks) => figuresOf(blocks, blocks.counts.keys(), buckets, length)
  const [was, is] = [all(one), all(two)]
  const least = Math.min(one.counts.length, two.counts.length)
  const requests = Math.min(sum(one.requests), sum(two.requests))
  const changes: ReadonlyArray<Array<number>> = figures.map(() => [])
  for (let draw = 0; draw < (least < leastBlocks ? 0 : draws); draw++) {
    const [a, b] = [drawn(one), drawn(two)]
    for (const [index, { unit }] of figures.entries()) {
      const change = changeOf(unit, a[index] ?? Number.NaN, b[index] ?? Number.NaN)
      if (!Number.isNaN(change)) changes[index]?.push(change)
    }
  }
  const rows = figures.map((figure, index): Row => {
    const { name, unit } = figure
    const told = { name, unit, before: was[index] ?? Number.NaN, after: is[index] ?? Number.NaN }
    const sorted = [...(changes[index] ?? [])].sort((a, b) => a - b)
    const change = changeOf(unit, told.before, told.after)
    if (sorted.length === 0 || Number.isNaN(change) || requests < needs(name)) {
      return { ...told, change: Number.isNaN(change) ? undefined : change, interval: undefined, verdict: "unknown" }
    }
    const interval = [quantileOf(sorted, (1 - confidence) / 2), quantileOf(sorted, (1 + confidence) / 2)] as const
    return { ...told, change, interval, verdict: verdictOf(figure, change, interval, tolerance) }
  })
  const decided = rows.filter(({ verdict }) => verdict !== "unknown")
  const verdicts = new Set(decided.map(({ verdict }) => verdict))
  return {
    confidence,
    tolerance,
    seconds: [sum(before.map(Result.seconds)), sum(after.map(Result.seconds))],
    rows,
    verdict: decided.length === 0 ? "unknown" : (severity.find((verdict) => verdicts.has(verdict)) ?? "same"),
    notes: notesOf(before, after, rows, least)
  }
}
