/**
 * A result as metrics of `@sluice/metrics`, for whoever scrapes them or takes them pushed.
 *
 * Durations are microseconds, since the buckets of a histogram are exact in their own unit alone.
 *
 * @module
 */
import { Exposition, Registry, type Snapshots } from "@sluice/metrics"
import * as Histogram from "../results/Histogram.ts"
import * as Result from "../results/Result.ts"

/** From 16 µs to 67 s: where the text of Prometheus counts. */
const bounds: ReadonlyArray<number> = Array.from({ length: 23 }, (_, index) => 2 ** (index + 4))

type Snapshot = Snapshots.MetricSnapshot
type Labelled<A> = readonly [labels: Snapshots.Labels, value: A]

const series = <A>(all: ReadonlyArray<Labelled<A>>): ReadonlyArray<Snapshots.SeriesSnapshot<A>> =>
  all.map(([labels, value]) => ({ labels, value }))

const counter = (name: string, help: string, all: ReadonlyArray<Labelled<number>>): Snapshot => ({
  type: "counter",
  name: `sluice_load_${name}_total`,
  help,
  series: series(all)
})

const gauge = (name: string, help: string, value: number): Snapshot => ({
  type: "gauge",
  aggregation: "sum",
  name: `sluice_load_${name}`,
  help,
  series: series([[{}, value]])
})

const histogram = (name: string, help: string, all: ReadonlyArray<Labelled<Histogram.Histogram>>): Snapshot => ({
  type: "histogram",
  name: `sluice_load_${name}_micros`,
  help,
  bounds,
  series: series(
    all
      .filter(([, value]) => value.count > 0)
      .map(([labels, value]): Labelled<Snapshots.HistogramSnapshot> => [labels, Histogram.toSnapshot(value)])
  )
})

const labelsOf = ({ group, name, protocol, scenario }: Result.StepResult): Snapshots.Labels => ({
  scenario,
  group,
  step: name,
  protocol
})

/** Users in the last second that is known. */
const usersOf = ({ windowSeconds, windows }: Result.Result): number =>
  (windows.at(-1)?.userSeconds ?? 0) / windowSeconds

/** All metrics of a result. O(steps × buckets). */
export const snapshots = (result: Result.Result): ReadonlyArray<Snapshot> => {
  const { steps } = result
  const each = <A>(of: (step: Result.StepResult) => A): ReadonlyArray<Labelled<A>> =>
    steps.map((step) => [labelsOf(step), of(step)])
  const counts = (label: string, of: (step: Result.StepResult) => ReadonlyArray<Result.Count>) =>
    steps.flatMap((step) =>
      of(step).map(([name, count]): Labelled<number> => [{ ...labelsOf(step), [label]: name }, count])
    )
  const scenarios = (of: (scenario: Result.ScenarioResult) => number) =>
    result.scenarios.map((scenario): Labelled<number> => [{ scenario: scenario.name }, of(scenario)])
  return [
    counter(
      "requests",
      "Requests that ended.",
      each(({ requests }) => requests)
    ),
    counter(
      "requests_failed",
      "Requests that failed.",
      each(({ failed }) => failed)
    ),
    counter(
      "responses",
      "Answers, by status.",
      counts("status", ({ statuses }) => statuses)
    ),
    counter(
      "errors",
      "Failures, by kind.",
      counts("kind", ({ errors }) => errors)
    ),
    counter(
      "sent_bytes",
      "Bytes sent.",
      each(({ bytesOut }) => bytesOut)
    ),
    counter(
      "received_bytes",
      "Bytes received.",
      each(({ bytesIn }) => bytesIn)
    ),
    counter(
      "iterations",
      "Iterations that ended.",
      scenarios(({ iterations }) => iterations)
    ),
    counter(
      "iterations_dropped",
      "Iterations that were planned and not begun.",
      scenarios(({ dropped }) => dropped)
    ),
    counter(
      "checks",
      "Checks, by outcome.",
      result.checks.flatMap(
        ({ failed, name, passed }): ReadonlyArray<Labelled<number>> => [
          [{ check: name, outcome: "passed" }, passed],
          [{ check: name, outcome: "failed" }, failed]
        ]
      )
    ),
    counter("connections", "Connections that requests got.", [
      [{ kind: "opened" }, result.opened],
      [{ kind: "reused" }, result.reused]
    ]),
    counter("sends_late", "Sends that were more than a millisecond late.", [[{}, result.client.late]]),
    gauge("users", "Users that are active.", usersOf(result)),
    histogram(
      "request_duration",
      "From the planned time to the end.",
      each(({ latency }) => latency)
    ),
    histogram(
      "request_service",
      "From the time at which it was sent to the end.",
      each(({ service }) => service)
    ),
    histogram(
      "request_phase",
      "The parts of a request.",
      steps.flatMap((step) =>
        Result.phases.map((phase): Labelled<Histogram.Histogram> => [{ ...labelsOf(step), phase }, step.phases[phase]])
      )
    ),
    histogram("loop_delay", "How late the tester's event loop ran.", [[{}, result.client.loopDelay]]),
    histogram("send_delay", "How late the tester sent.", [[{}, result.client.sendDelay]])
  ].filter((snapshot) => snapshot.series.length > 0)
}

/** A registry that shows a result, as it is at each reading. */
export const registry = (read: () => Result.Result): Registry.Registry => {
  const made = Registry.makeUnsafe()
  made.include(() => snapshots(read()))
  return made
}

/** A result in the text format of Prometheus. */
export const text = (result: Result.Result): string => Exposition.prometheusText(registry(() => result))
