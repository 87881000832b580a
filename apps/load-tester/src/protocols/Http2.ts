// HTTP/2, and gRPC on it, over the runtime's own sessions. Streams of one
// session go side by side, so that few sessions carry many exchanges; a session
// that has as many as its server allows makes the next exchange wait.
//
// gRPC needs no description of its messages here: what is sent are the bytes of
// messages, each framed, and what comes is counted by its frames.

import * as http2 from "node:http2"
import * as net from "node:net"
import * as tls from "node:tls"
import { ErrorKind } from "../results/Recorder.ts"
import {
  type ConnectionOptions,
  errorOfStatus,
  kindOf,
  Pending,
  type Protocol,
  type Receiver,
  type RequestSpec,
  type RunContext
} from "./Exchange.ts"
import { type Origin, originOf } from "./Wire.ts"

export interface Http2Request {
  readonly step: number
  readonly headers: http2.OutgoingHttpHeaders
  readonly body: Buffer | undefined
}

export interface Http2Options extends ConnectionOptions {
  readonly isGrpc: boolean
}

interface Waiter {
  readonly request: Http2Request
  readonly pending: Pending
}

const sweepMillis = 50
/** What is allowed until a server says otherwise. */
const assumedStreams = 100

/** Says of a body that it is framed already, as messages of a stream are. It is not sent. */
export const framedContentType = "application/grpc+framed"

/** Messages as gRPC frames them. */
export const framed = (messages: ReadonlyArray<Uint8Array>): Buffer =>
  Buffer.concat(
    messages.flatMap((message) => {
      const prefix = Buffer.alloc(5)
      prefix.writeUInt32BE(message.length, 1)
      return [prefix, message]
    })
  )

/** The messages in what gRPC has framed. */
export const unframed = (bytes: Buffer): Array<Buffer> => {
  const messages: Array<Buffer> = []
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1)
    messages.push(bytes.subarray(at + 5, end))
    at = end
  }
  return messages
}

const connectionHeaders = new Set([
  "connection",
  "host",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
  "proxy-connection"
])

class Session {
  readonly session: http2.ClientHttp2Session
  private readonly client: Http2Client
  private readonly openedAt: number
  private connectedAt = 0
  isReady = false
  isGone = false
  streams = 0
  /** What the first exchange on it tells of its opening. */
  connect = -1
  tls = -1

  constructor(client: Http2Client) {
    this.client = client
    this.openedAt = client.context.now()
    const { host, insecure, isSecure, port } = client.origin
    this.session = http2.connect(client.authority, {
      createConnection: () => {
        const socket = isSecure
          ? tls.connect({
              host,
              port,
              ALPNProtocols: ["h2"],
              rejectUnauthorized: !insecure,
              ...(net.isIP(host) === 0 ? { servername: host } : {})
            })
          : net.connect({ host, port, noDelay: true })
        socket.once("connect", () => {
          this.connectedAt = client.context.now()
        })
        return socket
      }
    })
    this.session.once("connect", () => {
      const now = client.context.now()
      if (this.connectedAt === 0) this.connectedAt = now
      this.connect = this.connectedAt - this.openedAt
      this.tls = isSecure ? now - this.connectedAt : -1
      this.isReady = true
      client.context.recorder.connection(false)
      client.opened(this)
    })
    this.session.once("goaway", () => client.gone(this, undefined))
    this.session.once("error", (error) => client.gone(this, error))
    this.session.once("close", () => client.gone(this, undefined))
  }

  get hasRoom(): boolean {
    const most = this.session.remoteSettings?.maxConcurrentStreams ?? assumedStreams
    return this.isReady && !this.isGone && this.streams < most
  }

  isLate(now: number): boolean {
    return !this.isReady && now - this.openedAt > this.client.options.connectTimeoutMicros
  }
}

/** The sessions to one origin. */
export class Http2Client implements Protocol<Http2Request> {
  readonly context: RunContext
  readonly options: Http2Options
  readonly origin: Origin
  readonly authority: string
  private readonly sessions = new Set<Session>()
  private readonly underWay = new Map<Pending, http2.ClientHttp2Stream>()
  private readonly waiters: Array<Waiter> = []
  private readonly sweeper: ReturnType<typeof setInterval>
  private isClosed = false

  constructor(url: URL, options: Http2Options, context: RunContext) {
    this.context = context
    this.options = options
    this.origin = originOf(url, options.insecure)
    this.authority = `${this.origin.isSecure ? "https" : "http"}://${url.host}`
    this.sweeper = setInterval(() => this.sweep(), sweepMillis)
    this.sweeper.unref()
  }

  prepare({ body, headers, method, url }: RequestSpec, step: number): Http2Request {
    const { isGrpc } = this.options
    const all: http2.OutgoingHttpHeaders = {
      ":method": isGrpc ? "POST" : method,
      ":path": url.pathname + url.search,
      ":scheme": this.origin.isSecure ? "https" : "http",
      ":authority": url.host
    }
    for (const [name, value] of headers) {
      const key = name.toLowerCase()
      if (connectionHeaders.has(key)) continue
      const before = all[key]
      all[key] = before === undefined ? value : [...(Array.isArray(before) ? before : [String(before)]), value]
    }
    if (isGrpc) {
      all["content-type"] ??= "application/grpc"
      all["te"] = "trailers"
      // A streaming call brings its frames itself; anything else is one message.
      const isFramed = all["content-type"] === framedContentType
      if (isFramed) all["content-type"] = "application/grpc"
      return {
        step,
        headers: all,
        body: isFramed && body !== undefined ? Buffer.from(body) : framed([body ?? new Uint8Array(0)])
      }
    }
    return { step, headers: all, body: body === undefined ? undefined : Buffer.from(body) }
  }

  send(request: Http2Request, scheduledAt: number, receiver: Receiver): void {
    const pending = new Pending(this.context, request.step, scheduledAt, receiver)
    const session = this.withRoom()
    if (session !== undefined) {
      this.context.recorder.connection(true)
      this.exchange(session, request, pending)
      return
    }
    if (this.isClosed) {
      pending.settle(0, ErrorKind.cancelled)
      return
    }
    this.waiters.push({ request, pending })
    this.openMore()
  }

  close(): void {
    this.isClosed = true
    clearInterval(this.sweeper)
    for (const pending of [...this.underWay.keys()]) pending.settle(0, ErrorKind.cancelled)
    for (const { pending } of this.waiters.splice(0)) pending.settle(0, ErrorKind.cancelled)
    for (const { session } of this.sessions) session.destroy()
  }

  opened(session: Session): void {
    const first = this.waiters.shift()
    if (first !== undefined) {
      first.pending.connect = session.connect
      first.pending.tls = session.tls
      this.exchange(session, first.request, first.pending)
    }
    this.serve()
  }

  /** A session is no more, or takes nothing new; what waited only for it fails with it. */
  gone(session: Session, error: unknown): void {
    if (session.isGone) return
    session.isGone = true
    this.sessions.delete(session)
    if (!session.isReady) {
      // Each session that fails to open answers for one exchange, as a connection of its own would.
      const first = this.waiters.shift()
      first?.pending.settle(0, error === undefined ? ErrorKind.reset : kindOf(error))
    }
    if (!this.isClosed && this.waiters.length > 0) this.openMore()
  }

  // The session with most room left is not looked for: the first that has some keeps the others idle, as a pool does.
  private withRoom(): Session | undefined {
    for (const session of this.sessions) if (session.hasRoom) return session
    return undefined
  }

  private openMore(): void {
    let opening = 0
    for (const { isReady } of this.sessions) if (!isReady) opening++
    // One that opens will serve many.
    const wanted = Math.ceil(this.waiters.length / assumedStreams)
    for (; opening < wanted && this.sessions.size < this.options.connections; opening++) {
      this.sessions.add(new Session(this))
    }
  }

  private serve(): void {
    while (this.waiters.length > 0) {
      const session = this.withRoom()
      if (session === undefined) return
      const waiter = this.waiters.shift()
      if (waiter === undefined) return
      this.context.recorder.connection(true)
      this.exchange(session, waiter.request, waiter.pending)
    }
  }

  private exchange(session: Session, request: Http2Request, pending: Pending): void {
    const { isGrpc } = this.options
    const { keepsAnswer } = pending.receiver
    let stream: http2.ClientHttp2Stream
    try {
      stream = session.session.request(request.headers, { endStream: request.body === undefined })
    } catch (error) {
      pending.settle(0, kindOf(error))
      return
    }
    session.streams++
    this.underWay.set(pending, stream)
    if (request.body !== undefined) stream.end(request.body)
    pending.sent()
    pending.bytesOut = request.body?.length ?? 0
    let status = 0
    let code: number | undefined
    let failure: unknown
    const headers = new Map<string, string>()
    const parts: Array<Buffer> = []
    const readHeaders = (fields: http2.IncomingHttpHeaders): void => {
      const grpcStatus = fields["grpc-status"]
      if (grpcStatus !== undefined) code = Number(grpcStatus)
      if (!keepsAnswer) return
      for (const [name, value] of Object.entries(fields)) {
        if (value !== undefined && !name.startsWith(":")) headers.set(name, String(value))
      }
    }
    stream.on("response", (fields) => {
      status = Number(fields[":status"] ?? 0)
      pending.received(0)
      readHeaders(fields)
    })
    stream.on("trailers", readHeaders)
    stream.on("data", (chunk: Buffer) => {
      pending.received(chunk.length)
      if (keepsAnswer) parts.push(chunk)
    })
    stream.on("error", (error) => {
      failure = error
    })
    stream.on("close", () => {
      session.streams--
      this.underWay.delete(pending)
      const answer = () =>
        keepsAnswer ? { status: isGrpc ? (code ?? 2) : status, headers, body: Buffer.concat(parts) } : undefined
      if (failure !== undefined)
        pending.settle(
          0,
          failure instanceof Error && "code" in failure && failure.code === "ERR_HTTP2_STREAM_ERROR"
            ? ErrorKind.reset
            : kindOf(failure)
        )
      else if (status === 0) pending.settle(0, ErrorKind.reset)
      else if (!isGrpc) pending.settle(status, errorOfStatus(status, this.options.isExpected), answer())
      else if (code === undefined)
        pending.settle(
          status,
          status === 200 ? ErrorKind.protocol : errorOfStatus(status, this.options.isExpected),
          answer()
        )
      else pending.settle(code, code === 0 ? ErrorKind.none : ErrorKind.grpc, answer())
      if (!this.isClosed) this.serve()
    })
  }

  private sweep(): void {
    const now = this.context.now()
    const { timeoutMicros } = this.options
    for (const [pending, stream] of this.underWay) {
      if (now - (pending.sentAt ?? now) <= timeoutMicros) continue
      pending.settle(0, ErrorKind.timeout)
      stream.close(http2.constants.NGHTTP2_CANCEL)
    }
    for (const session of this.sessions) {
      if (!session.isLate(now)) continue
      this.waiters.shift()?.pending.settle(0, ErrorKind.timeout)
      session.isReady = true
      session.session.destroy()
    }
    for (let first = this.waiters[0]; first !== undefined; first = this.waiters[0]) {
      if (now - first.pending.startedAt <= timeoutMicros) return
      this.waiters.shift()
      first.pending.settle(0, ErrorKind.timeout)
    }
  }
}
