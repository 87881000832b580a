import { FixedWindowMeter } from "./fixedWindow.ts"
import { GcraMeter } from "./gcra.ts"
import { LeakyBucketMeter } from "./leakyBucket.ts"
import { makeShape, type RateMeter, type Shape } from "./meter.ts"
import { SlidingCounterMeter } from "./slidingCounter.ts"
import { SlidingLogMeter } from "./slidingLog.ts"
import { TokenBucketMeter } from "./tokenBucket.ts"

export type Algorithm =
  | "gcra"
  | "token-bucket"
  | "fixed-window"
  | "sliding-window-log"
  | "sliding-window-counter"
  | "leaky-bucket"

/** Makes the meter of a shape: of the same algorithm, the states of one can be adopted by another. */
export type MeterOf<S> = (shape: Shape) => RateMeter<S>

/** Calls a function with an algorithm's meters, whatever their state is. */
export const withAlgorithm = <R>(algorithm: Algorithm, use: <S>(meterOf: MeterOf<S>) => R): R => {
  switch (algorithm) {
    case "gcra":
      return use((shape) => new GcraMeter(shape))
    case "token-bucket":
      return use((shape) => new TokenBucketMeter(shape))
    case "fixed-window":
      return use((shape) => new FixedWindowMeter(shape))
    case "sliding-window-log":
      return use((shape) => new SlidingLogMeter(shape))
    case "sliding-window-counter":
      return use((shape) => new SlidingCounterMeter(shape))
    case "leaky-bucket":
      return use((shape) => new LeakyBucketMeter(shape))
    default:
      throw new RangeError(
        `Cannot make a rate limiter with algorithm ${String(algorithm satisfies never)}: one of gcra, token-bucket, fixed-window, sliding-window-log, sliding-window-counter, leaky-bucket is needed`
      )
  }
}

/** Only buckets that fill can be given a burst. */
export const shapeOf = (algorithm: Algorithm, limit: number, intervalMillis: number, burst?: number): Shape => {
  if (burst !== undefined && algorithm !== "gcra" && algorithm !== "token-bucket") {
    throw new RangeError(
      `Cannot make a rate limiter with burst ${burst}: ${algorithm} has none, only gcra and token-bucket do`
    )
  }
  return makeShape(limit, intervalMillis, burst)
}
