// The response, read from its exchange.
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Cookies from "effect/http/Cookies"
import * as Headers from "effect/http/Headers"
import { DecodeError, HttpClientError, StatusCodeError } from "effect/http/HttpClientError"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as UrlParams from "effect/http/UrlParams"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Socket from "effect/socket/Socket"
import * as PoolErrors from "../PoolError.ts"
import type { Exchange } from "./exchange.ts"

// A response that is dropped without being read would hold its connection until
// the read timeout. The exchange knows nothing of the response, so that the
// response can be collected while the exchange goes on.
const unread = new FinalizationRegistry<Exchange>((exchange) => {
  exchange.abort(PoolErrors.BodyCancelled, "interrupted")
})

const decoder = new TextDecoder()

// Node's buffers decode themselves several times faster than a TextDecoder does, but keep a byte order mark.
const toText = (bytes: Uint8Array): string =>
  typeof Buffer !== "undefined" && bytes instanceof Buffer && bytes[0] !== 0xef
    ? bytes.toString()
    : decoder.decode(bytes)

const join = (chunks: ReadonlyArray<Uint8Array>): Uint8Array<ArrayBuffer> => {
  let length = 0
  for (const chunk of chunks) length += chunk.length
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

class PoolResponse extends Inspectable.Class implements HttpClientResponse.HttpClientResponse, Pipeable {
  readonly [HttpIncomingMessage.TypeId]: typeof HttpIncomingMessage.TypeId
  readonly [HttpClientResponse.TypeId]: typeof HttpClientResponse.TypeId
  readonly request: HttpClientRequest
  readonly status: number
  private readonly exchange: Exchange
  private cachedHeaders: Headers.Headers | undefined
  private cachedCookies: Cookies.Cookies | undefined
  private isStreamed = false

  constructor(exchange: Exchange) {
    super()
    this[HttpIncomingMessage.TypeId] = HttpIncomingMessage.TypeId
    this[HttpClientResponse.TypeId] = HttpClientResponse.TypeId
    this.request = exchange.request
    this.status = exchange.status
    this.exchange = exchange
    if (!exchange.isSettled) unread.register(this, exchange, exchange)
  }

  get url(): string {
    return this.exchange.origin.origin + this.exchange.path
  }

  get headers(): Headers.Headers {
    this.cachedHeaders ??= Headers.fromInput(this.exchange.rawHeaders)
    return this.cachedHeaders
  }

  get cookies(): Cookies.Cookies {
    this.cachedCookies ??= Cookies.fromSetCookie(this.exchange.rawHeaders["set-cookie"] ?? [])
    return this.cachedCookies
  }

  get remoteAddress(): Option.Option<string> {
    return Option.fromUndefinedOr(this.exchange.link?.socket?.remoteAddress)
  }

  /** All of the body as one piece, which stays to be read again. */
  private get bytes(): Effect.Effect<Uint8Array, HttpClientError> {
    return Effect.suspend(() => {
      const { exchange } = this
      if (this.isStreamed) return Effect.fail(this.decodeError(new Error("The body has been read as a stream")))
      if (exchange.isReadable(true)) return this.complete()
      unread.unregister(exchange)
      return Effect.flatMap(exchange.awaitReadable(true), () => this.complete())
    })
  }

  private complete(): Effect.Effect<Uint8Array, HttpClientError> {
    const { exchange } = this
    if (exchange.failure !== undefined) return Effect.fail(exchange.failure)
    const first = exchange.chunks[0]
    if (first !== undefined && exchange.chunks.length === 1) return Effect.succeed(first)
    const bytes = join(exchange.chunks)
    exchange.chunks = [bytes]
    return Effect.succeed(bytes)
  }

  get arrayBuffer(): Effect.Effect<ArrayBuffer, HttpClientError> {
    return Effect.map(this.bytes, (bytes) => {
      const copy = new ArrayBuffer(bytes.length)
      new Uint8Array(copy).set(bytes)
      return copy
    })
  }

  get text(): Effect.Effect<string, HttpClientError> {
    return Effect.map(this.bytes, toText)
  }

  get json(): Effect.Effect<Schema.Json, HttpClientError> {
    return Effect.flatMap(this.text, (text) =>
      Effect.try({
        try: (): Schema.Json => (text === "" ? null : JSON.parse(text)),
        catch: (cause) => this.decodeError(cause)
      })
    )
  }

  get urlParamsBody(): Effect.Effect<UrlParams.UrlParams, HttpClientError> {
    return Effect.flatMap(this.text, (text) =>
      Effect.try({
        // A leading "?" is form data, which URLSearchParams would drop.
        try: () => UrlParams.fromInput(new URLSearchParams(text.replace(/^\?/, "%3F"))),
        catch: (cause) => this.decodeError(cause)
      })
    )
  }

  get formData(): Effect.Effect<FormData, HttpClientError> {
    return Effect.flatMap(this.arrayBuffer, (body) =>
      Effect.tryPromise({
        try: () => new Response(body, { headers: this.headers }).formData(),
        catch: (cause) => this.decodeError(cause)
      })
    )
  }

  get stream(): Stream.Stream<Uint8Array, HttpClientError> {
    return Stream.suspend(() => {
      const { exchange } = this
      unread.unregister(exchange)
      this.isStreamed = true
      const pull: Effect.Effect<readonly [Uint8Array, ...Array<Uint8Array>], HttpClientError | Cause.Done> =
        Effect.suspend(() => {
          const [first, ...rest] = exchange.takeChunks()
          if (first !== undefined) return Effect.succeed([first, ...rest] as const)
          if (exchange.failure !== undefined) return Effect.fail(exchange.failure)
          if (exchange.hasEnded) return Cause.done()
          return Effect.andThen(exchange.awaitReadable(false), pull)
        })
      return Stream.ensuring(
        Stream.fromPull(Effect.succeed(pull)),
        Effect.sync(() => exchange.abort(PoolErrors.BodyCancelled, "interrupted"))
      )
    })
  }

  get upgrade(): Effect.Effect<Socket.Socket, HttpClientError> {
    return Effect.fail(
      new HttpClientError({
        reason: new StatusCodeError({
          request: this.request,
          response: this,
          description: "a pooled connection cannot be handed over"
        })
      })
    )
  }

  private decodeError(cause: unknown): HttpClientError {
    return new HttpClientError({ reason: new DecodeError({ request: this.request, response: this, cause }) })
  }

  toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, {
      _id: "HttpClientResponse",
      request: this.request.toJSON(),
      status: this.status
    })
  }

  pipe(): unknown {
    // biome-ignore lint/complexity/noArguments: `pipeArguments` is made for them
    return pipeArguments(this, arguments)
  }
}

export const toResponse = (exchange: Exchange): HttpClientResponse.HttpClientResponse => new PoolResponse(exchange)
