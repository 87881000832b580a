/**
 * The HTTP server: what comes in is checked here, what goes wrong gets its status
 * here; what is done is done by the pipeline.
 *
 * @module
 */
import { Clock, Duration, Effect, Layer, Option, Redacted } from "effect"
import { HttpEffect, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder, HttpApiSwagger } from "effect/http-api"
import {
  Api,
  AuthenticatePayload,
  Authorization,
  Caller,
  ProcessPayload,
  RateLimited,
  RegeneratePayload,
  ValidatePayload
} from "./Api.ts"
import { Breaker } from "./Breaker.ts"
import * as Body from "./internal/body.ts"
import { sameKey } from "./internal/keys.ts"
import { Limits } from "./Limits.ts"
import { STEPS } from "./Machine.ts"
import { ATTEMPTS, Models } from "./Models.ts"
import { type Outcome, Pipeline, type PipelineError } from "./Pipeline.ts"
import * as Problems from "./Problems.ts"
import { RateLimit } from "./RateLimit.ts"
import type { Settings } from "./Settings.ts"
import { type Fir, Store, type StoreError } from "./Store.ts"
import { Telemetry } from "./Telemetry.ts"
import * as Web from "./Web.ts"

const MEGABYTE = 1024 * 1024
/** A complaint of 50,000 characters, percent-encoded, each of four bytes. */
const PROCESS_LIMIT = MEGABYTE
const ANSWER_LIMIT = 256 * 1024
const FIR_NUMBER = /^FIR-[0-9a-f]{8}-\d{14}$/
const HOUR = 60 * 60 * 1000

const iso = (millis: number): string => new Date(millis).toISOString()

type Problem =
  | Problems.Invalid
  | Problems.NotFound
  | Problems.ConflictProblem
  | Problems.NotAwaitingValidation
  | Problems.ModelTimedOut
  | Problems.Unavailable

const toProblem = (error: PipelineError): Problem => {
  switch (error._tag) {
    case "SessionNotFound":
      return new Problems.NotFound({ detail: `There is no session ${error.sessionId.slice(0, 100)}` })
    case "BadEdit":
      return new Problems.Invalid({ detail: error.detail })
    case "NotAwaiting":
      return new Problems.NotAwaitingValidation({ detail: error.detail })
    case "Conflict":
      return new Problems.ConflictProblem({ detail: error.detail })
    case "Overloaded":
      return new Problems.Unavailable({ detail: `${error.waiting} requests wait already`, retry_after: 10 })
    case "ModelTimeout":
      return new Problems.ModelTimedOut({ detail: error.message })
    case "ModelUnavailable":
      return new Problems.Unavailable({
        detail: error.message,
        retry_after: error.retryAfter === undefined ? 5 : Math.max(1, Math.ceil(Duration.toSeconds(error.retryAfter)))
      })
    case "StoreError":
      return unavailableStore(error)
  }
}

/** Says in the header, too, how long to stay away. */
const withRetryAfter = <A, E extends object, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.tapError(effect, (problem) =>
    "retry_after" in problem && typeof problem.retry_after === "number"
      ? setRetryAfter(problem.retry_after)
      : Effect.void
  )

const setRetryAfter = (seconds: number) =>
  HttpEffect.appendPreResponseHandler((_request, response) =>
    Effect.succeed(HttpServerResponse.setHeader(response, "retry-after", String(seconds)))
  )

const answered = <A, R>(effect: Effect.Effect<A, PipelineError, R>) =>
  withRetryAfter(Effect.mapError(effect, toProblem))

const unavailableStore = (error: StoreError) => new Problems.Unavailable({ detail: error.message, retry_after: 5 })

const noStore = <A, R>(effect: Effect.Effect<A, StoreError, R>) =>
  withRetryAfter(Effect.mapError(effect, unavailableStore))

const validated = (outcome: Outcome) => ({
  success: true,
  session_id: outcome.sessionId,
  current_step: outcome.step,
  content: outcome.content,
  message: outcome.message,
  requires_validation: !outcome.completed,
  completed: outcome.completed
})

const idempotencyKey = (
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<string | undefined, Problems.Invalid> => {
  const key = request.headers["idempotency-key"]
  return key !== undefined && key.length > 200
    ? Effect.fail(new Problems.Invalid({ detail: "An Idempotency-Key may have 200 characters" }))
    : Effect.succeed(key)
}

const firResult = (fir: Fir) => ({
  fir_number: fir.firNumber,
  status: fir.status,
  created_at: iso(fir.createdAt),
  finalized_at: fir.finalizedAt === null ? null : iso(fir.finalizedAt),
  fir_content: fir.firContent
})

const decodeProcess = Body.decode(ProcessPayload)
const decodeValidate = Body.decode(ValidatePayload)
const decodeRegenerate = Body.decode(RegeneratePayload)
const decodeAuthenticate = Body.decode(AuthenticatePayload)

const reports = (settings: Settings) =>
  HttpApiBuilder.group(
    Api,
    "reports",
    Effect.fnUntraced(function* (handlers) {
      const pipeline = yield* Pipeline
      const store = yield* Store
      const telemetry = yield* Telemetry
      const rateLimit = yield* RateLimit

      const breaker = yield* Breaker
      const reliability = Effect.map(breaker.state, ({ retryAfterSeconds, state }) => ({
        model_server: {
          breaker: state,
          retry_after: retryAfterSeconds,
          failures_to_open: settings.breakerFailures,
          open_seconds: settings.breakerOpenSeconds,
          attempts: ATTEMPTS
        },
        timeouts: {
          inference_seconds: settings.inferenceTimeoutSeconds,
          clause_check_seconds: settings.clauseCheckTimeoutSeconds
        }
      }))

      const findFir = Effect.fnUntraced(function* (number: string) {
        const fir = FIR_NUMBER.test(number) ? yield* noStore(store.fir(number)) : undefined
        if (fir === undefined)
          return yield* new Problems.NotFound({ detail: `There is no report ${number.slice(0, 100)}` })
        return fir
      })

      return handlers
        .handleRaw("process", ({ request }) =>
          Effect.gen(function* () {
            const key = yield* idempotencyKey(request)
            const { name } = yield* Caller
            const fields = yield* Body.fields(request, ["json", "form", "multipart"], PROCESS_LIMIT)
            const { text } = yield* decodeProcess(fields)
            const outcome = yield* pipeline
              .submit({ complaint: text, urgent: false, by: name, idempotencyKey: key })
              .pipe(
                answered,
                Effect.catchTags({
                  NotFound: Effect.die,
                  NotAwaitingValidation: Effect.die,
                  ModelTimedOut: Effect.die
                })
              )
            return {
              success: true,
              session_id: outcome.sessionId,
              steps: STEPS,
              requires_validation: true,
              current_step: outcome.step,
              content_for_validation: outcome.content
            }
          })
        )
        .handleRaw("validate", ({ request }) =>
          Effect.gen(function* () {
            const key = yield* idempotencyKey(request)
            const { name } = yield* Caller
            const body = yield* Effect.flatMap(Body.fields(request, ["json"], ANSWER_LIMIT), decodeValidate)
            if (body.approved && body.regenerate === true) {
              return yield* new Problems.Invalid({ detail: "A step is either approved or made again, not both" })
            }
            const outcome = yield* pipeline
              .answer({
                sessionId: body.session_id,
                event: body.approved ? "approve" : body.regenerate === true ? "regenerate" : "reject",
                input: body.user_input ?? "",
                expectedStep: body.current_step,
                by: name,
                idempotencyKey: key
              })
              .pipe(answered)
            return validated(outcome)
          })
        )
        .handle("status", ({ params }) =>
          Effect.gen(function* () {
            const { content, session, working } = yield* pipeline
              .status(params.id)
              .pipe(
                Effect.mapError((error) =>
                  error._tag === "StoreError"
                    ? unavailableStore(error)
                    : new Problems.NotFound({ detail: `There is no session ${error.sessionId.slice(0, 100)}` })
                )
              )
            const history = yield* noStore(pipeline.history(params.id))
            return {
              session_id: session.sessionId,
              status: working ? ("processing" as const) : session.status,
              current_step: session.step,
              awaiting_validation: !working && session.status === "awaiting_validation",
              content,
              validation_history: history.map(({ action, at, by, input, step, version }) => ({
                step,
                action,
                by,
                at: iso(at),
                version,
                user_input: input
              })),
              created_at: iso(session.createdAt),
              last_activity: iso(session.lastActivity)
            }
          })
        )
        .handleRaw("regenerate", ({ params, request }) =>
          Effect.gen(function* () {
            const key = yield* idempotencyKey(request)
            const { name } = yield* Caller
            const body = yield* Effect.flatMap(Body.fields(request, ["json"], ANSWER_LIMIT), decodeRegenerate)
            const outcome = yield* pipeline
              .answer({
                sessionId: params.id,
                event: "regenerate",
                input: body.user_input ?? "",
                expectedStep: body.step,
                by: name,
                idempotencyKey: key
              })
              .pipe(answered)
            return {
              success: true,
              session_id: outcome.sessionId,
              step: outcome.step,
              content: outcome.content,
              message: outcome.message
            }
          })
        )
        .handleRaw("authenticate", ({ request }) =>
          Effect.gen(function* () {
            const body = yield* Effect.flatMap(Body.fields(request, ["json"], ANSWER_LIMIT), decodeAuthenticate)
            if (settings.firAuthKey === undefined) {
              return yield* new Problems.Forbidden({ detail: "FIR_AUTH_KEY is not set, so no report can be finalised" })
            }
            if (!sameKey(body.auth_key, settings.firAuthKey)) {
              return yield* new Problems.Unauthorized({ detail: "The auth_key is not valid" })
            }
            const fir = yield* findFir(body.fir_number)
            const session = yield* noStore(store.session(fir.sessionId))
            if (session?.status !== "completed") {
              return yield* new Problems.ConflictProblem({ detail: "The report has not been approved yet" })
            }
            const { name } = yield* Caller
            const at = yield* Clock.currentTimeMillis
            yield* noStore(
              store.finalise(fir.firNumber, { step: "completed", action: "finalise", by: name, at, input: null })
            )
            return { success: true, message: "The report is final", fir_number: fir.firNumber }
          })
        )
        .handle("fir", ({ params }) => Effect.map(findFir(params.number), firResult))
        .handle("firContent", ({ params }) => Effect.map(findFir(params.number), firResult))
        .handle("listFirs", ({ query }) =>
          Effect.gen(function* () {
            const limit = query.limit === undefined ? 20 : Number(query.limit)
            if (!Number.isInteger(limit) || limit < 1 || limit > 100) {
              return yield* new Problems.Invalid({ detail: "limit is a whole number from 1 to 100" })
            }
            const before = query.cursor === undefined ? undefined : Number(query.cursor)
            if (before !== undefined && (!Number.isSafeInteger(before) || before < 1)) {
              return yield* new Problems.Invalid({ detail: "cursor is what next_cursor was" })
            }
            const { items, total } = yield* noStore(store.firs(before, limit + 1))
            const page = items.slice(0, limit)
            const more = items.length > limit
            return {
              items: page.map((fir) => ({
                fir_number: fir.firNumber,
                session_id: fir.sessionId,
                status: fir.status,
                created_at: iso(fir.createdAt),
                finalized_at: fir.finalizedAt === null ? null : iso(fir.finalizedAt)
              })),
              total_count: total,
              next_cursor: more ? String(page.at(-1)?.id) : null,
              has_more: more
            }
          })
        )
        .handle("metrics", () =>
          Effect.gen(function* () {
            const now = yield* Clock.currentTimeMillis
            const counts = yield* noStore(store.counts(now - HOUR))
            return {
              timestamp: iso(now),
              sessions: {
                recent_hour: counts.sessions.map(({ avgMillis, count, status }) => ({
                  status,
                  count,
                  avg_duration: Math.round(avgMillis) / 1000
                })),
                cache_size: pipeline.working()
              },
              firs: { recent_hour: counts.firs },
              rate_limiter: { active_clients: rateLimit.activeClients() }
            }
          })
        )
        .handle("reliability", () => reliability)
        .handle("resetBreaker", () => Effect.andThen(breaker.reset, reliability))
        .handle("prometheus", () => telemetry.prometheus)
    })
  )

const system = (settings: Settings) =>
  HttpApiBuilder.group(
    Api,
    "system",
    Effect.fnUntraced(function* (handlers) {
      const models = yield* Models
      const store = yield* Store
      const limits = yield* Limits
      const breaker = yield* Breaker
      return handlers.handle("health", () =>
        Effect.gen(function* () {
          const [model, database] = yield* Effect.all(
            [
              models.health,
              Effect.match(store.ping, { onFailure: ({ message }) => message, onSuccess: () => "connected" })
            ],
            { concurrency: 2 }
          )
          const well = model.status === "healthy"
          const { modelCalls, reports } = limits.stats()
          return {
            status:
              database !== "connected" ? ("unhealthy" as const) : well ? ("healthy" as const) : ("degraded" as const),
            model_server: { ...model },
            asr_ocr_server: { status: "not configured", message: "This version takes complaints as text" },
            database,
            concurrency: {
              max_concurrent_requests: settings.maxConcurrentRequests,
              max_concurrent_model_calls: settings.maxConcurrentModelCalls,
              http_pool_size: settings.httpPoolSize,
              requests: reports,
              model_calls: modelCalls
            },
            reliability: {
              model_breaker: (yield* breaker.state).state,
              model_attempts: ATTEMPTS,
              session_timeout_seconds: settings.sessionTimeoutSeconds
            }
          }
        })
      )
    })
  )

const authorization = (settings: Settings) =>
  Layer.succeed(Authorization, {
    apiKey: (effect, { credential }) => admit(settings, effect, Redacted.value(credential)),
    bearer: (effect, { credential }) => admit(settings, effect, Redacted.value(credential))
  })

const admit = <A, E, R>(settings: Settings, effect: Effect.Effect<A, E, R>, given: string) =>
  settings.apiKey === undefined || sameKey(given, settings.apiKey)
    ? Effect.provideService(effect, Caller, { name: settings.apiKey === undefined ? "anyone" : "api-key" })
    : Effect.fail(new Problems.Unauthorized({ detail: "Give the key as X-API-Key or as Authorization: Bearer" }))

const rateLimited = Layer.effect(
  RateLimited,
  Effect.gen(function* () {
    const rateLimit = yield* RateLimit
    const telemetry = yield* Telemetry
    return (effect) =>
      Effect.gen(function* () {
        const { remoteAddress } = yield* HttpServerRequest.HttpServerRequest
        const wait = yield* rateLimit.admit(Option.getOrElse(remoteAddress, () => "unknown"))
        if (wait === 0) return yield* effect
        yield* telemetry.limited
        yield* setRetryAfter(wait)
        return yield* new Problems.TooManyRequests({ detail: `Try again in ${wait} seconds`, retry_after: wait })
      })
  })
)

/** What browsers need to be told about answers that hold personal data. */
const guarded = HttpRouter.middleware(
  (effect) =>
    Effect.map(effect, (response) =>
      HttpServerResponse.setHeaders(response, {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store"
      })
    ),
  { global: true }
)

const nothingHere = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  return HttpServerResponse.jsonUnsafe(
    {
      type: "urn:fir:problem:not-found",
      title: "There is no such thing",
      status: 404,
      detail: `There is no ${request.method} ${request.url.split("?")[0]?.slice(0, 200)}`
    },
    { status: 404, contentType: "application/problem+json" }
  )
})

/** Every route of the server, over the services that the pipeline is made of. */
export const routes = (settings: Settings) =>
  Layer.mergeAll(
    HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }).pipe(
      Layer.provide([reports(settings), system(settings)]),
      Layer.provide([authorization(settings), rateLimited])
    ),
    guarded,
    HttpApiSwagger.layer(Api, { path: "/docs" }),
    Web.routes,
    HttpRouter.add("*", "/*", nothingHere),
    // Without origins to allow, nothing is said about other origins, and browsers keep them out.
    settings.corsOrigins.length === 0
      ? Layer.empty
      : HttpRouter.cors({
          allowedOrigins: settings.corsOrigins.includes("*") ? [] : settings.corsOrigins,
          allowedHeaders: ["content-type", "x-api-key", "authorization", "idempotency-key"]
        })
  )
