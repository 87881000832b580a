/**
 * What can go wrong between a request and its response.
 *
 * @module
 */

/**
 * How far a request had come: `waiting` for a permit, `connecting`, `sending` the request, `responding` (all is sent, no
 * byte has come back), `receiving` the body of the response.
 */
export type PoolPhase = "waiting" | "connecting" | "sending" | "responding" | "receiving"

/** What happened. */
export type PoolErrorName =
  /** No connection came free within `poolTimeout`. */
  | "PoolTimeout"
  /** The pool is closed or closing. */
  | "PoolClosed"
  | "ConnectTimeout"
  | "ConnectFailed"
  | "TlsError"
  /** Nothing moved on the connection for `readTimeout`. */
  | "ReadTimeout"
  /** The connection was closed before the response was complete. */
  | "ConnectionReset"
  | "ResponseTooLarge"
  | "ProtocolError"
  | "BodyCancelled"

/** The facts of a failure. */
export interface PoolErrorFields {
  readonly name: PoolErrorName
  readonly origin: string
  readonly phase: PoolPhase
  readonly elapsedMillis: number
  readonly mayHaveReachedServer: boolean
  readonly cause?: unknown
}

/** A request has failed; `name` tells of what. */
export class PoolError extends Error {
  override readonly name: PoolErrorName
  /** Scheme, host and port of the server. */
  readonly origin: string
  readonly phase: PoolPhase
  /** Milliseconds since the request was handed to the pool. */
  readonly elapsedMillis: number
  /** Whether the server may have acted upon the request. When `false`, even a `POST` may be sent again. */
  readonly mayHaveReachedServer: boolean

  constructor(message: string, { cause, elapsedMillis, mayHaveReachedServer, name, origin, phase }: PoolErrorFields) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = name
    this.origin = origin
    this.phase = phase
    this.elapsedMillis = elapsedMillis
    this.mayHaveReachedServer = mayHaveReachedServer
  }
}
