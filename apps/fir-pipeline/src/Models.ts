/**
 * The model servers as the pipeline sees them: a question, an image or a recording
 * in, a text or a typed failure out.
 *
 * @module
 */
import { Context, Data, type Duration, type Effect } from "effect"
import type { Request } from "./Prompt.ts"
import type { Upload } from "./Uploads.ts"

/** The model server cannot be reached, or says that it cannot answer. */
export class ModelUnavailable extends Data.TaggedError("ModelUnavailable")<{
  readonly model: string
  readonly reason: string
  /** Whether the same question may be answered a moment later. */
  readonly passing: boolean
  /** How long the server asks to be left alone. */
  readonly retryAfter?: Duration.Duration | undefined
}> {
  override get message(): string {
    return `Cannot ask the model ${this.model}: ${this.reason}`
  }
}

/** The model worked for longer than it may. */
export class ModelTimeout extends Data.TaggedError("ModelTimeout")<{
  readonly model: string
  readonly seconds: number
}> {
  override get message(): string {
    return `The model ${this.model} did not answer within ${this.seconds} seconds of work`
  }
}

export type ModelError = ModelUnavailable | ModelTimeout

export interface ModelHealth {
  readonly status: string
  readonly message: string
}

export interface ModelsApi {
  infer(request: Request, timeoutSeconds: number): Effect.Effect<string, ModelError>
  /** What is said in a recording. */
  transcribe(recording: Upload): Effect.Effect<string, ModelError>
  /** What is written in an image. */
  read(image: Upload): Effect.Effect<string, ModelError>
  readonly health: Effect.Effect<ModelHealth>
  readonly asrOcrHealth: Effect.Effect<ModelHealth>
}

export const Models: Context.Service<ModelsApi, ModelsApi> = Context.Service<ModelsApi>("fir-pipeline/Models")
