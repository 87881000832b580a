/**
 * How much the server does at once: so many reports, so many model calls.
 *
 * @module
 */
import { Bulkhead, Semaphore } from "@sluice/semaphore"
import { Context, Data, Effect, Layer } from "effect"

/** More reports wait than may. */
export class Overloaded extends Data.TaggedError("Overloaded")<{ readonly waiting: number }> {}

export interface LimitsApi {
  /** Runs a step of a report when one of the places for reports is free. */
  report<A, E, R>(step: Effect.Effect<A, E, R>): Effect.Effect<A, E | Overloaded, R>
  /** Runs a model call when one of the permits for model calls is free. */
  modelCall<A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R>
  readonly stats: () => {
    readonly reports: Semaphore.Stats
    readonly modelCalls: Semaphore.Stats
  }
}

export const Limits: Context.Service<LimitsApi, LimitsApi> = Context.Service<LimitsApi>("fir-pipeline/Limits")

export const layer = (options: {
  readonly reports: number
  readonly waitingReports: number
  readonly modelCalls: number
}): Layer.Layer<LimitsApi> =>
  Layer.effect(
    Limits,
    Effect.gen(function* () {
      const reports = yield* Bulkhead.make({ permits: options.reports, maxWaiting: options.waitingReports })
      const modelCalls = yield* Semaphore.make(options.modelCalls)
      return {
        report: <A, E, R>(step: Effect.Effect<A, E, R>) =>
          Effect.mapError(reports.withPermit(step), (error): E | Overloaded =>
            error instanceof Bulkhead.BulkheadFull || error instanceof Bulkhead.BulkheadTimeout
              ? new Overloaded({ waiting: reports.statsUnsafe().waiting })
              : error
          ),
        modelCall: (call) => modelCalls.withPermit(call),
        stats: () => ({ reports: reports.statsUnsafe(), modelCalls: modelCalls.statsUnsafe() })
      }
    })
  )
