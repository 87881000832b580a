// One HTTP/2 connection: as many requests at once as the pool and the peer allow.
//
// On Node's own client and not on undici's, because the pool must know the peer's
// stream limit before it hands a request over (a request above it would queue in
// the transport or be refused), and what a GOAWAY still covers.
//
// A session that has requests holds one permit, as an HTTP/1.1 connection does,
// however many they are.
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2"
import type { Socket } from "node:net"
import type { Exchange } from "./exchange.ts"
import { RefusedStream } from "./failure.ts"
import { type CloseReason, Link } from "./link.ts"
import type { Multiplexer } from "./multiplexer.ts"
import { bytesOf, toTransportBody } from "./requestBody.ts"
import type { ResponseHeaders } from "./undici.ts"

const cancel = 8
const refusedStream = 7
const hopByHop = new Set(["connection", "host", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"])

export class Session extends Link {
  private readonly session: ClientHttp2Session
  private readonly multiplexer: Multiplexer
  private readonly streams: Map<Exchange, ClientHttp2Stream> = new Map()
  private isGoingAway = false
  private isAwaitingPong = false
  private failure: Error | undefined

  constructor(multiplexer: Multiplexer, session: ClientHttp2Session, socket: Socket) {
    super(multiplexer.pool, multiplexer.origin)
    this.multiplexer = multiplexer
    this.session = session
    this.recordOpen(socket)
    session.on("goaway", () => {
      this.isGoingAway = true
      if (this.streams.size === 0) this.destroy("peer")
    })
    session.on("error", (error: Error) => {
      this.failure = error
    })
    session.on("close", () => this.destroy("peer"))
    this.pool.pings.add(this)
  }

  /** How many more requests it takes. */
  get room(): number {
    return this.isReusable() ? this.limit - this.streams.size : 0
  }

  private get limit(): number {
    const { maxStreams } = this.pool.settings
    return Math.min(maxStreams, this.session.remoteSettings.maxConcurrentStreams ?? maxStreams)
  }

  get isBusy(): boolean {
    return this.streams.size > 0
  }

  override isReusable(): boolean {
    return super.isReusable() && !this.isGoingAway && !this.session.closed && !this.session.destroyed && this.limit > 0
  }

  exchanges(): Iterable<Exchange> {
    return this.streams.keys()
  }

  dispatch(exchange: Exchange): void {
    exchange.link = this
    const { request } = exchange
    const body = toTransportBody(request.body)
    exchange.stopBody = body.stop
    const headers: Record<string, string> = {
      ":method": request.method,
      ":path": exchange.path,
      ":scheme": this.origin.target.isTls ? "https" : "http",
      ":authority": request.headers["host"] ?? this.origin.authority
    }
    for (const name of Object.keys(request.headers)) {
      const value = request.headers[name]
      if (value !== undefined && !hopByHop.has(name)) headers[name] = value
    }
    if (body.contentType !== undefined) headers["content-type"] = body.contentType
    let stream: ClientHttp2Stream
    try {
      stream = this.session.request(headers, { endStream: body.body === null })
    } catch (error) {
      exchange.onResponseError(undefined, error instanceof Error ? error : new Error(String(error)))
      return
    }
    this.streams.set(exchange, stream)
    this.listen(exchange, stream)
    exchange.onRequestStart({
      pause: () => stream.pause(),
      resume: () => stream.resume(),
      abort: () => stream.close(cancel)
    })
    if (body.body === null) exchange.onRequestSent()
    else this.send(exchange, stream, body.body)
  }

  release(exchange: Exchange, reason: CloseReason | undefined): void {
    const stream = this.streams.get(exchange)
    this.streams.delete(exchange)
    this.served++
    if (stream !== undefined && !stream.closed && !exchange.hasEnded) stream.close(cancel)
    if (exchange.isIsolated) {
      this.destroy(reason ?? "isolated")
      return
    }
    if (reason === "timeout" && exchange.phase === "responding" && this.streams.size === 0) {
      // Nothing has come for so long on any of its streams: the connection itself may be gone.
      this.destroy("timeout")
    } else if (this.isGoingAway && this.streams.size === 0) {
      this.destroy("peer")
    }
    this.multiplexer.onRoom(this)
  }

  resend(exchange: Exchange): void {
    this.pool.retract(this.origin)
    this.release(exchange, undefined)
    exchange.link = undefined
    this.multiplexer.send(exchange)
  }

  onIdle(): void {
    this.pool.pings.remove(this)
    this.pool.idles.add(this)
    this.socket?.unref()
  }

  onTaken(): void {
    this.pool.idles.remove(this)
    this.pool.pings.add(this)
    this.socket?.ref()
  }

  onDeadline(): void {
    if (this.isIdle) {
      this.destroy("expired")
      return
    }
    if (this.isAwaitingPong) {
      this.failure = new Error("The server did not answer a ping")
      this.destroy("timeout")
      return
    }
    this.isAwaitingPong = true
    this.session.ping(() => {
      this.isAwaitingPong = false
    })
    this.pool.pings.add(this)
  }

  protected close(): void {
    // Not at once: this may run while the protocol's parser calls back, which Deno's does not survive.
    setImmediate(() => {
      this.session.destroy()
      this.socket?.destroy()
    })
    for (const exchange of this.streams.keys()) exchange.onResponseError(undefined, this.reset())
    this.multiplexer.onClosed(this)
  }

  private reset(): Error {
    return this.failure ?? new Error("The HTTP/2 session was closed")
  }

  private listen(exchange: Exchange, stream: ClientHttp2Stream): void {
    const controller = { pause: () => stream.pause(), resume: () => stream.resume(), abort: () => stream.close(cancel) }
    let error: Error | undefined
    stream.on("headers", () => exchange.onResponseStart(controller, 100, {}))
    stream.on("response", (headers) => exchange.onResponseStart(controller, headers[":status"] ?? 0, fields(headers)))
    stream.on("data", (chunk: Uint8Array) => exchange.onResponseData(controller, chunk))
    stream.on("end", () => {
      // A stream that is reset ends as well, and so does one that never had a response.
      if (exchange.status !== 0 && !stream.rstCode) exchange.onResponseEnd()
    })
    stream.on("error", (cause: Error) => {
      error = cause
    })
    stream.on("close", () => {
      if (exchange.hasEnded || exchange.isSettled) return
      if (stream.rstCode === refusedStream) {
        exchange.onResponseError(controller, new RefusedStream("The server refused the stream"))
      } else {
        const closed = new Error(`The stream was closed with code ${stream.rstCode}`)
        exchange.onResponseError(controller, error ?? this.failure ?? closed)
      }
    })
  }

  private send(exchange: Exchange, stream: ClientHttp2Stream, body: unknown): void {
    const bytes = bytesOf(body)
    if (bytes !== undefined) {
      stream.end(bytes, () => exchange.onRequestSent())
      return
    }
    void this.sendPieces(exchange, stream, body)
  }

  private async sendPieces(exchange: Exchange, stream: ClientHttp2Stream, body: unknown): Promise<void> {
    try {
      if (!isAsyncIterable(body)) throw new TypeError("The body of the request cannot be sent")
      for await (const piece of body) {
        if (stream.destroyed || stream.closed) return
        if (!stream.write(piece)) await drained(stream)
        exchange.onBodySent()
      }
      stream.end(() => exchange.onRequestSent())
    } catch (error) {
      exchange.onResponseError(undefined, error instanceof Error ? error : new Error(String(error)))
    }
  }
}

const isAsyncIterable = (value: unknown): value is AsyncIterable<Uint8Array> =>
  typeof value === "object" && value !== null && Symbol.asyncIterator in value

const drained = (stream: ClientHttp2Stream): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      stream.off("drain", done)
      stream.off("close", done)
      resolve()
    }
    stream.on("drain", done)
    stream.on("close", done)
  })

const fields = (headers: IncomingHttpHeaders): ResponseHeaders => {
  const result: ResponseHeaders = {}
  for (const name of Object.keys(headers)) if (!name.startsWith(":")) result[name] = headers[name]
  return result
}
