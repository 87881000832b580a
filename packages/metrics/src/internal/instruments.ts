// Instruments from their options, registered.

import * as Duration from "effect/Duration"
import type {
  Aggregation,
  CounterSeries,
  Exemplar,
  FixedHistogramOptions,
  FixedHistogramSeries,
  GaugeOptions,
  GaugeSeries,
  HistogramOptions,
  Instrument,
  InstrumentOptions,
  Labels,
  MetricSnapshot,
  SeriesSnapshot,
  SummaryOptions,
  SummarySeries,
  TimerSeries,
  UpDownCounterSeries
} from "../Instruments.ts"
import type { Read, Registry } from "../Registry.ts"
import { type Definition, type Family, makeFamily } from "./family.ts"
import { checkLabelNames, checkMetricName } from "./names.ts"
import type { Roster } from "./roster.ts"
import * as Series from "./series.ts"

export interface Parts {
  readonly roster: Roster
  readonly prefix: string
  /** Labels that every series has. */
  readonly constant: Labels
  readonly now: () => number
  readonly warn: (message: string) => void
}

const defaultBounds: ReadonlyArray<number> = Array.from({ length: 25 }, (_, index) => 2 ** (index - 14))

const fail = (name: string, option: string, value: unknown, needed: string): never => {
  throw new RangeError(`Cannot register ${name} with ${option} ${String(value)}: ${needed} needed`)
}

const atLeast = (name: string, option: string, value: number, least: number): number =>
  Number.isSafeInteger(value) && value >= least
    ? value
    : fail(name, option, value, `a whole number, ${least} or more, is`)

const ascending = (
  name: string,
  bounds: ReadonlyArray<number>,
  isBound: (bound: number) => boolean,
  needed: string
) => {
  const wrong = bounds.find(
    (bound, index) => !isBound(bound) || bound <= (bounds[index - 1] ?? Number.NEGATIVE_INFINITY)
  )
  if (wrong !== undefined) {
    throw new RangeError(`Cannot register ${name} with the bound ${wrong}: ${needed}, ascending, are needed`)
  }
}

const isPowerOfTwo = (bound: number): boolean => bound > 0 && Number.isInteger(Math.log2(bound))

const instrument = <S, T extends S>(family: Family<T>): Instrument<S> => ({
  name: family.definition.name,
  bind: (labels = {}) => family.bind(labels),
  remove: family.remove,
  get overflowed() {
    return family.overflowed()
  }
})

interface Kept {
  readonly createdAtMillis: number | undefined
  readonly exemplars?: ReadonlyArray<Exemplar | undefined> | undefined
}

const seriesOf = <T extends Kept, A>(
  family: Family<T>,
  valueOf: (series: T) => A
): ReadonlyArray<SeriesSnapshot<A>> => {
  const all: Array<SeriesSnapshot<A>> = []
  for (const [labels, series] of family.series()) {
    const { createdAtMillis, exemplars } = series
    all.push({ labels, value: valueOf(series), createdAtMillis, exemplars })
  }
  return all
}

type Instruments = Pick<
  Registry,
  | "counter"
  | "upDownCounter"
  | "gauge"
  | "histogram"
  | "timer"
  | "fixedHistogram"
  | "summary"
  | "gaugeFrom"
  | "counterFrom"
>

export const makeInstruments = ({ constant, now, prefix, roster, warn }: Parts): Instruments => {
  const reserved = [...Object.keys(constant), "le", "quantile"]

  const define = ({ help, labels = [], maxSeries = 2000, name }: InstrumentOptions, ending = ""): Definition => {
    if (!name.endsWith(ending)) {
      throw new RangeError(
        `Cannot register a ${ending === "_total" ? "counter" : "timer"} as ${name}: its name must end in ${ending}`
      )
    }
    return { name: `${prefix}${name}`, help, labels, constant, maxSeries: atLeast(name, "maxSeries", maxSeries, 1) }
  }

  const family = <T>(definition: Definition, makeSeries: () => T): Family<T> =>
    makeFamily(definition, reserved, makeSeries, warn)

  const enter = <T>(from: Family<T>, snapshot: () => MetricSnapshot, type: MetricSnapshot["type"]): void =>
    roster.register(from.definition.name, { type, snapshot, reset: from.reset })

  const pull = (type: "counter" | "gauge", options: GaugeOptions, read: Read, aggregation: Aggregation): void => {
    const { help, labels, name } = define(options, type === "counter" ? "_total" : "")
    checkMetricName(name)
    checkLabelNames(name, labels, reserved)
    const series = ([given, value]: readonly [Labels, number]): SeriesSnapshot<number> => {
      const names = Object.keys(given)
      if (names.length !== labels.length || !labels.every((label) => given[label] !== undefined)) {
        throw new RangeError(
          `it was read with the labels ${names.join(", ") || "none"}, and has ${labels.join(", ") || "none"}`
        )
      }
      return { labels: { ...constant, ...given }, value }
    }
    const snapshot = (): MetricSnapshot => {
      const all = Array.from(read(), series)
      return type === "gauge" ? { type, name, help, aggregation, series: all } : { type, name, help, series: all }
    }
    roster.register(name, { type, snapshot, reset: () => undefined })
  }

  const histogram = ({ bounds = defaultBounds, maxBuckets = 160, ...options }: HistogramOptions, ending = "") => {
    ascending(options.name, bounds, isPowerOfTwo, "powers of two")
    atLeast(options.name, "maxBuckets", maxBuckets, 2)
    const from = family(define(options, ending), () => new Series.Histogram(maxBuckets, bounds, now))
    const { help, name } = from.definition
    const type = "histogram"
    enter(from, () => ({ type, name, help, bounds, series: seriesOf(from, (one) => one.snapshot()) }), type)
    return instrument<TimerSeries, Series.Histogram>(from)
  }

  return {
    counter: (options) => {
      const from = family(define(options, "_total"), () => new Series.Counter(now))
      const { help, name } = from.definition
      const type = "counter"
      enter(from, () => ({ type, name, help, series: seriesOf(from, (one) => one.value) }), type)
      return instrument<CounterSeries, Series.Counter>(from)
    },
    upDownCounter: (options) => {
      const from = family(define(options), () => new Series.UpDownCounter(now))
      const { help, name } = from.definition
      const type = "updown"
      enter(from, () => ({ type, name, help, series: seriesOf(from, (one) => one.value) }), type)
      return instrument<UpDownCounterSeries, Series.UpDownCounter>(from)
    },
    gauge: ({ aggregation = "sum", ...options }) => {
      const from = family(define(options), () => new Series.Gauge())
      const { help, name } = from.definition
      const type = "gauge"
      enter(from, () => ({ type, name, help, aggregation, series: seriesOf(from, (one) => one.value) }), type)
      return instrument<GaugeSeries, Series.Gauge>(from)
    },
    histogram: (options) => histogram(options),
    timer: (options) => histogram(options, "_seconds"),
    fixedHistogram: ({ bounds, ...options }: FixedHistogramOptions) => {
      ascending(options.name, bounds, Number.isFinite, "finite numbers")
      const from = family(define(options), () => new Series.FixedHistogram(bounds, now))
      const { help, name } = from.definition
      const type = "fixed"
      enter(from, () => ({ type, name, help, bounds, series: seriesOf(from, (one) => one.snapshot()) }), type)
      return instrument<FixedHistogramSeries, Series.FixedHistogram>(from)
    },
    summary: ({ maxAge = "10 minutes", quantiles = [0.5, 0.9, 0.99], steps = 5, ...options }: SummaryOptions) => {
      const wrong = quantiles.find((q) => !(q >= 0 && q <= 1))
      if (wrong !== undefined) fail(options.name, "the quantile", wrong, "a number from 0 to 1 is")
      const maxAgeMillis = Duration.toMillis(Duration.fromInputUnsafe(maxAge))
      if (!(maxAgeMillis > 0)) fail(options.name, "maxAge", maxAge, "a duration longer than nothing is")
      atLeast(options.name, "steps", steps, 1)
      const from = family(define(options), () => new Series.Summary(quantiles, maxAgeMillis, steps, now))
      const { help, name } = from.definition
      const type = "summary"
      enter(from, () => ({ type, name, help, series: seriesOf(from, (one) => one.snapshot()) }), type)
      return instrument<SummarySeries, Series.Summary>(from)
    },
    gaugeFrom: (options, read) => pull("gauge", options, read, options.aggregation ?? "sum"),
    counterFrom: (options, read) => pull("counter", options, read, "sum")
  }
}
