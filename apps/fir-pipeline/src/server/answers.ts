// How what the pipeline and the store say is told to the one who asked.
import { Duration, Effect } from "effect"
import { HttpEffect, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { Caller } from "../Api.ts"
import type { Outcome, PipelineError, SessionNotFound } from "../Pipeline.ts"
import * as Problems from "../Problems.ts"
import type { StoreError } from "../Store.ts"
import { mayAs, type Role } from "../Users.ts"

export const iso = (millis: number): string => new Date(millis).toISOString()

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
    case "Unreadable":
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

export const setRetryAfter = (seconds: number) =>
  HttpEffect.appendPreResponseHandler((_request, response) =>
    Effect.succeed(HttpServerResponse.setHeader(response, "retry-after", String(seconds)))
  )

export const answered = <A, R>(effect: Effect.Effect<A, PipelineError, R>) =>
  withRetryAfter(Effect.mapError(effect, toProblem))

/** A session that is looked for, or what is wrong with looking. */
export const found = <A, R>(effect: Effect.Effect<A, SessionNotFound | StoreError, R>) =>
  withRetryAfter(
    Effect.mapError(effect, (error) =>
      error._tag === "StoreError"
        ? unavailableStore(error)
        : new Problems.NotFound({ detail: `There is no session ${error.sessionId.slice(0, 100)}` })
    )
  )

/** Lets only those pass who may do as much as a role. */
export const requires = (role: Role, what: string) =>
  Effect.flatMap(Caller, (caller) =>
    mayAs(caller.role, role)
      ? Effect.void
      : Effect.fail(new Problems.Forbidden({ detail: `${what} needs the role ${role}; yours is ${caller.role}` }))
  )

const unavailableStore = (error: StoreError) => new Problems.Unavailable({ detail: error.message, retry_after: 5 })

export const noStore = <A, R>(effect: Effect.Effect<A, StoreError, R>) =>
  withRetryAfter(Effect.mapError(effect, unavailableStore))

export const validated = (outcome: Outcome) => ({
  success: true,
  session_id: outcome.sessionId,
  current_step: outcome.step,
  content: outcome.content,
  message: outcome.message,
  requires_validation: !outcome.completed,
  completed: outcome.completed
})

export const idempotencyKey = (
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<string | undefined, Problems.Invalid> => {
  const key = request.headers["idempotency-key"]
  return key !== undefined && key.length > 200
    ? Effect.fail(new Problems.Invalid({ detail: "An Idempotency-Key may have 200 characters" }))
    : Effect.succeed(key)
}
