// A request whose body may be so large and take so long, and no more.
//
// What reads a body goes through `stream` or `arrayBuffer` of the request; the guard
// is the request with these two bounded. It remembers that a bound was passed: then
// that is what is answered, whatever the handler makes of the failure.

import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import { HttpServerError, RequestParseError } from "effect/http/HttpServerError"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Stream from "effect/Stream"

export interface BodyBounds {
  readonly maxSize: number
  readonly timeoutMillis: number
}

export type Breach = "size" | "time"

/** Whether a request may bring a body. That of a GET has no meaning, and nothing reads it. */
export const hasBody = ({ method }: HttpServerRequest.HttpServerRequest): boolean =>
  method !== "GET" && method !== "HEAD"

/** Whether the head announces more than there may be. */
export const announcesTooMuch = (request: HttpServerRequest.HttpServerRequest, maxSize: number): boolean =>
  Number(request.headers["content-length"] ?? 0) > maxSize

export interface Guarded {
  readonly request: HttpServerRequest.HttpServerRequest
  readonly breach: () => Breach | undefined
}

export const guard = (
  request: HttpServerRequest.HttpServerRequest,
  { maxSize, timeoutMillis }: BodyBounds
): Guarded => {
  let breach: Breach | undefined
  let startedAt: number | undefined
  const broken = (kind: Breach): Effect.Effect<never, HttpServerError> =>
    Effect.suspend(() => {
      breach ??= kind
      return Effect.fail(
        new HttpServerError({
          reason: new RequestParseError({
            request,
            ...(kind === "size" ? { reason: "BodyTooLarge" } : undefined),
            description: kind === "size" ? "The body is too large" : "The body did not come in time"
          })
        })
      )
    })
  // The body has so long from when it is first asked for, however it is read.
  const left = Effect.clockWith((clock) =>
    Effect.sync(() => {
      const now = clock.currentTimeMillisUnsafe()
      startedAt ??= now
      return Math.max(0, startedAt + timeoutMillis - now)
    })
  )
  const inTime = <A, R>(read: Effect.Effect<A, HttpServerError, R>): Effect.Effect<A, HttpServerError, R> =>
    Effect.flatMap(left, (millis) => Effect.timeoutOrElse(read, { duration: millis, orElse: () => broken("time") }))

  const noted = (error: HttpServerError): HttpServerError => {
    if (error.reason._tag === "RequestParseError" && error.reason.reason === "BodyTooLarge") breach ??= "size"
    return error
  }
  let size = 0
  const guarded: HttpServerRequest.HttpServerRequest = Object.create(request, {
    arrayBuffer: {
      get: () =>
        request.arrayBuffer.pipe(
          Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(maxSize)),
          Effect.mapError(noted),
          inTime
        )
    },
    stream: {
      get: () =>
        Stream.transformPull(request.stream, (pull) =>
          Effect.succeed(
            Effect.flatMap(left, (millis) =>
              Effect.timeoutOrElse(pull, { duration: millis, orElse: () => broken("time") })
            ).pipe(
              Effect.flatMap((chunks) => {
                for (const chunk of chunks) size += chunk.length
                return size > maxSize ? broken("size") : Effect.succeed(chunks)
              })
            )
          )
        )
    }
  })
  return { request: guarded, breach: () => breach }
}
