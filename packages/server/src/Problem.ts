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

const described: Readonly<Record<number, readonly [title: string, detail: string]>> = {
  400: ["Bad Request", "The request is not what it should be."],
  404: ["Not Found", "There is nothing here."],
  408: ["Request Timeout", "The request did not come in time."],
  413: ["Content Too Large", "The body of the request is too large."],
  500: ["Internal Server Error", "The request failed here. It is not known why."]
}

/** What is told of a failure of which only the status is known. */
export const ofStatus = (status: number): HttpServerResponse.HttpServerResponse => {
  const [title, detail] = described[status] ?? ["Error", `The request was answered with ${status}.`]
  return response({ status, title, detail })
}
