/**
 * Runs a plan, or a share of it, in this thread.
 *
 * @module
 */
import { Effect } from "effect"
import { limited, planned, replayed, type Share, shared, whole } from "../engine/Arrivals.ts"
import { type Load, mostInFlight, type Scenario } from "../engine/Load.ts"
import * as Run from "../engine/Run.ts"
import { secondsOf } from "../engine/Shape.ts"
import * as Timing from "../engine/Timing.ts"
import { emptySample } from "../protocols/Exchange.ts"
import { Network } from "../protocols/Network.ts"
import * as Recorder from "../results/Recorder.ts"
import type { Result } from "../results/Result.ts"
import * as TargetWork from "../scenarios/TargetWork.ts"
import type { LoadPlan, Plan } from "./Plan.ts"

/** What a run came to. */
export interface Outcome {
  readonly result: Result
  readonly ending: Run.Ending
}

/** A run that is under way, to those who look at it. */
export interface View {
  /** What it has come to until now; some milliseconds of work. */
  readonly result: () => Result
  /** Begins nothing more, and ends when what is under way has. */
  readonly stop: (reason: string) => void
}

export interface Options {
  readonly share?: Share
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
      const all = planned(load.rate, { spacing: load.spacing, seed })
      const most = load.iterations === undefined ? all : limited(all, load.iterations)
      return {
        model: "open",
        arrivals: shared(most, share),
        seconds: secondsOf(load.rate),
        maxInFlight: load.maxInFlight
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

/** Runs a share of a plan, or all of it. An interruption cuts it. */
export const execute = (plan: Plan, options: Options = {}): Effect.Effect<Outcome> =>
  Effect.suspend(() => {
    const { share = whole } = options
    const startAtMillis = options.startAtMillis ?? Date.now()
    const timing = Timing.real(performance.now() + (startAtMillis - Date.now()))
    const recorder = Recorder.make({ name: plan.name, startedAtMillis: startAtMillis, live: options.live })
    const context = { recorder, now: timing.now, sample: emptySample() }
    const { http } = plan
    const isExpected = (status: number): boolean => http.expected.some(([from, to]) => status >= from && status <= to)
    const scenarios = plan.scenarios.map(({ load: loadPlan, name, source, startAfterSeconds }, index): Scenario => {
      const load = loadOf(loadPlan, share, plan.seed + index)
      const network = new Network(
        {
          connections: load.model === "closed" ? Math.max(1, mostInFlight(load)) : http.connections,
          keepAlive: http.keepAlive,
          http2: http.http2,
          timeoutMicros: http.timeoutSeconds * 1e6,
          connectTimeoutMicros: http.connectTimeoutSeconds * 1e6,
          insecure: http.insecure,
          isExpected
        },
        context
      )
      return {
        name,
        load,
        share,
        startAfterSeconds,
        work: TargetWork.make({ scenario: name, targets: source.targets, network, recorder })
      }
    })
    return Effect.callback<Outcome>((resume) => {
      const handle = Run.start({
        scenarios,
        timing,
        recorder,
        gracefulStopSeconds: plan.gracefulStopSeconds,
        abortBelow: plan.abortBelow
      })
      const view: View = { result: () => recorder.result(timing.now()), stop: handle.stop }
      const { begun, watch } = options
      begun?.(view)
      const watcher = watch === undefined ? undefined : setInterval(() => watch(view), 1000)
      void handle.done.then((ending) => {
        clearInterval(watcher)
        resume(Effect.succeed({ result: view.result(), ending }))
      })
      return Effect.sync(() => {
        clearInterval(watcher)
        handle.cut()
      })
    })
  })
