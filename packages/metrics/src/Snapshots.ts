/**
 * Snapshots as values: written and read, compared with earlier ones, and merged
 * over processes.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import type {
  Aggregation,
  FixedHistogramSnapshot,
  HistogramSnapshot,
  Labels,
  MetricSnapshot,
  SeriesSnapshot
} from "./Instruments.ts"
import { decodeMetrics, type Encoded, encodeMetric } from "./internal/encoding.ts"
import { differenceOf, mergeMetrics } from "./internal/merging.ts"
import type { Registry } from "./Registry.ts"

export type { Encoded } from "./internal/encoding.ts"

/** Snapshots as what JSON can hold, so that they can go from one process to another. O(series). */
export const encode = (metrics: ReadonlyArray<MetricSnapshot>): Encoded => ({
  version: 1,
  metrics: metrics.map(encodeMetric)
})

/** Reads what {@link encode} has made. Throws a `TypeError` that names the metric if it does not fit. O(series). */
export const decode = (encoded: unknown): ReadonlyArray<MetricSnapshot> => decodeMetrics(encoded)

/**
 * What came on top since an earlier snapshot: counters and histograms by what they grew, gauges as they are. A series that
 * was not there, or has been reset, counts from nothing. Summaries have no difference and are as they are.
 */
export const difference = (
  now: ReadonlyArray<MetricSnapshot>,
  before: ReadonlyArray<MetricSnapshot>
): ReadonlyArray<MetricSnapshot> => differenceOf(now, before)

/**
 * Reads a registry again and again, each time what came on top since the time before: delta temporality, for backends
 * that add up themselves.
 */
export const deltas = (registry: Registry): Effect.Effect<ReadonlyArray<MetricSnapshot>> => {
  let before: ReadonlyArray<MetricSnapshot> = []
  return Effect.sync(() => {
    const now = registry.snapshotUnsafe()
    const result = differenceOf(now, before)
    before = now
    return result
  })
}

/**
 * Snapshots of several processes as one: counters and histograms add up, gauges by their `aggregation` (`"last"` takes that
 * of the last in the list). Associative; commutative but for `"last"`. Summaries cannot be merged and are left out.
 *
 * Throws a `TypeError` if two of one name differ in type or bounds.
 */
export const merge = (...snapshots: ReadonlyArray<ReadonlyArray<MetricSnapshot>>): ReadonlyArray<MetricSnapshot> =>
  mergeMetrics(snapshots)

/** The metrics of many processes, of which some may have ended. */
export interface Aggregator {
  /** Takes the newest snapshot of a process in the place of the one before. */
  update(process: string, snapshot: ReadonlyArray<MetricSnapshot>): void
  /** A process has ended: its counts remain, its gauges go. */
  end(process: string): void
  /** All together. O(processes × series). */
  snapshot(): ReadonlyArray<MetricSnapshot>
}

const isCount = ({ type }: MetricSnapshot): boolean => type !== "gauge" && type !== "summary" && type !== "updown"

/**
 * Makes an aggregator, for a primary whose workers send it their snapshots.
 *
 * @example
 * ```ts
 * import { Registry, Snapshots } from "@sluice/metrics"
 *
 * const worker = (requests: number) => {
 *   const registry = Registry.makeUnsafe()
 *   registry.counter({ name: "requests_total", help: "Requests." }).bind().addUnsafe(requests)
 *   return JSON.stringify(Snapshots.encode(registry.snapshotUnsafe()))
 * }
 *
 * const all = Snapshots.makeAggregator()
 * all.update("1", Snapshots.decode(JSON.parse(worker(3))))
 * all.update("2", Snapshots.decode(JSON.parse(worker(4))))
 * all.end("1")
 * const [requests] = all.snapshot()
 * console.log(requests?.series[0]?.value) // => 7
 * ```
 */
export const makeAggregator = (): Aggregator => {
  const alive = new Map<string, ReadonlyArray<MetricSnapshot>>()
  let ended: ReadonlyArray<MetricSnapshot> = []
  return {
    update: (process, snapshot) => {
      // Newest last, which is what "last" goes by.
      alive.delete(process)
      alive.set(process, snapshot)
    },
    end: (process) => {
      const last = alive.get(process)
      if (last === undefined) return
      alive.delete(process)
      ended = mergeMetrics([ended, last.filter(isCount)])
    },
    snapshot: () => mergeMetrics([ended, ...alive.values()])
  }
}

export type { Aggregation, FixedHistogramSnapshot, HistogramSnapshot, Labels, MetricSnapshot, SeriesSnapshot }
