// Effects and streams over a pool's transport.

import type {
  DescMessage,
  DescMethod,
  DescMethodStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape
} from "@bufbuild/protobuf"
import { Code, type Transport } from "@connectrpc/connect"
import { Deadline } from "@sluice/retry"
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { CallOptions, ClientOptions, GrpcClient } from "../GrpcClient.ts"
import { GrpcError } from "../GrpcError.ts"
import type { Core } from "./core.ts"
import { nodeHeaders, webHeaders } from "./frames.ts"
import { failureOf, grpcTimeout, makeTransport } from "./transport.ts"
import { type Failure, UnaryCall } from "./unary.ts"

const nameOf = (method: DescMethod): string => `${method.parent.typeName}/${method.name}`

const toGrpcError = (method: DescMethod, { address, error, isSent }: Failure): GrpcError =>
  new GrpcError({
    code: error.code,
    details: error.rawMessage,
    method: nameOf(method),
    address,
    isSent,
    metadata: error.metadata,
    cause: error
  })

/** Milliseconds that the deadline in force leaves; infinite without one. */
const remainingMillis = (fiber: Fiber.Fiber<unknown, unknown>): number => {
  const deadline = fiber.getRef(Deadline.Current)
  if (deadline === Number.POSITIVE_INFINITY) return deadline
  return Math.max(0, deadline - Number(fiber.getRef(Clock.Clock).monotonicTimeNanosUnsafe()) / 1e6)
}

const mergeHeaders = (common: HeadersInit | undefined, own: HeadersInit | undefined): Headers => {
  const headers = new Headers(common)
  if (own !== undefined) {
    new Headers(own).forEach((value, name) => {
      headers.set(name, value)
    })
  }
  return headers
}

const isUnary = (method: DescMethod): method is DescMethodUnary => method.methodKind === "unary"

const isStreaming = (method: DescMethod): method is DescMethodStreaming => method.methodKind !== "unary"

class ClientMaker {
  private readonly core: Core
  private readonly transport: Transport
  private readonly options: ClientOptions
  private readonly metadata: ReturnType<typeof nodeHeaders>
  private readonly isFramedHere: boolean

  constructor(core: Core, options: ClientOptions) {
    this.core = core
    this.transport = makeTransport(core)
    this.options = options
    this.metadata = nodeHeaders(options.headers)
    this.isFramedHere = core.settings.protocol === "grpc" && core.settings.interceptors.length === 0
  }

  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>
  ): (request: MessageInitShape<I>, options?: CallOptions) => Effect.Effect<MessageShape<O>, GrpcError> {
    const attempt = this.isFramedHere ? this.framed(method) : this.throughConnect(method)
    const { hedge, retry } = this.options
    return (request, options) => {
      let call = attempt(request, options)
      if (hedge !== undefined) call = hedge(call)
      if (retry !== undefined) call = retry(call)
      return this.within(method, call, options)
    }
  }

  private within<A, R>(
    method: DescMethod,
    call: Effect.Effect<A, GrpcError, R>,
    options: CallOptions | undefined
  ): Effect.Effect<A, GrpcError, R> {
    const timeout = options?.timeout ?? this.options.timeout
    if (timeout === undefined) return call
    return Effect.catchTag(Deadline.within(timeout)(call), "@sluice/retry/DeadlineExceeded", (cause) =>
      Effect.fail(
        new GrpcError({
          code: Code.DeadlineExceeded,
          details: cause.message,
          method: nameOf(method),
          isSent: cause.isStarted,
          metadata: new Headers(),
          cause
        })
      )
    )
  }

  private framed<I extends DescMessage, O extends DescMessage>(method: DescMethodUnary<I, O>) {
    return (request: MessageInitShape<I>, options?: CallOptions): Effect.Effect<MessageShape<O>, GrpcError> =>
      Effect.withFiber((fiber) => {
        const metadata =
          options?.headers === undefined
            ? { ...this.metadata }
            : nodeHeaders(mergeHeaders(this.options.headers, options.headers))
        const left = remainingMillis(fiber)
        if (left !== Number.POSITIVE_INFINITY) metadata["grpc-timeout"] = grpcTimeout(left)
        return Effect.callback<MessageShape<O>, GrpcError>((resume) => {
          const call: UnaryCall<I, O> = new UnaryCall(this.core, method, request, metadata, {
            succeed: (message) => {
              options?.onHeader?.(webHeaders(call.headers ?? {}))
              options?.onTrailer?.(webHeaders(call.trailers ?? {}))
              resume(Effect.succeed(message))
            },
            fail: (failure) => resume(Effect.fail(toGrpcError(method, failure)))
          })
          this.core.enter(call)
          return Effect.sync(() => call.cancel())
        })
      })
  }

  private throughConnect<I extends DescMessage, O extends DescMessage>(method: DescMethodUnary<I, O>) {
    return (request: MessageInitShape<I>, options?: CallOptions): Effect.Effect<MessageShape<O>, GrpcError> =>
      Effect.withFiber((fiber) => {
        const left = remainingMillis(fiber)
        return Effect.map(
          Effect.tryPromise({
            try: (signal) =>
              this.transport.unary(
                method,
                signal,
                left === Number.POSITIVE_INFINITY ? undefined : Math.max(1, Math.ceil(left)),
                mergeHeaders(this.options.headers, options?.headers),
                request
              ),
            catch: (reason) => toGrpcError(method, failureOf(reason))
          }),
          ({ header, message, trailer }) => {
            options?.onHeader?.(header)
            options?.onTrailer?.(trailer)
            return message
          }
        )
      })
  }

  streaming<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>
  ): <E, R>(
    requests: Stream.Stream<MessageInitShape<I>, E, R>,
    options?: CallOptions
  ) => Stream.Stream<MessageShape<O>, GrpcError | E, R> {
    const { retry } = this.options
    const isRepeatable = method.methodKind === "server_streaming"
    return <E, R>(requests: Stream.Stream<MessageInitShape<I>, E, R>, options?: CallOptions) => {
      // What stopped the requests is what the caller is told, not that the call then was cancelled.
      let failure: Cause.Cause<E> | undefined
      const observed = Stream.tapCause(requests, (cause) =>
        Effect.sync(() => {
          failure = cause
        })
      )
      const open = this.open(method, observed, options)
      const opened = retry !== undefined && isRepeatable ? retry(open) : open
      return Stream.unwrap(this.within(method, opened, options)).pipe(
        Stream.catch(
          (error): Stream.Stream<never, GrpcError | E> =>
            failure === undefined ? Stream.fail(error) : Stream.failCause(failure)
        )
      )
    }
  }

  /** Begins a call and waits for its first message: until then it may be tried again. */
  private open<I extends DescMessage, O extends DescMessage, R>(
    method: DescMethodStreaming<I, O>,
    requests: Stream.Stream<MessageInitShape<I>, unknown, R>,
    options: CallOptions | undefined
  ): Effect.Effect<Stream.Stream<MessageShape<O>, GrpcError>, GrpcError, R | Scope.Scope> {
    const toError = (reason: unknown): GrpcError => toGrpcError(method, failureOf(reason))
    return Effect.withFiber((fiber) => {
      const left = remainingMillis(fiber)
      return Effect.gen({ self: this }, function* () {
        const context = yield* Effect.context<R>()
        const controller = new AbortController()
        const input = Stream.toAsyncIterableWith(requests, context)[Symbol.asyncIterator]()
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            controller.abort()
            input.return?.().catch(() => {})
          })
        )
        const answer = yield* Effect.tryPromise({
          try: async () => {
            const response = await this.transport.stream(
              method,
              controller.signal,
              left === Number.POSITIVE_INFINITY ? undefined : Math.max(1, Math.ceil(left)),
              mergeHeaders(this.options.headers, options?.headers),
              // Connect asks for the iterator again where it ends a call: it must be the one that it has read from.
              { [Symbol.asyncIterator]: () => input }
            )
            const messages = response.message[Symbol.asyncIterator]()
            return { response, messages, first: await messages.next() }
          },
          catch: toError
        })
        const { first, messages, response } = answer
        options?.onHeader?.(response.header)
        const rest = Stream.fromAsyncIterable({ [Symbol.asyncIterator]: () => messages }, toError)
        const all = first.done === true ? Stream.empty : Stream.concat(Stream.succeed(first.value), rest)
        return Stream.onEnd(
          all,
          Effect.sync(() => options?.onTrailer?.(response.trailer))
        )
      })
    })
  }

  /** The one message that a method answers which is streamed to. */
  private single<O extends DescMessage, E, R>(
    method: DescMethod,
    messages: Stream.Stream<MessageShape<O>, E, R>
  ): Effect.Effect<MessageShape<O>, E | GrpcError, R> {
    return Effect.flatMap(Stream.runCollect(messages), ([message, ...more]) =>
      message !== undefined && more.length === 0
        ? Effect.succeed(message)
        : Effect.fail(
            new GrpcError({
              code: Code.Unimplemented,
              details: `one message was to be answered, and ${message === undefined ? "none" : more.length + 1} came`,
              method: nameOf(method),
              isSent: true,
              metadata: new Headers()
            })
          )
    )
  }

  private method(method: DescMethod): (request: never, options?: CallOptions) => unknown {
    if (isUnary(method)) return this.unary(method)
    if (!isStreaming(method)) throw new TypeError(`Cannot call ${nameOf(method)}: of no known kind`)
    const call = this.streaming(method)
    switch (method.methodKind) {
      case "server_streaming":
        return (request: MessageInitShape<DescMessage>, options) => call(Stream.succeed(request), options)
      case "client_streaming":
        return (requests: Stream.Stream<MessageInitShape<DescMessage>>, options) =>
          this.single(method, call(requests, options))
      default:
        return call
    }
  }

  make<S extends DescService>(service: S): GrpcClient<S> {
    const methods = service.methods.map((method) => [method.localName, this.method(method)] as const)
    // The type of a service names its methods, its value lists them: nothing but this line knows that they agree.
    return Object.fromEntries(methods) as unknown as GrpcClient<S>
  }
}

export const makeClient = <S extends DescService>(core: Core, service: S, options: ClientOptions): GrpcClient<S> =>
  new ClientMaker(core, options).make(service)
