// From what the transport throws to what the pool promises.
import { EncodeError, HttpClientError, TransportError } from "effect/http/HttpClientError"
import type { PoolError } from "../PoolError.ts"
import * as PoolErrors from "../PoolError.ts"
import type { Exchange } from "./exchange.ts"
import { RequestBodyFailed } from "./requestBody.ts"

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error && typeof error.code === "string" ? error.code : ""

/** The server took no notice of the request: it may be sent again, whatever it is. */
export class RefusedStream extends Error {}

export const toHttpClientError = (
  exchange: Exchange,
  kind: new (facts: PoolErrors.Facts) => PoolError,
  cause: unknown
): HttpClientError => {
  const error = new kind({
    origin: exchange.origin.origin,
    phase: exchange.phase,
    elapsedMillis: exchange.pool.now() - exchange.startedAt,
    mayHaveReachedServer: exchange.hasReachedWire,
    ...(cause === undefined ? undefined : { cause })
  })
  return new HttpClientError({
    reason: new TransportError({ request: exchange.request, cause: error, description: error.message })
  })
}

export const fromTransport = (exchange: Exchange, error: Error): HttpClientError => {
  if (error instanceof RequestBodyFailed) {
    return new HttpClientError({
      reason: new EncodeError({ request: exchange.request, cause: error.cause, description: error.message })
    })
  }
  if (error instanceof RefusedStream) {
    exchange.hasReachedWire = false
    return toHttpClientError(exchange, PoolErrors.ConnectionReset, error)
  }
  const code = codeOf(error)
  switch (code) {
    case "UND_ERR_INVALID_ARG":
    case "UND_ERR_NOT_SUPPORTED":
    case "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH":
      return new HttpClientError({
        reason: new EncodeError({ request: exchange.request, cause: error, description: error.message })
      })
    case "UND_ERR_HEADERS_OVERFLOW":
    case "UND_ERR_RES_CONTENT_LENGTH_MISMATCH":
      return toHttpClientError(exchange, PoolErrors.ProtocolError, error)
  }
  if (error.name === "HTTPParserError") return toHttpClientError(exchange, PoolErrors.ProtocolError, error)
  if (exchange.hasReachedWire) return toHttpClientError(exchange, PoolErrors.ConnectionReset, error)
  return toHttpClientError(
    exchange,
    exchange.link?.isHandshaking === true ? PoolErrors.TlsError : PoolErrors.ConnectFailed,
    error
  )
}
