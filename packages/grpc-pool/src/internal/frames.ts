// What HTTP/2 says of a stream, in gRPC's words.

import type * as http2 from "node:http2"
import { Code, ConnectError } from "@connectrpc/connect"
import type { Session } from "./session.ts"

const refusedStream = 7

/** The server says that it has not looked at the stream. So does a GOAWAY of all streams after its last. */
export const isRefused = (stream: http2.ClientHttp2Stream): boolean => stream.rstCode === refusedStream

const cancelled = 8

/**
 * Tells the server that the call was cancelled, and ends the stream at once: what was to be written is dropped, so that a
 * server that does not read keeps nothing here.
 */
export const cancelStream = (stream: http2.ClientHttp2Stream): void => {
  if (stream.destroyed) return
  stream.close(cancelled)
  stream.destroy()
}

/** Whether the stream did not end by itself: this end has reset it, for one. */
export const wasReset = (stream: http2.ClientHttp2Stream | undefined): boolean => (stream?.rstCode ?? 0) !== 0

/** gRPC's mapping of HTTP/2 codes; all others are internal errors. */
const codes: Readonly<Record<number, Code>> = {
  7: Code.Unavailable,
  8: Code.Canceled,
  11: Code.ResourceExhausted,
  12: Code.PermissionDenied
}

export const codeOfReset = (rstCode: number | undefined): Code => codes[rstCode ?? 0] ?? Code.Internal

/** Why a stream ended without a status. */
export const resetError = (
  stream: http2.ClientHttp2Stream,
  session: Session,
  error: Error | undefined
): ConnectError => {
  // With its connection a stream is reset too, as if somebody had asked for that.
  if (session.isLost) {
    return new ConnectError(session.closeReason, Code.Unavailable, undefined, undefined, error)
  }
  const { rstCode } = stream
  return new ConnectError(
    `the stream was reset with code ${rstCode}`,
    codeOfReset(rstCode),
    undefined,
    undefined,
    error
  )
}

export const webHeaders = (headers: http2.IncomingHttpHeaders): Headers => {
  const result = new Headers()
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(":")) continue
    if (typeof value === "string") result.set(name, value)
    else for (const each of value) result.append(name, each)
  }
  return result
}

/** Request metadata as HTTP/2 sends it. */
export const nodeHeaders = (headers: HeadersInit | undefined): http2.OutgoingHttpHeaders => {
  const result: http2.OutgoingHttpHeaders = {}
  if (headers === undefined) return result
  new Headers(headers).forEach((value, name) => {
    result[name] = value
  })
  return result
}
