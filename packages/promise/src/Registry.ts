/**
 * Metrics: counters, gauges and histograms, read by Prometheus and others.
 *
 * Bind a series once, outside of the hot path, and keep it: an update then costs
 * what adding to a field costs.
 *
 * @module
 */
import { Registry as EffectRegistry, Exposition } from "@sluice/metrics"
import { Observe } from "@sluice/metrics/observe"
import * as EffectDuration from "effect/Duration"
import type { Duration } from "./Duration.ts"

/** The values of an instrument's labels. */
export type Labels = Readonly<Record<string, string>>

export interface RegistryOptions {
  /** Stands before every name, with an underscore. */
  readonly namespace?: string | undefined
  /** Labels that every series has, such as the service or the worker. */
  readonly labels?: Labels | undefined
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly now?: (() => number) | undefined
  /** Where warnings go. Default `console.warn`. */
  readonly warn?: ((message: string) => void) | undefined
}

export interface InstrumentOptions {
  /** Letters, digits, `_` and `:`, no digit first. A counter's ends in `_total`, a timer's in `_seconds`. */
  readonly name: string
  /** What it means, for whoever reads the scrape. */
  readonly help: string
  /** The names of its labels. Default none. */
  readonly labels?: ReadonlyArray<string> | undefined
  /** Label sets that are kept apart; all further ones share one series. Default 2,000. */
  readonly maxSeries?: number | undefined
}

export interface GaugeOptions extends InstrumentOptions {
  /** What it is over several processes. Default `"sum"`. */
  readonly aggregation?: "sum" | "max" | "min" | "last" | undefined
}

export interface HistogramOptions extends InstrumentOptions {
  /** Buckets that are kept: more give finer quantiles over the same range. Default 160. */
  readonly maxBuckets?: number | undefined
  /** Where the Prometheus text counts: powers of two, ascending. Default every power from 2^-14 to 2^10. */
  readonly bounds?: ReadonlyArray<number> | undefined
}

export interface FixedHistogramOptions extends InstrumentOptions {
  /** Upper bounds of the buckets, ascending; one for what is above the last comes by itself. */
  readonly bounds: ReadonlyArray<number>
}

export interface SummaryOptions extends InstrumentOptions {
  /** Which quantiles are told, each from 0 to 1. Default 0.5, 0.9 and 0.99. */
  readonly quantiles?: ReadonlyArray<number> | undefined
  /** How long a value counts. Default 10 minutes. */
  readonly maxAge?: Duration | undefined
  /** In how many steps old values go, 1 or more. Default 5. */
  readonly steps?: number | undefined
}

/** A metric whose series have labels. */
export interface Instrument<S> {
  readonly name: string
  /** Label sets that were put into the overflow series, since there were `maxSeries` already. */
  readonly overflowed: number
  /** The series of these labels. Costs a look-up by the labels: bind once, outside of the hot path. */
  bind(labels?: Labels): S
  /** Forgets a series, and tells whether there was one. */
  remove(labels: Labels): boolean
}

/** Only ever grows. */
export interface Counter {
  readonly value: number
  /** Adds 1, or an amount. Throws a `RangeError` for one that is negative or not finite. */
  add(amount?: number): void
  /** The same, and keeps an example of it: as a rule the trace in which it was counted. */
  addWithExemplar(amount: number, exemplar: Labels): void
}

/** Goes up and down. */
export interface Gauge {
  readonly value: number
  set(value: number): void
  add(amount: number): void
  /** Counts a function while it runs. */
  track<A>(f: () => A | PromiseLike<A>): Promise<A>
}

/** Goes up and down by amounts, so that those of several processes add up. */
export interface UpDownCounter {
  readonly value: number
  add(amount: number): void
  /** Counts a function while it runs. */
  track<A>(f: () => A | PromiseLike<A>): Promise<A>
}

/** Records how values are spread; what is not finite is left out. */
export interface Observer {
  observe(value: number): void
  /** Records how long a function takes, in seconds, however it ends. */
  time<A>(f: () => A | PromiseLike<A>): Promise<A>
}

/** What a histogram has recorded, at one moment. */
export interface HistogramValues {
  readonly count: number
  readonly sum: number
  /** NaN when nothing was recorded. */
  readonly min: number
  readonly max: number
  /** The value that a part `q` of the values does not exceed, within `relativeError` of it. */
  quantile(q: number): number
  readonly relativeError: number
}

/** Buckets whose width grows with the value: the relative error is the same for microseconds and minutes. */
export interface Histogram extends Observer {
  observeWithExemplar(value: number, exemplar: Labels): void
  values(): HistogramValues
}

/** A histogram of durations, in seconds. */
export interface Timer extends Histogram {
  record(duration: Duration): void
  /** Starts a measurement: calling what it answers ends it, records it and tells the seconds. */
  start(): () => number
}

/** Buckets that are chosen once. */
export interface FixedHistogram extends Observer {
  observeWithExemplar(value: number, exemplar: Labels): void
  values(): { readonly count: number; readonly sum: number; readonly counts: ReadonlyArray<number> }
}

/** Quantiles of what was recorded lately. */
export interface Summary extends Observer {
  values(): {
    readonly count: number
    readonly sum: number
    readonly quantiles: ReadonlyArray<readonly [q: number, value: number]>
  }
}

/** Something that tells figures about itself: everything in this package does. */
export interface Observable {
  stats(): object
}

/** A scrape, and what it is. */
export interface Exposed {
  readonly contentType: string
  readonly body: string | Uint8Array<ArrayBuffer>
}

/**
 * Where instruments are made and found.
 *
 * An instrument whose name, type or labels do not fit what is registered already throws a `RangeError`: two parts of a
 * program that share a name by accident must not share a metric.
 */
export interface Registry {
  counter(options: InstrumentOptions): Instrument<Counter>
  upDownCounter(options: InstrumentOptions): Instrument<UpDownCounter>
  gauge(options: GaugeOptions): Instrument<Gauge>
  histogram(options: HistogramOptions): Instrument<Histogram>
  timer(options: HistogramOptions): Instrument<Timer>
  fixedHistogram(options: FixedHistogramOptions): Instrument<FixedHistogram>
  summary(options: SummaryOptions): Instrument<Summary>
  /** A gauge that is read when it is scraped. */
  gaugeFrom(options: GaugeOptions, read: () => Iterable<readonly [Labels, number]>): void
  /** A counter that is read when it is scraped. */
  counterFrom(options: InstrumentOptions, read: () => Iterable<readonly [Labels, number]>): void
  /**
   * Tells every figure of a semaphore, a limiter, a policy or a pool, read when it is scraped: `NAME_held`,
   * `NAME_admitted_total` and so on.
   */
  observe(name: string, source: Observable): void
  /** Forgets a metric with all its series, and tells whether there was one. */
  unregister(name: string): boolean
  /** Prometheus' text format 0.0.4. */
  prometheusText(): string
  /** OpenMetrics 1.0, with exemplars. */
  openMetricsText(): string
  /** What the `Accept` field of a scrape asks for: text, OpenMetrics, protobuf with native histograms, or JSON. */
  expose(accept?: string): Exposed
  /** Answers a scrape, for servers that speak `Request` and `Response`. */
  respond(request: Request): Response
}

const totals: ReadonlySet<string> = new Set([
  "admitted",
  "attempts",
  "calls",
  "closed",
  "created",
  "denied",
  "dropped",
  "evicted",
  "granted",
  "hedges",
  "rejected",
  "replayed",
  "retries",
  "reused",
  "succeeded",
  "won"
])

const instrument = <S, T>(of: EffectRegistry.Instrument<S>, wrap: (series: S) => T): Instrument<T> => ({
  name: of.name,
  get overflowed() {
    return of.overflowed
  },
  bind: (labels) => wrap(of.bind(labels)),
  remove: (labels) => of.remove(labels)
})

const tracking =
  (series: { addUnsafe(amount: number): void }) =>
  async <A>(f: () => A | PromiseLike<A>): Promise<A> => {
    series.addUnsafe(1)
    try {
      return await f()
    } finally {
      series.addUnsafe(-1)
    }
  }

const timing =
  (series: { observeUnsafe(value: number): void }) =>
  async <A>(f: () => A | PromiseLike<A>): Promise<A> => {
    const startedAt = performance.now()
    try {
      return await f()
    } finally {
      series.observeUnsafe((performance.now() - startedAt) / 1000)
    }
  }

const counter = (series: EffectRegistry.CounterSeries): Counter => ({
  get value() {
    return series.value
  },
  add: (amount) => (amount === undefined ? series.incrementUnsafe() : series.addUnsafe(amount)),
  addWithExemplar: (amount, exemplar) => series.addWithExemplarUnsafe(amount, exemplar)
})

const gauge = (series: EffectRegistry.GaugeSeries): Gauge => ({
  get value() {
    return series.value
  },
  set: (value) => series.setUnsafe(value),
  add: (amount) => series.addUnsafe(amount),
  track: tracking(series)
})

const upDownCounter = (series: EffectRegistry.UpDownCounterSeries): UpDownCounter => ({
  get value() {
    return series.value
  },
  add: (amount) => series.addUnsafe(amount),
  track: tracking(series)
})

const histogram = (series: EffectRegistry.HistogramSeries): Histogram => ({
  observe: (value) => series.observeUnsafe(value),
  observeWithExemplar: (value, exemplar) => series.observeWithExemplarUnsafe(value, exemplar),
  values: () => series.snapshot(),
  time: timing(series)
})

const timer = (series: EffectRegistry.TimerSeries): Timer => ({
  ...histogram(series),
  record: (duration) => series.recordUnsafe(EffectDuration.fromInputUnsafe(duration)),
  start: () => series.startUnsafe()
})

const fixedHistogram = (series: EffectRegistry.FixedHistogramSeries): FixedHistogram => ({
  observe: (value) => series.observeUnsafe(value),
  observeWithExemplar: (value, exemplar) => series.observeWithExemplarUnsafe(value, exemplar),
  values: () => series.snapshot(),
  time: timing(series)
})

const summary = (series: EffectRegistry.SummarySeries): Summary => ({
  observe: (value) => series.observeUnsafe(value),
  values: () => series.snapshot(),
  time: timing(series)
})

/**
 * Makes a registry. Throws a `RangeError` if the namespace or a label is not valid.
 *
 * @example
 * ```ts
 * import { createRegistry, createSemaphore } from "@sluice/promise"
 *
 * const registry = createRegistry({ namespace: "shop" })
 * const orders = registry.counter({ name: "orders_total", help: "Orders placed.", labels: ["country"] })
 * const fromIndia = orders.bind({ country: "IN" })
 * fromIndia.add()
 * fromIndia.add(2)
 * console.log(registry.prometheusText().split("\n")[2]) // => shop_orders_total{country="IN"} 3
 *
 * registry.observe("payments", createSemaphore(8))
 * console.log(registry.prometheusText().includes("shop_payments_capacity 8")) // => true
 * ```
 */
export const createRegistry = (options: RegistryOptions = {}): Registry => {
  const registry = EffectRegistry.makeUnsafe(options)
  const expose = (accept?: string): Exposed => {
    const { body, contentType } = Exposition.negotiate(registry, accept)
    return { contentType, body: typeof body === "string" ? body : new Uint8Array(body) }
  }
  return {
    counter: (options) => instrument(registry.counter(options), counter),
    upDownCounter: (options) => instrument(registry.upDownCounter(options), upDownCounter),
    gauge: (options) => instrument(registry.gauge(options), gauge),
    histogram: (options) => instrument(registry.histogram(options), histogram),
    timer: (options) => instrument(registry.timer(options), timer),
    fixedHistogram: (options) => instrument(registry.fixedHistogram(options), fixedHistogram),
    summary: (options) => instrument(registry.summary(options), summary),
    gaugeFrom: (options, read) => registry.gaugeFrom(options, read),
    counterFrom: (options, read) => registry.counterFrom(options, read),
    observe: (name, source) => {
      const observable: Observe.Observable<Record<string, unknown>> = { statsUnsafe: () => ({ ...source.stats() }) }
      Observe.observeStats(registry, name, observable, { totals: [...totals] })
    },
    unregister: (name) => registry.unregister(name),
    prometheusText: () => Exposition.prometheusText(registry),
    openMetricsText: () => Exposition.openMetricsText(registry),
    expose,
    respond: (request) => {
      const { body, contentType } = expose(request.headers.get("accept") ?? undefined)
      return new Response(body, { headers: { "content-type": contentType } })
    }
  }
}
