/**
 * Runs a plan, or a share of it, in this thread.
 *
 * @module
 */
import { Data, Effect } from "effect"
import { limited, momentOf, planned, replayed, type Share, shared, whole } from "../engine/Arrivals.ts"
import { type Load, mostInFlight, type Scenario, type Work } from "../engine/Load.ts"
import * as Run from "../engine/Run.ts"
import { secondsOf } from "../engine/Shape.ts"
import * as Timing from "../engine/Timing.ts"
import { emptySample } from "../protocols/Exchange.ts"
import { Network, type NetworkOptions } from "../protocols/Network.ts"
import * as Recorder from "../results/Recorder.ts"
import type { Result } from "../results/Result.ts"
import { make as makeHttp } from "../scenarios/http.ts"
import * as ModuleFile from "../scenarios/ModuleFile.ts"
import * as ModuleWork from "../scenarios/ModuleWork.ts"
import type { Task } from "../scenarios/Scenario.ts"
import * as TargetWork from "../scenarios/TargetWork.ts"
import { promiseOf } from "../scenarios/task.ts"
import type { LoadPlan, Plan } from "./Plan.ts"
import type { SharedTotals } from "./SharedTotals.ts"

/** What a run came to. */
export interface Outcome {
  readonly result: Result
  readonly ending: Run.Ending
}

/** A run that is under way, to those who look at it. */
export interface View {
  /** What it has come to until now; some milliseconds of work. */
  readonly result: () => Result
  /** What all threads count together, where there are several; it can be read at any time, at little cost. */
  readonly totals: SharedTotals | undefined
  /** Begins nothing more, and ends when what is under way has. */
  readonly stop: (reason: string) => void
}

/** Milliseconds since 1970, with the fractions that `Date.now` leaves out, so that threads begin together. */
export const epochMillis = (): number => performance.timeOrigin + performance.now()

export interface Options {
  /** The moment, since 1970, at which the run begins; those before it are waited for. Default now. */
  readonly startAtMillis?: number
  readonly live?: Recorder.Live
  /** Called when the run is under way. The view answers even after the run was interrupted. */
  readonly begun?: (view: View) => void
  /** Called once a second while the run is under way. */
  readonly watch?: (view: View) => void
}

const loadOf = (load: LoadPlan, share: Share, seed: number): Load => {
  switch (load.model) {
    case "closed":
      return load
    case "open": {
      const { iterations = Number.POSITIVE_INFINITY, maxInFlight, rate, spacing } = load
      const plan = () => planned(rate, { spacing, seed })
      return {
        model: "open",
        arrivals: shared(limited(plan(), iterations), share),
        seconds: Math.min(secondsOf(rate), Number.isFinite(iterations) ? momentOf(plan(), iterations) / 1e6 : Infinity),
        maxInFlight
      }
    }
    case "replay":
      return {
        model: "open",
        arrivals: shared(replayed(load.moments), share),
        seconds: (load.moments.at(-1) ?? 0) / 1e6,
        maxInFlight: load.maxInFlight
      }
  }
}

/** A set-up of a scenario file came to nothing. */
export class SetUpFailed extends Data.TaggedError("@sluice/load-tester/SetUpFailed")<{ readonly message: string }> {}

interface ReadyFile {
  readonly loaded: ModuleFile.Loaded
  readonly shared: unknown
}

/** A share of a plan whose files are loaded and whose set-up is done. */
export interface Prepared {
  readonly plan: Plan
  readonly share: Share
  readonly files: ReadonlyMap<string, ReadyFile>
}

/** Connections of an open model at most, where nothing is said of them. */
const defaultConnections = 256

const networkOptions = ({ http }: Plan, atOnce: number): NetworkOptions => ({
  connections: http.connections ?? atOnce,
  sessions: http.connections ?? 1,
  keepAlive: http.keepAlive,
  http2: http.http2,
  timeoutMicros: http.timeoutSeconds * 1e6,
  connectTimeoutMicros: http.connectTimeoutSeconds * 1e6,
  insecure: http.insecure,
  isExpected: (status) => http.expected.some(([from, to]) => status >= from && status <= to)
})

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const perform = <A>(what: string, task: () => Task<A>): Effect.Effect<A, SetUpFailed> =>
  Effect.tryPromise({
    try: (signal) => promiseOf(task(), signal),
    catch: (cause) => new SetUpFailed({ message: `${what} failed: ${messageOf(cause)}` })
  })

/** Loads a plan's files and does their set-up, on connections of its own, of which nothing is recorded. */
export const prepare = Effect.fnUntraced(function* (plan: Plan, share: Share = whole) {
  const files = new Map<string, ReadyFile>()
  for (const { source } of plan.scenarios) {
    if (source.kind !== "module" || files.has(source.path)) continue
    const loaded = yield* ModuleFile.load(source.path)
    const { baseUrl, setUp, tearDown } = loaded.test
    const tools = Effect.acquireRelease(
      Effect.sync(() => {
        const recorder = Recorder.make({ startedAtMillis: Date.now() })
        const now = Timing.real().now
        const network = new Network(networkOptions(plan, 16), { recorder, now, sample: emptySample() })
        return {
          network,
          http: makeHttp({ network, baseUrl: plan.baseUrl ?? baseUrl, step: () => 0, scheduledAt: now, counts: false })
        }
      }),
      ({ network }) => Effect.sync(() => network.close())
    )
    const shared =
      setUp === undefined
        ? undefined
        : yield* Effect.scoped(
            Effect.flatMap(tools, ({ http }) => perform(`The set-up of ${source.path}`, () => setUp({ http })))
          )
    files.set(source.path, { loaded, shared })
    if (tearDown !== undefined) {
      yield* Effect.addFinalizer(() =>
        Effect.scoped(
          Effect.flatMap(tools, ({ http }) =>
            perform(`The tear-down of ${source.path}`, () => tearDown(shared, { http }))
          )
        ).pipe(Effect.catch(({ message }) => Effect.sync(() => console.error(message))))
      )
    }
  }
  const prepared: Prepared = { plan, share, files }
  return prepared
})

/** Different complaints that are told; the rest is counted alone. */
const mostComplaints = 10

const makeComplain = () => {
  const told = new Set<string>()
  return (scenario: string, error: unknown): void => {
    const text = `${scenario}: ${messageOf(error)}`
    if (told.size >= mostComplaints || told.has(text)) return
    told.add(text)
    console.error(text)
  }
}

/** Runs what was prepared. An interruption cuts it. */
export const run = ({ files, plan, share }: Prepared, options: Options = {}): Effect.Effect<Outcome> =>
  Effect.suspend(() => {
    const startAtMillis = options.startAtMillis ?? epochMillis()
    const timing = Timing.real(startAtMillis - performance.timeOrigin)
    const recorder = Recorder.make({ name: plan.name, startedAtMillis: startAtMillis, live: options.live })
    const context = { recorder, now: timing.now, sample: emptySample() }
    const complain = makeComplain()
    const scenarios = plan.scenarios.map(({ load: loadPlan, name, source, startAfterSeconds }, index): Scenario => {
      const load = loadOf(loadPlan, share, plan.seed + index)
      const atOnce = load.model === "closed" ? Math.max(1, mostInFlight(load)) : defaultConnections
      const network = new Network(networkOptions(plan, atOnce), context)
      const work = (): Work => {
        if (source.kind === "targets") {
          return TargetWork.make({ scenario: name, targets: source.targets, network, recorder })
        }
        const file = files.get(source.path)
        if (file === undefined) throw new RangeError(`Cannot run ${source.path}: it was not prepared`)
        return ModuleWork.make({
          ...file,
          names: source.names,
          baseUrl: plan.baseUrl,
          network,
          recorder,
          now: timing.now,
          share,
          seed: plan.seed,
          complain
        })
      }
      return { name, load, share, startAfterSeconds, work: work() }
    })
    return Effect.callback<Outcome>((resume) => {
      const handle = Run.start({
        scenarios,
        timing,
        recorder,
        gracefulStopSeconds: plan.gracefulStopSeconds,
        abortBelow: plan.abortBelow
      })
      let atInterruption: Result | undefined
      const view: View = {
        result: () => atInterruption ?? recorder.result(timing.now()),
        totals: undefined,
        stop: handle.stop
      }
      const { begun, watch } = options
      begun?.(view)
      const watcher = watch === undefined ? undefined : setInterval(() => watch(view), 1000)
      void handle.done.then((ending) => {
        clearInterval(watcher)
        resume(Effect.succeed({ result: view.result(), ending }))
      })
      return Effect.sync(() => {
        clearInterval(watcher)
        // What is cut now has not failed: it is as if it had never been asked.
        atInterruption = recorder.result(timing.now())
        handle.cut()
      })
    })
  })
