/**
 * What the server counts and times, for `/prometheus/metrics`.
 *
 * @module
 */
import { Exposition, Registry } from "@sluice/metrics"
import { Runtime } from "@sluice/metrics/runtime"
import { Context, Effect, Exit, Layer } from "effect"
import { Limits } from "./Limits.ts"

export interface TelemetryApi {
  /** Counts and times a call of a model, with the time it waited for its permit. */
  modelCall<A, E, R>(model: string, call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R>
  /** Counts and times what a step takes, from the officer's answer to ours. */
  step<A, E, R>(step: string, work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R>
  /** Counts a request that was refused by the rate limit. */
  readonly limited: Effect.Effect<void>
  readonly prometheus: Effect.Effect<string>
}

export const Telemetry: Context.Service<TelemetryApi, TelemetryApi> =
  Context.Service<TelemetryApi>("fir-pipeline/Telemetry")

const outcome = (exit: Exit.Exit<unknown, unknown>): string => (Exit.isSuccess(exit) ? "done" : "failed")

export const layer = Layer.effect(
  Telemetry,
  Effect.gen(function* () {
    const limits = yield* Limits
    const registry = yield* Registry.make({ namespace: "fir" })
    yield* Runtime.register(registry)
    const modelSeconds = registry.histogram({
      name: "model_call_seconds",
      help: "Time of a model call, waiting included",
      labels: ["model"]
    })
    const modelCalls = registry.counter({
      name: "model_calls_total",
      help: "Model calls by how they ended",
      labels: ["model", "outcome"]
    })
    const stepSeconds = registry.histogram({
      name: "step_seconds",
      help: "Time from the officer's answer to the next step, waiting included",
      labels: ["step"]
    })
    const steps = registry.counter({
      name: "steps_total",
      help: "Answers to steps by how they ended",
      labels: ["step", "outcome"]
    })
    const limited = registry.counter({ name: "rate_limited_total", help: "Requests refused by the rate limit" }).bind()
    const ofPermits = (name: string, help: string, figure: "capacity" | "held" | "waiting") =>
      registry.gaugeFrom({ name, help, labels: ["of"] }, () => {
        const { modelCalls, reports } = limits.stats()
        return [
          [{ of: "reports" }, reports[figure]],
          [{ of: "model_calls" }, modelCalls[figure]]
        ]
      })
    ofPermits("permits_capacity", "Permits that exist", "capacity")
    ofPermits("permits_held", "Permits in use", "held")
    ofPermits("permits_waiting", "Those who wait for a permit", "waiting")
    return {
      modelCall: (model, call) =>
        modelSeconds
          .bind({ model })
          .timed(call)
          .pipe(Effect.onExit((exit) => modelCalls.bind({ model, outcome: outcome(exit) }).increment)),
      step: (step, work) =>
        stepSeconds
          .bind({ step })
          .timed(work)
          .pipe(Effect.onExit((exit) => steps.bind({ step, outcome: outcome(exit) }).increment)),
      limited: limited.increment,
      prometheus: Effect.sync(() => Exposition.prometheusText(registry))
    }
  })
)
