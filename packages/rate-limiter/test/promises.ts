// What each algorithm promises, as its documentation says it, to be checked against what was allowed.

import type { RateLimiter } from "@sluice/rate-limiter"
import { Clock, Effect } from "effect"

export const algorithms: ReadonlyArray<RateLimiter.Algorithm> = [
  "gcra",
  "token-bucket",
  "leaky-bucket",
  "fixed-window",
  "sliding-window-log",
  "sliding-window-counter"
]

export interface Limit {
  readonly limit: number
  readonly interval: number
  readonly burst: number
}

/** Cost that was allowed at a time; negative where it was given back. */
export interface Event {
  readonly at: number
  readonly cost: number
}

/** The most that may lie in a window of a length, its ends included, that ends with a request of `last`. */
export const promiseOf = (algorithm: RateLimiter.Algorithm, of: Limit, length: number, last: number): number => {
  const intervals = length / of.interval
  switch (algorithm) {
    case "gcra":
    case "token-bucket":
      return of.burst + of.limit * intervals
    case "leaky-bucket":
      return of.limit * intervals + last
    case "fixed-window":
      return of.limit * (Math.ceil(intervals) + 1)
    case "sliding-window-log":
      // Its ends included, a window of an interval may hold two requests that are an interval apart.
      return of.limit * (Math.floor(intervals) + 1)
    case "sliding-window-counter":
      return of.limit + of.limit * intervals
  }
}

/** The first window that holds more than was promised, told in words. */
export const brokenPromise = (
  algorithm: RateLimiter.Algorithm,
  of: Limit,
  events: ReadonlyArray<Event>
): string | undefined => {
  const inOrder = events.toSorted((a, b) => a.at - b.at)
  for (const [start, from] of inOrder.entries()) {
    let total = 0
    for (let end = start; end < inOrder.length; end++) {
      const to = inOrder[end] ?? from
      // What is allowed in more than a few intervals follows from what is in each of them.
      if (to.at - from.at > 4 * of.interval + (of.burst * of.interval) / of.limit) break
      total += to.cost
      // To the microsecond.
      const most = promiseOf(algorithm, of, to.at - from.at + 1e-3, to.cost)
      if (to.cost > 0 && total > most + 1e-6) {
        return `${algorithm}: ${total} from ${from.at} to ${to.at}, where ${most} was promised`
      }
    }
  }
  return undefined
}

export const optionsOf = (algorithm: RateLimiter.Algorithm, of: Limit): RateLimiter.Options => {
  const { burst, interval, limit } = of
  const hasBurst = algorithm === "gcra" || algorithm === "token-bucket"
  return { algorithm, limit, interval, ...(hasBurst ? { burst } : {}) }
}

/** Runs effects that do not wait, at the time that a clock is set to, down to the microsecond. */
export const makeClockwork = () => {
  let millis = 0
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: () => millis,
    currentTimeMillis: Effect.sync(() => millis),
    currentTimeNanosUnsafe: () => BigInt(Math.round(millis * 1e6)),
    currentTimeNanos: Effect.sync(() => BigInt(Math.round(millis * 1e6))),
    monotonicTimeNanosUnsafe: () => BigInt(Math.round(millis * 1e6)),
    monotonicTimeNanos: Effect.sync(() => BigInt(Math.round(millis * 1e6))),
    sleep: () => Effect.never
  }
  return {
    set: (to: number): void => {
      millis = to
    },
    run: <A, E>(effect: Effect.Effect<A, E>): A => Effect.runSync(Effect.provideService(effect, Clock.Clock, clock))
  }
}
