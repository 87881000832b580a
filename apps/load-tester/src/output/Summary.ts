/**
 * The summary of a run, as a block of text in the form that k6 has made known.
 *
 * @module
 */
import * as Histogram from "../results/Histogram.ts"
import * as Metric from "../results/Metric.ts"
import * as Result from "../results/Result.ts"
import * as Saturation from "../results/Saturation.ts"
import type * as Threshold from "../thresholds/Threshold.ts"
import * as Units from "./units.ts"

const labelWidth = 33

const label = (name: string): string => `${name}${".".repeat(Math.max(1, labelWidth - name.length))}:`

const quantiles: ReadonlyArray<readonly [name: string, q: number]> = [
  ["p(90)", 0.9],
  ["p(95)", 0.95],
  ["p(99)", 0.99],
  ["p(99.9)", 0.999],
  ["p(99.99)", 0.9999]
]

const spread = (histogram: Histogram.Histogram): string => {
  const figures: ReadonlyArray<readonly [string, number]> = [
    ["avg", Histogram.mean(histogram)],
    ["min", histogram.min],
    ["med", Histogram.quantile(histogram, 0.5)],
    ["max", histogram.max],
    ...quantiles.map(([name, q]) => [name, Histogram.quantile(histogram, q)] as const)
  ]
  return figures
    .map(([name, micros]) => `${name}=${Units.duration(micros)}`.padEnd(name.length + 10))
    .join("")
    .trimEnd()
}

const isBytes = (name: string): boolean => name.startsWith("data_")

const told = (name: string, sample: Metric.Sample): string => {
  switch (sample.type) {
    case "trend":
      return spread(sample.histogram)
    case "rate":
      return `${Units.percent(sample.yes / sample.all).padEnd(10)} ${Units.count(sample.yes)} out of ${Units.count(sample.all)}`
    case "counter": {
      const each = sample.seconds === 0 ? 0 : sample.count / sample.seconds
      return isBytes(name)
        ? `${Units.bytes(sample.count).padEnd(10)} ${Units.bytes(each)}/s`
        : `${Units.count(sample.count).padEnd(10)} ${Units.perSecond(each)}`
    }
    case "gauge":
      return String(sample.value)
  }
}

const isSilent = (sample: Metric.Sample): boolean => {
  switch (sample.type) {
    case "trend":
      return sample.histogram.count === 0
    case "rate":
      return sample.all === 0
    case "counter":
      return sample.count === 0
    case "gauge":
      return sample.value === 0
  }
}

/** Protocol by protocol; the totals over all only where there are several. */
const metricsOf = (result: Result.Result): ReadonlyArray<Metric.Metric> => {
  const used = new Set(result.steps.map(({ protocol }) => protocol))
  return Metric.all.filter(({ name }) => {
    if (/^req(_|s$)/.test(name)) return used.size > 1 && ["req_duration", "req_failed", "reqs"].includes(name)
    // The same as the duration, where nothing was planned.
    return !name.endsWith("_service") || result.client.sendDelay.count > 0
  })
}

const lines = (result: Result.Result): ReadonlyArray<string> =>
  metricsOf(result).flatMap(({ name, ofRun }) => {
    const sample = ofRun(result, {})
    return isSilent(sample) ? [] : [`     ${label(name)} ${told(name, sample)}`]
  })

/** What a threshold's figure is, in the unit of its metric. */
export const figure = ({ metric }: Threshold.Threshold, aggregate: string, value: number): string => {
  if (metric.type === "trend") return Units.duration(value)
  if (metric.type === "rate") return Units.percent(value)
  return aggregate === "rate" ? Units.perSecond(value) : Units.count(value)
}

/** One threshold with what was observed. */
export const verdict = ({ atSeconds, isMet, observed, threshold }: Threshold.Verdict): string => {
  const { aggregate, text } = threshold
  const found =
    observed === undefined ? "nothing was recorded" : `${aggregate}=${figure(threshold, aggregate, observed)}`
  const at = atSeconds === undefined ? "" : ` in the window from ${atSeconds.toFixed(0)}s`
  return `${isMet ? "✓" : "✗"} ${text}   ${found}${at}`
}

const block = (title: string, content: ReadonlyArray<string>): ReadonlyArray<string> =>
  content.length === 0 ? [] : [`   ${title}`, "", ...content, ""]

const checks = ({ checks }: Result.Result): ReadonlyArray<string> =>
  checks
    .filter(({ failed, passed }) => failed + passed > 0)
    .map(({ failed, name, passed }) =>
      failed === 0
        ? `     ✓ ${name}`
        : `     ✗ ${name}\n      ↳  ${Units.percent(passed / (passed + failed))}: ✓ ${Units.count(passed)} / ✗ ${Units.count(failed)}`
    )

const counts = (all: ReadonlyArray<Result.Count>): ReadonlyArray<string> =>
  [...all].sort(([, a], [, b]) => b - a).map(([name, count]) => `     ${label(name)} ${Units.count(count)}`)

const title = ({ group, name, protocol, scenario }: Result.StepResult): string =>
  `${[scenario, group, name].filter((part) => part !== "").join(" › ")} (${protocol})`

const steps = (result: Result.Result): ReadonlyArray<string> => {
  if (result.steps.length < 2) return []
  const seconds = Result.seconds(result)
  return result.steps.map(
    (step) =>
      `     ${title(step)}\n       ${Units.count(step.requests)} requests, ${Units.perSecond(seconds === 0 ? 0 : step.requests / seconds)}, ${Units.count(step.failed)} failed\n       ${spread(step.latency)}`
  )
}

/** The whole summary. It ends without a line break. */
export const text = (result: Result.Result, verdicts: ReadonlyArray<Threshold.Verdict> = []): string => {
  const { errors, statuses } = Result.total(result.steps)
  return [
    "",
    ...block(
      "THRESHOLDS",
      verdicts.map((one) => `     ${verdict(one)}`)
    ),
    ...block("CHECKS", checks(result)),
    ...block("TOTALS", lines(result)),
    ...block("STEPS", steps(result)),
    ...block("STATUSES", counts(statuses)),
    ...block("ERRORS", counts(errors)),
    ...block(
      "THE TESTER ITSELF",
      Saturation.warnings(result).map(({ message }) => `     ! ${message}`)
    ),
    `   ${Units.count(Result.total(result.steps).requests)} requests in ${Units.duration(result.endedAtMicros - result.startedAtMicros)}${result.client.recorders > 1 ? ` by ${result.client.recorders} recorders` : ""}`
  ].join("\n")
}
