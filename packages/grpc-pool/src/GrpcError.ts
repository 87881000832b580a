/**
 * The one way in which a call through a pool fails.
 *
 * @module
 */
import { Code, ConnectError } from "@connectrpc/connect"
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"

/** What is known of a call that failed. */
export interface GrpcErrorFields {
  /** gRPC's status, `Code.Unavailable` for one. */
  readonly code: Code
  /** The server's words, or the pool's. */
  readonly details: string
  /** The service and method, `package.Service/Method`. */
  readonly method: string
  /** Where the call was sent, or would have been; absent where no address was chosen. */
  readonly address?: string | undefined
  /** `false` only where no server can have acted on the call: to send it again is safe, whatever it does. */
  readonly isSent: boolean
  /** What came with the status: trailers, for the most part. */
  readonly metadata: Headers
  readonly cause?: unknown
}

const GrpcErrorBase: new (
  fields: GrpcErrorFields
) => Cause.YieldableError & { readonly _tag: "@sluice/grpc-pool/GrpcError" } & GrpcErrorFields = Data.TaggedError(
  "@sluice/grpc-pool/GrpcError"
)<GrpcErrorFields>

/**
 * A call failed: the server said so, or it could not be reached, or the time was over. `code` tells which, with the
 * meanings that gRPC gives to its statuses.
 */
export class GrpcError extends GrpcErrorBase {
  override get message(): string {
    const at = this.address === undefined ? "" : ` at ${this.address}`
    return `${this.method}${at} failed with ${Code[this.code]}: ${this.details}`
  }
}

/** What a transport of Connect rejects with, as the error of a call. */
export const fromUnknown = (
  reason: unknown,
  call: { readonly method: string; readonly address?: string | undefined; readonly isSent: boolean }
): GrpcError => {
  if (reason instanceof GrpcError) return reason
  const error = ConnectError.from(reason, Code.Unknown)
  return new GrpcError({
    code: error.code,
    details: error.rawMessage,
    method: call.method,
    address: call.address,
    isSent: call.isSent,
    metadata: error.metadata,
    cause: reason
  })
}
