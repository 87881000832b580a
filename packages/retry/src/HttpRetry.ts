/**
 * Which HTTP requests may be sent again after which answers.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as Option from "effect/Option"
import * as Retry from "./Retry.ts"
import * as RetryAfter from "./RetryAfter.ts"

/** What of a request decides whether it may be sent twice. Header names are in lower case. */
export interface Sent {
  readonly method: string
  readonly headers: Readonly<Record<string, string | undefined>>
}

/** RFC 9110, section 9.2.2. */
const idempotentMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])

/** Whether sending it twice does no more than sending it once: by its method, or by an `Idempotency-Key`. */
export const isIdempotent = (request: Sent): boolean =>
  idempotentMethods.has(request.method.toUpperCase()) || request.headers["idempotency-key"] !== undefined

// Refused before anything was done, by what the status means: RFC 6585 and RFC 8470.
const refused: ReadonlySet<number> = new Set([425, 429])
const passing: ReadonlySet<number> = new Set([408, 500, 502, 503, 504])

/**
 * Whether an answer with this status is worth another request.
 *
 * **Details**
 *
 * 425 and 429 say that nothing was done: any request may be sent again. 408, 500, 502, 503 and 504 do not say whether
 * anything was: only what is idempotent is sent again. Nothing else passes by itself.
 *
 * @example
 * ```ts
 * import { HttpRetry } from "@sluice/retry"
 *
 * const post = { method: "POST", headers: {} }
 * console.log(HttpRetry.isRetryable(post, 429), HttpRetry.isRetryable(post, 503)) // => true false
 * ```
 */
export const isRetryable = (request: Sent, status: number): boolean =>
  refused.has(status) || (passing.has(status) && isIdempotent(request))

/**
 * Classifies the errors of Effect's `HttpClient`, for `Retry.retry`: by status (of `HttpClient.filterStatusOk`), method
 * and `Idempotency-Key`, honouring `Retry-After`; a `Retry-After` that makes no sense is ignored, with a warning.
 *
 * **Gotchas**
 *
 * A broken connection does not tell whether the request arrived: only what is idempotent is sent again.
 *
 * @example
 * ```ts
 * import { Backoff, HttpRetry, Retry } from "@sluice/retry"
 * import { Effect } from "effect"
 * import { HttpClient, HttpClientResponse } from "effect/http"
 *
 * const statuses = [503, 429, 200]
 * const flaky = HttpClient.make((request) =>
 *   Effect.sync(() => HttpClientResponse.fromWeb(request, new Response("", { status: statuses.shift() ?? 500 })))
 * )
 *
 * const policy = Retry.retry({
 *   classify: HttpRetry.classify,
 *   backoff: Backoff.exponential({ base: "1 millis" })
 * })
 * const client = HttpClient.transform(HttpClient.filterStatusOk(flaky), (effect) => policy(effect))
 *
 * const response = await Effect.runPromise(client.get("http://localhost/"))
 * console.log(response.status) // => 200
 * ```
 */
export const classify = (error: HttpClientError.HttpClientError): Retry.Verdict | Effect.Effect<Retry.Verdict> => {
  const { reason, request } = error
  if (reason._tag === "TransportError") return isIdempotent(request) ? Retry.again : Retry.stop
  if (reason._tag !== "StatusCodeError" || !isRetryable(request, reason.response.status)) return Retry.stop
  return Effect.map(
    RetryAfter.fromHeaders(reason.response.headers),
    Option.match({ onNone: () => Retry.again, onSome: Retry.againAfter })
  )
}
