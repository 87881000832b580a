// One request to the API: its URL from segments, its headers, its retries, and
// whatever comes back turned into a value or one of three errors.

import { HttpPool } from "@sluice/http-pool"
import { RetryAfter } from "@sluice/retry"
import { Clock, Duration, Effect, Option, Redacted, Schema } from "effect"
import {
  type HttpClient,
  type HttpClientError,
  HttpClientRequest,
  type HttpClientResponse,
  type HttpMethod
} from "effect/http"
import { ApiError, type CallError, ConnectionError, kindOf, UnexpectedResponse } from "../Errors.ts"
import type { Settings } from "../Options.ts"
import { type Limit, make as makeLimit } from "./limit.ts"
import { repeating } from "./repeat.ts"

/** A request as a resource describes it. Segments are encoded here, so that no id can leave its place in the path. */
export interface ApiRequest<A> {
  readonly method: HttpMethod.HttpMethod
  readonly segments: ReadonlyArray<string>
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly body?: unknown
  readonly answer: Schema.Codec<A, unknown>
  /** Makes a create repeatable: the API answers a key that it knows with what it answered before. */
  readonly idempotencyKey?: string
  /** Whether sending it twice is as good as once. Default: by its method, or whether it has a key. */
  readonly idempotent?: boolean
  /** Sends over a connection of its own. */
  readonly isolated?: boolean
  /** Called before each request is sent. */
  readonly attempted?: () => void
  /** Once aborted, the request is not sent again. One that is under way ends. */
  readonly signal?: AbortSignal | undefined
}

export interface Api {
  readonly settings: Settings
  readonly limit: Limit
  readonly send: <A>(request: ApiRequest<A>) => Effect.Effect<A, CallError>
}

const userAgent = "sluice-t2e"

/** A segment of `.` or `..` would be resolved away by the URL parser even where it is encoded. */
const encodeSegment = (segment: string): string =>
  /^\.{1,2}$/.test(segment) ? segment.replaceAll(".", "%252E") : encodeURIComponent(segment)

const pathOf = (segments: ReadonlyArray<string>): string => `/api/${segments.map(encodeSegment).join("/")}`

const build = (settings: Settings, request: ApiRequest<unknown>): HttpClientRequest.HttpClientRequest => {
  const query = Object.entries(request.query ?? {}).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as const]
  )
  const bare = HttpClientRequest.make(request.method)(`${settings.baseUrl}${pathOf(request.segments)}`, {
    acceptJson: true,
    urlParams: query,
    headers: {
      ...settings.headers,
      "user-agent": userAgent,
      [settings.credential.header]: Redacted.value(settings.credential.value),
      ...(settings.workspaceName === undefined ? {} : { "x-workspace-name": settings.workspaceName }),
      ...(request.idempotencyKey === undefined || !settings.idempotencyKeys
        ? {}
        : { "idempotency-key": request.idempotencyKey })
    }
  })
  return request.body === undefined ? bare : HttpClientRequest.bodyJsonUnsafe(bare, request.body)
}

const ErrorBody = Schema.fromJsonString(
  Schema.Struct({ detail: Schema.optionalKey(Schema.Unknown), error: Schema.optionalKey(Schema.Unknown) })
)

const detailOf = (text: string): string => {
  const body = Schema.decodeUnknownOption(ErrorBody)(text)
  const told = Option.isSome(body) ? (body.value.detail ?? body.value.error) : undefined
  if (told === undefined) return text.slice(0, 500)
  return typeof told === "string" ? told : JSON.stringify(told)
}

const noAnswer = (request: ApiRequest<unknown>, error: HttpClientError.HttpClientError): ConnectionError => {
  const reason = Option.getOrUndefined(HttpPool.poolError(error))
  return new ConnectionError({
    method: request.method,
    path: pathOf(request.segments),
    description: reason?.message ?? error.message,
    // An error that the pool does not know says nothing of how far the request came.
    mayHaveReachedServer: reason?.mayHaveReachedServer ?? true,
    isTimeout: reason?._tag.endsWith("Timeout") ?? false,
    cause: error
  })
}

/** The request waited for a place within the client's limit, and none came free in time. */
const noPlace = (settings: Settings, request: ApiRequest<unknown>): ConnectionError =>
  new ConnectionError({
    method: request.method,
    path: pathOf(request.segments),
    description: `no place came free within ${Duration.format(settings.poolTimeout)}`,
    mayHaveReachedServer: false,
    isTimeout: true,
    cause: undefined
  })

/** Requests that take alike long: by method and collection. Ids are no part of it, so that there are only so many. */
const kindOfRequest = ({ method, segments }: ApiRequest<unknown>): string =>
  `${method} ${segments[2] ?? segments[0] ?? ""} ${segments.length}`

const refused = (
  request: ApiRequest<unknown>,
  response: HttpClientResponse.HttpClientResponse,
  text: string,
  now: number
) =>
  new ApiError({
    kind: kindOf(response.status),
    status: response.status,
    method: request.method,
    path: pathOf(request.segments),
    detail: detailOf(text),
    requestId: response.headers["x-request-id"],
    retryAfter: Option.getOrUndefined(
      Option.flatMap(Option.fromUndefinedOr(response.headers["retry-after"]), (value) => RetryAfter.parse(value, now))
    )
  })

const read = <A>(
  request: ApiRequest<A>,
  response: HttpClientResponse.HttpClientResponse
): Effect.Effect<A, CallError> =>
  Effect.gen(function* () {
    const text = yield* Effect.mapError(response.text, (error) => noAnswer(request, error))
    if (response.status < 200 || response.status > 299) {
      return yield* refused(request, response, text, yield* Clock.currentTimeMillis)
    }
    // 202 and 204 may come without a body.
    const answer =
      text === ""
        ? Schema.decodeUnknownEffect(request.answer)(undefined)
        : Schema.decodeUnknownEffect(Schema.fromJsonString(request.answer))(text)
    return yield* Effect.mapError(
      answer,
      (issue) =>
        new UnexpectedResponse({
          method: request.method,
          path: pathOf(request.segments),
          description: issue.message,
          body: text.slice(0, 2000)
        })
    )
  })

/** Makes the caller of the API from a shared client and one whose every request has its own connection. */
export const make = (
  settings: Settings,
  clients: { readonly shared: HttpClient.HttpClient; readonly isolated: HttpClient.HttpClient }
): Effect.Effect<Api> =>
  Effect.map(makeLimit(settings.maxConnections, settings.adaptive, settings.poolTimeout), (limit) => {
    const send = <A>(request: ApiRequest<A>): Effect.Effect<A, CallError> => {
      const client = request.isolated === true ? clients.isolated : clients.shared
      const kind = kindOfRequest(request)
      const attempt = Effect.suspend(() => {
        request.attempted?.()
        return client.execute(build(settings, request))
      }).pipe(
        Effect.mapError((error) => noAnswer(request, error)),
        Effect.flatMap((response) => read(request, response))
      )
      // Inside of the repetition: who waits to send again holds no place.
      const limited = limit.around(kind, attempt, () => noPlace(settings, request))
      return repeating(settings, request, limited)
    }
    return { settings, limit, send }
  })
