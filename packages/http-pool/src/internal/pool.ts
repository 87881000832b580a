// The pool: permits above, connections below.
//
// A request takes a permit of its origin, then one of the pool, in the order of
// arrival, within the pool timeout; only then it touches a connection, so the
// transport never queues. Permits are counted by requests in flight, connections
// by themselves, and the one implies the other: a connection is opened only by a
// request that holds a permit and finds no idle connection of its origin, so
// when the pool is full of connections at least one of them is idle and makes room.
//
// Idle connections are a stack for each origin (the warmest is used first) and
// one queue over all (the coldest is closed first). The idle limit is enforced a
// turn of the event loop later, so that requests that follow at once find the
// connections of those before them.
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as PoolErrors from "../PoolError.ts"
import type { CloseReason } from "./connection.ts"
import { Connection } from "./connection.ts"
import { DeadlineList } from "./deadlines.ts"
import { parseTarget, type Route, type Target } from "./dial.ts"
import type { Exchange } from "./exchange.ts"
import { toHttpClientError } from "./failure.ts"
import type { Settings } from "./options.ts"
import { Permits } from "./permits.ts"
import { isReplayable, toTransportBody } from "./requestBody.ts"
import type { Undici } from "./undici.ts"

type Resume = (answer: Effect.Effect<HttpClientResponse, HttpClientError>) => void

const idempotentMethods = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"])

export class Origin {
  readonly origin: string
  readonly permits: Permits | undefined
  readonly idle: Array<Connection> = []
  readonly target: Pick<Target, "isTls" | "host" | "port">
  tlsSession: Buffer | undefined
  connections = 0
  open = 0
  inFlight = 0
  waiting = 0
  created = 0
  closed = 0
  reused = 0
  replayed = 0
  admitted = 0
  rejected = 0
  readonly closedBy: Record<CloseReason, number> = {
    expired: 0,
    peer: 0,
    evicted: 0,
    retired: 0,
    isolated: 0,
    interrupted: 0,
    timeout: 0,
    failed: 0,
    shutdown: 0
  }

  constructor(origin: string, permits: Permits | undefined) {
    this.origin = origin
    this.target = parseTarget(origin)
    this.permits = permits
  }

  get isForgettable(): boolean {
    return this.connections === 0 && this.inFlight === 0 && this.waiting === 0
  }
}

export class Pool {
  readonly settings: Settings
  readonly undici: Undici
  readonly route: Route
  readonly permits: Permits
  readonly connects: DeadlineList
  readonly reads: DeadlineList
  readonly origins: Map<string, Origin> = new Map()
  readonly connections: Set<Connection> = new Set()
  private readonly idle = new Set<Connection>()
  private readonly clock: Clock.Clock
  private readonly closing: Deferred.Deferred<void> = Deferred.makeUnsafe()
  private readonly drained: Deferred.Deferred<void> = Deferred.makeUnsafe()
  private readonly told: Array<Exchange> = []
  private isTrimScheduled = false
  isClosing = false
  inFlight = 0

  constructor(settings: Settings, undici: Undici, route: Route, clock: Clock.Clock) {
    this.settings = settings
    this.undici = undici
    this.route = route
    this.clock = clock
    this.permits = new Permits(settings.maxConnections)
    this.connects = new DeadlineList(clock, settings.connectMillis)
    this.reads = new DeadlineList(clock, settings.readMillis)
  }

  now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  get idleCount(): number {
    return this.idle.size
  }

  originOf(name: string): Origin {
    const known = this.origins.get(name)
    if (known !== undefined) return known
    if (this.origins.size >= this.settings.maxOrigins) this.forgetAnOrigin()
    const { maxConnections, maxConnectionsPerOrigin } = this.settings
    const origin = new Origin(
      name,
      maxConnectionsPerOrigin < maxConnections ? new Permits(maxConnectionsPerOrigin) : undefined
    )
    this.origins.set(name, origin)
    return origin
  }

  // --- permits -------------------------------------------------------------

  /** Sends at once if a permit is free; otherwise the answer is an effect that waits for one. */
  send(exchange: Exchange, resume: Resume): void {
    if (this.isClosing) {
      resume(Effect.fail(toHttpClientError(exchange, PoolErrors.PoolClosed, undefined)))
    } else if (this.tryAdmit(exchange.origin)) {
      exchange.resume = resume
      this.dispatch(exchange)
    } else {
      resume(this.sendLater(exchange))
    }
  }

  private tryAdmit(origin: Origin): boolean {
    if (origin.permits !== undefined && !origin.permits.tryTake()) return false
    if (this.permits.tryTake()) return true
    origin.permits?.release()
    return false
  }

  private sendLater(exchange: Exchange): Effect.Effect<HttpClientResponse, HttpClientError> {
    const { origin } = exchange
    // What has been taken and not yet handed to the exchange: whoever ends the wait gives it back.
    let hasOriginPermit = false
    let hasPermit = false
    const takeBoth = Effect.andThen(
      origin.permits === undefined
        ? Effect.void
        : Effect.map(origin.permits.take, () => {
            hasOriginPermit = true
          }),
      Effect.map(this.permits.take, () => {
        hasPermit = true
      })
    )
    const refuse = (kind: typeof PoolErrors.PoolTimeout | typeof PoolErrors.PoolClosed) =>
      Effect.suspend(() => {
        origin.rejected++
        return Effect.fail(toHttpClientError(exchange, kind, undefined))
      })
    const wait = Effect.raceFirst(
      takeBoth,
      Effect.andThen(Deferred.await(this.closing), refuse(PoolErrors.PoolClosed))
    ).pipe(Effect.timeoutOrElse({ duration: this.settings.poolMillis, orElse: () => refuse(PoolErrors.PoolTimeout) }))
    return Effect.suspend(() => {
      origin.waiting++
      return Effect.flatMap(
        Effect.ensuring(
          wait,
          Effect.sync(() => {
            origin.waiting--
          })
        ),
        () =>
          Effect.callback<HttpClientResponse, HttpClientError>((resume) => {
            exchange.resume = resume
            hasOriginPermit = false
            hasPermit = false
            this.dispatch(exchange)
            return Effect.sync(() => exchange.abort(PoolErrors.BodyCancelled, "interrupted"))
          })
      )
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          if (hasPermit) this.permits.release()
          if (hasOriginPermit) origin.permits?.release()
        })
      )
    )
  }

  // --- connections ---------------------------------------------------------

  private dispatch(exchange: Exchange): void {
    const { origin } = exchange
    this.inFlight++
    origin.inFlight++
    origin.admitted++
    const idle = exchange.isIsolated ? undefined : this.takeIdle(origin)
    if (idle !== undefined) origin.reused++
    this.dispatchOn(idle ?? this.open(origin), exchange)
  }

  private dispatchOn(connection: Connection, exchange: Exchange): void {
    connection.exchange = exchange
    exchange.connection = connection
    exchange.phase = connection.socket === undefined ? "connecting" : "sending"
    const { request } = exchange
    const body = toTransportBody(request.body)
    exchange.stopBody = body.stop
    connection.client.dispatch(
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

  private open(origin: Origin): Connection {
    if (this.connections.size >= this.settings.maxConnections) {
      for (const coldest of this.idle) {
        coldest.destroy("evicted")
        break
      }
    }
    const connection = new Connection(this, origin)
    this.connections.add(connection)
    origin.connections++
    return connection
  }

  private takeIdle(origin: Origin): Connection | undefined {
    while (true) {
      const connection = origin.idle.pop()
      if (connection === undefined) return undefined
      this.idle.delete(connection)
      connection.isIdle = false
      if (connection.isReusable()) return connection
      connection.destroy("retired")
    }
  }

  /** Takes a connection that is being closed out of the books. */
  forget(connection: Connection): void {
    if (this.connections.delete(connection)) connection.origin.connections--
    if (!connection.isIdle) return
    connection.isIdle = false
    this.idle.delete(connection)
    const { idle } = connection.origin
    idle.splice(idle.indexOf(connection), 1)
  }

  /** Gives back what a request held. Without a reason, the response is complete or the transport has failed. */
  settle(exchange: Exchange, reason: CloseReason | undefined): void {
    exchange.isSettled = true
    this.reads.remove(exchange)
    exchange.stopBody?.()
    exchange.stopBody = undefined
    const { connection, origin } = exchange
    if (connection === undefined) return
    connection.exchange = undefined
    if (reason !== undefined) connection.destroy(reason)
    else if (exchange.failure !== undefined) connection.destroy("failed")
    else this.keep(connection, exchange)
    this.inFlight--
    origin.inFlight--
    this.permits.release()
    origin.permits?.release()
    if (this.isClosing && this.inFlight === 0) Deferred.doneUnsafe(this.drained, Effect.void)
  }

  private keep(connection: Connection, exchange: Exchange): void {
    connection.served++
    const reason = this.reasonToClose(connection, exchange)
    if (reason !== undefined) {
      connection.destroy(reason)
      return
    }
    connection.isIdle = true
    connection.origin.idle.push(connection)
    this.idle.add(connection)
    if (this.idle.size > this.settings.maxKeepAliveConnections && !this.isTrimScheduled) {
      this.isTrimScheduled = true
      setImmediate(this.trim)
    }
  }

  private reasonToClose(connection: Connection, exchange: Exchange): CloseReason | undefined {
    if (exchange.isIsolated) return "isolated"
    if (connection.socket?.destroyed === true) return "peer"
    if (!connection.isReusable()) return "retired"
    if (this.isClosing) return "shutdown"
    return this.settings.maxKeepAliveConnections === 0 ? "evicted" : undefined
  }

  private readonly trim = (): void => {
    this.isTrimScheduled = false
    for (const coldest of this.idle) {
      if (this.idle.size <= this.settings.maxKeepAliveConnections) return
      coldest.destroy("evicted")
    }
  }

  /**
   * Sends a request once more, on a fresh connection, if it failed on a used one before a byte of the response came and
   * sending it twice does no harm. The server closes idle connections when it likes, and the news may cross the request.
   */
  replay(exchange: Exchange): boolean {
    const { connection, request } = exchange
    const error = exchange.failure?.reason.cause
    if (
      connection === undefined ||
      connection.served === 0 ||
      exchange.isReplay ||
      exchange.status !== 0 ||
      this.isClosing ||
      !(error instanceof PoolErrors.ConnectionReset) ||
      !idempotentMethods.has(request.method) ||
      !isReplayable(request.body)
    ) {
      return false
    }
    exchange.isReplay = true
    exchange.failure = undefined
    exchange.origin.replayed++
    this.reads.remove(exchange)
    connection.exchange = undefined
    connection.destroy("failed")
    this.dispatchOn(this.open(exchange.origin), exchange)
    return true
  }

  private forgetAnOrigin(): void {
    for (const [name, origin] of this.origins) {
      if (!origin.isForgettable) continue
      this.origins.delete(name)
      return
    }
  }

  // --- what the transport has told -------------------------------------------

  /** Has the exchange act when the transport's parser has returned. */
  schedule(exchange: Exchange): void {
    this.told.push(exchange)
    if (this.told.length === 1) queueMicrotask(this.flush)
  }

  private readonly flush = (): void => {
    const { told } = this
    // Fibers run in here, and what they do may tell of more.
    for (let i = 0; i < told.length; i++) told[i]?.flush()
    told.length = 0
  }

  // --- the end -------------------------------------------------------------

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    if (!this.isClosing) {
      this.isClosing = true
      Deferred.doneUnsafe(this.closing, Effect.void)
      for (const connection of this.idle) connection.destroy("shutdown")
      for (const { exchange } of this.connections) {
        if (exchange?.isAbandoned === true) exchange.abort(PoolErrors.PoolClosed, "shutdown")
      }
      if (this.inFlight === 0) Deferred.doneUnsafe(this.drained, Effect.void)
    }
    return Deferred.await(this.drained).pipe(
      Effect.timeoutOption(this.settings.drainMillis),
      Effect.andThen(
        Effect.sync(() => {
          for (const connection of this.connections) {
            connection.exchange?.abort(PoolErrors.PoolClosed, "shutdown")
            connection.destroy("shutdown")
          }
          this.connects.close()
          this.reads.close()
        })
      )
    )
  })
}
