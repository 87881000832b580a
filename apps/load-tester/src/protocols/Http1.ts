// HTTP/1.1 over sockets, for load: one exchange at a time on a connection, no
// object for an exchange, no timer for an exchange, and reads into one buffer
// that all connections of a client share. A sweep finds what takes too long.

import type { Socket } from "node:net"
import { ErrorKind } from "../results/Recorder.ts"
import {
  type Answer,
  type ConnectionOptions,
  errorOfStatus,
  kindOf,
  type Protocol,
  type Receiver,
  type RequestSpec,
  type RunContext,
  record
} from "./Exchange.ts"
import { ResponseParser } from "./ResponseParser.ts"
import { type Origin, open, originOf } from "./Wire.ts"

export interface Http1Request {
  readonly step: number
  readonly bytes: Buffer
  readonly isHead: boolean
}

/** An exchange that waits for a connection. */
interface Waiter {
  readonly request: Http1Request
  readonly scheduledAt: number
  readonly startedAt: number
  readonly receiver: Receiver
}

const sweepMillis = 50

const headersOf = (head: string): ReadonlyMap<string, string> => {
  const headers = new Map<string, string>()
  for (const line of head.split("\r\n").slice(1)) {
    const colon = line.indexOf(":")
    if (colon < 1) continue
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    const before = headers.get(name)
    headers.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return headers
}

class Connection {
  private readonly client: Http1Client
  private readonly socket: Socket
  private readonly parser = new ResponseParser()
  private readonly openedAt: number
  private connectedAt = 0
  private isReady = false
  private isClosed = false
  // The exchange under way.
  private request: Http1Request | undefined
  private receiver: Receiver | undefined
  private scheduledAt = 0
  private startedAt = 0
  private assignedAt = 0
  private sentAt = 0
  private firstByteAt = 0
  private bytesIn = 0
  private connect = -1
  private handshake = -1

  constructor(client: Http1Client) {
    this.client = client
    this.openedAt = client.context.now()
    this.socket = open(client.origin, {
      connected: () => {
        this.connectedAt = client.context.now()
      },
      ready: () => this.ready(),
      received: (buffer, length) => this.received(buffer, length),
      closed: (error) => this.closed(error)
    })
  }

  /** Sends a request, at once or when the connection is there. */
  assign(request: Http1Request, scheduledAt: number, startedAt: number, assignedAt: number, receiver: Receiver): void {
    this.request = request
    this.receiver = receiver
    this.scheduledAt = scheduledAt
    this.startedAt = startedAt
    this.assignedAt = assignedAt
    this.firstByteAt = 0
    this.bytesIn = 0
    this.parser.begin(request.isHead, receiver.keepsAnswer)
    if (this.isReady) {
      this.connect = -1
      this.handshake = -1
      this.sentAt = assignedAt
      this.socket.write(request.bytes)
    }
  }

  /** Ends the exchange under way when it has taken too long. */
  sweep(now: number): void {
    if (this.request === undefined) return
    const { connectTimeoutMicros, timeoutMicros } = this.client.options
    const isLate = this.isReady ? now - this.sentAt > timeoutMicros : now - this.openedAt > connectTimeoutMicros
    if (isLate) this.fail(ErrorKind.timeout)
  }

  destroy(): void {
    this.socket.destroy()
    this.fail(ErrorKind.cancelled)
  }

  private ready(): void {
    const now = this.client.context.now()
    this.isReady = true
    this.client.context.recorder.connection(false)
    const { request } = this
    if (request === undefined) {
      this.client.idle(this)
      return
    }
    this.connect = this.connectedAt - this.openedAt
    this.handshake = this.client.origin.isSecure ? now - this.connectedAt : -1
    this.sentAt = now
    this.socket.write(request.bytes)
  }

  private received(buffer: Buffer, length: number): void {
    if (this.isClosed) return
    if (this.request === undefined) {
      this.socket.destroy()
      return
    }
    const now = this.client.context.now()
    if (this.bytesIn === 0) this.firstByteAt = now
    this.bytesIn += length
    const progress = this.parser.read(buffer, length)
    if (progress === "more") return
    if (progress === "complete") this.finish(now)
    else this.fail(ErrorKind.protocol)
  }

  private finish(now: number): void {
    const { client, parser, receiver } = this
    this.report(now, parser.status, ErrorKind.none)
    const answer: Answer | undefined = receiver?.keepsAnswer
      ? { status: parser.status, headers: headersOf(parser.takeHead()), body: parser.takeBody() }
      : undefined
    this.request = undefined
    this.receiver = undefined
    if (parser.keepAlive && client.options.keepAlive && !this.isClosed) client.idle(this)
    else this.close()
    receiver?.ended(client.context.sample, answer)
  }

  private fail(kind: number): void {
    const { receiver } = this
    if (receiver === undefined) return
    this.report(this.client.context.now(), 0, kind)
    this.request = undefined
    this.receiver = undefined
    this.close()
    receiver.ended(this.client.context.sample, undefined)
  }

  private close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.socket.destroy()
    this.client.gone(this)
  }

  private closed(error: unknown): void {
    if (this.receiver !== undefined) {
      if (error !== undefined) this.fail(kindOf(error))
      else if (this.parser.endsWithConnection) this.finish(this.client.context.now())
      else this.fail(ErrorKind.reset)
    }
    this.close()
  }

  private report(now: number, status: number, error: number): void {
    const { client, request, receiver } = this
    if (request === undefined) return
    const { sample } = client.context
    const hasAnswer = this.firstByteAt > 0
    sample.step = request.step
    sample.scheduledAt = this.scheduledAt
    sample.startedAt = this.startedAt
    sample.endedAt = now
    sample.poolWait = this.assignedAt - this.startedAt
    sample.connect = this.connect
    sample.tls = this.handshake
    sample.firstByte = hasAnswer ? this.firstByteAt - this.sentAt : -1
    sample.body = hasAnswer ? now - this.firstByteAt : -1
    sample.status = status
    sample.error = error === ErrorKind.none ? errorOfStatus(status, client.options.isExpected) : error
    sample.bytesIn = this.bytesIn
    sample.bytesOut = this.isReady ? request.bytes.length : 0
    if (receiver?.counts === true) record(client.context.recorder, sample)
  }
}

/** The connections to one origin. */
export class Http1Client implements Protocol<Http1Request> {
  readonly context: RunContext
  readonly options: ConnectionOptions
  readonly origin: Origin
  private readonly idles: Array<Connection> = []
  private readonly all = new Set<Connection>()
  private waiters: Array<Waiter | undefined> = []
  private firstWaiter = 0
  private isClosed = false
  private readonly sweeper: ReturnType<typeof setInterval>

  constructor(url: URL, options: ConnectionOptions, context: RunContext) {
    this.context = context
    this.options = options
    this.origin = originOf(url, options.insecure)
    this.sweeper = setInterval(() => this.sweep(), sweepMillis)
    this.sweeper.unref()
  }

  prepare({ body, headers, method, url }: RequestSpec, step: number): Http1Request {
    const names = new Set(headers.map(([name]) => name.toLowerCase()))
    const lines = [`${method} ${url.pathname}${url.search} HTTP/1.1`]
    if (!names.has("host")) lines.push(`Host: ${url.host}`)
    for (const [name, value] of headers) lines.push(`${name}: ${value}`)
    if (!this.options.keepAlive && !names.has("connection")) lines.push("Connection: close")
    if (body !== undefined ? !names.has("content-length") : /^(POST|PUT|PATCH)$/.test(method)) {
      lines.push(`Content-Length: ${body?.length ?? 0}`)
    }
    const head = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1")
    return { step, bytes: body === undefined ? head : Buffer.concat([head, body]), isHead: method === "HEAD" }
  }

  send(request: Http1Request, scheduledAt: number, receiver: Receiver): void {
    const now = this.context.now()
    const idle = this.idles.pop()
    if (idle !== undefined) {
      this.context.recorder.connection(true)
      idle.assign(request, scheduledAt, now, now, receiver)
    } else if (this.all.size < this.options.connections && !this.isClosed) {
      this.open().assign(request, scheduledAt, now, now, receiver)
    } else {
      this.waiters.push({ request, scheduledAt, startedAt: now, receiver })
    }
  }

  close(): void {
    this.isClosed = true
    clearInterval(this.sweeper)
    for (const connection of [...this.all]) connection.destroy()
    for (let waiter = this.nextWaiter(); waiter !== undefined; waiter = this.nextWaiter())
      this.abandon(waiter, ErrorKind.cancelled)
  }

  /** A connection has nothing to do. */
  idle(connection: Connection): void {
    const waiter = this.nextWaiter()
    if (waiter === undefined) {
      this.idles.push(connection)
      return
    }
    this.context.recorder.connection(true)
    const { receiver, request, scheduledAt, startedAt } = waiter
    connection.assign(request, scheduledAt, startedAt, this.context.now(), receiver)
  }

  /** A connection is no more. */
  gone(connection: Connection): void {
    if (!this.all.delete(connection)) return
    const at = this.idles.indexOf(connection)
    if (at >= 0) this.idles.splice(at, 1)
    const waiter = this.isClosed ? undefined : this.nextWaiter()
    if (waiter === undefined) return
    const { receiver, request, scheduledAt, startedAt } = waiter
    this.open().assign(request, scheduledAt, startedAt, this.context.now(), receiver)
  }

  private open(): Connection {
    const connection = new Connection(this)
    this.all.add(connection)
    return connection
  }

  private nextWaiter(): Waiter | undefined {
    const waiter = this.waiters[this.firstWaiter]
    if (waiter === undefined) return undefined
    this.waiters[this.firstWaiter++] = undefined
    // Emptied places are given back in one go, so that taking the first stays O(1).
    if (this.firstWaiter === this.waiters.length) {
      this.waiters = []
      this.firstWaiter = 0
    } else if (this.firstWaiter >= 4096) {
      this.waiters = this.waiters.slice(this.firstWaiter)
      this.firstWaiter = 0
    }
    return waiter
  }

  private sweep(): void {
    const now = this.context.now()
    for (const connection of this.all) connection.sweep(now)
    for (let first = this.waiters[this.firstWaiter]; first !== undefined; first = this.waiters[this.firstWaiter]) {
      if (now - first.startedAt <= this.options.timeoutMicros) return
      this.nextWaiter()
      this.abandon(first, ErrorKind.timeout)
    }
  }

  /** Ends an exchange that never had a connection. */
  private abandon({ receiver, request, scheduledAt, startedAt }: Waiter, error: number): void {
    const { recorder, sample } = this.context
    const now = this.context.now()
    sample.step = request.step
    sample.scheduledAt = scheduledAt
    sample.startedAt = startedAt
    sample.endedAt = now
    sample.poolWait = now - startedAt
    sample.connect = -1
    sample.tls = -1
    sample.firstByte = -1
    sample.body = -1
    sample.status = 0
    sample.error = error
    sample.bytesIn = 0
    sample.bytesOut = 0
    if (receiver.counts) record(recorder, sample)
    receiver.ended(sample, undefined)
  }
}
