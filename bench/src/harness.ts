// Times two things against each other in one process: a warm-up, then rounds in
// which they take turns, so that a drift of the machine's speed meets both. The
// ratio that is quoted is the median of the ratios of the rounds.

/** One measurement: runs the work and answers its figure in the comparison's unit. */
export type Measure = () => number | Promise<number>

export interface Comparison {
  /** What is measured, as a row of the table. */
  readonly name: string
  /** What the figure is. For times less is better, for rates more is. */
  readonly unit: "ns/op" | "bytes" | "requests" | "ops/s" | "req/s" | "MB/s"
  /** The name of what ours is measured against. */
  readonly against: string
  readonly ours: Measure
  readonly peer: Measure
  /** The ratio to reach, ours being so many times as good as the peer; absent where the row is only to be read. */
  readonly bar?: number
  /** Counted rounds; at least five. Default 7. */
  readonly rounds?: number
}

export interface Suite {
  readonly name: string
  readonly comparisons: ReadonlyArray<Comparison>
}

export interface Row {
  readonly bench: string
  readonly unit: Comparison["unit"]
  readonly against: string
  readonly ours: number
  readonly peer: number
  /** How many times as good as the peer's ours is: above 1 is better. */
  readonly ratio: number
  readonly bar: number | undefined
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** Nanoseconds an operation, from the time that `operations` of them took. */
export const nanosPerOperation = async (operations: number, work: () => unknown): Promise<number> => {
  const start = process.hrtime.bigint()
  await work()
  return Number(process.hrtime.bigint() - start) / operations
}

/** As {@link nanosPerOperation}, for work that is synchronous: an `await` would be measured too. */
export const nanosPerOperationSync = (operations: number, work: () => void): number => {
  const start = process.hrtime.bigint()
  work()
  return Number(process.hrtime.bigint() - start) / operations
}

const moreIsBetter = (unit: Comparison["unit"]): boolean => unit.endsWith("/s")

export const run = async (suite: string, comparison: Comparison): Promise<Row> => {
  await comparison.peer()
  await comparison.ours()
  const ours: Array<number> = []
  const peer: Array<number> = []
  const ratios: Array<number> = []
  for (let round = 0; round < Math.max(5, comparison.rounds ?? 7); round++) {
    globalThis.gc?.()
    const p = await comparison.peer()
    globalThis.gc?.()
    const o = await comparison.ours()
    ours.push(o)
    peer.push(p)
    ratios.push(moreIsBetter(comparison.unit) ? o / p : p / o)
  }
  return {
    bench: `${suite}: ${comparison.name}`,
    unit: comparison.unit,
    against: comparison.against,
    ours: median(ours),
    peer: median(peer),
    ratio: median(ratios),
    bar: comparison.bar
  }
}
