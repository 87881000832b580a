/**
 * What a run must hold, in the words of k6: `http_req_duration: p(95)<200`.
 *
 * `http_req_duration{scenario:browse}: p(99)<500` is of one scenario (or group, or
 * step), and `http_req_duration[10s]: p(99)<500` must hold in every ten seconds
 * that follow each other. Durations are milliseconds, or carry a unit.
 *
 * @module
 */
import { Data, Effect, Schema } from "effect"
import * as Histogram from "../results/Histogram.ts"
import * as Metric from "../results/Metric.ts"
import * as Result from "../results/Result.ts"

/** What is not a threshold, and why. */
export class BadThreshold extends Data.TaggedError("@sluice/load-tester/BadThreshold")<{ readonly message: string }> {}

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

const bad = (text: string, reason: string): Effect.Effect<never, BadThreshold> =>
  Effect.fail(new BadThreshold({ message: `Cannot read the threshold ${text}: ${reason}` }))

const aggregates: Readonly<Record<Metric.Type, ReadonlyArray<string>>> = {
  trend: ["avg", "min", "max", "med", "p(N)"],
  rate: ["rate"],
  counter: ["count", "rate"],
  gauge: ["value"]
}

const unitMicros: Readonly<Record<string, number>> = { us: 1, µs: 1, ms: 1000, s: 1e6, m: 60e6 }

const quantileOf = (aggregate: string): number | undefined => {
  if (aggregate === "med") return 0.5
  const digits = /^p\((\d+(?:\.\d+)?)\)$/.exec(aggregate)?.[1]
  return digits === undefined || Number(digits) > 100 ? undefined : Number(digits) / 100
}

const isAggregate = (type: Metric.Type, aggregate: string): boolean =>
  aggregates[type].includes(aggregate) || (type === "trend" && quantileOf(aggregate) !== undefined)

const subject = /^([a-z_]+)\s*(?:\{([^}]*)\})?\s*(?:\[\s*(\d+(?:\.\d+)?)\s*s\s*\])?$/
const expression = /^([a-z]+(?:\(\s*[\d.]+\s*\))?)\s*(<=|>=|===|==|!=|<|>)\s*(-?\d+(?:\.\d+)?)\s*(us|µs|ms|s|m|%)?$/

const comparisons: Readonly<Record<string, Comparison>> = {
  "<": "<",
  "<=": "<=",
  ">": ">",
  ">=": ">=",
  "==": "==",
  "===": "==",
  "!=": "!="
}

const parseTags = (text: string): Metric.Tags | undefined => {
  const tags: Record<string, string> = {}
  for (const part of text.split(",")) {
    const at = part.indexOf(":")
    const tag = part.slice(0, at).trim()
    if (at < 0 || !Metric.tagNames.includes(tag)) return undefined
    tags[tag] = part
      .slice(at + 1)
      .trim()
      .replace(/^["']|["']$/g, "")
  }
  return tags
}

export interface AbortOptions {
  readonly abortOnFail?: boolean | undefined
  readonly abortDelaySeconds?: number | undefined
}

/** A threshold from its metric, with tags and window if any, and its expression. */
export const make = (
  on: string,
  condition: string,
  { abortDelaySeconds = 0, abortOnFail = false }: AbortOptions = {}
): Effect.Effect<Threshold, BadThreshold> => {
  const text = `${on.trim()}: ${condition.trim()}`
  const [, name, tagText, windowText] = subject.exec(on.trim()) ?? []
  if (name === undefined) return bad(text, "it must begin with a metric, as in http_req_duration{scenario:browse}[10s]")
  const metric = Metric.find(name)
  if (metric === undefined) {
    return bad(text, `there is no metric ${name}; there are ${Metric.all.map((one) => one.name).join(", ")}`)
  }
  const tags = tagText === undefined ? {} : parseTags(tagText)
  if (tags === undefined) return bad(text, `tags are ${Metric.tagNames.join(", ")}, each with a colon and a value`)
  if (tagText !== undefined && !metric.isTagged) return bad(text, `${name} is of the whole run, and has no tags`)
  if (windowText !== undefined && metric.ofWindows === undefined) return bad(text, `${name} is not kept by the second`)
  if (windowText !== undefined && tagText !== undefined)
    return bad(text, "windows are of all requests, and have no tags")
  const windowSeconds = windowText === undefined ? undefined : Number(windowText)
  if (windowSeconds !== undefined && !(windowSeconds >= 1)) return bad(text, "a window has one second or more")
  const [, written, sign, digits, unit] = expression.exec(condition.trim()) ?? []
  if (written === undefined || sign === undefined || digits === undefined) {
    return bad(text, "a condition is needed, as p(95)<200, rate<0.01 or count>=1000")
  }
  const aggregate = written.replaceAll(/\s/g, "")
  if (!isAggregate(metric.type, aggregate)) {
    return bad(text, `${name} is a ${metric.type}, of which there is ${aggregates[metric.type].join(", ")}`)
  }
  const isDuration = metric.type === "trend"
  if (unit !== undefined && (unit === "%" ? metric.type !== "rate" : !isDuration)) {
    return bad(text, `${unit} is not a unit of ${name}`)
  }
  const factor = isDuration ? (unitMicros[unit ?? "ms"] ?? 1) : unit === "%" ? 0.01 : 1
  return Effect.succeed({
    text,
    metric,
    tags,
    windowSeconds,
    aggregate,
    comparison: comparisons[sign] ?? "<",
    limit: Number(digits) * factor,
    abortOnFail,
    abortDelaySeconds
  })
}

/** A threshold from one line: `http_req_failed: rate<0.01`. */
export const parse = (text: string, options?: AbortOptions): Effect.Effect<Threshold, BadThreshold> => {
  const found = /^([^{:]*(?:\{[^}]*\})?[^:]*):(.*)$/s.exec(text)
  return found === null
    ? bad(text, "a metric, a colon and a condition are needed, as http_req_duration: p(95)<200")
    : make(found[1] ?? "", found[2] ?? "", options)
}

const Seconds = Schema.Union([Schema.Number, Schema.String])

const K6 = Schema.Record(
  Schema.String,
  Schema.Array(
    Schema.Union([
      Schema.String,
      Schema.Struct({
        threshold: Schema.String,
        abortOnFail: Schema.optionalKey(Schema.Boolean),
        delayAbortEval: Schema.optionalKey(Seconds)
      })
    ])
  )
)

const secondsOf = (delay: number | string): number => {
  if (typeof delay === "number") return delay / 1000
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(delay) ?? []
  return digits === undefined || unit === undefined ? Number.NaN : (Number(digits) * (unitMicros[unit] ?? 0)) / 1e6
}

/** Thresholds as the `options.thresholds` of a k6 script has them. */
export const fromK6 = (input: unknown): Effect.Effect<ReadonlyArray<Threshold>, BadThreshold> =>
  Schema.decodeUnknownEffect(K6)(input).pipe(
    Effect.mapError((error) => new BadThreshold({ message: `Cannot read thresholds: ${error.message}` })),
    Effect.flatMap((all) =>
      Effect.forEach(
        Object.entries(all).flatMap(([on, list]) => list.map((one) => [on, one] as const)),
        ([on, one]) => {
          if (typeof one === "string") return make(on, one)
          const abortDelaySeconds = secondsOf(one.delayAbortEval ?? 0)
          return Number.isNaN(abortDelaySeconds)
            ? bad(`${on}: ${one.threshold}`, `delayAbortEval ${one.delayAbortEval} is not a duration such as 10s`)
            : make(on, one.threshold, { abortOnFail: one.abortOnFail, abortDelaySeconds })
        }
      )
    )
  )

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

const worstWindow = (threshold: Threshold, seconds: number, result: Result.Result): Verdict => {
  const { aggregate, metric } = threshold
  const points = whole(Result.series(result), result.windowSeconds)
  const length = Math.min(points.length, Math.max(1, Math.round(seconds / result.windowSeconds)))
  let worst: { readonly observed: number; readonly atSeconds: number } | undefined
  for (let from = 0; from + length <= points.length; from++) {
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
  if (threshold.windowSeconds !== undefined) return worstWindow(threshold, threshold.windowSeconds, result)
  const observed = observe(threshold.metric.ofRun(result, threshold.tags), threshold.aggregate)
  return { threshold, isMet: observed !== undefined && holds(threshold, observed), observed, atSeconds: undefined }
}

export const evaluateAll = (thresholds: ReadonlyArray<Threshold>, result: Result.Result): ReadonlyArray<Verdict> =>
  thresholds.map((threshold) => evaluate(threshold, result))

/** The first threshold that ends a run which has come to this, if any does. What has recorded nothing yet ends no run. */
export const aborting = (thresholds: ReadonlyArray<Threshold>, result: Result.Result): Verdict | undefined => {
  const elapsed = Result.seconds(result)
  for (const threshold of thresholds) {
    if (!threshold.abortOnFail || elapsed < threshold.abortDelaySeconds) continue
    const verdict = evaluate(threshold, result)
    if (!verdict.isMet && verdict.observed !== undefined) return verdict
  }
  return undefined
}
