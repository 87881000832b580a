/**
 * What a server has to hold at a rate, and whether a run held it.
 *
 * @module
 */
import type { Effect } from "effect"
import * as Histogram from "../results/Histogram.ts"
import * as Result from "../results/Result.ts"
import * as Saturation from "../results/Saturation.ts"
import * as Threshold from "../thresholds/Threshold.ts"
import type { Measured } from "./Search.ts"

/** What a trial came to. */
export interface Run extends Measured {
  readonly result: Result.Result
  readonly verdicts: ReadonlyArray<Threshold.Verdict>
  /** Requests a second that ended. */
  readonly achieved: number
}

/**
 * An objective: a threshold of k6, or a condition alone, which is then one of latency (`p(99)<200`) or of failures
 * (`rate<0.01`).
 */
export const parse = (text: string): Effect.Effect<Threshold.Threshold, Threshold.BadThreshold> => {
  if (text.includes(":")) return Threshold.parse(text)
  return Threshold.make(/^\s*rate/.test(text) ? "req_failed" : "req_duration", text)
}

/** The part of planned iterations that may be missed before a rate counts as not reached. */
const missable = 0.01

/** As if every request had been sent when it was planned: what it holds then and not otherwise, the tester's delay has cost. */
const withoutDelay = (result: Result.Result): Result.Result => ({
  ...result,
  steps: result.steps.map((step) => ({ ...step, latency: step.service }))
})

/** Judges a run at a rate. A run that sent less than it should has not held, whatever it measured. */
export const judge = (objectives: ReadonlyArray<Threshold.Threshold>, result: Result.Result): Run => {
  const verdicts = Threshold.evaluateAll(objectives, result)
  const planned = result.windows.reduce((sum, window) => sum + window.planned, 0)
  const dropped = result.scenarios.reduce((sum, scenario) => sum + scenario.dropped, 0)
  const total = Result.total(result.steps)
  const isSent = dropped <= planned * missable
  const isHeld = verdicts.every(({ isMet }) => isMet) && isSent
  const isDelayed = (): boolean =>
    isSent && Threshold.evaluateAll(objectives, withoutDelay(result)).every(({ isMet }) => isMet)
  return {
    result,
    verdicts,
    achieved: total.requests / Math.max(Result.seconds(result), 1e-6),
    isMet: isHeld,
    isClientLimited: !isHeld && (isDelayed() || Saturation.warnings(result).some(({ kind }) => kind === "loop"))
  }
}

/** What a trial is drawn and told with. */
export interface Point {
  readonly rate: number
  readonly isMet: boolean
  /** What the first objective of latency is about: its quantile, or its mean; p99 where there is none. */
  readonly observed: number
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

/** Those objectives that are of latency. */
export const ofLatency = (objectives: ReadonlyArray<Threshold.Threshold>): ReadonlyArray<Threshold.Threshold> =>
  objectives.filter(({ metric }) => metric.name.endsWith("req_duration"))

export const pointOf = (rate: number, { isMet, result, verdicts }: Run): Point => {
  const { latency } = Result.total(result.steps)
  const [first] = ofLatency(verdicts.map(({ threshold }) => threshold))
  const p99 = Histogram.quantile(latency, 0.99)
  return {
    rate,
    isMet,
    observed: verdicts.find(({ threshold }) => threshold === first)?.observed ?? p99,
    p50: Histogram.quantile(latency, 0.5),
    p99,
    p999: Histogram.quantile(latency, 0.999)
  }
}
