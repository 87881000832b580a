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
import * as PubSub from "effect/PubSub"
import type { PoolEvent } from "../HttpPool.ts"
import * as PoolErrors from "../PoolError.ts"
import { Connection } from "./connection.ts"
import { DeadlineList } from "./deadlines.ts"
import { parseTarget, type Route, type Target } from "./dial.ts"
import type { Exchange } from "./exchange.ts"
import { RefusedStream } from "./failure.ts"
import { type CloseReason, type Link, noneClosed } from "./link.ts"
import type { Multiplexer } from "./multiplexer.ts"
import type { Settings } from "./options.ts"
import { Permits } from "./permits.ts"
import { isReplayable } from "./requestBody.ts"
import type { Undici } from "./undici.ts"

const maxRefusals = 5
const millisBetweenWarnings = 60_000
const idempotentMethods = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"])

export class Origin {
  readonly origin: string
  readonly authority: string
  readonly target: Pick<Target, "isTls" | "host" | "port">
  readonly permits: Permits | undefined
  readonly multiplexer: Multiplexer | undefined
  readonly idle: Array<Link> = []
  private tlsSession: Buffer | undefined
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
  readonly closedBy: Record<CloseReason, number> = noneClosed()

  constructor(pool: Pool, origin: string) {
    const { http2, maxConnections, maxConnectionsPerOrigin } = pool.settings
    this.origin = origin
    this.authority = new URL(origin).host
    this.target = parseTarget(origin)
    this.permits = maxConnectionsPerOrigin < maxConnections ? new Permits(maxConnectionsPerOrigin) : undefined
    const speaksHttp2 = http2 === "prior-knowledge" || (http2 && this.target.isTls)
    this.multiplexer = speaksHttp2 && pool.Multiplexer !== undefined ? new pool.Multiplexer(pool, this) : undefined
  }

  targetFor(protocols: ReadonlyArray<string>): Target {
    return { ...this.target, protocols, session: this.tlsSession }
  }

  readonly rememberSession = (session: Buffer): void => {
    this.tlsSession = session
  }

  get isForgettable(): boolean {
    return this.connections === 0 && this.inFlight === 0 && this.waiting === 0
  }
}

/** What a pool is built on. */
export interface Parts {
  readonly settings: Settings
  readonly undici: Undici
  readonly route: Route
  readonly clock: Clock.Clock
  readonly events: PubSub.PubSub<PoolEvent>
  /** Unset where HTTP/2 is not asked for, which is then not loaded. */
  readonly Multiplexer: typeof Multiplexer | undefined
  /** Tells whoever runs the program. */
  readonly warn: (message: string) => void
}

export class Pool {
  readonly settings: Settings
  readonly undici: Undici
  readonly route: Route
  readonly permits: Permits
  readonly connects: DeadlineList
  readonly reads: DeadlineList
  /** Requests whose response has begun. */
  readonly bodies: DeadlineList
  /** Requests in line. */
  readonly waits: DeadlineList
  /** HTTP/2 sessions that are in use, and those that are idle. */
  readonly pings: DeadlineList
  readonly idles: DeadlineList
  readonly origins: Map<string, Origin> = new Map()
  readonly connections: Set<Link> = new Set()
  private readonly idle: Set<Link> = new Set()
  private readonly clock: Clock.Clock
  private readonly drained: Deferred.Deferred<void> = Deferred.makeUnsafe()
  private readonly line: Set<Exchange> = new Set()
  private readonly told: Array<Exchange> = []
  readonly events: PubSub.PubSub<PoolEvent>
  readonly Multiplexer: typeof Multiplexer | undefined
  private readonly warn: (message: string) => void
  private warnedAt = Number.NEGATIVE_INFINITY
  private isTrimScheduled = false
  isClosing = false
  inFlight = 0

  constructor({ Multiplexer, clock, events, route, settings, undici, warn }: Parts) {
    this.settings = settings
    this.undici = undici
    this.route = route
    this.clock = clock
    this.events = events
    this.Multiplexer = Multiplexer
    this.warn = warn
    this.permits = new Permits(settings.maxConnections)
    this.connects = new DeadlineList(clock, settings.connectMillis)
    this.reads = new DeadlineList(clock, settings.readMillis)
    this.bodies = new DeadlineList(clock, settings.bodyMillis)
    this.waits = new DeadlineList(clock, settings.poolMillis)
    this.pings = new DeadlineList(clock, settings.pingMillis)
    this.idles = new DeadlineList(clock, settings.keepAliveMillis)
  }

  now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  tell(event: PoolEvent): void {
    PubSub.publishUnsafe(this.events, event)
  }

  originOf(name: string): Origin {
    const known = this.origins.get(name)
    if (known !== undefined) return known
    if (this.origins.size >= this.settings.maxOrigins) this.forgetAnOrigin()
    const origin = new Origin(this, name)
    this.origins.set(name, origin)
    return origin
  }

  // --- permits -------------------------------------------------------------

  /** Sends as soon as there are permits, or on a session that has some. */
  send(exchange: Exchange): void {
    const { multiplexer } = exchange.origin
    if (multiplexer === undefined || multiplexer.protocol === "h1") this.sendPlain(exchange)
    else (exchange.isIsolated ? multiplexer.isolated() : multiplexer).send(exchange)
  }

  sendPlain(exchange: Exchange): void {
    const { origin } = exchange
    if (this.tryTakePermits(origin)) {
      this.dispatch(exchange)
      return
    }
    this.enterLine(exchange)
    // Once it has its permits this fiber runs to its end without a pause, so it cannot be interrupted between the
    // taking and the sending.
    const sending = Effect.sync(() => {
      this.leaveLine(exchange)
      this.dispatch(exchange)
    })
    const fiber = Effect.runFork(Effect.andThen(this.takePermits(origin), sending))
    exchange.stopWaiting = () => fiber.interruptUnsafe()
  }

  enterLine(exchange: Exchange): void {
    const { origin } = exchange
    this.line.add(exchange)
    this.waits.add(exchange)
    if (origin.waiting++ === 0) this.tell({ _tag: "Exhausted", origin: origin.origin })
    this.warnOfLongWait(exchange.startedAt)
  }

  // Who waits the longest is the first in line.
  private warnOfLongWait(now: number): void {
    for (const { origin, startedAt } of this.line) {
      const waited = now - startedAt
      const { maxConnections, maxConnectionsPerOrigin, warnMillis } = this.settings
      if (waited >= warnMillis && now - this.warnedAt >= millisBetweenWarnings) {
        this.warnedAt = now
        this.warn(
          `HTTP pool exhausted: a request to ${origin.origin} has waited ${Math.round(waited)} ms for a connection, ` +
            `${this.line.size} wait (maxConnections ${maxConnections}, maxConnectionsPerOrigin ${maxConnectionsPerOrigin})`
        )
      }
      return
    }
  }

  /** Takes a request out of the line, if it is there. */
  leaveLine(exchange: Exchange): boolean {
    if (!this.line.has(exchange)) return false
    this.warnOfLongWait(this.now())
    this.line.delete(exchange)
    this.waits.remove(exchange)
    exchange.origin.waiting--
    return true
  }

  tryTakePermits(origin: Origin): boolean {
    if (origin.permits !== undefined && !origin.permits.tryTake()) return false
    if (this.permits.tryTake()) return true
    origin.permits?.release()
    return false
  }

  /** Waits for permits, however long. */
  takePermits(origin: Origin): Effect.Effect<unknown> {
    const { permits } = origin
    if (permits === undefined) return this.permits.take
    const giveBack = Effect.sync(() => permits.release())
    return Effect.andThen(
      permits.take,
      Effect.onInterrupt(this.permits.take, () => giveBack)
    )
  }

  releasePermits(origin: Origin): void {
    this.permits.release()
    origin.permits?.release()
  }

  // --- connections ---------------------------------------------------------

  /** Counts a request that is about to be dispatched. */
  admit(origin: Origin): void {
    this.inFlight++
    origin.inFlight++
    origin.admitted++
  }

  /** Counts it no more, since it goes back in line. */
  retract(origin: Origin): void {
    this.inFlight--
    origin.inFlight--
    origin.admitted--
  }

  private dispatch(exchange: Exchange): void {
    const { origin } = exchange
    this.admit(origin)
    const idle = exchange.isIsolated ? undefined : this.takeIdle(origin)
    if (idle === undefined) {
      this.dispatchFresh(exchange)
    } else {
      origin.reused++
      idle.dispatch(exchange)
    }
  }

  /** Dispatches on a connection of its own a request that holds permits. */
  dispatchFresh(exchange: Exchange): void {
    const connection = new Connection(this, exchange.origin)
    this.adopt(connection)
    connection.dispatch(exchange)
  }

  /** Enters a connection in the books, and makes room for it. */
  adopt(link: Link): void {
    if (this.connections.size >= this.settings.maxConnections) {
      for (const coldest of this.idle) {
        coldest.destroy("evicted")
        break
      }
    }
    this.connections.add(link)
    link.origin.connections++
  }

  takeIdle(origin: Origin): Link | undefined {
    while (true) {
      const link = origin.idle.pop()
      if (link === undefined) return undefined
      this.idle.delete(link)
      link.isIdle = false
      if (link.isReusable()) {
        link.onTaken()
        return link
      }
      link.destroy("retired")
    }
  }

  /** Takes a connection that is being closed out of the books. */
  forget(link: Link): void {
    if (this.connections.delete(link)) link.origin.connections--
    if (!link.isIdle) return
    link.isIdle = false
    this.idle.delete(link)
    const { idle } = link.origin
    idle.splice(idle.indexOf(link), 1)
  }

  /** Gives back what a request held. Without a reason, the response is complete or the transport has failed. */
  settle(exchange: Exchange, reason: CloseReason | undefined): void {
    exchange.isSettled = true
    exchange.list?.remove(exchange)
    exchange.stopBody?.()
    exchange.stopBody = undefined
    const { link, origin } = exchange
    if (link === undefined) {
      if (!this.leaveLine(exchange)) return
      exchange.stopWaiting?.()
      if (reason !== "interrupted") origin.rejected++
      return
    }
    this.inFlight--
    origin.inFlight--
    link.release(exchange, reason)
    if (this.isClosing && this.inFlight === 0) Deferred.doneUnsafe(this.drained, Effect.void)
  }

  /** Keeps a connection for the next request, if it may be kept. */
  keep(link: Link): void {
    const reason = this.reasonToClose(link)
    if (reason !== undefined) {
      link.destroy(reason)
      return
    }
    link.isIdle = true
    link.origin.idle.push(link)
    this.idle.add(link)
    link.onIdle()
    if (this.idle.size > this.settings.maxKeepAliveConnections && !this.isTrimScheduled) {
      this.isTrimScheduled = true
      setImmediate(this.trim)
    }
  }

  private reasonToClose(link: Link): CloseReason | undefined {
    if (!link.isReusable()) return "retired"
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
   * Sends a request once more if it failed before a byte of the response came and sending it twice does no harm: on a
   * fresh connection if it failed on a used one, since the server closes idle connections when it likes and the news may
   * cross the request; or if the server said that it took no notice of it.
   */
  replay(exchange: Exchange): boolean {
    const { failure, link, origin, request } = exchange
    const error = failure?.reason.cause
    if (
      link === undefined ||
      this.isClosing ||
      exchange.status !== 0 ||
      !(error instanceof PoolErrors.ConnectionReset) ||
      !isReplayable(request.body)
    ) {
      return false
    }
    if (error.cause instanceof RefusedStream) {
      if (exchange.replays >= maxRefusals) return false
    } else if (exchange.replays > 0 || link.served === 0 || !idempotentMethods.has(request.method)) {
      return false
    }
    exchange.replays++
    exchange.failure = undefined
    origin.replayed++
    exchange.list?.remove(exchange)
    link.resend(exchange)
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
    let done = 0
    try {
      // Fibers run in here, and what they do may tell of more.
      while (done < told.length) told[done++]?.flush()
    } finally {
      // Whatever one of them throws, the others are served.
      told.splice(0, done)
      if (told.length > 0) queueMicrotask(this.flush)
    }
  }

  // --- the end -------------------------------------------------------------

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    if (!this.isClosing) {
      this.isClosing = true
      for (const link of this.idle) link.destroy("shutdown")
      for (const link of this.connections) {
        for (const exchange of link.exchanges()) {
          if (exchange.isAbandoned) exchange.abort(PoolErrors.PoolClosed, "shutdown")
        }
      }
      for (const exchange of this.line) exchange.abort(PoolErrors.PoolClosed, "shutdown")
      if (this.inFlight === 0) Deferred.doneUnsafe(this.drained, Effect.void)
    }
    return Deferred.await(this.drained).pipe(
      Effect.timeoutOption(this.settings.drainMillis),
      Effect.andThen(
        Effect.sync(() => {
          for (const link of this.connections) {
            for (const exchange of link.exchanges()) exchange.abort(PoolErrors.PoolClosed, "shutdown")
            link.destroy("shutdown")
          }
          for (const list of [this.connects, this.reads, this.bodies, this.waits, this.pings, this.idles]) list.close()
        })
      )
    )
  })
}
