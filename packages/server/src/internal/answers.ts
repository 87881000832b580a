// What is answered in the place of a handler. Each is made once, but for what
// differs from one client to the next.

import type { RateLimiter } from "@sluice/rate-limiter"
import { RateLimitHeaders } from "@sluice/rate-limiter"
import * as Duration from "effect/Duration"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Problem from "../Problem.ts"

export interface Answers {
  readonly full: HttpServerResponse.HttpServerResponse
  readonly draining: HttpServerResponse.HttpServerResponse
  readonly late: HttpServerResponse.HttpServerResponse
  readonly tooLarge: HttpServerResponse.HttpServerResponse
  readonly tooSlow: HttpServerResponse.HttpServerResponse
  readonly limited: (retryAfter: Duration.Duration) => HttpServerResponse.HttpServerResponse
}

export const makeAnswers = (retryAfter: Duration.Duration): Answers => {
  const unavailable = (detail: string, headers?: Readonly<Record<string, string>>) =>
    Problem.response({ status: 503, title: "Service Unavailable", detail, retryAfter, headers })
  // What is left of the body would be taken for the next request.
  const close = { connection: "close" }
  return {
    full: unavailable("The server is busy. Please try again later."),
    draining: unavailable("The server is about to restart. Please try again.", close),
    late: unavailable("The request could not be answered before its deadline. Please try again later."),
    tooLarge: Problem.response({
      status: 413,
      title: "Content Too Large",
      detail: "The body of the request is too large.",
      headers: close
    }),
    tooSlow: Problem.response({
      status: 408,
      title: "Request Timeout",
      detail: "The body of the request did not come in time.",
      headers: close
    }),
    limited: (retryAfter) =>
      Problem.response({
        status: 429,
        title: "Too Many Requests",
        detail: "Too many requests. Please try again later.",
        retryAfter
      })
  }
}

/** Writes the fields of a rate into a record, as `RateLimitHeaders.write` does, whose part that never changes is made once. */
export const makeRateFields = (
  config: RateLimiter.Config
): ((fields: Record<string, string>, decision: RateLimiter.Decision) => void) => {
  const name = "default"
  const policy = RateLimitHeaders.write({
    policies: [{ name, quota: config.limit, window: Duration.fromInputUnsafe(config.interval) }],
    limits: [],
    retryAfter: undefined
  })["ratelimit-policy"]
  return (fields, { remaining, resetAfter }) => {
    if (policy !== undefined) fields["ratelimit-policy"] = policy
    fields["ratelimit"] = `"${name}";r=${Math.floor(remaining)};t=${Math.ceil(Duration.toMillis(resetAfter) / 1000)}`
  }
}
