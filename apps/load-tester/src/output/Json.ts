/**
 * A result as JSON, for programs. Its schema is published: `result.schema.json`, made from `Report` here.
 *
 * @module
 */
import { Schema, Struct } from "effect"
import * as Histogram from "../results/Histogram.ts"
import * as Result from "../results/Result.ts"
import * as Saturation from "../results/Saturation.ts"
import type * as Threshold from "../thresholds/Threshold.ts"

const Whole = Schema.Natural
const Figure = Schema.Finite

const Spread = Schema.Struct({
  count: Whole,
  mean: Figure,
  min: Figure,
  max: Figure,
  deviation: Figure,
  p50: Figure,
  p75: Figure,
  p90: Figure,
  p95: Figure,
  p99: Figure,
  p999: Figure,
  p9999: Figure
}).annotate({
  identifier: "Spread",
  description: "How values are spread, in microseconds; 0 where nothing was recorded"
})

const Counts = Schema.Record(Schema.String, Whole)

const Requests = {
  requests: Whole,
  failed: Whole,
  requestsPerSecond: Figure,
  failedRate: Figure,
  bytesOut: Whole,
  bytesIn: Whole,
  statuses: Counts,
  errors: Counts,
  latency: Spread,
  service: Spread,
  phases: Schema.Struct({ poolWait: Spread, connect: Spread, tls: Spread, firstByte: Spread, body: Spread })
}

const Point = Schema.Struct({
  atSeconds: Figure,
  seconds: Figure,
  requests: Whole,
  failed: Whole,
  requestsPerSecond: Figure,
  planned: Whole,
  dropped: Whole,
  iterations: Whole,
  users: Figure,
  bytesOut: Whole,
  bytesIn: Whole,
  opened: Whole,
  reused: Whole,
  late: Whole,
  loopDelay: Figure,
  mean: Figure,
  p50: Figure,
  p90: Figure,
  p99: Figure,
  p999: Figure,
  max: Figure,
  poolWait: Figure,
  connect: Figure,
  tls: Figure,
  firstByte: Figure,
  body: Figure
}).annotate({
  identifier: "Point",
  description:
    "One window of the time series; durations in microseconds, those of phases as the mean of all its requests"
})

export const Report = Schema.Struct({
  version: Schema.Literal(1),
  names: Schema.Array(Schema.String),
  startedAt: Schema.String,
  durationSeconds: Figure,
  recorders: Whole,
  passed: Schema.Boolean.annotate({ description: "Whether every threshold was met" }),
  thresholds: Schema.Array(
    Schema.Struct({
      threshold: Schema.String,
      met: Schema.Boolean,
      observed: Schema.NullOr(Figure),
      atSeconds: Schema.NullOr(Figure)
    })
  ),
  total: Schema.Struct(Requests),
  steps: Schema.Array(
    Schema.Struct({
      scenario: Schema.String,
      group: Schema.String,
      name: Schema.String,
      protocol: Schema.Literals(["http", "grpc", "ws", "work"]),
      ...Requests
    })
  ),
  scenarios: Schema.Array(Schema.Struct({ name: Schema.String, iterations: Whole, dropped: Whole, duration: Spread })),
  checks: Schema.Array(Schema.Struct({ name: Schema.String, passed: Whole, failed: Whole })),
  connections: Schema.Struct({ opened: Whole, reused: Whole }),
  client: Schema.Struct({
    loopDelay: Spread,
    sendDelay: Spread,
    gaps: Spread,
    late: Whole,
    warnings: Schema.Array(Schema.String)
  }),
  windowSeconds: Whole,
  series: Schema.Array(Point)
}).annotate({
  title: "sluice-load result",
  description: "What a run came to. Durations are microseconds, but for those whose name ends in Seconds"
})
export type Report = typeof Report.Type

/** The JSON Schema that {@link report} follows. */
export const schema = (): object => {
  const { definitions, schema } = Schema.toJsonSchemaDocument(Report)
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: "https://github.com/sluice-ts/sluice/blob/main/apps/load-tester/result.schema.json",
    ...schema,
    $defs: definitions
  }
}

const rounded = (value: number): number => Math.round(value * 1000) / 1000

const spread = (histogram: Histogram.Histogram): typeof Spread.Type => {
  const at = (q: number): number => rounded(Histogram.quantile(histogram, q))
  return {
    count: histogram.count,
    mean: rounded(Histogram.mean(histogram)),
    min: histogram.min,
    max: histogram.max,
    deviation: rounded(Histogram.deviation(histogram)),
    p50: at(0.5),
    p75: at(0.75),
    p90: at(0.9),
    p95: at(0.95),
    p99: at(0.99),
    p999: at(0.999),
    p9999: at(0.9999)
  }
}

const each = (count: number, seconds: number): number => (seconds === 0 ? 0 : rounded(count / seconds))

const requests = (total: Result.Total, seconds: number) => ({
  requests: total.requests,
  failed: total.failed,
  requestsPerSecond: each(total.requests, seconds),
  failedRate: total.requests === 0 ? 0 : total.failed / total.requests,
  bytesOut: total.bytesOut,
  bytesIn: total.bytesIn,
  statuses: Object.fromEntries(total.statuses),
  errors: Object.fromEntries(total.errors),
  latency: spread(total.latency),
  service: spread(total.service),
  phases: {
    poolWait: spread(total.phases.poolWait),
    connect: spread(total.phases.connect),
    tls: spread(total.phases.tls),
    firstByte: spread(total.phases.firstByte),
    body: spread(total.phases.body)
  }
})

const point =
  (windowSeconds: number) =>
  (window: Result.Point): typeof Point.Type => {
    const { latency } = window
    const at = (q: number): number => rounded(Histogram.quantile(latency, q))
    const phase = (index: number): number => each(window.phaseSums[index] ?? 0, window.requests)
    return {
      atSeconds: rounded(window.atSeconds),
      seconds: rounded(window.seconds),
      requests: window.requests,
      failed: window.failed,
      requestsPerSecond: each(window.requests, window.seconds),
      planned: window.planned,
      dropped: window.dropped,
      iterations: window.iterations,
      users: window.userSeconds / windowSeconds,
      bytesOut: window.bytesOut,
      bytesIn: window.bytesIn,
      opened: window.opened,
      reused: window.reused,
      late: window.late,
      loopDelay: window.loopDelay,
      mean: rounded(Histogram.mean(latency)),
      p50: at(0.5),
      p90: at(0.9),
      p99: at(0.99),
      p999: at(0.999),
      max: latency.max,
      poolWait: phase(0),
      connect: phase(1),
      tls: phase(2),
      firstByte: phase(3),
      body: phase(4)
    }
  }

/** A result with how its thresholds came out. */
export const report = (result: Result.Result, verdicts: ReadonlyArray<Threshold.Verdict> = []): Report => {
  const seconds = Result.seconds(result)
  const { gaps, late, loopDelay, recorders, sendDelay } = result.client
  return {
    version: 1,
    names: result.names,
    startedAt: new Date(result.startedAtMicros / 1000).toISOString(),
    durationSeconds: seconds,
    recorders,
    passed: verdicts.every(({ isMet }) => isMet),
    thresholds: verdicts.map(({ atSeconds, isMet, observed, threshold }) => ({
      threshold: threshold.text,
      met: isMet,
      observed: observed ?? null,
      atSeconds: atSeconds ?? null
    })),
    total: requests(Result.total(result.steps), seconds),
    steps: result.steps.map((step) => ({
      scenario: step.scenario,
      group: step.group,
      name: step.name,
      protocol: step.protocol,
      ...requests(step, seconds)
    })),
    scenarios: result.scenarios.map(({ dropped, duration, iterations, name }) => ({
      name,
      iterations,
      dropped,
      duration: spread(duration)
    })),
    checks: result.checks,
    connections: { opened: result.opened, reused: result.reused },
    client: {
      loopDelay: spread(loopDelay),
      sendDelay: spread(sendDelay),
      gaps: spread(gaps),
      late,
      warnings: Saturation.warnings(result).map(({ message }) => message)
    },
    windowSeconds: result.windowSeconds,
    series: Result.series(result).map(point(result.windowSeconds))
  }
}

export const text = (result: Result.Result, verdicts?: ReadonlyArray<Threshold.Verdict>): string =>
  `${JSON.stringify(report(result, verdicts), null, 2)}\n`

/** The time series alone, a window a line, under a line of names. */
export const csv = (result: Result.Result): string => {
  const columns = Struct.keys(Point.fields)
  const rows = report(result).series.map((one) => columns.map((column) => one[column]).join(","))
  return `${[columns.join(","), ...rows].join("\n")}\n`
}
