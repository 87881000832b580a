// One HTTP/1.1 connection: a transport client that is told to keep one socket.
//
// Connecting is done here and not by the transport, for three reasons: a
// connection that is given up half-way must close its socket at once; the time
// that it may take is the pool's, by the pool's clock; and only here can it be
// known how far it came (TCP or TLS) when it fails.
import type { Socket } from "node:net"
import * as PoolErrors from "../PoolError.ts"
import { type Dialing, dial } from "./dial.ts"
import type { Exchange } from "./exchange.ts"
import { type CloseReason, Link } from "./link.ts"
import type { Origin, Pool } from "./pool.ts"
import { toTransportBody } from "./requestBody.ts"
import type { Client, Connected } from "./undici.ts"

export class Connection extends Link {
  private readonly client: Client
  private exchange: Exchange | undefined
  private dialing: Dialing | undefined
  private isConnecting = false
  /** A socket that stood already when the connection was made. */
  private dialled: Socket | undefined

  constructor(pool: Pool, origin: Origin, dialled?: Socket) {
    super(pool, origin)
    this.dialled = dialled
    const keepAlive = Math.min(pool.settings.keepAliveMillis, 0x7fffffff)
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

  exchanges(): Iterable<Exchange> {
    return this.exchange === undefined ? [] : [this.exchange]
  }

  dispatch(exchange: Exchange): void {
    this.exchange = exchange
    exchange.link = this
    exchange.phase = this.socket === undefined ? "connecting" : "sending"
    const { request } = exchange
    const body = toTransportBody(request.body)
    exchange.stopBody = body.stop
    this.client.dispatch(
      {
        path: exchange.path,
        method: request.method,
        headers:
          body.contentType === undefined ? request.headers : { ...request.headers, "content-type": body.contentType },
        body: body.body,
        blocking: false
      },
      exchange
    )
  }

  release(exchange: Exchange, reason: CloseReason | undefined): void {
    this.exchange = undefined
    const closing = reason ?? (exchange.failure === undefined ? this.reasonToClose(exchange) : "failed")
    this.served++
    if (closing === undefined) this.pool.keep(this)
    else this.destroy(closing)
    this.pool.releasePermits(this.origin)
  }

  resend(exchange: Exchange): void {
    this.exchange = undefined
    this.destroy("failed")
    this.pool.dispatchFresh(exchange)
  }

  // An idle socket is watched by the transport.
  onIdle(): void {}

  onTaken(): void {}

  onDeadline(): void {
    this.exchange?.abort(PoolErrors.ConnectTimeout, "timeout")
  }

  protected close(): void {
    this.client.destroy(null, () => {})
    if (this.isConnecting) this.dialing?.giveUp()
  }

  private reasonToClose(exchange: Exchange): CloseReason | undefined {
    if (exchange.isIsolated) return "isolated"
    return this.socket?.destroyed === true ? "peer" : undefined
  }

  private connect(connected: Connected): void {
    const { dialled } = this
    if (dialled !== undefined) {
      this.dialled = undefined
      this.recordOpen(dialled)
      // The transport is inside of its own loop, and would miss an answer that comes at once.
      queueMicrotask(() => connected(null, dialled))
      return
    }
    this.isConnecting = true
    this.isHandshaking = false
    if (this.exchange !== undefined) this.exchange.phase = "connecting"
    this.pool.connects.add(this)
    this.dialing = dial(this.pool.route, this.origin.targetFor(["http/1.1"]), {
      onHandshake: () => {
        this.isHandshaking = true
      },
      onSession: this.origin.rememberSession,
      onReady: (socket) => {
        this.isConnecting = false
        this.isHandshaking = false
        this.pool.connects.remove(this)
        this.recordOpen(socket)
        connected(null, socket)
      },
      onError: (error) => {
        this.isConnecting = false
        this.pool.connects.remove(this)
        connected(error, null)
      }
    })
  }
}
