// How thresholds are written: `http_req_duration{scenario:browse}[10s]: p(95)<200`, and as the options of a k6 script have them.

import { Data, Effect, Schema } from "effect"
import * as Metric from "../results/Metric.ts"
import type { Comparison, Threshold } from "./Threshold.ts"

/** What is not a threshold, and why. */
export class BadThreshold extends Data.TaggedError("@sluice/load-tester/BadThreshold")<{ readonly message: string }> {}

const bad = (text: string, reason: string): Effect.Effect<never, BadThreshold> =>
  Effect.fail(new BadThreshold({ message: `Cannot read the threshold ${text}: ${reason}` }))

const aggregates: Readonly<Record<Metric.Type, ReadonlyArray<string>>> = {
  trend: ["avg", "min", "max", "med", "p(N)"],
  rate: ["rate"],
  counter: ["count", "rate"],
  gauge: ["value"]
}

const unitMicros: Readonly<Record<string, number>> = { us: 1, µs: 1, ms: 1000, s: 1e6, m: 60e6 }

/** The quantile that `med` or `p(95)` names, from 0 to 1. */
export const quantileOf = (aggregate: string): number | undefined => {
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
