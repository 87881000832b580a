// Time that moves only when it is told to. What sleeps is kept in the order in
// which it fell asleep, so that timers that fall together are a choice among
// options in a fixed order.

import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

export interface Timer {
  readonly at: number
  readonly fire: () => void
}

export class VirtualClock implements Clock.Clock {
  private readonly timers: Array<Timer> = []
  private now = 0

  add(timer: Timer): void {
    this.timers.push(timer)
  }

  remove(timer: Timer): void {
    const at = this.timers.indexOf(timer)
    if (at >= 0) this.timers.splice(at, 1)
  }

  /** The timers whose time it is already. */
  get due(): ReadonlyArray<Timer> {
    return this.timers.length === 0 ? this.timers : this.timers.filter((timer) => timer.at <= this.now)
  }

  /** The timers that come next, all at the same time. */
  get next(): ReadonlyArray<Timer> {
    if (this.timers.length === 0) return this.timers
    let at = Number.POSITIVE_INFINITY
    for (const timer of this.timers) at = Math.min(at, timer.at)
    return this.timers.filter((timer) => timer.at === at)
  }

  /** Takes a timer out, and moves to its time; `true` if that is later than now. */
  advance(timer: Timer): boolean {
    this.timers.splice(this.timers.indexOf(timer), 1)
    const isLater = timer.at > this.now
    if (isLater) this.now = timer.at
    return isLater
  }

  currentTimeMillisUnsafe(): number {
    return this.now
  }

  currentTimeNanosUnsafe(): bigint {
    return BigInt(Math.round(this.now * 1e6))
  }

  monotonicTimeNanosUnsafe(): bigint {
    return this.currentTimeNanosUnsafe()
  }

  readonly currentTimeMillis: Effect.Effect<number> = Effect.sync(() => this.currentTimeMillisUnsafe())
  readonly currentTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly monotonicTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.monotonicTimeNanosUnsafe())

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    const millis = Duration.toMillis(duration)
    if (millis === Number.POSITIVE_INFINITY) return Effect.never
    return Effect.callback<void>((resume) => {
      const timer: Timer = { at: this.now + Math.max(0, millis), fire: () => resume(Effect.void) }
      this.add(timer)
      return Effect.sync(() => this.remove(timer))
    })
  }
}
