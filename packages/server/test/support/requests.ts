// Requests that come without a socket.

import { Effect, Stream } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"

type Handler<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>

export const requestOf = (init: RequestInit & { readonly url?: string } = {}) =>
  HttpServerRequest.fromWeb(new Request(init.url ?? "http://localhost/", init))

/** Answers a request that is made of `init`. */
export const send = <E, R>(handler: Handler<E, R>, init?: RequestInit & { readonly url?: string }) =>
  Effect.provideService(handler, HttpServerRequest.HttpServerRequest, requestOf(init))

/** A request whose body comes as the test says. */
export const sendStream = <E, R>(
  handler: Handler<E, R>,
  body: Stream.Stream<Uint8Array>,
  headers?: Record<string, string>
) =>
  send(handler, {
    method: "POST",
    body: Stream.toReadableStream(body),
    ...(headers === undefined ? undefined : { headers }),
    // Node wants to be told that the answer may come before the body is through.
    ...{ duplex: "half" }
  })

export const bodyOf = (response: HttpServerResponse.HttpServerResponse): Effect.Effect<unknown> =>
  Effect.promise(() => HttpServerResponse.toWeb(response).json())

export const ok = Effect.succeed(HttpServerResponse.text("ok"))
