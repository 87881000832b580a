/**
 * Where instruments are made and found, and what a scrape reads.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type {
  Counter,
  FixedHistogram,
  FixedHistogramOptions,
  Gauge,
  GaugeOptions,
  Histogram,
  HistogramOptions,
  InstrumentOptions,
  Labels,
  MetricSnapshot,
  Summary,
  SummaryOptions,
  Timer,
  UpDownCounter
} from "./Instruments.ts"
import { makeInstruments } from "./internal/instruments.ts"
import { checkLabelNames, checkMetricName } from "./internal/names.ts"
import { Roster } from "./internal/roster.ts"

export type * from "./Instruments.ts"

export interface Options {
  /** Stands before every name, with an underscore. */
  readonly namespace?: string | undefined
  /** Labels that every series has, such as the service or the worker. */
  readonly labels?: Labels | undefined
}

/** What {@link makeUnsafe} needs besides, which {@link make} takes from Effect. */
export interface UnsafeOptions extends Options {
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly now?: (() => number) | undefined
  /** Where warnings go. Default `console.warn`. */
  readonly warn?: ((message: string) => void) | undefined
}

/** Reads state that is kept elsewhere: each series with its labels. */
export type Read = () => Iterable<readonly [Labels, number]>

export interface Registry {
  /** A metric that only grows. Its name ends in `_total`. */
  counter(options: InstrumentOptions): Counter
  /** A metric that goes up and down by amounts. */
  upDownCounter(options: InstrumentOptions): UpDownCounter
  /** A metric that is set. */
  gauge(options: GaugeOptions): Gauge
  /** How values are spread, in buckets that adapt to them. */
  histogram(options: HistogramOptions): Histogram
  /** How long things take, in seconds. Its name ends in `_seconds`. */
  timer(options: HistogramOptions): Timer
  /** How values are spread, in buckets that are chosen once. */
  fixedHistogram(options: FixedHistogramOptions): FixedHistogram
  /** Quantiles of what was recorded lately. */
  summary(options: SummaryOptions): Summary
  /** A gauge that is read when it is scraped. If reading fails, the scrape goes on without it. */
  gaugeFrom(options: GaugeOptions, read: Read): void
  /** A counter that is read when it is scraped. */
  counterFrom(options: InstrumentOptions, read: Read): void
  /**
   * Metrics that are kept elsewhere and read when they are scraped, such as Effect's own or those of other threads. One
   * whose name is taken is left out, with a warning.
   */
  include(read: () => Iterable<MetricSnapshot>): void
  /** Forgets a metric with all its series, and tells whether there was one. What is bound goes on, unseen. */
  unregister(name: string): boolean
  /** Everything as it is now. Nothing is updated in between, so that the figures belong together. */
  snapshotUnsafe(): ReadonlyArray<MetricSnapshot>
  readonly snapshot: Effect.Effect<ReadonlyArray<MetricSnapshot>>
  /** Forgets every series. Series that are still bound go on, unseen. */
  readonly reset: Effect.Effect<void>
}

export const Registry: Context.Service<Registry, Registry> = Context.Service<Registry>("@sluice/metrics/Registry")

/**
 * Makes a registry outside of an effect. Throws a `RangeError` if the namespace or a label is not valid.
 *
 * An instrument whose name, type or labels do not fit what is registered already throws a `RangeError` too: two parts of
 * a program that share a name by accident must not share a metric.
 */
export const makeUnsafe = (options: UnsafeOptions = {}): Registry => {
  const { labels: constant = {}, namespace, now = Date.now, warn = console.warn } = options
  if (namespace !== undefined) checkMetricName(namespace)
  checkLabelNames("the registry", Object.keys(constant), ["le", "quantile"])
  const roster = new Roster(warn)
  const snapshotUnsafe = (): ReadonlyArray<MetricSnapshot> => roster.snapshot()
  return {
    ...makeInstruments({ roster, constant, prefix: namespace === undefined ? "" : `${namespace}_`, now, warn }),
    include: (read) => roster.include(read),
    unregister: (name) => roster.unregister(namespace === undefined ? name : `${namespace}_${name}`),
    snapshotUnsafe,
    snapshot: Effect.sync(snapshotUnsafe),
    reset: Effect.sync(() => roster.reset())
  }
}

/**
 * Makes a registry. Its time is Effect's Clock, and its warnings go to Effect's log.
 *
 * @example
 * ```ts
 * import { Exposition, Registry } from "@sluice/metrics"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const registry = yield* Registry.make({ namespace: "shop" })
 *   const orders = registry.counter({ name: "orders_total", help: "Orders placed.", labels: ["country"] })
 *   const fromIndia = orders.bind({ country: "IN" })
 *   fromIndia.incrementUnsafe()
 *   yield* fromIndia.add(2)
 *   console.log(Exposition.prometheusText(registry).split("\n")[2]) // => shop_orders_total{country="IN"} 3
 * })
 *
 * await Effect.runPromise(program)
 * ```
 */
export const make = (options: Options = {}): Effect.Effect<Registry> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const context = yield* Effect.context<never>()
    return makeUnsafe({
      ...options,
      now: () => clock.currentTimeMillisUnsafe(),
      warn: (message) => void Effect.runForkWith(context)(Effect.logWarning(message))
    })
  })

/** Provides a registry. */
export const layer = (options: Options = {}): Layer.Layer<Registry> => Layer.effect(Registry, make(options))
