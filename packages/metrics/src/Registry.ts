/**
 * Where instruments are made and found, and what a scrape reads.
 *
 * @module
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type {
  Counter,
  CounterSeries,
  Gauge,
  GaugeSeries,
  Histogram,
  HistogramOptions,
  HistogramSeries,
  HistogramSnapshot,
  Instrument,
  InstrumentOptions,
  Labels
} from "./Instruments.ts"
import { type Family, makeFamily } from "./internal/family.ts"
import { checkLabelNames, checkMetricName } from "./internal/names.ts"
import * as Series from "./internal/series.ts"

export type * from "./Instruments.ts"

export interface Options {
  /** Stands before every name, with an underscore. */
  readonly namespace?: string | undefined
  /** Labels that every series has, such as the service or the worker. */
  readonly labels?: Labels | undefined
}

/** One metric as a scrape sees it. */
export type MetricSnapshot =
  | {
      readonly type: "counter" | "gauge"
      readonly name: string
      readonly help: string
      readonly series: ReadonlyArray<{ readonly labels: Labels; readonly value: number }>
    }
  | {
      readonly type: "histogram"
      readonly name: string
      readonly help: string
      /** Where the text formats count. */
      readonly bounds: ReadonlyArray<number>
      readonly series: ReadonlyArray<{ readonly labels: Labels; readonly value: HistogramSnapshot }>
    }

export interface Registry {
  /** A metric that only grows. Its name ends in `_total`. */
  counter(options: InstrumentOptions): Counter
  /** A metric that goes up and down. */
  gauge(options: InstrumentOptions): Gauge
  /** How values are spread. */
  histogram(options: HistogramOptions): Histogram
  /** A gauge that is read when it is scraped, from state that is kept elsewhere. */
  gaugeFrom(options: InstrumentOptions, read: () => Iterable<readonly [Labels, number]>): void
  /** A counter that is read when it is scraped. */
  counterFrom(options: InstrumentOptions, read: () => Iterable<readonly [Labels, number]>): void
  /** Everything as it is now. Nothing is updated in between, so that the figures belong together. */
  snapshotUnsafe(): ReadonlyArray<MetricSnapshot>
  readonly snapshot: Effect.Effect<ReadonlyArray<MetricSnapshot>>
  /** Forgets every series. Series that are still bound go on, unseen. */
  readonly reset: Effect.Effect<void>
}

export const Registry: Context.Service<Registry, Registry> = Context.Service<Registry>("@sluice/metrics/Registry")

type Entry =
  | { readonly type: "counter"; readonly family: Family<Series.Counter> }
  | { readonly type: "gauge"; readonly family: Family<Series.Gauge> }
  | { readonly type: "histogram"; readonly family: Family<Series.Histogram>; readonly bounds: ReadonlyArray<number> }
  | {
      readonly type: "counter" | "gauge"
      readonly pulled: InstrumentOptions
      readonly read: () => Iterable<readonly [Labels, number]>
    }

const defaultBounds: ReadonlyArray<number> = Array.from({ length: 25 }, (_, index) => 2 ** (index - 14))

const checkBounds = (name: string, bounds: ReadonlyArray<number>): void => {
  const wrong = bounds.find(
    (bound, index) => !(bound > 0) || !Number.isInteger(Math.log2(bound)) || bound <= (bounds[index - 1] ?? 0)
  )
  if (wrong !== undefined) {
    throw new RangeError(`Cannot register ${name} with the bound ${wrong}: powers of two, ascending, are needed`)
  }
}

const instrument = <S, T extends S>(family: Family<T>): Instrument<S> => ({
  name: family.definition.name,
  bind: (labels = {}) => family.bind(labels),
  remove: family.remove
})

/**
 * Makes a registry outside of an effect. Throws a `RangeError` if the namespace or a label is not valid.
 *
 * An instrument whose name, type or labels do not fit what is registered already throws a `RangeError` too: two parts of
 * a program that share a name by accident must not share a metric.
 */
export const makeUnsafe = (options: Options = {}): Registry => {
  const prefix = options.namespace === undefined ? "" : `${options.namespace}_`
  const constant = options.labels ?? {}
  if (options.namespace !== undefined) checkMetricName(options.namespace)
  checkLabelNames("the registry", Object.keys(constant), ["le", "quantile"])
  const entries = new Map<string, Entry>()

  const definition = ({ help, labels = [], maxSeries = 2000, name }: InstrumentOptions, isCounter: boolean) => {
    if (isCounter && !name.endsWith("_total")) {
      throw new RangeError(`Cannot register a counter as ${name}: its name must end in _total`)
    }
    if (!Number.isSafeInteger(maxSeries) || maxSeries < 1) {
      throw new RangeError(`Cannot register ${name} with maxSeries ${maxSeries}: a whole number, 1 or more, is needed`)
    }
    return { name: `${prefix}${name}`, help, labels, constant, maxSeries }
  }

  const register = <E extends Entry>(name: string, entry: E): E => {
    const known = entries.get(name)
    if (known !== undefined) {
      throw new RangeError(`Cannot register ${name}: the registry has a ${known.type} of that name already`)
    }
    entries.set(name, entry)
    return entry
  }

  const reserved = [...Object.keys(constant), "le", "quantile"]

  const pull = (
    type: "counter" | "gauge",
    pulled: InstrumentOptions,
    read: () => Iterable<readonly [Labels, number]>
  ) => {
    const { name } = definition(pulled, type === "counter")
    checkMetricName(name)
    checkLabelNames(name, pulled.labels ?? [], reserved)
    register(name, { type, pulled: { ...pulled, name }, read })
  }

  const snapshotOf = (entry: Entry): MetricSnapshot => {
    if ("read" in entry) {
      const series = Array.from(entry.read(), ([labels, value]) => ({ labels: { ...constant, ...labels }, value }))
      return { type: entry.type, name: entry.pulled.name, help: entry.pulled.help, series }
    }
    const { help, name } = entry.family.definition
    if (entry.type === "histogram") {
      const series = Array.from(entry.family.series(), ([labels, one]) => ({ labels, value: one.snapshot() }))
      return { type: "histogram", name, help, bounds: entry.bounds, series }
    }
    const values: Family<{ readonly value: number }> = entry.family
    const series = Array.from(values.series(), ([labels, one]) => ({ labels, value: one.value }))
    return { type: entry.type, name, help, series }
  }

  const snapshotUnsafe = (): ReadonlyArray<MetricSnapshot> => Array.from(entries.values(), snapshotOf)

  return {
    counter: (counterOptions) => {
      const family = makeFamily(definition(counterOptions, true), reserved, () => new Series.Counter())
      register(family.definition.name, { type: "counter", family })
      return instrument<CounterSeries, Series.Counter>(family)
    },
    gauge: (gaugeOptions) => {
      const family = makeFamily(definition(gaugeOptions, false), reserved, () => new Series.Gauge())
      register(family.definition.name, { type: "gauge", family })
      return instrument<GaugeSeries, Series.Gauge>(family)
    },
    histogram: ({ bounds = defaultBounds, maxBuckets = 160, ...histogramOptions }) => {
      checkBounds(histogramOptions.name, bounds)
      if (!Number.isSafeInteger(maxBuckets) || maxBuckets < 2) {
        throw new RangeError(
          `Cannot register ${histogramOptions.name} with maxBuckets ${maxBuckets}: a whole number, 2 or more, is needed`
        )
      }
      const family = makeFamily(definition(histogramOptions, false), reserved, () => new Series.Histogram(maxBuckets))
      register(family.definition.name, { type: "histogram", family, bounds })
      return instrument<HistogramSeries, Series.Histogram>(family)
    },
    gaugeFrom: (pulled, read) => pull("gauge", pulled, read),
    counterFrom: (pulled, read) => pull("counter", pulled, read),
    snapshotUnsafe,
    snapshot: Effect.sync(snapshotUnsafe),
    reset: Effect.sync(() => {
      for (const entry of entries.values()) if ("family" in entry) entry.family.reset()
    })
  }
}

/**
 * Makes a registry.
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
export const make = (options: Options = {}): Effect.Effect<Registry> => Effect.sync(() => makeUnsafe(options))

/** Provides a registry. */
export const layer = (options: Options = {}): Layer.Layer<Registry> => Layer.effect(Registry, make(options))
