/**
 * The model servers as the pipeline sees them: a question in, an answer or a
 * typed failure out.
 *
 * A call waits for one of the permits for model calls, and only then does its
 * time begin to run: a long queue makes an answer late, but never makes it fail.
 *
 * @module
 */
import { HttpPool } from "@sluice/http-pool"
import { Context, Data, type Duration, Effect, Layer, Option, Schema } from "effect"
import { HttpBody, HttpClient, type HttpClientError, HttpClientRequest } from "effect/http"
import { Limits } from "./Limits.ts"
import type { Request } from "./Prompt.ts"
import { Telemetry } from "./Telemetry.ts"

/** The model server cannot be reached, or says that it cannot answer. */
export class ModelUnavailable extends Data.TaggedError("ModelUnavailable")<{
  readonly model: string
  readonly reason: string
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
  readonly health: Effect.Effect<ModelHealth>
}

export const Models: Context.Service<ModelsApi, ModelsApi> = Context.Service<ModelsApi>("fir-pipeline/Models")

const Answer = Schema.Struct({ result: Schema.String })
const Health = Schema.Struct({ status: Schema.String, message: Schema.optionalKey(Schema.String) })
const HEALTH_TIMEOUT: Duration.Input = "3 seconds"

const reasonOf = (error: HttpClientError.HttpClientError): string =>
  Option.match(HttpPool.poolError(error), { onNone: () => error.message, onSome: ({ message }) => message })

/** A client of the seed interface: `/inference`, `/health`. */
export const layer = (url: string) =>
  Layer.effect(
    Models,
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const limits = yield* Limits
      const telemetry = yield* Telemetry
      const infer = Effect.fn("Models.infer")(function* (request: Request, timeoutSeconds: number) {
        const call = Effect.scoped(
          Effect.gen(function* () {
            const response = yield* client.execute(
              HttpClientRequest.post(`${url}/inference`, {
                body: HttpBody.jsonUnsafe({
                  model_name: request.model,
                  prompt: request.prompt,
                  max_tokens: request.maxTokens,
                  temperature: request.temperature
                })
              })
            )
            if (response.status !== 200) {
              return yield* new ModelUnavailable({
                model: request.model,
                reason: `it answered with status ${response.status}`
              })
            }
            return (yield* Effect.flatMap(response.json, Schema.decodeUnknownEffect(Answer))).result
          })
        ).pipe(
          Effect.catchTag("HttpClientError", (error) =>
            Effect.fail(new ModelUnavailable({ model: request.model, reason: reasonOf(error) }))
          ),
          Effect.catchTag("SchemaError", () =>
            Effect.fail(new ModelUnavailable({ model: request.model, reason: "its answer has no `result`" }))
          ),
          Effect.timeoutOrElse({
            duration: `${timeoutSeconds} seconds`,
            orElse: () => Effect.fail(new ModelTimeout({ model: request.model, seconds: timeoutSeconds }))
          })
        )
        return yield* telemetry.modelCall(request.model, limits.modelCall(call))
      })
      const health = Effect.scoped(
        Effect.gen(function* () {
          const response = yield* client.get(`${url}/health`)
          const body = yield* Effect.flatMap(response.json, Schema.decodeUnknownEffect(Health))
          return { status: body.status, message: body.message ?? "" }
        })
      ).pipe(
        Effect.timeout(HEALTH_TIMEOUT),
        Effect.catch((error) => Effect.succeed({ status: "unavailable", message: error.message }))
      )
      return { infer, health }
    })
  )
