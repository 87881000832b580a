// The figures of a server at one moment, as the dashboard shows them. Counters and
// histograms only grow; what is shown is what came since the moment before.

import { type Registry, Snapshots } from "@sluice/metrics"
import * as Effect from "effect/Effect"
import type * as Health from "../Health.ts"

/** Something that tells figures of itself: a limiter, a pool, a queue. */
export interface Source {
  statsUnsafe(): object
}

/** How fast something was, in the unit of its metric; `null` where nothing was measured. */
export interface Quantiles {
  readonly p50: number | null
  readonly p90: number | null
  readonly p99: number | null
}

/** One moment. */
export interface Sample {
  readonly at: number
  readonly status: Health.Report["status"] | "unknown"
  readonly activeTasks: number
  readonly system: Health.Report["system"] | null
  readonly workers: ReadonlyArray<Health.WorkerReport>
  readonly resources: Readonly<Record<string, Health.ResourceFigures>>
  /** Figures of each source. */
  readonly sources: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** Of each series of each counter, how much came on top in a second. */
  readonly rates: Readonly<Record<string, number>>
  readonly gauges: Readonly<Record<string, number>>
  /** Of each series of each histogram, over what was recorded since the moment before. */
  readonly quantiles: Readonly<Record<string, Quantiles>>
  /** Requests in a second by how they ended, where the registry counts those of an admission. */
  readonly requests: Readonly<Record<"answered" | "refused" | "failed", number>>
}

export interface SamplingOptions {
  readonly health: Health.Health | undefined
  readonly workers: Effect.Effect<ReadonlyArray<Health.Snapshot>> | undefined
  readonly registry: Registry.Registry | undefined
  readonly sources: Readonly<Record<string, Source>>
  readonly mergeResources: (snapshots: ReadonlyArray<Health.Snapshot>) => Sample["resources"]
  readonly aggregate: (snapshots: ReadonlyArray<Health.Snapshot>) => Health.Report
  /** The most series of each kind. */
  readonly maxSeries: number
}

const nameOf = (name: string, labels: Readonly<Record<string, string>>): string => {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${value}"`)
  return pairs.length === 0 ? name : `${name}{${pairs.join(",")}}`
}

const kindOf = (outcome: string | undefined): keyof Sample["requests"] => {
  if (outcome === "5xx" || outcome === "error") return "failed"
  return /^[1-4]xx$/.test(outcome ?? "") || outcome === "interrupted" ? "answered" : "refused"
}

const figuresOf = (source: Source): Record<string, number> => {
  const figures: Record<string, number> = {}
  for (const [name, value] of Object.entries(source.statsUnsafe())) {
    if (typeof value === "number" && Number.isFinite(value)) figures[name] = value
    if (typeof value === "boolean") figures[name] = Number(value)
  }
  return figures
}

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null)

interface Metrics extends Pick<Sample, "rates" | "gauges" | "quantiles" | "requests"> {}

/** Reads a registry again and again. */
const metricsReader = (registry: Registry.Registry | undefined, maxSeries: number) => {
  let before: ReturnType<Registry.Registry["snapshotUnsafe"]> = registry?.snapshotUnsafe() ?? []
  return (seconds: number): Metrics => {
    const rates: Record<string, number> = {}
    const gauges: Record<string, number> = {}
    const quantiles: Record<string, Quantiles> = {}
    const requests = { answered: 0, refused: 0, failed: 0 }
    const counts = { rates: 0, gauges: 0, quantiles: 0 }
    const hasRoom = (kind: keyof typeof counts): boolean => counts[kind]++ < maxSeries
    const now = registry?.snapshotUnsafe() ?? []
    for (const metric of Snapshots.difference(now, before)) {
      switch (metric.type) {
        case "counter":
          for (const { labels, value } of metric.series) {
            const rate = value / seconds
            if (metric.name === "server_requests_total") requests[kindOf(labels["outcome"])] += rate
            if (hasRoom("rates")) rates[nameOf(metric.name, labels)] = rate
          }
          break
        case "gauge":
        case "updown":
          for (const { labels, value } of metric.series) {
            if (Number.isFinite(value) && hasRoom("gauges")) gauges[nameOf(metric.name, labels)] = value
          }
          break
        case "histogram":
          for (const { labels, value } of metric.series) {
            if (!hasRoom("quantiles")) continue
            const [p50, p90, p99] = [0.5, 0.9, 0.99].map((part) => finite(value.quantile(part)))
            quantiles[nameOf(metric.name, labels)] = { p50: p50 ?? null, p90: p90 ?? null, p99: p99 ?? null }
          }
          break
      }
    }
    before = now
    return { rates, gauges, quantiles, requests }
  }
}

/** Makes what takes a sample at a time in milliseconds since 1970. */
export const makeSampler = (options: SamplingOptions): ((at: number) => Effect.Effect<Sample>) => {
  const { health, registry, sources, workers } = options
  const readMetrics = metricsReader(registry, options.maxSeries)
  let lastAt: number | undefined
  const snapshots: Effect.Effect<ReadonlyArray<Health.Snapshot>> = Effect.gen(function* () {
    const others = workers === undefined ? [] : yield* workers
    return health === undefined ? others : [...others, health.snapshotUnsafe()]
  })
  return (at) =>
    Effect.map(snapshots, (all) => {
      const seconds = Math.max(0.001, (at - (lastAt ?? at - 1000)) / 1000)
      lastAt = at
      // Of two snapshots of one worker the later counts, here as in the report.
      const byName = [...new Map(all.map((snapshot) => [snapshot.worker, snapshot])).values()]
      const report = byName.length === 0 ? undefined : options.aggregate(byName)
      return {
        at,
        status: report?.status ?? "unknown",
        activeTasks: report?.concurrency.active_tasks ?? 0,
        system: report?.system ?? null,
        workers: report?.workers ?? [],
        resources: options.mergeResources(byName),
        sources: Object.fromEntries(Object.entries(sources).map(([name, source]) => [name, figuresOf(source)])),
        ...readMetrics(seconds)
      }
    })
}
