// A unary call over gRPC, framed here: the request in one write, the answer out
// of one stream, without the iterables that a transport for all kinds of calls
// needs. What a server cannot have acted on (a stream that it refused, or that
// never left) is sent again, on whatever stream is free then.

import type * as http2 from "node:http2"
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary
} from "@bufbuild/protobuf"
import { Code, ConnectError } from "@connectrpc/connect"
import { codeFromHttpStatus, findTrailerError } from "@connectrpc/connect/protocol-grpc"
import type { Core, Refusal, Waiter } from "./core.ts"
import { cancelStream, isRefused, resetError, wasReset, webHeaders } from "./frames.ts"
import type { Session } from "./session.ts"

export interface Failure {
  readonly error: ConnectError
  readonly address: string | undefined
  readonly isSent: boolean
}

export interface UnaryHandlers<O extends DescMessage> {
  readonly succeed: (message: MessageShape<O>) => void
  readonly fail: (failure: Failure) => void
}

/** Sent again without being asked, so often at most: a server that refuses everything is not hammered. */
const maxResends = 5

const prefixBytes = 5

export class UnaryCall<I extends DescMessage, O extends DescMessage> implements Waiter {
  readonly method: DescMethodUnary<I, O>
  headers: http2.IncomingHttpHeaders | undefined
  trailers: http2.IncomingHttpHeaders | undefined
  private readonly core: Core
  private readonly handlers: UnaryHandlers<O>
  private readonly metadata: http2.OutgoingHttpHeaders
  private readonly body: Uint8Array
  private readonly isCounted: boolean
  private session: Session | undefined
  private stream: http2.ClientHttp2Stream | undefined
  private chunks: Array<Uint8Array> = []
  private bytes = 0
  private resends = 0
  private error: Error | undefined
  private isDone = false

  constructor(
    core: Core,
    method: DescMethodUnary<I, O>,
    message: MessageInitShape<I>,
    metadata: http2.OutgoingHttpHeaders,
    handlers: UnaryHandlers<O>,
    isCounted = true
  ) {
    this.core = core
    this.method = method
    this.handlers = handlers
    this.metadata = metadata
    this.isCounted = isCounted
    const bytes = toBinary(method.input, create(method.input, message))
    this.body = Buffer.allocUnsafe(prefixBytes + bytes.length)
    this.body[0] = 0
    new DataView(this.body.buffer, this.body.byteOffset).setUint32(1, bytes.length)
    this.body.set(bytes, prefixBytes)
  }

  serve(session: Session): void {
    this.session = session
    let stream: http2.ClientHttp2Stream
    try {
      stream = session.http2.request({
        ...this.metadata,
        ":method": "POST",
        ":path": `/${this.method.parent.typeName}/${this.method.name}`,
        "content-type": "application/grpc+proto",
        te: "trailers"
      })
    } catch (error) {
      this.giveBack()
      this.notSent(error instanceof Error ? error : new Error(String(error)))
      return
    }
    this.stream = stream
    stream.on("response", (headers) => {
      this.headers = headers
    })
    stream.on("trailers", (trailers) => {
      this.trailers = trailers
    })
    stream.on("data", (chunk: Uint8Array) => this.onData(chunk))
    stream.on("error", (error: Error) => {
      this.error = error
    })
    stream.on("close", () => this.onClose(stream))
    stream.end(this.body)
  }

  refuse({ address, code, details }: Refusal): void {
    this.fail(new ConnectError(details, code), address, false)
  }

  /** Leaves the line, or resets the stream; nothing is told any more. */
  cancel(): void {
    if (this.isDone) return
    this.isDone = true
    if (this.isCounted) this.core.cancelled++
    if (this.stream === undefined) this.core.leave(this)
    else cancelStream(this.stream)
  }

  private onData(chunk: Uint8Array): void {
    this.bytes += chunk.length
    this.chunks.push(chunk)
    if (this.bytes <= this.core.settings.maxMessageBytes + prefixBytes || this.isDone) return
    this.failSent(
      new ConnectError(`the answer is over ${this.core.settings.maxMessageBytes} bytes`, Code.ResourceExhausted)
    )
    if (this.stream !== undefined) cancelStream(this.stream)
  }

  private onClose(stream: http2.ClientHttp2Stream): void {
    const session = this.giveBack()
    if (this.isDone) return
    if (this.headers === undefined && (isRefused(stream) || stream.id === undefined)) {
      this.notSent(new Error(isRefused(stream) ? "the server refused the stream" : session.closeReason))
      return
    }
    const error = this.statusError(stream, session)
    if (error !== undefined) this.failSent(error)
    else this.parse()
  }

  private giveBack(): Session {
    const { session, stream } = this
    if (session === undefined) throw new Error("A call without a stream cannot give one back")
    this.stream = undefined
    this.core.release(session, wasReset(stream))
    return session
  }

  private notSent(reason: Error): void {
    if (this.isDone) return
    if (this.resends++ < maxResends) {
      this.error = undefined
      this.core.enter(this)
    } else this.fail(new ConnectError(reason.message, Code.Unavailable), this.session?.authority, false)
  }

  private statusError(stream: http2.ClientHttp2Stream, session: Session): ConnectError | undefined {
    const { headers, trailers } = this
    if (headers === undefined) return resetError(stream, session, this.error)
    const status = Number(headers[":status"])
    if (status !== 200) return new ConnectError(`HTTP ${status}`, codeFromHttpStatus(status), webHeaders(headers))
    const grpcStatus = trailers?.["grpc-status"] ?? headers["grpc-status"]
    if (grpcStatus === "0") return undefined
    if (grpcStatus === undefined) {
      return this.error !== undefined || stream.rstCode !== 0 || !session.isOpen
        ? resetError(stream, session, this.error)
        : new ConnectError("the answer has no status", Code.Internal)
    }
    return (
      findTrailerError(webHeaders({ ...headers, ...trailers })) ??
      new ConnectError(`the status ${String(grpcStatus)} makes no sense`, Code.Internal)
    )
  }

  private parse(): void {
    const { chunks } = this
    const bytes = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
    if (bytes.length < prefixBytes) {
      this.failSent(new ConnectError("the answer has no message", Code.Unimplemented))
      return
    }
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1)
    if (bytes[0] !== 0 || bytes.length !== prefixBytes + length) {
      const what = bytes[0] === 0 ? "is not one whole message" : "is compressed, which was not asked for"
      this.failSent(new ConnectError(`the answer ${what}`, Code.Internal))
      return
    }
    let message: MessageShape<O>
    try {
      message = fromBinary(this.method.output, bytes.subarray(prefixBytes))
    } catch (error) {
      this.failSent(ConnectError.from(error, Code.Internal))
      return
    }
    this.isDone = true
    if (this.isCounted) this.core.succeeded++
    this.handlers.succeed(message)
  }

  private failSent(error: ConnectError): void {
    this.fail(error, this.session?.authority, true)
  }

  private fail(error: ConnectError, address: string | undefined, isSent: boolean): void {
    if (this.isDone) return
    this.isDone = true
    if (this.isCounted) {
      this.core.failed++
      if (this.session !== undefined) this.session.address.callFailures++
    }
    this.handlers.fail({ error, address, isSent })
  }
}
