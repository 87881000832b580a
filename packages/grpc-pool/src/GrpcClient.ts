/**
 * A typed client whose methods are effects and streams.
 *
 * @module
 */
import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape
} from "@bufbuild/protobuf"
import type { Hedge, Retry } from "@sluice/retry"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { GrpcError } from "./GrpcError.ts"

/** What one call may have of its own. */
export interface CallOptions {
  /** Metadata of the request. Binary values as `encodeBinaryHeader` of Connect makes them. */
  readonly headers?: HeadersInit | undefined
  /**
   * How long the call may take, waiting for a stream and all retries included. The server is told. A `Deadline` in force
   * that comes sooner holds instead. Default: none.
   */
  readonly timeout?: Duration.Input | undefined
  /** Called with the metadata that comes before the answer. */
  readonly onHeader?: ((headers: Headers) => void) | undefined
  /** Called with the metadata that comes after it. */
  readonly onTrailer?: ((trailers: Headers) => void) | undefined
}

/** What holds for every call of a client. */
export interface ClientOptions {
  /**
   * Tries failed calls again: unary ones, and those that only the server streams, until their first message has come.
   * `GrpcRetry.policy` makes one. Default: none; what no server has acted on is sent again in any case.
   */
  readonly retry?: Retry.Policy<GrpcError> | undefined
  /** Sends a second copy of slow unary calls. Only for services all of whose unary methods are idempotent. */
  readonly hedge?: Hedge.Policy | undefined
  /** For calls that name none. Default: none. */
  readonly timeout?: Duration.Input | undefined
  /** Metadata of every request; a call's own overrides it. */
  readonly headers?: HeadersInit | undefined
}

/** One method: an effect where one message is answered, a stream where there may be more. */
export type Method<M extends DescMethod> =
  M extends DescMethodUnary<infer I extends DescMessage, infer O extends DescMessage>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Effect.Effect<MessageShape<O>, GrpcError>
    : M extends DescMethodServerStreaming<infer I extends DescMessage, infer O extends DescMessage>
      ? (request: MessageInitShape<I>, options?: CallOptions) => Stream.Stream<MessageShape<O>, GrpcError>
      : M extends DescMethodClientStreaming<infer I extends DescMessage, infer O extends DescMessage>
        ? <E, R>(
            requests: Stream.Stream<MessageInitShape<I>, E, R>,
            options?: CallOptions
          ) => Effect.Effect<MessageShape<O>, GrpcError | E, R>
        : M extends DescMethodBiDiStreaming<infer I extends DescMessage, infer O extends DescMessage>
          ? <E, R>(
              requests: Stream.Stream<MessageInitShape<I>, E, R>,
              options?: CallOptions
            ) => Stream.Stream<MessageShape<O>, GrpcError | E, R>
          : never

/** The methods of a service, by the names that generated code gives them. */
export type GrpcClient<S extends DescService> = { readonly [Name in keyof S["method"]]: Method<S["method"][Name]> }
