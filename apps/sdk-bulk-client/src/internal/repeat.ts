// Which failures are worth another request, and which must not have one.

import { Backoff, Retry } from "@sluice/retry"
import { Effect } from "effect"
import type { HttpMethod } from "effect/http"
import type { CallError } from "../Errors.ts"
import type { Settings } from "../Options.ts"

/** What decides whether a request may be sent twice. */
export interface Repeatable {
  readonly method: HttpMethod.HttpMethod
  readonly idempotencyKey?: string
  readonly idempotent?: boolean
  readonly signal?: AbortSignal | undefined
}

const idempotentMethods: ReadonlySet<HttpMethod.HttpMethod> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])

const isIdempotent = ({ idempotencyKey, idempotent, method }: Repeatable, honoursKeys: boolean): boolean =>
  idempotent ?? ((honoursKeys && idempotencyKey !== undefined) || idempotentMethods.has(method))

/**
 * 429 and 503 say that nothing was done. After any other 5xx, and after a connection that broke once the request was on
 * its way, it may have been: then only what is idempotent is sent again. 409 passes by itself: the API gives it to
 * writes that come while a project's collection is being made.
 */
export const isWorthRepeating = (request: Repeatable, error: CallError, honoursKeys: boolean): boolean => {
  switch (error._tag) {
    case "@sluice/sdk-bulk-client/ApiError":
      if (error.status === 429 || error.status === 503) return true
      return error.status === 409 || (error.status >= 500 && isIdempotent(request, honoursKeys))
    case "@sluice/sdk-bulk-client/ConnectionError":
      return !error.mayHaveReachedServer || isIdempotent(request, honoursKeys)
    case "@sluice/sdk-bulk-client/UnexpectedResponse":
      return false
  }
}

/** Ends the wait for another attempt once `signal` is aborted; an attempt under way ends by itself. */
const untilAborted = (signal: AbortSignal, lastError: () => CallError | undefined): Effect.Effect<never, CallError> =>
  Effect.callback((resume) => {
    const onAbort = () => {
      const error = lastError()
      if (error !== undefined) resume(Effect.fail(error))
    }
    signal.addEventListener("abort", onAbort)
    return Effect.sync(() => signal.removeEventListener("abort", onAbort))
  })

/** Sends again with full jitter and a cap on the delay, never sooner than the API asks for. */
export const repeating = <A>(
  settings: Settings,
  request: Repeatable,
  attempt: Effect.Effect<A, CallError>
): Effect.Effect<A, CallError> => {
  const { signal } = request
  const repeated = <B>(self: Effect.Effect<B, CallError>) =>
    Retry.retry<CallError>({
      maxAttempts: settings.maxRetries + 1,
      backoff: Backoff.exponential({ base: settings.retryDelay }),
      while: (error) => signal?.aborted !== true && isWorthRepeating(request, error, settings.idempotencyKeys),
      retryAfter: (error) => (error._tag === "@sluice/sdk-bulk-client/ApiError" ? error.retryAfter : undefined)
    })(self)
  if (signal === undefined) return repeated(attempt)
  return Effect.suspend(() => {
    let waiting: CallError | undefined
    const observed = Effect.suspend(() => {
      waiting = undefined
      return attempt
    }).pipe(
      Effect.tapError((error) =>
        Effect.sync(() => {
          waiting = error
        })
      )
    )
    return Effect.raceFirst(
      repeated(observed),
      untilAborted(signal, () => waiting)
    )
  })
}
