/**
 * What a run must hold, in the words of k6: `http_req_duration: p(95)<200`.
 *
 * `http_req_duration{scenario:browse}: p(99)<500` is of one scenario (or group, or
 * step), and `http_req_duration[10s]: p(99)<500` must hold in every ten seconds
 * that follow each other. Durations are milliseconds, or carry a unit.
 *
 * @module
 */
import * as Histogram from "../results/Histogram.ts"
import type * as Metric from "../results/Metric.ts"
import * as Result from "../results/Result.ts"
import { quantileOf } from "./notation.ts"

export { type AbortOptions, BadThreshold, fromK6, make, parse } from "./notation.ts"

export type Comparison = "<" | "<=" | ">" | ">=" | "==" | "!="

export interface Threshold {
  /** As it was written. */
  readonly text: string
  readonly metric: Metric.Metric
  readonly tags: Metric.Tags
  /** The length of each window in which it must hold; unset for the whole run. */
  readonly windowSeconds: number | undefined
  /** Such as `p(95)` or `rate`, as it was written. */
  readonly aggregate: string
  readonly comparison: Comparison
  /** Microseconds where the metric is a trend. */
  readonly limit: number
  /** Whether the run ends as soon as it is crossed. */
  readonly abortOnFail: boolean
  /** How long a run goes on before this one may end it. */
  readonly abortDelaySeconds: number
}

/** How a threshold came out. */
export interface Verdict {
  readonly threshold: Threshold
  readonly isMet: boolean
  /** What was observed, in the worst window if there are windows; unset where nothing was recorded. */
  readonly observed: number | undefined
  /** When the worst window began. */
  readonly atSeconds: number | undefined
}

/** What an aggregate of a sample is; unset where nothing was recorded. */
export const observe = (sample: Metric.Sample, aggregate: string): number | undefined => {
  switch (sample.type) {
    case "trend": {
      const { histogram } = sample
      if (histogram.count === 0) return undefined
      if (aggregate === "avg") return Histogram.mean(histogram)
      if (aggregate === "min") return histogram.min
      if (aggregate === "max") return histogram.max
      return Histogram.quantile(histogram, quantileOf(aggregate) ?? 0.5)
    }
    case "rate":
      return sample.all === 0 ? undefined : sample.yes / sample.all
    case "counter":
      if (aggregate === "count") return sample.count
      return sample.seconds === 0 ? undefined : sample.count / sample.seconds
    case "gauge":
      return sample.value
  }
}

const holds = ({ comparison, limit }: Threshold, observed: number): boolean => {
  switch (comparison) {
    case "<":
      return observed < limit
    case "<=":
      return observed <= limit
    case ">":
      return observed > limit
    case ">=":
      return observed >= limit
    case "==":
      return observed === limit
    case "!=":
      return observed !== limit
  }
}

/** How far on the wrong side of the limit; negative on the right side. */
const excess = ({ comparison, limit }: Threshold, observed: number): number => {
  if (comparison === "<" || comparison === "<=") return observed - limit
  if (comparison === ">" || comparison === ">=") return limit - observed
  return comparison === "==" ? Math.abs(observed - limit) : -Math.abs(observed - limit)
}

/** Windows that lie wholly within the run, if there are any: the seconds of its ends are cut short. */
const whole = (points: ReadonlyArray<Result.Point>, width: number): ReadonlyArray<Result.Point> => {
  const found = points.filter(({ seconds }) => seconds >= width * 0.999)
  return found.length === 0 ? points : found
}

const worstWindow = (threshold: Threshold, seconds: number, result: Result.Result, newest: number): Verdict => {
  const { aggregate, metric } = threshold
  const points = whole(Result.series(result), result.windowSeconds)
  const length = Math.min(points.length, Math.max(1, Math.round(seconds / result.windowSeconds)))
  let worst: { readonly observed: number; readonly atSeconds: number } | undefined
  for (let from = Math.max(0, points.length - length - newest); from + length <= points.length; from++) {
    const window = points.slice(from, from + length)
    const sample = metric.ofWindows?.(window)
    const observed = sample === undefined ? undefined : observe(sample, aggregate)
    if (observed === undefined) continue
    if (worst === undefined || excess(threshold, observed) > excess(threshold, worst.observed)) {
      worst = { observed, atSeconds: window[0]?.atSeconds ?? 0 }
    }
  }
  return {
    threshold,
    isMet: worst !== undefined && holds(threshold, worst.observed),
    observed: worst?.observed,
    atSeconds: worst?.atSeconds
  }
}

/**
 * How a threshold came out. One of which nothing was recorded is not met: a test that tested nothing has not passed.
 * O(steps × buckets); with windows O(windows × their length × buckets).
 */
export const evaluate = (threshold: Threshold, result: Result.Result): Verdict => {
  if (threshold.windowSeconds !== undefined) {
    return worstWindow(threshold, threshold.windowSeconds, result, Number.POSITIVE_INFINITY)
  }
  const observed = observe(threshold.metric.ofRun(result, threshold.tags), threshold.aggregate)
  return { threshold, isMet: observed !== undefined && holds(threshold, observed), observed, atSeconds: undefined }
}

export const evaluateAll = (thresholds: ReadonlyArray<Threshold>, result: Result.Result): ReadonlyArray<Verdict> =>
  thresholds.map((threshold) => evaluate(threshold, result))

/** Windows that may have ended since the last look, once a second. */
const newWindows = 5

/**
 * The first threshold that ends a run which has come to this, if any does. What has recorded nothing yet ends no run. Of
 * windows only the newest are looked at, since this is asked again and again: O(steps × buckets + length × buckets).
 */
export const aborting = (thresholds: ReadonlyArray<Threshold>, result: Result.Result): Verdict | undefined => {
  const elapsed = Result.seconds(result)
  for (const threshold of thresholds) {
    if (!threshold.abortOnFail || elapsed < threshold.abortDelaySeconds) continue
    const verdict =
      threshold.windowSeconds === undefined
        ? evaluate(threshold, result)
        : worstWindow(threshold, threshold.windowSeconds, result, newWindows)
    if (!verdict.isMet && verdict.observed !== undefined) return verdict
  }
  return undefined
}
