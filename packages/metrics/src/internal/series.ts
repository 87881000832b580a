// The series. Classes, so that every series of a kind has one shape and an
// update compiles to an addition to a field.

import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type {
  CounterSeries,
  Exemplar,
  FixedHistogramSeries,
  FixedHistogramSnapshot,
  GaugeSeries,
  HistogramSnapshot,
  Labels,
  SummarySeries,
  SummarySnapshot,
  TimerSeries,
  UpDownCounterSeries
} from "../Instruments.ts"
import * as Exponential from "./exponential.ts"

type Policy = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

const whileRunning =
  (series: { readonly addUnsafe: (amount: number) => void }): Policy =>
  (self) =>
    Effect.acquireUseRelease(
      Effect.sync(() => series.addUnsafe(1)),
      () => self,
      () => Effect.sync(() => series.addUnsafe(-1))
    )

const timed =
  (series: { readonly observeUnsafe: (seconds: number) => void }): Policy =>
  (self) =>
    Effect.flatMap(Clock.Clock, (clock) => {
      const start = clock.currentTimeNanosUnsafe()
      return Effect.ensuring(
        self,
        Effect.sync(() => series.observeUnsafe(Number(clock.currentTimeNanosUnsafe() - start) / 1e9))
      )
    })

const checkAmount = (amount: number, least: number, what: string): void => {
  // Infinity minus itself is NaN: one comparison tells what is not finite.
  if (!(amount >= least) || amount - amount !== 0) {
    throw new RangeError(
      `Cannot add ${amount} to ${what}: a finite number${least === 0 ? ", 0 or more," : ""} is needed`
    )
  }
}

export class Counter implements CounterSeries {
  value = 0
  readonly createdAtMillis: number
  private readonly now: () => number
  private exemplar: Exemplar | undefined

  constructor(now: () => number) {
    this.now = now
    this.createdAtMillis = now()
  }

  incrementUnsafe(): void {
    this.value++
  }

  addUnsafe(amount: number): void {
    checkAmount(amount, 0, "a counter")
    this.value += amount
  }

  addWithExemplarUnsafe(amount: number, labels: Labels): void {
    this.addUnsafe(amount)
    this.exemplar = { labels, value: amount, timestampMillis: this.now() }
  }

  get exemplars(): ReadonlyArray<Exemplar> | undefined {
    return this.exemplar === undefined ? undefined : [this.exemplar]
  }

  get increment(): Effect.Effect<void> {
    return Effect.sync(() => this.incrementUnsafe())
  }

  add(amount: number): Effect.Effect<void> {
    return Effect.sync(() => this.addUnsafe(amount))
  }
}

export class UpDownCounter implements UpDownCounterSeries {
  value = 0
  readonly createdAtMillis: number
  readonly whileRunning: Policy = whileRunning(this)

  constructor(now: () => number) {
    this.createdAtMillis = now()
  }

  addUnsafe(amount: number): void {
    checkAmount(amount, Number.NEGATIVE_INFINITY, "a counter")
    this.value += amount
  }

  add(amount: number): Effect.Effect<void> {
    return Effect.sync(() => this.addUnsafe(amount))
  }
}

export class Gauge implements GaugeSeries {
  value = 0
  readonly createdAtMillis: undefined = undefined
  readonly whileRunning: Policy = whileRunning(this)

  setUnsafe(value: number): void {
    this.value = value
  }

  addUnsafe(amount: number): void {
    this.value += amount
  }

  set(value: number): Effect.Effect<void> {
    return Effect.sync(() => this.setUnsafe(value))
  }

  add(amount: number): Effect.Effect<void> {
    return Effect.sync(() => this.addUnsafe(amount))
  }
}

export class Snapshot implements HistogramSnapshot {
  readonly buckets: Exponential.Buckets

  constructor(buckets: Exponential.Buckets) {
    this.buckets = buckets
  }

  get count(): number {
    return this.buckets.count
  }

  get sum(): number {
    return this.buckets.sum
  }

  get min(): number {
    return this.buckets.count === 0 ? Number.NaN : this.buckets.min
  }

  get max(): number {
    return this.buckets.count === 0 ? Number.NaN : this.buckets.max
  }

  get relativeError(): number {
    return Exponential.relativeError(this.buckets)
  }

  get cumulative(): ReadonlyArray<readonly [number, number]> {
    return Exponential.cumulative(this.buckets)
  }

  quantile(q: number): number {
    if (!(q >= 0 && q <= 1)) throw new RangeError(`Cannot tell the quantile ${q}: a number from 0 to 1 is needed`)
    return Exponential.quantile(this.buckets, q)
  }

  merge(that: HistogramSnapshot): HistogramSnapshot {
    const merged = Exponential.copy(this.buckets)
    Exponential.merge(merged, bucketsOf(that))
    return new Snapshot(merged)
  }
}

/** The buckets of a snapshot, for who writes or compares them. */
export const bucketsOf = (snapshot: HistogramSnapshot): Exponential.Buckets => {
  if (snapshot instanceof Snapshot) return snapshot.buckets
  throw new TypeError("Cannot read a snapshot that was not made by a histogram")
}

/** Keeps the last example of each bucket. */
class Exemplars {
  private readonly bounds: ReadonlyArray<number>
  private readonly now: () => number
  kept: Array<Exemplar | undefined> | undefined

  constructor(bounds: ReadonlyArray<number>, now: () => number) {
    this.bounds = bounds
    this.now = now
  }

  keep(value: number, labels: Labels): void {
    this.kept ??= Array.from({ length: this.bounds.length + 1 }, () => undefined)
    this.kept[placeOf(this.bounds, value)] = { labels, value, timestampMillis: this.now() }
  }
}

/** The first bound that a value does not exceed. */
const placeOf = (bounds: ReadonlyArray<number>, value: number): number => {
  let low = 0
  let high = bounds.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (value <= (bounds[middle] ?? Number.POSITIVE_INFINITY)) high = middle
    else low = middle + 1
  }
  return low
}

export class Histogram implements TimerSeries {
  readonly buckets: Exponential.Buckets
  readonly createdAtMillis: number
  readonly timed: Policy = timed(this)
  private readonly examples: Exemplars

  constructor(maxBuckets: number, bounds: ReadonlyArray<number>, now: () => number) {
    this.buckets = Exponential.makeBuckets(maxBuckets)
    this.createdAtMillis = now()
    this.examples = new Exemplars(bounds, now)
  }

  get exemplars(): ReadonlyArray<Exemplar | undefined> | undefined {
    return this.examples.kept
  }

  observeUnsafe(value: number): void {
    Exponential.observe(this.buckets, value)
  }

  observeWithExemplarUnsafe(value: number, exemplar: Labels): void {
    Exponential.observe(this.buckets, value)
    this.examples.keep(value, exemplar)
  }

  observe(value: number): Effect.Effect<void> {
    return Effect.sync(() => this.observeUnsafe(value))
  }

  recordUnsafe(duration: Duration.Input): void {
    this.observeUnsafe(Duration.toMillis(Duration.fromInputUnsafe(duration)) / 1000)
  }

  startUnsafe(): () => number {
    const start = performance.now()
    return () => {
      const seconds = (performance.now() - start) / 1000
      this.observeUnsafe(seconds)
      return seconds
    }
  }

  snapshot(): HistogramSnapshot {
    return new Snapshot(Exponential.copy(this.buckets))
  }
}

export class FixedHistogram implements FixedHistogramSeries {
  readonly createdAtMillis: number
  readonly timed: Policy = timed(this)
  private readonly bounds: ReadonlyArray<number>
  private readonly counts: Array<number>
  private readonly examples: Exemplars
  private count = 0
  private sum = 0

  constructor(bounds: ReadonlyArray<number>, now: () => number) {
    this.bounds = bounds
    this.counts = bounds.map(() => 0)
    this.counts.push(0)
    this.createdAtMillis = now()
    this.examples = new Exemplars(bounds, now)
  }

  get exemplars(): ReadonlyArray<Exemplar | undefined> | undefined {
    return this.examples.kept
  }

  observeUnsafe(value: number): void {
    if (value - value !== 0) return
    this.count++
    this.sum += value
    const place = placeOf(this.bounds, value)
    this.counts[place] = (this.counts[place] ?? 0) + 1
  }

  observeWithExemplarUnsafe(value: number, exemplar: Labels): void {
    this.observeUnsafe(value)
    this.examples.keep(value, exemplar)
  }

  observe(value: number): Effect.Effect<void> {
    return Effect.sync(() => this.observeUnsafe(value))
  }

  snapshot(): FixedHistogramSnapshot {
    return { count: this.count, sum: this.sum, counts: [...this.counts] }
  }
}

/** A ring of histograms, of which the oldest is emptied when its time is over. */
export class Summary implements SummarySeries {
  readonly createdAtMillis: number
  readonly timed: Policy = timed(this)
  private readonly quantiles: ReadonlyArray<number>
  private readonly stepMillis: number
  private readonly now: () => number
  private readonly ring: Array<Exponential.Buckets>
  private current = 0
  private currentUntil: number
  private count = 0
  private sum = 0

  constructor(quantiles: ReadonlyArray<number>, maxAgeMillis: number, steps: number, now: () => number) {
    this.quantiles = quantiles
    this.stepMillis = maxAgeMillis / steps
    this.now = now
    this.createdAtMillis = now()
    this.currentUntil = this.createdAtMillis + this.stepMillis
    this.ring = Array.from({ length: steps }, () => Exponential.makeBuckets(160))
  }

  observeUnsafe(value: number): void {
    if (value - value !== 0) return
    const current = this.advance()
    this.count++
    this.sum += value
    Exponential.observe(current, value)
  }

  observe(value: number): Effect.Effect<void> {
    return Effect.sync(() => this.observeUnsafe(value))
  }

  snapshot(): SummarySnapshot {
    this.advance()
    const recent = Exponential.makeBuckets(160)
    for (const buckets of this.ring) Exponential.merge(recent, buckets)
    return {
      count: this.count,
      sum: this.sum,
      quantiles: this.quantiles.map((q) => [q, Exponential.quantile(recent, q)])
    }
  }

  private advance(): Exponential.Buckets {
    const now = this.now()
    const steps = Math.floor((now - this.currentUntil) / this.stepMillis) + 1
    for (let step = 0; step < Math.min(steps, this.ring.length); step++) {
      this.current = (this.current + 1) % this.ring.length
      this.ring[this.current] = Exponential.makeBuckets(160)
    }
    if (steps > 0) this.currentUntil += steps * this.stepMillis
    const buckets = this.ring[this.current] ?? Exponential.makeBuckets(160)
    this.ring[this.current] = buckets
    return buckets
  }
}
