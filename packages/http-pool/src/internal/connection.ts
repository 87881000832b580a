// One connection: a transport client that is told to keep one socket, and what
// the pool knows of it.
//
// Connecting is done here and not by the transport, for three reasons: a
// connection that is given up half-way must close its socket at once; the time
// that it may take is the pool's, by the pool's clock; and only here can it be
// known how far it came (TCP or TLS) when it fails.
import type { Socket } from "node:net"
import * as PoolErrors from "../PoolError.ts"
import type { Entry } from "./deadlines.ts"
import { type Dialing, dial } from "./dial.ts"
import type { Exchange } from "./exchange.ts"
import type { Origin, Pool } from "./pool.ts"
import type { Client, Connected } from "./undici.ts"

export type CloseReason =
  | "expired"
  | "peer"
  | "evicted"
  | "retired"
  | "isolated"
  | "interrupted"
  | "timeout"
  | "failed"
  | "shutdown"

export class Connection implements Entry {
  readonly pool: Pool
  readonly origin: Origin
  readonly client: Client
  exchange: Exchange | undefined
  socket: Socket | undefined
  private dialing: Dialing | undefined
  private isConnecting = false
  /** TCP stands and TLS does not yet. */
  isHandshaking = false
  isIdle = false
  isClosed = false
  /** Responses that came on the present socket. */
  served = 0
  openedAt = 0
  private isOpen = false

  movedAt = 0
  placedAt = 0
  previous: Entry | undefined
  next: Entry | undefined
  list: Entry["list"]

  constructor(pool: Pool, origin: Origin) {
    this.pool = pool
    this.origin = origin
    const { keepAliveMillis } = pool.settings
    const keepAlive = Math.min(keepAliveMillis, 0x7fffffff)
    this.client = new pool.undici.Client(origin.origin, {
      pipelining: 1,
      // The pool's own timeouts run from the moment that is promised and by its clock.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: keepAlive,
      keepAliveMaxTimeout: keepAlive,
      allowH2: false,
      connect: (_target, connected) => this.connect(connected)
    })
    this.client.on("disconnect", (_origin, _targets, error) => {
      const reason = error?.message === "socket idle timeout" ? "expired" : "peer"
      this.recordClosed(reason)
      if (this.exchange === undefined) this.destroy(reason)
    })
  }

  /** Whether another request may go on it. */
  isReusable(): boolean {
    const { maxAgeMillis, maxRequestsPerConnection } = this.pool.settings
    return (
      !this.isClosed &&
      this.socket !== undefined &&
      !this.socket.destroyed &&
      this.served < maxRequestsPerConnection &&
      (maxAgeMillis === Number.POSITIVE_INFINITY || this.pool.now() - this.openedAt < maxAgeMillis)
    )
  }

  destroy(reason: CloseReason): void {
    if (this.isClosed) return
    this.isClosed = true
    this.recordClosed(reason)
    this.pool.connects.remove(this)
    this.pool.forget(this)
    this.client.destroy(null, () => {})
    if (this.isConnecting) this.dialing?.giveUp()
  }

  onDeadline(): void {
    this.exchange?.abort(PoolErrors.ConnectTimeout, "timeout")
  }

  // A socket that is destroyed is closed, though its event comes later.
  private recordClosed(reason: CloseReason): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.origin.open--
    this.origin.closed++
    this.origin.closedBy[reason]++
  }

  private connect(connected: Connected): void {
    this.isConnecting = true
    this.isHandshaking = false
    if (this.exchange !== undefined) this.exchange.phase = "connecting"
    this.pool.connects.add(this)
    this.dialing = dial(
      this.pool.route,
      { ...this.origin.target, protocols: ["http/1.1"], session: this.origin.tlsSession },
      {
        onHandshake: () => {
          this.isHandshaking = true
        },
        onSession: (session) => {
          this.origin.tlsSession = session
        },
        onReady: (socket) => {
          this.isConnecting = false
          this.isHandshaking = false
          this.pool.connects.remove(this)
          this.socket = socket
          this.served = 0
          this.openedAt = this.pool.now()
          this.isOpen = true
          this.origin.open++
          this.origin.created++
          connected(null, socket)
        },
        onError: (error) => {
          this.isConnecting = false
          this.pool.connects.remove(this)
          connected(error, null)
        }
      }
    )
  }
}
