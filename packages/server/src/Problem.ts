/**
 * Refusals as problem details (RFC 9457), with the time to come back.
 *
 * @module
 */
import type * as Duration from "effect/Duration"
import * as DurationModule from "effect/Duration"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

export interface Problem {
  readonly status: number
  readonly title: string
  /** For whoever reads it. */
  readonly detail: string
  /** When to come back. */
  readonly retryAfter?: Duration.Duration | undefined
  /** Fields of the response besides. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** Seconds, at least one: whoever comes back when told must not be early. */
const wholeSeconds = (duration: Duration.Duration): string =>
  String(Math.max(1, Math.ceil(DurationModule.toMillis(duration) / 1000)))

/** The response of a problem: `application/problem+json`, and `Retry-After` where there is a time. */
export const response = ({
  detail,
  headers,
  retryAfter,
  status,
  title
}: Problem): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(JSON.stringify({ type: "about:blank", title, status, detail }), {
    status,
    contentType: "application/problem+json",
    headers: {
      ...headers,
      ...(retryAfter === undefined ? undefined : { "retry-after": wholeSeconds(retryAfter) })
    }
  })
