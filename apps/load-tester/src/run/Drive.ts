/**
 * Runs a plan: in this thread, or on several.
 *
 * @module
 */
import { Effect, type Scope } from "effect"
import { type Share, whole } from "../engine/Arrivals.ts"
import type { BadScenario } from "../scenarios/ModuleFile.ts"
import { type Options, type Outcome, prepare, run, type SetUpFailed } from "./Execute.ts"
import type { Plan } from "./Plan.ts"
import * as Workers from "./Workers.ts"

export interface DriveOptions extends Options {
  readonly share?: Share
  /** Threads that share the load. Default 1: this one. */
  readonly workers?: number
}

export type DriveFailed = BadScenario | SetUpFailed | Workers.WorkerFailed

/** A plan that is ready to run, with its files loaded and its set-up done. */
export type Ready = (options: Options) => Effect.Effect<Outcome, Workers.WorkerFailed>

/** Makes a share of a plan ready; `tells` says whether a view of it is wanted while it runs. */
export const ready = (
  plan: Plan,
  { share = whole, tells, workers = 1 }: { readonly share?: Share; readonly workers?: number; readonly tells: boolean }
): Effect.Effect<Ready, DriveFailed, Scope.Scope> =>
  workers === 1
    ? Effect.map(
        prepare(plan, share),
        (prepared): Ready =>
          (options) =>
            run(prepared, options)
      )
    : Workers.start(plan, share, workers, tells)

/** Makes a plan ready, and runs it. */
export const drive = (plan: Plan, options: DriveOptions = {}): Effect.Effect<Outcome, DriveFailed> =>
  Effect.scoped(
    Effect.flatMap(ready(plan, { ...options, tells: options.watch !== undefined }), (begin) => begin(options))
  )
