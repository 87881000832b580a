/**
 * What can go wrong between a request and its response, by the phase in which
 * it went wrong.
 *
 * A pool fails with Effect's `HttpClientError`, so that `retryTransient` and
 * everything else that knows HTTP clients works on it; the error of this module
 * is the `cause` of its `TransportError`. `HttpPool.poolError` takes it out.
 *
 * @module
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"

/**
 * How far a request had come.
 *
 * - `waiting`: for a permit of the pool
 * - `connecting`: name lookup, TCP, proxy, TLS
 * - `sending`: the head or the body of the request is on its way
 * - `responding`: all is sent, no byte of the response has come
 * - `receiving`: the body of the response is being read
 */
export type Phase = "waiting" | "connecting" | "sending" | "responding" | "receiving"

/** What every error of the pool tells. */
export interface Facts {
  /** Scheme, host and port of the server. */
  readonly origin: string
  readonly phase: Phase
  /** Milliseconds since the request was handed to the pool. */
  readonly elapsedMillis: number
  /**
   * Whether the server may have seen the request, and so may have acted upon it. When `false`, even a `POST` may be sent
   * again.
   */
  readonly mayHaveReachedServer: boolean
  /** What the transport said. */
  readonly cause?: unknown
}

type ErrorClass<Tag extends string> = new (
  facts: Facts
) => Cause.YieldableError & { readonly _tag: `@sluice/http-pool/${Tag}` } & Facts

const tell = (what: string, { cause, elapsedMillis, origin, phase }: Facts): string => {
  const detail = cause instanceof Error && cause.message !== "" ? `: ${cause.message}` : ""
  return `${what} (${origin}, ${phase}, after ${Math.round(elapsedMillis)} ms)${detail}`
}

const PoolTimeoutBase: ErrorClass<"PoolTimeout"> = Data.TaggedError("@sluice/http-pool/PoolTimeout")<Facts>
/** No connection came free within `poolTimeout`. */
export class PoolTimeout extends PoolTimeoutBase {
  override get message(): string {
    return tell("No connection came free in time", this)
  }
}

const PoolClosedBase: ErrorClass<"PoolClosed"> = Data.TaggedError("@sluice/http-pool/PoolClosed")<Facts>
/** The pool is closed or closing: it takes no new request, and after its drain time it gave up the ones in flight. */
export class PoolClosed extends PoolClosedBase {
  override get message(): string {
    return tell("The pool is closed", this)
  }
}

const ConnectTimeoutBase: ErrorClass<"ConnectTimeout"> = Data.TaggedError("@sluice/http-pool/ConnectTimeout")<Facts>
/** The connection was not ready (name, TCP, proxy and TLS together) within `connectTimeout`. */
export class ConnectTimeout extends ConnectTimeoutBase {
  override get message(): string {
    return tell("The connection was not ready in time", this)
  }
}

const ConnectFailedBase: ErrorClass<"ConnectFailed"> = Data.TaggedError("@sluice/http-pool/ConnectFailed")<Facts>
/** The connection could not be made: refused, unreachable, unknown name, or refused by the proxy. */
export class ConnectFailed extends ConnectFailedBase {
  override get message(): string {
    return tell("Cannot connect", this)
  }
}

const TlsErrorBase: ErrorClass<"TlsError"> = Data.TaggedError("@sluice/http-pool/TlsError")<Facts>
/** The server is reachable, but TLS failed: certificate, name or protocol. */
export class TlsError extends TlsErrorBase {
  override get message(): string {
    return tell("TLS failed", this)
  }
}

const ReadTimeoutBase: ErrorClass<"ReadTimeout"> = Data.TaggedError("@sluice/http-pool/ReadTimeout")<Facts>
/** Nothing moved on the connection for `readTimeout`: neither the server nor the reader of the body went on. */
export class ReadTimeout extends ReadTimeoutBase {
  override get message(): string {
    return tell("Nothing moved in time", this)
  }
}

const ConnectionResetBase: ErrorClass<"ConnectionReset"> = Data.TaggedError("@sluice/http-pool/ConnectionReset")<Facts>
/** The connection was closed before the response was complete. */
export class ConnectionReset extends ConnectionResetBase {
  override get message(): string {
    return tell("The connection was closed too early", this)
  }
}

const ResponseTooLargeBase: ErrorClass<"ResponseTooLarge"> = Data.TaggedError(
  "@sluice/http-pool/ResponseTooLarge"
)<Facts>
/** The body of the response is larger than `maxResponseSize`. */
export class ResponseTooLarge extends ResponseTooLargeBase {
  override get message(): string {
    return tell("The response is larger than allowed", this)
  }
}

const ProtocolErrorBase: ErrorClass<"ProtocolError"> = Data.TaggedError("@sluice/http-pool/ProtocolError")<Facts>
/** What the server sent is no valid HTTP, or its headers are too large. */
export class ProtocolError extends ProtocolErrorBase {
  override get message(): string {
    return tell("The server broke the protocol", this)
  }
}

const BodyCancelledBase: ErrorClass<"BodyCancelled"> = Data.TaggedError("@sluice/http-pool/BodyCancelled")<Facts>
/** The body was given up before it was read to its end: its request was interrupted, or its scope closed. */
export class BodyCancelled extends BodyCancelledBase {
  override get message(): string {
    return tell("The body was given up", this)
  }
}

/** Every error of the pool. */
export type PoolError =
  | PoolTimeout
  | PoolClosed
  | ConnectTimeout
  | ConnectFailed
  | TlsError
  | ReadTimeout
  | ConnectionReset
  | ResponseTooLarge
  | ProtocolError
  | BodyCancelled
