/**
 * How much one process does at once of what is scarce: language model calls,
 * items of batches, files.
 *
 * @module
 */
import { Bulkhead, KeyedSemaphore, Semaphore } from "@sluice/semaphore"
import { Context, Effect, Layer } from "effect"

export interface LimitsApi {
  /** Questions to the language model, those answered by rules among them. */
  readonly llm: Bulkhead.Bulkhead
  /** Items of batches, over all batches; the batches take turns. */
  readonly batch: KeyedSemaphore.KeyedSemaphore<string>
  readonly files: Semaphore.Semaphore
}

export const Limits: Context.Service<LimitsApi, LimitsApi> = Context.Service<LimitsApi>("credentialing/Limits")

export interface Options {
  readonly llmRequests: number
  readonly batchItems: number
  readonly fileOperations: number
}

/** Whoever asks waits for no longer than one waits before a screen. */
const LLM_QUEUE = { maxWaiting: 200, maxWait: "30 seconds" } as const

export const layer = (options: Options): Layer.Layer<LimitsApi> =>
  Layer.effect(
    Limits,
    Effect.gen(function* () {
      return {
        llm: yield* Bulkhead.make({ permits: options.llmRequests, ...LLM_QUEUE }),
        batch: yield* KeyedSemaphore.make<string>({ permits: options.batchItems, permitsPerKey: options.batchItems }),
        files: yield* Semaphore.make(options.fileOperations)
      }
    })
  )
