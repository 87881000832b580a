// WebSocket as a client of load: frames are read where they lie, and an exchange
// is a message sent and the next one that comes.

import { createHash, randomBytes } from "node:crypto"
import type { Socket } from "node:net"
import { ErrorKind } from "../results/Recorder.ts"
import {
  type ConnectionOptions,
  kindOf,
  Pending,
  type Protocol,
  type Receiver,
  type RequestSpec,
  type RunContext
} from "./Exchange.ts"
import { type Origin, open, originOf } from "./Wire.ts"

export interface WebSocketRequest {
  readonly step: number
  /** The message, framed; without one an exchange is over when the connection is open. */
  readonly bytes: Buffer | undefined
  readonly url: URL
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
}

const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const
const magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
const sweepMillis = 50
const headLimit = 64 * 1024

/** A frame as clients send it. The mask is zero: it hides nothing from a server that unmasks, and costs nothing here. */
export const frame = (opcode: number, payload: Uint8Array): Buffer => {
  const { length } = payload
  const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8
  const bytes = Buffer.alloc(2 + extra + 4 + length)
  bytes[0] = 0x80 | opcode
  bytes[1] = 0x80 | (extra === 0 ? length : extra === 2 ? 126 : 127)
  if (extra === 2) bytes.writeUInt16BE(length, 2)
  else if (extra === 8) bytes.writeBigUInt64BE(BigInt(length), 2)
  bytes.set(payload, 2 + extra + 4)
  return bytes
}

/** Reads frames from whatever pieces they come in. */
class FrameReader {
  private pending: Buffer = Buffer.alloc(0)
  private parts: Array<Buffer> = []
  private readonly onMessage: (message: Buffer) => void
  private readonly onControl: (opcode: number, payload: Buffer) => void

  constructor(onMessage: (message: Buffer) => void, onControl: (opcode: number, payload: Buffer) => void) {
    this.onMessage = onMessage
    this.onControl = onControl
  }

  read(bytes: Buffer): void {
    let rest = this.pending.length === 0 ? bytes : Buffer.concat([this.pending, bytes])
    while (rest.length >= 2) {
      const first = rest[0] ?? 0
      const short = (rest[1] ?? 0) & 0x7f
      const extra = short === 126 ? 2 : short === 127 ? 8 : 0
      if (rest.length < 2 + extra) break
      const length = extra === 0 ? short : extra === 2 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2))
      const end = 2 + extra + length
      if (rest.length < end) break
      // What was read lies where the next read will be.
      const payload = Buffer.from(rest.subarray(2 + extra, end))
      const opcode = first & 0x0f
      rest = rest.subarray(end)
      if (opcode >= opcodes.close) {
        this.onControl(opcode, payload)
        continue
      }
      this.parts.push(payload)
      if ((first & 0x80) === 0) continue
      const message = this.parts.length === 1 ? payload : Buffer.concat(this.parts)
      this.parts = []
      this.onMessage(message)
    }
    this.pending = Buffer.from(rest)
  }
}

class Connection {
  private readonly client: WebSocketClient
  private readonly socket: Socket
  private readonly openedAt: number
  private readonly key = randomBytes(16).toString("base64")
  private readonly frames: FrameReader
  private connectedAt = 0
  private readyAt = 0
  private head: Buffer | undefined = Buffer.alloc(0)
  private isClosed = false
  private current: { readonly request: WebSocketRequest; readonly pending: Pending } | undefined

  constructor(client: WebSocketClient, request: WebSocketRequest, pending: Pending) {
    this.client = client
    this.current = { request, pending }
    this.openedAt = client.context.now()
    this.frames = new FrameReader(
      (message) => this.message(message),
      (opcode, payload) => this.control(opcode, payload)
    )
    const { url, headers } = request
    this.socket = open(client.origin, {
      connected: () => {
        this.connectedAt = client.context.now()
      },
      ready: () => {
        this.readyAt = client.context.now()
        if (client.origin.isSecure) pending.tls = this.readyAt - this.connectedAt
        const lines = [
          `GET ${url.pathname}${url.search} HTTP/1.1`,
          `Host: ${url.host}`,
          "Upgrade: websocket",
          "Connection: Upgrade",
          `Sec-WebSocket-Key: ${this.key}`,
          "Sec-WebSocket-Version: 13",
          ...headers.map(([name, value]) => `${name}: ${value}`)
        ]
        this.socket.write(`${lines.join("\r\n")}\r\n\r\n`)
      },
      received: (buffer, length) => this.received(buffer.subarray(0, length)),
      closed: (error) => this.closed(error)
    })
  }

  send(request: WebSocketRequest, pending: Pending): void {
    this.current = { request, pending }
    this.write(request, pending)
  }

  sweep(now: number): void {
    const { connectTimeoutMicros, timeoutMicros } = this.client.options
    const sentAt = this.current?.pending.sentAt
    if (
      this.head !== undefined
        ? now - this.openedAt > connectTimeoutMicros
        : sentAt !== undefined && now - sentAt > timeoutMicros
    ) {
      this.fail(ErrorKind.timeout)
    }
  }

  /** Says good-bye where it can, and goes. */
  end(): void {
    this.fail(ErrorKind.cancelled)
    if (this.head === undefined && !this.socket.destroyed)
      this.socket.write(frame(opcodes.close, Buffer.from([0x03, 0xe8])))
    this.socket.destroy()
  }

  private write({ bytes }: WebSocketRequest, pending: Pending): void {
    pending.sent()
    if (bytes === undefined) {
      pending.received(0)
      this.done(101, undefined)
      return
    }
    pending.bytesOut = bytes.length
    this.socket.write(bytes)
  }

  private received(bytes: Buffer): void {
    if (this.isClosed) return
    if (this.head === undefined) {
      this.current?.pending.received(bytes.length)
      this.frames.read(bytes)
      return
    }
    this.head = Buffer.concat([this.head, bytes])
    const end = this.head.indexOf("\r\n\r\n")
    if (end < 0) {
      if (this.head.length > headLimit) this.fail(ErrorKind.protocol)
      return
    }
    const text = this.head.toString("latin1", 0, end)
    const rest = this.head.subarray(end + 4)
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0)
    const accept = /\r\nsec-websocket-accept:\s*(\S+)/i.exec(text)?.[1]
    const expected = createHash("sha1")
      .update(this.key + magic)
      .digest("base64")
    if (status !== 101 || accept !== expected) {
      this.fail(
        status >= 500 ? ErrorKind.status_5xx : status >= 400 ? ErrorKind.status_4xx : ErrorKind.protocol,
        status
      )
      return
    }
    this.head = undefined
    this.client.context.recorder.connection(false)
    // Until it can be used: the handshake of WebSocket is part of it.
    if (this.current !== undefined) {
      const { pending } = this.current
      pending.connect = this.client.context.now() - this.openedAt - Math.max(0, pending.tls)
    }
    if (this.current !== undefined) this.write(this.current.request, this.current.pending)
    if (rest.length > 0) this.frames.read(Buffer.from(rest))
  }

  private message(message: Buffer): void {
    if (this.current === undefined) return
    this.done(101, message)
  }

  private control(opcode: number, payload: Buffer): void {
    if (opcode === opcodes.ping) this.socket.write(frame(opcodes.pong, payload))
    if (opcode === opcodes.close) this.socket.destroy()
  }

  private done(status: number, message: Buffer | undefined): void {
    const { current } = this
    if (current === undefined) return
    this.current = undefined
    if (this.client.options.keepAlive && !this.isClosed) this.client.idle(this)
    else {
      this.isClosed = true
      this.client.gone(this)
      this.end()
    }
    current.pending.settle(
      status,
      ErrorKind.none,
      current.pending.receiver.keepsAnswer
        ? { status, headers: new Map(), body: message ?? Buffer.alloc(0) }
        : undefined
    )
  }

  private fail(kind: number, status = 0): void {
    const { current } = this
    this.current = undefined
    if (!this.isClosed) {
      this.isClosed = true
      this.socket.destroy()
      this.client.gone(this)
    }
    current?.pending.settle(status, kind)
  }

  private closed(error: unknown): void {
    this.fail(error === undefined ? ErrorKind.reset : kindOf(error))
  }
}

/** The connections to one address; each carries one exchange at a time. */
export class WebSocketClient implements Protocol<WebSocketRequest> {
  readonly context: RunContext
  readonly options: ConnectionOptions
  readonly origin: Origin
  private readonly idles: Array<Connection> = []
  private readonly all = new Set<Connection>()
  private readonly waiters: Array<{ readonly request: WebSocketRequest; readonly pending: Pending }> = []
  private readonly sweeper: ReturnType<typeof setInterval>
  private isClosed = false

  constructor(url: URL, options: ConnectionOptions, context: RunContext) {
    this.context = context
    this.options = options
    this.origin = originOf(url, options.insecure)
    this.sweeper = setInterval(() => this.sweep(), sweepMillis)
    this.sweeper.unref()
  }

  prepare({ body, headers, url }: RequestSpec, step: number): WebSocketRequest {
    const isBinary = headers.some(
      ([name, value]) => name.toLowerCase() === "content-type" && value === "application/octet-stream"
    )
    const bytes = body === undefined ? undefined : frame(isBinary ? opcodes.binary : opcodes.text, body)
    return { step, bytes, url, headers }
  }

  send(request: WebSocketRequest, scheduledAt: number, receiver: Receiver): void {
    const pending = new Pending(this.context, request.step, scheduledAt, receiver)
    const idle = this.idles.pop()
    if (idle !== undefined) {
      this.context.recorder.connection(true)
      idle.send(request, pending)
    } else if (this.isClosed) pending.settle(0, ErrorKind.cancelled)
    else if (this.all.size < this.options.connections) this.all.add(new Connection(this, request, pending))
    else this.waiters.push({ request, pending })
  }

  close(): void {
    this.isClosed = true
    clearInterval(this.sweeper)
    for (const connection of [...this.all]) connection.end()
    for (const { pending } of this.waiters.splice(0)) pending.settle(0, ErrorKind.cancelled)
  }

  idle(connection: Connection): void {
    const waiter = this.waiters.shift()
    if (waiter === undefined) {
      this.idles.push(connection)
      return
    }
    this.context.recorder.connection(true)
    connection.send(waiter.request, waiter.pending)
  }

  gone(connection: Connection): void {
    if (!this.all.delete(connection)) return
    const at = this.idles.indexOf(connection)
    if (at >= 0) this.idles.splice(at, 1)
    const waiter = this.isClosed ? undefined : this.waiters.shift()
    if (waiter !== undefined) this.all.add(new Connection(this, waiter.request, waiter.pending))
  }

  private sweep(): void {
    const now = this.context.now()
    for (const connection of this.all) connection.sweep(now)
    for (let first = this.waiters[0]; first !== undefined; first = this.waiters[0]) {
      if (now - first.pending.startedAt <= this.options.timeoutMicros) return
      this.waiters.shift()
      first.pending.settle(0, ErrorKind.timeout)
    }
  }
}
