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
import { Backoff, Retry, RetryAfter } from "@sluice/retry"
import { Clock, Context, Data, type Duration, Effect, Layer, Option, Schema } from "effect"
import { HttpBody, HttpClient, type HttpClientError, HttpClientRequest } from "effect/http"
import { Breaker } from "./Breaker.ts"
import { Limits } from "./Limits.ts"
import type { Request } from "./Prompt.ts"
import { Telemetry } from "./Telemetry.ts"

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
  readonly health: Effect.Effect<ModelHealth>
}

export const Models: Context.Service<ModelsApi, ModelsApi> = Context.Service<ModelsApi>("fir-pipeline/Models")

const Answer = Schema.Struct({ result: Schema.String })
const decodeAnswer = Schema.decodeUnknownEffect(Answer)
const Health = Schema.Struct({ status: Schema.String, message: Schema.optionalKey(Schema.String) })
const decodeHealth = Schema.decodeUnknownEffect(Health)
const HEALTH_TIMEOUT: Duration.Input = "3 seconds"

const reasonOf = (error: HttpClientError.HttpClientError): string =>
  Option.match(HttpPool.poolError(error), { onNone: () => error.message, onSome: ({ message }) => message })

const unavailable = (model: string, reason: string, passing: boolean, retryAfter?: Duration.Duration) =>
  new ModelUnavailable({ model, reason, passing, retryAfter })

const isFault = (error: ModelError): boolean => error._tag === "ModelTimeout" || error.passing

/** How often a question is asked in all. */
export const ATTEMPTS = 3

// A question changes nothing at the server, so it may be asked again. An answer that
// took too long is not waited for again: the officer waits already.
const again = Retry.retry<ModelError>({
  maxAttempts: ATTEMPTS,
  backoff: Backoff.exponential({ base: "1 second", cap: "10 seconds", jitter: "full" }),
  while: (error) => error._tag === "ModelUnavailable" && error.passing,
  retryAfter: (error) => (error._tag === "ModelUnavailable" ? error.retryAfter : undefined),
  maxRetryAfter: "10 seconds"
})

/** A client of a server that speaks `/inference` and `/health`. */
export const layer = (url: string) =>
  Layer.effect(
    Models,
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const limits = yield* Limits
      const telemetry = yield* Telemetry
      const breaker = yield* Breaker

      const ask = Effect.fnUntraced(function* (request: Request) {
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
          const now = yield* Clock.currentTimeMillis
          const wait = RetryAfter.parse(response.headers["retry-after"] ?? "", now)
          return yield* unavailable(
            request.model,
            `it answered with status ${response.status}`,
            response.status === 429 || response.status >= 500,
            Option.getOrUndefined(wait)
          )
        }
        return (yield* Effect.flatMap(response.json, decodeAnswer)).result
      })

      const infer = Effect.fn("Models.infer")((request: Request, timeoutSeconds: number) =>
        Effect.scoped(ask(request)).pipe(
          Effect.catchTags({
            HttpClientError: (error) => Effect.fail(unavailable(request.model, reasonOf(error), true)),
            SchemaError: () => Effect.fail(unavailable(request.model, "its answer has no `result`", false))
          }),
          Effect.timeoutOrElse({
            duration: `${timeoutSeconds} seconds`,
            orElse: () => Effect.fail(new ModelTimeout({ model: request.model, seconds: timeoutSeconds }))
          }),
          (attempt) => breaker.guard(attempt, isFault),
          Effect.catchTag("Resting", ({ retryAfter }) =>
            Effect.fail(
              unavailable(request.model, "the model server keeps failing and is left to recover", true, retryAfter)
            )
          ),
          (attempt) => telemetry.modelCall(request.model, limits.modelCall(attempt)),
          again
        )
      )

      const health = Effect.scoped(
        Effect.gen(function* () {
          const response = yield* client.get(`${url}/health`)
          const body = yield* Effect.flatMap(response.json, decodeHealth)
          return { status: body.status, message: body.message ?? "" }
        })
      ).pipe(
        Effect.timeout(HEALTH_TIMEOUT),
        Effect.catch((error) => Effect.succeed({ status: "unavailable", message: error.message }))
      )
      return { infer, health }
    })
  )
