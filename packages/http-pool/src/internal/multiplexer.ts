// The HTTP/2 sessions of one origin, and the requests that wait for a stream.
//
// A request goes on a session that has room, or waits in line; a line makes the
// origin grow by a session, which takes a permit of the pool as any connection
// does. While it is not known which protocol the server chooses, one connection
// finds out and all others wait, so that a cold burst opens as many sessions as
// it needs streams and not one a request. A server that chooses HTTP/1.1 is from
// then on an origin like any other.

import type { Socket } from "node:net"
import * as Effect from "effect/Effect"
import type { PoolError } from "../PoolError.ts"
import * as PoolErrors from "../PoolError.ts"
import { Connection } from "./connection.ts"
import { type Dialing, dial } from "./dial.ts"
import type { Exchange } from "./exchange.ts"
import { Link } from "./link.ts"
import type { Origin, Pool } from "./pool.ts"
import { Session } from "./session.ts"

export class Multiplexer {
  readonly pool: Pool
  readonly origin: Origin
  protocol: "unknown" | "h1" | "h2"
  private readonly line: Set<Exchange> = new Set()
  /** Sessions that hold a permit. */
  private readonly sessions: Set<Session> = new Set()
  private readonly probes: Set<Probe> = new Set()
  private readonly isIsolated: boolean
  private growing = 0

  constructor(pool: Pool, origin: Origin, isIsolated = false) {
    this.pool = pool
    this.origin = origin
    this.isIsolated = isIsolated
    this.protocol = origin.target.isTls ? "unknown" : "h2"
  }

  /** One for a single request, which shares no session with any other. */
  isolated(): Multiplexer {
    return new Multiplexer(this.pool, this.origin, true)
  }

  send(exchange: Exchange): void {
    const session = this.line.size === 0 ? this.sessionWithRoom() : undefined
    if (session !== undefined) {
      this.put(session, exchange)
      return
    }
    this.line.add(exchange)
    exchange.stopWaiting = () => this.leave(exchange)
    this.pool.enterLine(exchange)
    this.grow()
  }

  /** When the last leaves, nobody needs the connections that are being made. */
  private leave(exchange: Exchange): void {
    this.line.delete(exchange)
    if (this.line.size > 0) return
    for (const probe of this.probes) probe.destroy("interrupted")
  }

  waiting(): Iterable<Exchange> {
    return this.line
  }

  /** A session may take another request, or has none left. */
  onRoom(session: Session): void {
    this.advance()
    if (session.isBusy || !this.sessions.delete(session)) return
    this.pool.keep(session)
    this.pool.releasePermits(this.origin)
  }

  onClosed(session: Session): void {
    if (!this.sessions.delete(session)) return
    this.pool.releasePermits(this.origin)
    this.grow()
  }

  private serve(exchange: Exchange): void {
    this.line.delete(exchange)
    this.pool.leaveLine(exchange)
  }

  private sessionWithRoom(): Session | undefined {
    for (const session of this.sessions) if (session.room > 0) return session
    return undefined
  }

  private put(session: Session, exchange: Exchange): void {
    this.pool.admit(this.origin)
    if (session.served > 0 || session.isBusy) this.origin.reused++
    session.dispatch(exchange)
  }

  private advance(): void {
    for (const exchange of this.line) {
      const session = this.sessionWithRoom()
      if (session === undefined) break
      this.serve(exchange)
      this.put(session, exchange)
    }
    this.grow()
  }

  private grow(): void {
    const { settings } = this.pool
    const wanted = this.protocol === "unknown" ? 1 : Math.ceil(this.line.size / settings.maxStreams)
    while (this.line.size > 0 && this.growing < wanted && !this.pool.isClosing) {
      this.growing++
      if (this.pool.tryTakePermits(this.origin)) this.growWithPermit()
      else
        Effect.runFork(
          Effect.andThen(
            this.pool.takePermits(this.origin),
            Effect.sync(() => this.growWithPermit())
          )
        )
    }
  }

  private growWithPermit(): void {
    if (this.line.size === 0 || this.pool.isClosing) {
      this.growing--
      this.pool.releasePermits(this.origin)
      return
    }
    const idle = this.isIsolated ? undefined : this.pool.takeIdle(this.origin)
    if (idle instanceof Session) {
      this.onSession(idle)
      return
    }
    const probe = new Probe(this)
    this.probes.add(probe)
    this.pool.adopt(probe)
  }

  onSession(session: Session): void {
    this.growing--
    this.protocol = "h2"
    this.sessions.add(session)
    this.advance()
    if (!session.isBusy) this.onRoom(session)
  }

  /** The server chose HTTP/1.1: the socket serves the first in line, the others wait for permits. */
  onPlain(socket: Socket): void {
    this.growing--
    this.protocol = "h1"
    const connection = new Connection(this.pool, this.origin, socket)
    this.pool.adopt(connection)
    let hasConnection = true
    for (const exchange of [...this.line]) {
      this.serve(exchange)
      if (hasConnection) {
        hasConnection = false
        this.pool.admit(this.origin)
        connection.dispatch(exchange)
      } else {
        this.pool.sendPlain(exchange)
      }
    }
    if (hasConnection) {
      connection.destroy("retired")
      socket.destroy()
      this.pool.releasePermits(this.origin)
    }
  }

  /** The attempt to connect is over, well or ill. */
  onProbed(probe: Probe): void {
    this.probes.delete(probe)
  }

  onFailure(kind: new (facts: PoolErrors.Facts) => PoolError, cause: unknown): void {
    this.growing--
    this.pool.releasePermits(this.origin)
    // Those in line may still be served by the sessions that there are.
    if (this.sessions.size > 0) return
    for (const exchange of [...this.line]) {
      exchange.phase = "connecting"
      exchange.abort(kind, "failed", cause)
    }
  }
}

// A connection that is being made, which becomes a session or a plain connection.
class Probe extends Link {
  private readonly multiplexer: Multiplexer
  private readonly dialing: Dialing
  private isOver = false

  constructor(multiplexer: Multiplexer) {
    super(multiplexer.pool, multiplexer.origin)
    this.multiplexer = multiplexer
    const { pool, origin } = multiplexer
    pool.connects.add(this)
    for (const exchange of multiplexer.waiting()) exchange.phase = "connecting"
    this.dialing = dial(pool.route, origin.targetFor(["h2", "http/1.1"]), {
      onHandshake: () => {
        this.isHandshaking = true
      },
      onSession: origin.rememberSession,
      onReady: (socket) => this.onReady(socket),
      onError: (error) => this.fail(this.isHandshaking ? PoolErrors.TlsError : PoolErrors.ConnectFailed, error)
    })
  }

  exchanges(): Iterable<Exchange> {
    return []
  }

  dispatch(): void {}

  release(): void {}

  resend(): void {}

  onIdle(): void {}

  onTaken(): void {}

  onDeadline(): void {
    this.fail(PoolErrors.ConnectTimeout, undefined)
  }

  protected close(): void {
    this.dialing.giveUp()
    this.fail(PoolErrors.PoolClosed, undefined)
  }

  private fail(kind: new (facts: PoolErrors.Facts) => PoolError, cause: unknown): void {
    if (this.isOver) return
    this.isOver = true
    this.multiplexer.onProbed(this)
    this.destroy("failed")
    this.multiplexer.onFailure(kind, cause)
  }

  private onReady(socket: Socket): void {
    const protocol = "alpnProtocol" in socket ? socket.alpnProtocol : undefined
    if (this.origin.target.isTls && protocol !== "h2") {
      this.become(() => this.multiplexer.onPlain(socket))
      return
    }
    const session = this.pool.route.network.http2.connect(this.origin.origin, { createConnection: () => socket })
    const fail = (error: Error): void => {
      session.destroy()
      this.fail(PoolErrors.ConnectFailed, error)
    }
    session.once("error", fail)
    session.once("close", () => fail(new Error("The HTTP/2 session was closed before it was ready")))
    // The first that the server sends is how many streams it takes.
    session.once("remoteSettings", ({ maxConcurrentStreams }) => {
      if (maxConcurrentStreams === 0) {
        // Not while the protocol's parser calls back, which Deno's does not survive.
        setImmediate(() => fail(new Error("The server takes no streams")))
        return
      }
      session.removeAllListeners("error")
      session.removeAllListeners("close")
      this.become(() => {
        const ready = new Session(this.multiplexer, session, socket)
        this.pool.adopt(ready)
        this.multiplexer.onSession(ready)
      })
    })
  }

  private become(next: () => void): void {
    if (this.isOver) return
    this.isOver = true
    this.multiplexer.onProbed(this)
    this.pool.connects.remove(this)
    this.pool.forget(this)
    next()
  }
}
