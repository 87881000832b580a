// The series. Classes, so that every series of a kind has one shape and an
// update compiles to an addition to a field.

import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { CounterSeries, GaugeSeries, HistogramSeries, HistogramSnapshot } from "../Instruments.ts"
import * as Exponential from "./exponential.ts"

export class Counter implements CounterSeries {
  value = 0

  incrementUnsafe(): void {
    this.value++
  }

  addUnsafe(amount: number): void {
    if (!(amount >= 0)) throw new RangeError(`Cannot add ${amount} to a counter: 0 or more is needed`)
    this.value += amount
  }

  get increment(): Effect.Effect<void> {
    return Effect.sync(() => this.incrementUnsafe())
  }

  add(amount: number): Effect.Effect<void> {
    return Effect.sync(() => this.addUnsafe(amount))
  }
}

export class Gauge implements GaugeSeries {
  value = 0

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

  readonly whileRunning = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.acquireUseRelease(
      Effect.sync(() => this.addUnsafe(1)),
      () => self,
      () => Effect.sync(() => this.addUnsafe(-1))
    )
}

class Snapshot implements HistogramSnapshot {
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
    if (!(that instanceof Snapshot)) throw new TypeError("Cannot merge a snapshot that was not made by a histogram")
    const merged = Exponential.copy(this.buckets)
    Exponential.merge(merged, that.buckets)
    return new Snapshot(merged)
  }
}

export class Histogram implements HistogramSeries {
  readonly buckets: Exponential.Buckets

  constructor(maxBuckets: number) {
    this.buckets = Exponential.makeBuckets(maxBuckets)
  }

  observeUnsafe(value: number): void {
    Exponential.observe(this.buckets, value)
  }

  observe(value: number): Effect.Effect<void> {
    return Effect.sync(() => this.observeUnsafe(value))
  }

  snapshot(): HistogramSnapshot {
    return new Snapshot(Exponential.copy(this.buckets))
  }

  readonly timed = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(Clock.Clock, (clock) => {
      const start = clock.currentTimeNanosUnsafe()
      return Effect.ensuring(
        self,
        Effect.sync(() => this.observeUnsafe(Number(clock.currentTimeNanosUnsafe() - start) / 1e9))
      )
    })
}
