/**
 * What is counted and measured with. An instrument is a metric; a series is an
 * instrument with its labels filled in, and is what is updated.
 *
 * Bind a series once, outside of the hot path, and keep it: an update then costs
 * what adding to a field costs.
 *
 * @module
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"

/** The values of an instrument's labels. */
export type Labels = Readonly<Record<string, string>>

export interface InstrumentOptions {
  /** Letters, digits, `_` and `:`, no digit first. A counter's ends in `_total`. */
  readonly name: string
  /** What it means, for whoever reads the scrape. */
  readonly help: string
  /** The names of its labels. Default none. */
  readonly labels?: ReadonlyArray<string> | undefined
  /** Label sets that are kept apart; all further ones share one series. Default 2,000. */
  readonly maxSeries?: number | undefined
}

/** How the values of several processes become one. */
export type Aggregation = "sum" | "max" | "min" | "last"

export interface GaugeOptions extends InstrumentOptions {
  /** What it is over several processes. Default `"sum"`. */
  readonly aggregation?: Aggregation | undefined
}

/** An example of what a figure counts: as a rule the trace in which it was counted. */
export interface Exemplar {
  /** Such as `trace_id` and `span_id`. Names and values together have at most 128 characters in OpenMetrics. */
  readonly labels: Labels
  readonly value: number
  readonly timestampMillis: number
}

export interface HistogramOptions extends InstrumentOptions {
  /** Buckets that are kept: more give finer quantiles over the same range. Default 160. */
  readonly maxBuckets?: number | undefined
  /**
   * Where the Prometheus text counts: powers of two, ascending. The same for every series, so that their buckets may be
   * added up. Default every power from 2^-14 to 2^10: 61 microseconds to 17 minutes, in seconds.
   */
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
  readonly maxAge?: Duration.Input | undefined
  /** In how many steps old values go, 1 or more. Default 5. */
  readonly steps?: number | undefined
}

/** Only ever grows. */
export interface CounterSeries {
  readonly value: number
  /** Adds 1. */
  incrementUnsafe(): void
  /** Adds an amount. Throws a `RangeError` for one that is negative or not finite. */
  addUnsafe(amount: number): void
  /** The same, and keeps an example of it. */
  addWithExemplarUnsafe(amount: number, exemplar: Labels): void
  readonly increment: Effect.Effect<void>
  add(amount: number): Effect.Effect<void>
}

/** Goes up and down. */
export interface GaugeSeries {
  readonly value: number
  setUnsafe(value: number): void
  addUnsafe(amount: number): void
  set(value: number): Effect.Effect<void>
  add(amount: number): Effect.Effect<void>
  /** Counts an effect while it runs. */
  readonly whileRunning: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** Goes up and down by amounts, so that those of several processes add up. */
export interface UpDownCounterSeries {
  readonly value: number
  /** Adds an amount, which may be negative. Throws a `RangeError` for one that is not finite. */
  addUnsafe(amount: number): void
  add(amount: number): Effect.Effect<void>
  /** Counts an effect while it runs. */
  readonly whileRunning: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** What a histogram has recorded, at one moment. */
export interface HistogramSnapshot {
  readonly count: number
  readonly sum: number
  /** NaN when nothing was recorded. */
  readonly min: number
  readonly max: number
  /**
   * The value that a part `q` of the values does not exceed, within `relativeError` of it. NaN when nothing was recorded.
   * O(buckets).
   */
  quantile(q: number): number
  /** How far a quantile may be off, as a part of the true value. Grows with the ratio of the largest value to the least. */
  readonly relativeError: number
  /** Exact counts of values up to zero and to each power of two between the least value and the largest. */
  readonly cumulative: ReadonlyArray<readonly [bound: number, count: number]>
  /** This and another together; exact. */
  merge(that: HistogramSnapshot): HistogramSnapshot
}

/**
 * Records how values are spread, in buckets whose width grows with the value: the relative error is the same for
 * microseconds and minutes, and memory does not grow with the number of values.
 */
export interface HistogramSeries {
  /** Records a value. What is not finite is left out; negative values count in the bucket of zero. */
  observeUnsafe(value: number): void
  /** The same, and keeps an example of the bucket that it is in. */
  observeWithExemplarUnsafe(value: number, exemplar: Labels): void
  observe(value: number): Effect.Effect<void>
  snapshot(): HistogramSnapshot
  /** Records how long an effect takes, in seconds, however it ends. */
  readonly timed: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** A histogram of durations, in seconds. */
export interface TimerSeries extends HistogramSeries {
  /** Records a duration. */
  recordUnsafe(duration: Duration.Input): void
  /** Starts a measurement; what it answers ends it, records it and tells the seconds. */
  startUnsafe(): () => number
}

/** What a histogram of fixed buckets has recorded, at one moment. */
export interface FixedHistogramSnapshot {
  readonly count: number
  readonly sum: number
  /** Values in each bucket, and last those above the last bound. */
  readonly counts: ReadonlyArray<number>
}

/** Counts values in buckets that are chosen once: for a scale with few steps, or to match other systems' bounds. */
export interface FixedHistogramSeries {
  /** Records a value, O(log bounds). What is not finite is left out. */
  observeUnsafe(value: number): void
  /** The same, and keeps an example of the bucket that it is in. */
  observeWithExemplarUnsafe(value: number, exemplar: Labels): void
  observe(value: number): Effect.Effect<void>
  snapshot(): FixedHistogramSnapshot
  /** Records how long an effect takes, in seconds, however it ends. */
  readonly timed: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** Quantiles of what was recorded lately. They cannot be added up over processes: where that matters, use a histogram. */
export interface SummarySeries {
  /** Records a value. What is not finite is left out. */
  observeUnsafe(value: number): void
  observe(value: number): Effect.Effect<void>
  /** Sum and count are of all that was ever recorded. */
  snapshot(): SummarySnapshot
  /** Records how long an effect takes, in seconds, however it ends. */
  readonly timed: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

export interface SummarySnapshot {
  readonly count: number
  readonly sum: number
  /** NaN where nothing was recorded lately. */
  readonly quantiles: ReadonlyArray<readonly [q: number, value: number]>
}

/** A metric whose series have labels. */
export interface Instrument<S> {
  readonly name: string
  /** Label sets that were put into the overflow series, since there were `maxSeries` already. */
  readonly overflowed: number
  /**
   * The series of these labels, made at the first call. Costs a look-up by the labels: bind once, outside of the hot
   * path. Throws a `RangeError` if the labels are not the instrument's.
   */
  bind(labels?: Labels): S
  /** Forgets a series, and tells whether there was one. */
  remove(labels: Labels): boolean
}

export type Counter = Instrument<CounterSeries>
export type Gauge = Instrument<GaugeSeries>
export type Histogram = Instrument<HistogramSeries>
export type UpDownCounter = Instrument<UpDownCounterSeries>
export type Timer = Instrument<TimerSeries>
export type FixedHistogram = Instrument<FixedHistogramSeries>
export type Summary = Instrument<SummarySeries>

interface Described {
  readonly name: string
  readonly help: string
}

/** One series as a scrape sees it. */
export interface SeriesSnapshot<A> {
  readonly labels: Labels
  readonly value: A
  /** When the series was made; unset where nobody knows. */
  readonly createdAtMillis?: number | undefined
  /** Examples: of a counter one, of a histogram one for each bound and one for what is above. */
  readonly exemplars?: ReadonlyArray<Exemplar | undefined> | undefined
}

/** One metric as a scrape sees it. */
export type MetricSnapshot =
  | (Described & { readonly type: "counter" | "updown"; readonly series: ReadonlyArray<SeriesSnapshot<number>> })
  | (Described & {
      readonly type: "gauge"
      readonly aggregation: Aggregation
      readonly series: ReadonlyArray<SeriesSnapshot<number>>
    })
  | (Described & {
      readonly type: "histogram"
      /** Where the text formats count. */
      readonly bounds: ReadonlyArray<number>
      readonly series: ReadonlyArray<SeriesSnapshot<HistogramSnapshot>>
    })
  | (Described & {
      readonly type: "fixed"
      readonly bounds: ReadonlyArray<number>
      readonly series: ReadonlyArray<SeriesSnapshot<FixedHistogramSnapshot>>
    })
  | (Described & { readonly type: "summary"; readonly series: ReadonlyArray<SeriesSnapshot<SummarySnapshot>> })
