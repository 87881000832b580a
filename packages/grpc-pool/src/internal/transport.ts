// Connect's transport over a pool: one attempt for each call. Unary calls over
// gRPC are framed here; all others go through Connect's own transports, one for
// each session, which open their streams by the session. A permit is given back
// when the stream that it was for has closed, and not before.

import type { DescMessage, DescMethodStreaming, DescMethodUnary, MessageInitShape } from "@bufbuild/protobuf"
import {
  Code,
  ConnectError,
  type ContextValues,
  type StreamResponse,
  type Transport,
  type UnaryResponse
} from "@connectrpc/connect"
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node"
import type { Core, Waiter } from "./core.ts"
import { cancelStream, codeOfReset, isRefused, nodeHeaders, wasReset, webHeaders } from "./frames.ts"
import { type Link, linkHeader, type Session } from "./session.ts"
import { type Failure, UnaryCall } from "./unary.ts"

/** What a call knows when it fails, beside what Connect says: kept by the error that its caller is given. */
const failures: WeakMap<ConnectError, Failure> = new WeakMap()

export const failureOf = (reason: unknown): Failure => {
  const error = ConnectError.from(reason, Code.Unknown)
  return failures.get(error) ?? { error, address: undefined, isSent: true }
}

const known = (failure: Failure): ConnectError => {
  failures.set(failure.error, failure)
  return failure.error
}

const transports = { grpc: createGrpcTransport, "grpc-web": createGrpcWebTransport, connect: createConnectTransport }

const transportOf = (core: Core, session: Session): Transport => {
  const { interceptors, maxMessageBytes, protocol } = core.settings
  session.transport ??= transports[protocol]({
    baseUrl: session.authority,
    httpVersion: "2",
    sessionManager: session,
    interceptors: [...interceptors],
    ...(maxMessageBytes === Number.POSITIVE_INFINITY ? {} : { readMaxBytes: maxMessageBytes })
  })
  return session.transport
}

/** Ends with the caller's signal or after its time, whichever comes first. */
class Patience {
  readonly controller: AbortController = new AbortController()
  private readonly timer: ReturnType<typeof setTimeout> | undefined
  private readonly signal: AbortSignal | undefined

  constructor(signal: AbortSignal | undefined, timeoutMs: number | undefined) {
    this.signal = signal
    if (signal?.aborted === true) this.onAbort()
    else signal?.addEventListener("abort", this.onAbort)
    if (timeoutMs !== undefined) {
      const error = new ConnectError("the operation timed out", Code.DeadlineExceeded)
      this.timer = setTimeout(() => this.controller.abort(error), timeoutMs)
    }
  }

  readonly onAbort = (): void => {
    const reason: unknown = this.signal?.reason
    this.controller.abort(
      reason instanceof ConnectError ? reason : new ConnectError("the operation was cancelled", Code.Canceled)
    )
  }

  get error(): ConnectError {
    return ConnectError.from(this.controller.signal.reason, Code.Canceled)
  }

  end(): void {
    clearTimeout(this.timer)
    this.signal?.removeEventListener("abort", this.onAbort)
  }
}

const acquire = (core: Core, patience: Patience): Promise<Session> =>
  new Promise((resolve, reject) => {
    const { signal } = patience.controller
    if (signal.aborted) {
      reject(known({ error: patience.error, address: undefined, isSent: false }))
      return
    }
    const onAbort = (): void => {
      core.leave(waiter)
      core.cancelled++
      reject(known({ error: patience.error, address: undefined, isSent: false }))
    }
    const waiter: Waiter = {
      serve: (session) => {
        signal.removeEventListener("abort", onAbort)
        resolve(session)
      },
      refuse: ({ address, code, details }) => {
        signal.removeEventListener("abort", onAbort)
        core.failed++
        reject(known({ error: new ConnectError(details, code), address, isSent: false }))
      }
    }
    signal.addEventListener("abort", onAbort)
    core.enter(waiter)
  })

type Outcome = "succeeded" | "failed" | "cancelled"

/** The permit of a call that a transport of Connect makes, and the stream that it was opened for. */
class Lease {
  private readonly core: Core
  readonly session: Session
  private readonly id: string
  private isSettled = false
  private isReleased = false
  readonly link: Link

  constructor(core: Core, session: Session) {
    this.core = core
    this.session = session
    this.link = {
      stream: undefined,
      onStream: (stream) => {
        if (stream.destroyed) this.release()
        else stream.once("close", () => this.release())
      }
    }
    this.id = session.link(this.link)
  }

  headers(given: HeadersInit | undefined): Headers {
    const headers = new Headers(given)
    headers.set(linkHeader, this.id)
    return headers
  }

  private release(): void {
    if (this.isReleased) return
    this.isReleased = true
    this.core.release(this.session, wasReset(this.link.stream))
  }

  /** The call is over; its stream is closed if the server has not done so, and the permit goes back with that. */
  settle(outcome: Outcome): void {
    if (this.isSettled) return
    this.isSettled = true
    this.core[outcome]++
    if (outcome === "failed") this.session.address.callFailures++
    this.session.unlink(this.id)
    const { stream } = this.link
    if (stream === undefined || stream.destroyed) this.release()
    else if (outcome !== "succeeded") cancelStream(stream)
    // A server may answer before it has heard all: it need hear no more.
    else if (!stream.writableEnded) stream.close(0)
  }

  async failure(reason: unknown, patience: Patience): Promise<Failure> {
    const { session } = this
    const { stream } = this.link
    const isSent = stream !== undefined && !isRefused(stream) && stream.id !== undefined
    const isOver = patience.controller.signal.aborted
    const given = isOver ? patience.error : ConnectError.from(reason, Code.Internal)
    if (isOver || isFromServer(given)) return { error: given, address: session.authority, isSent }
    // A lost connection resets its streams as if they had been cancelled. Deno does so before it tells of the connection.
    if (session.isOpen) await new Promise((resolve) => setImmediate(resolve))
    const { metadata } = given
    // Connect has the resets that the stream itself tells of as internal errors.
    const error = session.isLost
      ? new ConnectError(session.closeReason, Code.Unavailable, metadata, undefined, reason)
      : isStreamError(given.cause)
        ? new ConnectError(given.rawMessage, codeOfReset(stream?.rstCode), metadata, undefined, reason)
        : given
    return { error, address: session.authority, isSent }
  }
}

const isStreamError = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && cause.code === "ERR_HTTP2_STREAM_ERROR"

const isFromServer = (error: ConnectError): boolean => error.metadata.has("grpc-status") || error.details.length > 0

const outcomeOf = ({ code }: ConnectError): Outcome => (code === Code.Canceled ? "cancelled" : "failed")

const unaryThroughConnect = async <I extends DescMessage, O extends DescMessage>(
  core: Core,
  method: DescMethodUnary<I, O>,
  patience: Patience,
  timeoutMs: number | undefined,
  header: HeadersInit | undefined,
  input: MessageInitShape<I>,
  contextValues: ContextValues | undefined
): Promise<UnaryResponse<I, O>> => {
  for (let resends = 0; ; resends++) {
    const lease = new Lease(core, await acquire(core, patience))
    try {
      const response = await transportOf(core, lease.session).unary(
        method,
        patience.controller.signal,
        timeoutMs,
        lease.headers(header),
        input,
        contextValues
      )
      lease.settle("succeeded")
      return response
    } catch (reason) {
      const failure = await lease.failure(reason, patience)
      lease.settle(outcomeOf(failure.error))
      if (failure.isSent || resends === 5 || patience.controller.signal.aborted) throw known(failure)
    }
  }
}

/** Ends the call when its reader stops, which Connect leaves to a signal. */
const reading = <A>(messages: AsyncIterable<A>, lease: Lease, patience: Patience): AsyncIterable<A> => ({
  [Symbol.asyncIterator]: () => {
    const inner = messages[Symbol.asyncIterator]()
    const over = (outcome: Outcome): void => {
      patience.end()
      lease.settle(outcome)
    }
    return {
      next: async () => {
        try {
          const result = await inner.next()
          if (result.done === true) over("succeeded")
          return result
        } catch (reason) {
          const failure = await lease.failure(reason, patience)
          over(outcomeOf(failure.error))
          throw known(failure)
        }
      },
      return: async (value?: unknown) => {
        patience.onAbort()
        over("cancelled")
        return { done: true, value }
      }
    }
  }
})

export const makeTransport = (core: Core): Transport => {
  const isFramedHere = core.settings.protocol === "grpc" && core.settings.interceptors.length === 0
  return {
    async unary<I extends DescMessage, O extends DescMessage>(
      method: DescMethodUnary<I, O>,
      signal: AbortSignal | undefined,
      timeoutMs: number | undefined,
      header: HeadersInit | undefined,
      input: MessageInitShape<I>,
      contextValues?: ContextValues
    ): Promise<UnaryResponse<I, O>> {
      const patience = new Patience(signal, timeoutMs)
      try {
        if (!isFramedHere) {
          return await unaryThroughConnect(core, method, patience, timeoutMs, header, input, contextValues)
        }
        return await new Promise<UnaryResponse<I, O>>((resolve, reject) => {
          const metadata = nodeHeaders(header)
          if (timeoutMs !== undefined) metadata["grpc-timeout"] = grpcTimeout(timeoutMs)
          const call: UnaryCall<I, O> = new UnaryCall(core, method, input, metadata, {
            succeed: (message) =>
              resolve({
                stream: false,
                service: method.parent,
                method,
                header: webHeaders(call.headers ?? {}),
                trailer: webHeaders(call.trailers ?? {}),
                message
              }),
            fail: (failure) => reject(known(failure))
          })
          const { signal: ended } = patience.controller
          const onEnded = (): void => {
            call.cancel()
            reject(known({ error: patience.error, address: undefined, isSent: true }))
          }
          if (ended.aborted) onEnded()
          else {
            ended.addEventListener("abort", onEnded)
            core.enter(call)
          }
        })
      } finally {
        patience.end()
      }
    },
    async stream<I extends DescMessage, O extends DescMessage>(
      method: DescMethodStreaming<I, O>,
      signal: AbortSignal | undefined,
      timeoutMs: number | undefined,
      header: HeadersInit | undefined,
      input: AsyncIterable<MessageInitShape<I>>,
      contextValues?: ContextValues
    ): Promise<StreamResponse<I, O>> {
      const patience = new Patience(signal, timeoutMs)
      let session: Session
      try {
        session = await acquire(core, patience)
      } catch (error) {
        patience.end()
        throw error
      }
      const lease = new Lease(core, session)
      try {
        const response = await transportOf(core, session).stream(
          method,
          patience.controller.signal,
          timeoutMs,
          lease.headers(header),
          input,
          contextValues
        )
        return { ...response, message: reading(response.message, lease, patience) }
      } catch (reason) {
        const failure = await lease.failure(reason, patience)
        patience.end()
        lease.settle(outcomeOf(failure.error))
        throw known(failure)
      }
    }
  }
}

/** gRPC allows eight digits; a longer time in a larger unit. */
export const grpcTimeout = (millis: number): string =>
  millis < 1e8 ? `${Math.max(1, Math.ceil(millis))}m` : `${Math.min(99_999_999, Math.ceil(millis / 1000))}S`
