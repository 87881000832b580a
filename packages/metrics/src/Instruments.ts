/**
 * What is counted and measured with. An instrument is a metric; a series is an
 * instrument with its labels filled in, and is what is updated.
 *
 * Bind a series once, outside of the hot path, and keep it: an update then costs
 * what adding to a field costs.
 *
 * @module
 */
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

export interface HistogramOptions extends InstrumentOptions {
  /** Buckets that are kept: more give finer quantiles over the same range. Default 160. */
  readonly maxBuckets?: number | undefined
  /**
   * Where the Prometheus text counts: powers of two, ascending. The same for every series, so that their buckets may be
   * added up. Default every power from 2^-14 to 2^10: 61 microseconds to 17 minutes, in seconds.
   */
  readonly bounds?: ReadonlyArray<number> | undefined
}

/** Only ever grows. */
export interface CounterSeries {
  readonly value: number
  /** Adds 1. */
  incrementUnsafe(): void
  /** Adds an amount. Throws a `RangeError` for a negative one. */
  addUnsafe(amount: number): void
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
  observe(value: number): Effect.Effect<void>
  snapshot(): HistogramSnapshot
  /** Records how long an effect takes, in seconds, however it ends. */
  readonly timed: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** A metric whose series have labels. */
export interface Instrument<S> {
  readonly name: string
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
