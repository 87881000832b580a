/**
 * The figures of a result by the names that k6 gives them, and what kind each is.
 *
 * Names that begin with `http`, `grpc`, `ws` or `work` are of the requests of
 * that protocol; without it (`req_duration`, `reqs`, `req_failed`) of all.
 *
 * @module
 */
import * as Histogram from "./Histogram.ts"
import * as Result from "./Result.ts"

/** What a metric came to; durations are microseconds. */
export type Sample =
  | { readonly type: "trend"; readonly histogram: Histogram.Histogram }
  | { readonly type: "rate"; readonly yes: number; readonly all: number }
  | { readonly type: "counter"; readonly count: number; readonly seconds: number }
  | { readonly type: "gauge"; readonly value: number }

export type Type = Sample["type"]

/** Chooses steps by what k6 calls tags: `scenario`, `group`, `step` (or `name`). */
export type Tags = Readonly<Record<string, string>>

export interface Metric {
  readonly name: string
  readonly type: Type
  /** Whether it can be told for steps that tags choose. */
  readonly isTagged: boolean
  readonly ofRun: (result: Result.Result, tags: Tags) => Sample
  /** Of windows that follow each other; unset where windows do not keep it. Protocols are not told apart in windows. */
  readonly ofWindows?: ((points: ReadonlyArray<Result.Point>) => Sample) | undefined
}

export const tagNames: ReadonlyArray<string> = ["scenario", "group", "step", "name"]

const isChosen = (step: Result.StepResult, tags: Tags): boolean =>
  Object.entries(tags).every(([tag, value]) => {
    if (tag === "scenario") return step.scenario === value
    if (tag === "group") return step.group === value
    return step.name === value
  })

const stepsOf = ({ steps }: Result.Result, protocol: Result.Protocol | undefined, tags: Tags) =>
  steps.filter((step) => (protocol === undefined || step.protocol === protocol) && isChosen(step, tags))

const sum = <A>(all: ReadonlyArray<A>, of: (one: A) => number): number =>
  all.reduce((before, one) => before + of(one), 0)

const spanOf = (points: ReadonlyArray<Result.Point>): number => sum(points, ({ seconds }) => seconds)

const trend = (histogram: Histogram.Histogram): Sample => ({ type: "trend", histogram })
const rate = (yes: number, all: number): Sample => ({ type: "rate", yes, all })

const requestTrends: ReadonlyArray<readonly [suffix: string, of: (step: Result.StepResult) => Histogram.Histogram]> = [
  ["duration", ({ latency }) => latency],
  ["service", ({ service }) => service],
  ["blocked", ({ phases }) => phases.poolWait],
  ["connecting", ({ phases }) => phases.connect],
  ["tls_handshaking", ({ phases }) => phases.tls],
  ["waiting", ({ phases }) => phases.firstByte],
  ["receiving", ({ phases }) => phases.body]
]

const latencyOfWindows = (points: ReadonlyArray<Result.Point>): Sample =>
  trend(Histogram.mergeAll(points.map(({ latency }) => latency)))

const ofProtocol = (protocol: Result.Protocol | undefined): ReadonlyArray<Metric> => {
  const prefix = protocol === undefined ? "" : `${protocol}_`
  return [
    ...requestTrends.map(
      ([suffix, of]): Metric => ({
        name: `${prefix}req_${suffix}`,
        type: "trend",
        isTagged: true,
        ofRun: (result, tags) => trend(Histogram.mergeAll(stepsOf(result, protocol, tags).map(of))),
        ofWindows: suffix === "duration" ? latencyOfWindows : undefined
      })
    ),
    {
      name: `${prefix}req_failed`,
      type: "rate",
      isTagged: true,
      ofRun: (result, tags) => {
        const steps = stepsOf(result, protocol, tags)
        return rate(
          sum(steps, ({ failed }) => failed),
          sum(steps, ({ requests }) => requests)
        )
      },
      ofWindows: (points) =>
        rate(
          sum(points, ({ failed }) => failed),
          sum(points, ({ requests }) => requests)
        )
    },
    {
      name: `${prefix}reqs`,
      type: "counter",
      isTagged: true,
      ofRun: (result, tags) => ({
        type: "counter",
        count: sum(stepsOf(result, protocol, tags), ({ requests }) => requests),
        seconds: Result.seconds(result)
      }),
      ofWindows: (points) => ({
        type: "counter",
        count: sum(points, ({ requests }) => requests),
        seconds: spanOf(points)
      })
    }
  ]
}

const counter = (
  name: string,
  ofRun: (result: Result.Result, tags: Tags) => number,
  ofWindow: (point: Result.Point) => number,
  isTagged = false
): Metric => ({
  name,
  type: "counter",
  isTagged,
  ofRun: (result, tags) => ({ type: "counter", count: ofRun(result, tags), seconds: Result.seconds(result) }),
  ofWindows: (points) => ({ type: "counter", count: sum(points, ofWindow), seconds: spanOf(points) })
})

const clientTrend = (name: string, of: (client: Result.Client) => Histogram.Histogram): Metric => ({
  name,
  type: "trend",
  isTagged: false,
  ofRun: ({ client }) => trend(of(client))
})

const scenariosOf = ({ scenarios }: Result.Result, tags: Tags): ReadonlyArray<Result.ScenarioResult> =>
  scenarios.filter(({ name }) => tags["scenario"] === undefined || tags["scenario"] === name)

/** All metrics that there are. */
export const all: ReadonlyArray<Metric> = [
  ...Result.protocols.flatMap(ofProtocol),
  ...ofProtocol(undefined),
  {
    name: "checks",
    type: "rate",
    isTagged: false,
    ofRun: ({ checks }) =>
      rate(
        sum(checks, ({ passed }) => passed),
        sum(checks, ({ failed, passed }) => passed + failed)
      ),
    ofWindows: (points) =>
      rate(
        sum(points, ({ checksPassed }) => checksPassed),
        sum(points, ({ checksFailed, checksPassed }) => checksPassed + checksFailed)
      )
  },
  counter(
    "iterations",
    (result, tags) => sum(scenariosOf(result, tags), ({ iterations }) => iterations),
    ({ iterations }) => iterations,
    true
  ),
  counter(
    "dropped_iterations",
    (result, tags) => sum(scenariosOf(result, tags), ({ dropped }) => dropped),
    ({ dropped }) => dropped,
    true
  ),
  {
    name: "iteration_duration",
    type: "trend",
    isTagged: true,
    ofRun: (result, tags) => trend(Histogram.mergeAll(scenariosOf(result, tags).map(({ duration }) => duration)))
  },
  counter(
    "data_sent",
    (result, tags) => sum(stepsOf(result, undefined, tags), ({ bytesOut }) => bytesOut),
    ({ bytesOut }) => bytesOut,
    true
  ),
  counter(
    "data_received",
    (result, tags) => sum(stepsOf(result, undefined, tags), ({ bytesIn }) => bytesIn),
    ({ bytesIn }) => bytesIn,
    true
  ),
  counter(
    "connections_opened",
    ({ opened }) => opened,
    ({ opened }) => opened
  ),
  {
    name: "connections_reused",
    type: "rate",
    isTagged: false,
    ofRun: ({ opened, reused }) => rate(reused, opened + reused),
    ofWindows: (points) =>
      rate(
        sum(points, ({ reused }) => reused),
        sum(points, ({ opened, reused }) => opened + reused)
      )
  },
  {
    name: "arrivals_met",
    type: "rate",
    isTagged: false,
    ofRun: ({ windows }) => met(windows),
    ofWindows: (points) => met(points)
  },
  {
    name: "vus",
    type: "gauge",
    isTagged: false,
    ofRun: ({ windows, windowSeconds }) => ({ type: "gauge", value: mostUsers(windows, windowSeconds) }),
    ofWindows: (points) => ({ type: "gauge", value: mostUsers(points, 1) })
  },
  clientTrend("loop_delay", ({ loopDelay }) => loopDelay),
  clientTrend("send_delay", ({ sendDelay }) => sendDelay),
  clientTrend("arrival_gap", ({ gaps }) => gaps)
]

/** The share of planned arrivals that were begun, and not dropped. */
const met = (windows: ReadonlyArray<Result.Window>): Sample => {
  const planned = sum(windows, (window) => window.planned)
  return rate(Math.max(0, planned - sum(windows, ({ dropped }) => dropped)), planned)
}

const mostUsers = (windows: ReadonlyArray<Result.Window>, width: number): number =>
  windows.reduce((most, { userSeconds }) => Math.max(most, userSeconds / width), 0)

const named: ReadonlyMap<string, Metric> = new Map(all.map((metric) => [metric.name, metric]))

export const find = (name: string): Metric | undefined => named.get(name)
