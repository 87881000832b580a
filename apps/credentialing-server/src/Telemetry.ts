/**
 * What the server counts and times.
 *
 * @module
 */
import { Registry } from "@sluice/metrics"
import { Runtime } from "@sluice/metrics/runtime"
import { Context, Effect, Exit, Layer } from "effect"
import { DECISIONS, type Decision } from "./Outcome.ts"

export interface TelemetryApi {
  readonly registry: Registry.Registry
  /** Times what credentials a provider. */
  credentialing<A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R>
  decided(decision: Decision): Effect.Effect<void>
  /** Counts an item of a batch that has its outcome. */
  item(outcome: "done" | "failed"): Effect.Effect<void>
  /** Counts and times what answers a question. */
  chat<A, E, R>(source: "model" | "rules", work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R>
}

export const Telemetry: Context.Service<TelemetryApi, TelemetryApi> =
  Context.Service<TelemetryApi>("credentialing/Telemetry")

export const layer: Layer.Layer<TelemetryApi> = Layer.effect(
  Telemetry,
  Effect.gen(function* () {
    const registry = yield* Registry.make({ namespace: "credentialing" })
    yield* Runtime.register(registry)
    const seconds = registry
      .timer({ name: "provider_seconds", help: "Time to credential a provider, all checks included" })
      .bind()
    const decisions = registry.counter({
      name: "decisions_total",
      help: "Providers credentialed, by what was decided",
      labels: ["decision"]
    })
    const decided = new Map(DECISIONS.map((decision) => [decision, decisions.bind({ decision })]))
    const items = registry.counter({
      name: "batch_items_total",
      help: "Items of batches that have their outcome",
      labels: ["outcome"]
    })
    const answers = registry.counter({
      name: "chat_answers_total",
      help: "Questions answered, by what answered them and how it ended",
      labels: ["source", "outcome"]
    })
    const answerSeconds = registry.timer({
      name: "chat_seconds",
      help: "Time from a question to the last word of its answer",
      labels: ["source"]
    })
    return {
      registry,
      credentialing: (work) => seconds.timed(work),
      decided: (decision) => decided.get(decision)?.increment ?? Effect.void,
      item: (outcome) => items.bind({ outcome }).increment,
      chat: (source, work) =>
        answerSeconds
          .bind({ source })
          .timed(work)
          .pipe(
            Effect.onExit(
              (exit) => answers.bind({ source, outcome: Exit.isSuccess(exit) ? "done" : "failed" }).increment
            )
          )
    }
  })
)
