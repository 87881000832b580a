/**
 * What the server counts and times.
 *
 * @module
 */
import { Context, Effect, Layer } from "effect"

export interface TelemetryApi {
  modelCall<A, E, R>(model: string, call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R>
  step<A, E, R>(step: string, work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R>
  readonly prometheus: Effect.Effect<string>
}
export const Telemetry: Context.Service<TelemetryApi, TelemetryApi> =
  Context.Service<TelemetryApi>("fir-pipeline/Telemetry")
export const layer: Layer.Layer<TelemetryApi> = Layer.succeed(Telemetry, {
  modelCall: (_model, call) => call,
  step: (_step, work) => work,
  prometheus: Effect.succeed("")
})
