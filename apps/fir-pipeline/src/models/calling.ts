// How a model server is called, whatever it speaks: when there is a permit, for so
// long and no longer, again where that may help and the budget allows it, and not at
// all while it keeps failing.
//
// A call waits for one of the permits for model calls, and only then does its time
// begin to run: a long queue makes an answer late, but never makes it fail.
import { HttpPool } from "@sluice/http-pool"
import { Backoff, Deadline, Hedge, Retry, RetryAfter, RetryBudget } from "@sluice/retry"
import { Clock, type Duration, Effect, Option, Schema } from "effect"
import { HttpClient, type HttpClientError, HttpClientRequest } from "effect/http"
import { Breaker, type ServerName } from "../Breaker.ts"
import { Limits } from "../Limits.ts"
import { type ModelError, type ModelHealth, ModelTimeout, ModelUnavailable } from "../Models.ts"
import { Telemetry } from "../Telemetry.ts"

/** How often a question is asked in all. */
export const ATTEMPTS = 3

const HEALTH_WITHIN: Duration.Input = "3 seconds"

export interface Call<A> {
  /** The model, for people and figures. */
  readonly model: string
  readonly timeoutSeconds: number
  readonly request: HttpClientRequest.HttpClientRequest
  readonly answer: Schema.Codec<A, unknown>
}

export interface Calling {
  call<A>(call: Call<A>): Effect.Effect<A, ModelError>
  /** The same ways for work that is not a request: `work` has the call's time. */
  work<A>(model: string, timeoutSeconds: number, work: Effect.Effect<A, ModelError>): Effect.Effect<A, ModelError>
  health<A>(
    request: HttpClientRequest.HttpClientRequest,
    answer: Schema.Codec<A, unknown>,
    toHealth: (answer: A) => ModelHealth
  ): Effect.Effect<ModelHealth>
}

export interface Options {
  readonly server: ServerName
  /** The shortest and the longest time between two attempts. */
  readonly backoff: { readonly base: Duration.Input; readonly cap: Duration.Input }
  /** After how long a second copy of a call is sent; 0 for never. */
  readonly hedgeSeconds: number
}

const reasonOf = (error: HttpClientError.HttpClientError): string =>
  Option.match(HttpPool.poolError(error), { onNone: () => error.message, onSome: ({ message }) => message })

const isFault = (error: ModelError): boolean => error._tag === "ModelTimeout" || error.passing

export const makeCalling = Effect.fnUntraced(function* ({ backoff, hedgeSeconds, server }: Options) {
  const client = yield* HttpClient.HttpClient
  const limits = yield* Limits
  const telemetry = yield* Telemetry
  const breaker = (yield* Breaker).of(server)
  const budget = yield* RetryBudget.make()

  // A question changes nothing at the server, so it may be asked again. An answer that
  // took too long is not waited for again: the officer waits already.
  const again = Retry.retry<ModelError>({
    maxAttempts: ATTEMPTS,
    backoff: Backoff.exponential({ ...backoff, jitter: "full" }),
    while: (error) => error._tag === "ModelUnavailable" && error.passing,
    retryAfter: (error) => (error._tag === "ModelUnavailable" ? error.retryAfter : undefined),
    maxRetryAfter: "10 seconds",
    budget
  })
  const hedged =
    hedgeSeconds === 0
      ? <A, E, R>(self: Effect.Effect<A, E, R>) => self
      : Hedge.hedge({ idempotent: true, delay: `${hedgeSeconds} seconds`, budget })

  const guarded = <A>(model: string, timeoutSeconds: number, work: Effect.Effect<A, ModelError>) =>
    work.pipe(
      Deadline.within(`${timeoutSeconds} seconds`),
      Effect.catchTag("@sluice/retry/DeadlineExceeded", () =>
        Effect.fail(new ModelTimeout({ model, seconds: timeoutSeconds }))
      ),
      (attempt) => breaker.guard(attempt, isFault),
      Effect.catchTag("Resting", ({ retryAfter }) =>
        Effect.fail(
          new ModelUnavailable({
            model,
            reason: "the model server keeps failing and is left to recover",
            passing: true,
            retryAfter
          })
        )
      ),
      (attempt) => telemetry.modelCall(model, limits.modelCall(attempt)),
      hedged,
      again,
      Effect.withSpan("Models.call", { attributes: { model, server } })
    )

  const ask = Effect.fnUntraced(function* <A>({ answer, model, request }: Call<A>) {
    const unavailable = (reason: string, passing: boolean, retryAfter?: Duration.Duration) =>
      new ModelUnavailable({ model, reason, passing, retryAfter })
    const headers = yield* Deadline.headers()
    return yield* Effect.gen(function* () {
      const response = yield* client.execute(HttpClientRequest.setHeaders(request, headers))
      if (response.status !== 200) {
        const now = yield* Clock.currentTimeMillis
        const wait = RetryAfter.parse(response.headers["retry-after"] ?? "", now)
        return yield* unavailable(
          `it answered with status ${response.status}`,
          response.status === 429 || response.status >= 500,
          Option.getOrUndefined(wait)
        )
      }
      return yield* Effect.flatMap(response.json, Schema.decodeUnknownEffect(answer))
    }).pipe(
      Effect.scoped,
      Effect.catchTags({
        HttpClientError: (error) => Effect.fail(unavailable(reasonOf(error), true)),
        SchemaError: () => Effect.fail(unavailable("its answer has not the form that was agreed on", false))
      })
    )
  })

  const calling: Calling = {
    call: (call) => guarded(call.model, call.timeoutSeconds, ask(call)),
    work: guarded,
    health: (request, answer, toHealth) =>
      Effect.scoped(
        Effect.gen(function* () {
          const response = yield* client.execute(request)
          const body = yield* Effect.flatMap(response.json, Schema.decodeUnknownEffect(answer))
          return response.status === 200
            ? toHealth(body)
            : { status: "unavailable", message: `It answered with status ${response.status}` }
        })
      ).pipe(
        Effect.timeout(HEALTH_WITHIN),
        Effect.catch((error) => Effect.succeed({ status: "unavailable", message: error.message }))
      )
  }
  return calling
})
