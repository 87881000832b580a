/**
 * Reads Effect's own metrics, so that one scrape shows all.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { joinSeries } from "./internal/merging.ts"
import type { Labels, MetricSnapshot, Registry, SeriesSnapshot } from "./Registry.ts"

const nameOf = (id: string): string => id.replaceAll(/[^a-zA-Z0-9_:]/g, "_").replace(/^(?=\d)/, "_")

const labelsOf = (attributes: Metric.Metric.AttributeSet | undefined): Labels =>
  Object.fromEntries(
    Object.entries(attributes ?? {}).map(([name, value]) => [
      name.replaceAll(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=\d)/, "_"),
      String(value)
    ])
  )

const fixedOf = (buckets: ReadonlyArray<readonly [number, number]>, count: number) => {
  const finite = buckets.filter(([bound]) => Number.isFinite(bound))
  let before = 0
  const counts = finite.map(([, upTo]) => {
    const own = upTo - before
    before = upTo
    return own
  })
  return { bounds: finite.map(([bound]) => bound), counts: [...counts, count - before] }
}

const snapshotOf = (metric: Metric.Metric.Snapshot): MetricSnapshot => {
  const labels = labelsOf(metric.attributes)
  const help = metric.description ?? ""
  const name = nameOf(metric.id)
  const one = <A>(value: A): ReadonlyArray<SeriesSnapshot<A>> => [{ labels, value }]
  switch (metric.type) {
    case "Counter":
      return metric.state.incremental
        ? {
            type: "counter",
            name: name.endsWith("_total") ? name : `${name}_total`,
            help,
            series: one(Number(metric.state.count))
          }
        : { type: "updown", name, help, series: one(Number(metric.state.count)) }
    case "Gauge":
      return { type: "gauge", name, help, aggregation: "sum", series: one(Number(metric.state.value)) }
    case "Frequency":
      return {
        type: "counter",
        name: name.endsWith("_total") ? name : `${name}_total`,
        help,
        series: Array.from(metric.state.occurrences, ([key, value]) => ({ labels: { ...labels, key }, value }))
      }
    case "Histogram": {
      const { buckets, count, sum } = metric.state
      const { bounds, counts } = fixedOf(buckets, count)
      return { type: "fixed", name, help, bounds, series: one({ count, sum, counts }) }
    }
    case "Summary": {
      const { count, quantiles, sum } = metric.state
      const told = quantiles.map(([q, value]): readonly [number, number] => [q, value ?? Number.NaN])
      return { type: "summary", name, help, series: one({ count, sum, quantiles: told }) }
    }
  }
}

/**
 * Includes the metrics of Effect's registry, as this fiber sees it. Names are made to fit (a counter's ends in `_total`);
 * each is read when it is scraped.
 *
 * @example
 * ```ts
 * import { Exposition, Registry } from "@sluice/metrics"
 * import { EffectMetrics } from "@sluice/metrics/effect"
 * import { Effect, Metric } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const registry = yield* Registry.make()
 *   yield* EffectMetrics.include(registry)
 *   yield* Metric.update(Metric.counter("jobs", { incremental: true }), 3)
 *   console.log(Exposition.prometheusText(registry).split("\n")[2]) // => jobs_total 3
 * })
 *
 * await Effect.runPromise(program)
 * ```
 */
export const include = (registry: Registry): Effect.Effect<void> =>
  Effect.map(Effect.context<never>(), (context) =>
    // Effect keeps each set of attributes as a metric of its own; a scrape wants them together.
    registry.include(() => joinSeries(Metric.snapshotUnsafe(context).map(snapshotOf)))
  )
