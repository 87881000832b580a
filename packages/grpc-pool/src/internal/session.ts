// One HTTP/2 connection, and a permit for each stream that its server allows.
//
// A session takes no call before the server's SETTINGS have come: until then
// nobody knows how many streams there may be, and a burst on a cold session would
// have the rest of its streams refused. It is the session manager of Connect's
// transports, which ask it for streams; the calls that the pool frames itself ask
// it too. A GOAWAY lets it finish what it has, and it takes nothing more.

import * as http2 from "node:http2"
import { Code, ConnectError, type Transport } from "@connectrpc/connect"
import type { GrpcTransportOptions } from "@connectrpc/connect-node"
import * as Effect from "effect/Effect"
import type { Address } from "./core.ts"
import type { Settings } from "./settings.ts"

/** What a session tells whoever has opened it. Each is called once at most, but for `onRoom`. */
export interface SessionHooks {
  readonly onReady: (session: Session) => void
  /** A stream has come free, or there are more of them. */
  readonly onRoom: (session: Session) => void
  /** It takes no more calls. */
  readonly onDraining: (session: Session) => void
  /** It has nothing left to do and says goodbye to its server. */
  readonly onClosing: (session: Session) => void
  readonly onClosed: (session: Session, reason: string) => void
}

/** Finds the stream that belongs to a call, whichever transport has opened it. */
export interface Link {
  stream: http2.ClientHttp2Stream | undefined
  readonly onStream: (stream: http2.ClientHttp2Stream) => void
}

/** Carries a link through a transport to its session, which takes it off. Never sent. */
export const linkHeader = "sluice-call"

type SessionManager = NonNullable<GrpcTransportOptions["sessionManager"]>

export class Session implements SessionManager {
  readonly authority: string
  readonly address: Address
  readonly http2: http2.ClientHttp2Session
  state: "connecting" | "ready" | "draining" | "closed" = "connecting"
  /** Permits, one for each stream that the server allows. */
  capacity = 0
  /** Permits that are taken. More than `capacity` only after the server has lowered its limit. */
  inUse = 0
  served = 0
  /** When the last stream was given back. */
  idleSince = 0
  /** Connect's transport over this session, for what the pool does not frame itself. */
  transport: Transport | undefined
  private readonly hooks: SessionHooks
  private readonly maxStreams: number
  private readonly links: Map<string, Link> = new Map()
  private nextLink = 0
  private reason = "the connection was closed"

  constructor(address: Address, settings: Settings, hooks: SessionHooks) {
    this.address = address
    this.authority = address.origin
    this.hooks = hooks
    this.maxStreams = settings.maxStreams
    this.http2 = http2.connect(this.authority, settings.tls ?? {})
    this.http2.on("remoteSettings", (remote) => this.onSettings(remote.maxConcurrentStreams))
    this.http2.on("goaway", (code) => {
      this.reason = `the server sent GOAWAY (${code})`
      this.drain()
    })
    this.http2.on("error", (error: Error) => {
      this.reason = describe(error)
    })
    this.http2.on("close", () => this.onClose())
  }

  get isOpen(): boolean {
    return this.state === "ready" && !this.http2.closed && !this.http2.destroyed
  }

  get isClosed(): boolean {
    return this.state === "closed"
  }

  /** Its connection is gone, and with it what was in flight. */
  get isLost(): boolean {
    return this.http2.destroyed || (!this.isOpen && this.state !== "draining")
  }

  get hasRoom(): boolean {
    return this.inUse < this.capacity && this.isOpen
  }

  private onSettings(maxConcurrentStreams: number | undefined): void {
    this.capacity = Math.min(this.maxStreams, maxConcurrentStreams ?? Number.POSITIVE_INFINITY)
    if (this.state === "connecting") {
      this.state = "ready"
      // A process that has nothing else to do may end while a session is idle.
      this.http2.unref()
      this.hooks.onReady(this)
    } else if (this.state === "ready") this.hooks.onRoom(this)
  }

  private onClose(): void {
    if (this.state === "closed") return
    this.state = "closed"
    this.hooks.onClosed(this, this.reason)
  }

  /** Takes the permit for a stream, where there is room. */
  take(): void {
    if (this.inUse++ === 0) this.http2.ref()
    this.served++
  }

  giveBack(now: number): void {
    this.inUse--
    if (this.inUse === 0) {
      this.idleSince = now
      if (this.state === "draining") this.close()
      else if (this.state === "ready" && !this.http2.destroyed) this.http2.unref()
    }
    if (this.state === "ready") this.hooks.onRoom(this)
  }

  /**
   * Gives back the permit of a stream that was reset. A server may count such a stream until it has heard of that, and
   * reset one more: where there is none to spare, the permit waits for the answer to a ping behind it.
   */
  giveBackReset(now: () => number): void {
    if (this.state !== "ready" || this.inUse < this.capacity) {
      this.giveBack(now())
      return
    }
    this.owed++
    if (!this.isAsking) this.ask(now)
  }
  private owed = 0
  private isAsking = false

  private ask(now: () => number): void {
    const heard = this.owed
    this.isAsking = true
    const onAnswer = (): void => {
      this.isAsking = false
      for (let i = 0; i < heard && this.owed > 0; i++) {
        this.owed--
        this.giveBack(now())
      }
      if (this.owed > 0) this.ask(now)
    }
    if (!this.isOpen || !this.http2.ping(onAnswer)) onAnswer()
  }

  /** Takes no more calls, and closes once those that it has are done. */
  drain(): void {
    if (this.state === "connecting") {
      this.destroy(this.reason)
      return
    }
    if (this.state !== "ready") return
    this.state = "draining"
    // No stream is opened any more that a server could count beside them.
    this.inUse -= this.owed
    this.owed = 0
    this.hooks.onDraining(this)
    if (this.inUse === 0) this.close()
  }

  private close(): void {
    if (!this.http2.closed && !this.http2.destroyed) this.http2.close()
    this.hooks.onClosing(this)
  }

  /** Closes at once: the calls that it has fail. */
  destroy(reason: string): void {
    if (this.state === "closed") return
    this.reason = reason
    this.http2.destroy()
    // Not every runtime emits `close` when a connection that was never made is destroyed.
    this.onClose()
  }

  get closeReason(): string {
    return this.reason
  }

  /** Answers whether the server is still there. */
  readonly ping: Effect.Effect<boolean> = Effect.callback<boolean>((resume) => {
    if (this.http2.destroyed || this.http2.closed) return resume(Effect.succeed(true))
    const isSent = this.http2.ping((error) => resume(Effect.succeed(error === null)))
    if (!isSent) resume(Effect.succeed(false))
  })

  link(link: Link): string {
    const id = String(this.nextLink++)
    this.links.set(id, link)
    return id
  }

  unlink(id: string): void {
    this.links.delete(id)
  }

  /** What Connect's transports call. */
  async request(
    method: string,
    path: string,
    headers: http2.OutgoingHttpHeaders,
    options: Omit<http2.ClientSessionRequestOptions, "signal">
  ): Promise<http2.ClientHttp2Stream> {
    const { [linkHeader]: id, ...sent } = headers
    const link = this.links.get(String(id))
    if (this.http2.closed || this.http2.destroyed) throw new ConnectError(this.reason, Code.Unavailable)
    const stream = this.http2.request({ ...sent, ":method": method, ":path": path }, options)
    if (link !== undefined) {
      link.stream = stream
      link.onStream(stream)
    }
    return stream
  }

  notifyResponseByteRead(): void {}
}

/** An error of a socket in a few words. Several addresses of one name fail with an `AggregateError` that says nothing. */
const describe = (error: Error): string => {
  if (error.message !== "") return error.message
  if (error instanceof AggregateError) return error.errors.map((each) => String(each?.message ?? each)).join("; ")
  return "code" in error ? String(error.code) : error.name
}
