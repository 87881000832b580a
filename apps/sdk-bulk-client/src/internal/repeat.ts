// Which failures are worth another request, and which must not have one.

import { Backoff, Retry } from "@sluice/retry"
import type { Effect } from "effect"
import type { HttpMethod } from "effect/http"
import type { CallError } from "../Errors.ts"
import type { Settings } from "../Options.ts"

/** What decides whether a request may be sent twice. */
export interface Repeatable {
  readonly method: HttpMethod.HttpMethod
  readonly idempotencyKey?: string
  readonly idempotent?: boolean
}

const idempotentMethods: ReadonlySet<HttpMethod.HttpMethod> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])

const isIdempotent = ({ idempotencyKey, idempotent, method }: Repeatable): boolean =>
  idempotent ?? (idempotencyKey !== undefined || idempotentMethods.has(method))

/**
 * 429 and 503 say that nothing was done. After any other 5xx, and after a connection that broke once the request was on
 * its way, it may have been: then only what is idempotent is sent again. 409 passes by itself: the API gives it to
 * writes that come while a project's collection is being made.
 */
export const isWorthRepeating = (request: Repeatable, error: CallError): boolean => {
  switch (error._tag) {
    case "@sluice/sdk-bulk-client/ApiError":
      if (error.status === 429 || error.status === 503) return true
      return (error.status >= 500 || error.status === 409) && isIdempotent(request)
    case "@sluice/sdk-bulk-client/ConnectionError":
      return !error.mayHaveReachedServer || isIdempotent(request)
    case "@sluice/sdk-bulk-client/UnexpectedResponse":
      return false
  }
}

/** Sends again with full jitter, never sooner than the API asks for. */
export const repeating = <A>(
  settings: Settings,
  request: Repeatable,
  attempt: Effect.Effect<A, CallError>
): Effect.Effect<A, CallError> =>
  attempt.pipe(
    Retry.retry<CallError>({
      maxAttempts: settings.maxRetries + 1,
      backoff: Backoff.exponential({ base: settings.retryDelay }),
      while: (error) => isWorthRepeating(request, error),
      retryAfter: (error) => (error._tag === "@sluice/sdk-bulk-client/ApiError" ? error.retryAfter : undefined)
    })
  )
