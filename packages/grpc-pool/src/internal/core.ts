// The addresses of a pool, their sessions, and the calls that wait for a stream.
//
// A call takes a stream where one is free, or waits in one line for all
// addresses, so that it is served by whichever comes free first and an address
// that goes takes no waiting call with it. A call is never tied to a connection
// that is being made: an address that cannot be reached costs nothing as long as
// another can. While a server has not said how many streams it allows, one
// connection finds out; from then on the line makes an address grow by as many
// sessions as it needs streams. Choosing costs O(addresses + sessions); waiting,
// leaving the line and giving back cost O(1).

import { Code } from "@connectrpc/connect"
import { Session, type SessionHooks } from "./session.ts"
import type { Settings } from "./settings.ts"

/** Why a call was given no stream. */
export interface Refusal {
  readonly code: Code
  readonly details: string
  readonly address: string | undefined
}

/** A call that wants a stream. */
export interface Waiter {
  /** It has the permit for a stream of this session. */
  readonly serve: (session: Session) => void
  readonly refuse: (refusal: Refusal) => void
}

const goodbyeMillis = 1000

/** Runs something later; answers how to call it off. */
export type After = (millis: number, run: () => void) => () => void

export class Address {
  readonly origin: string
  /** Those that are being made or take calls. */
  readonly sessions: Set<Session> = new Set()
  /** Those that finish what they have. */
  readonly draining: Set<Session> = new Set()
  isServing = true
  isRemoved = false
  /** The last connection could not be made. */
  isFailed = false
  failures = 0
  lastError = ""
  /** Streams that the server allowed when it was last asked; unknown until the first session is ready. */
  allowed: number | undefined
  connecting = 0
  created = 0
  closed = 0
  calls = 0
  reused = 0
  callFailures = 0
  cancelRedial: (() => void) | undefined
  readonly onSettled: Set<() => void> = new Set()

  constructor(origin: string) {
    this.origin = origin
  }

  get isUsable(): boolean {
    return this.isServing && !this.isFailed
  }

  get inUse(): number {
    let sum = 0
    for (const session of this.sessions) sum += session.inUse
    for (const session of this.draining) sum += session.inUse
    return sum
  }

  get isEmpty(): boolean {
    return this.sessions.size === 0 && this.draining.size === 0
  }

  settle(): void {
    for (const listener of [...this.onSettled]) listener()
  }
}

export class Core {
  readonly settings: Settings
  readonly addresses: Map<string, Address> = new Map()
  /** Addresses that were removed and whose calls have not all ended. */
  readonly leaving: Set<Address> = new Set()
  readonly line: Set<Waiter> = new Set()
  isClosing = false
  succeeded = 0
  failed = 0
  cancelled = 0
  /** What addresses that are gone have counted. */
  readonly past: { created: number; closed: number; calls: number; reused: number } = {
    created: 0,
    closed: 0,
    calls: 0,
    reused: 0
  }
  private order: ReadonlyArray<Address> = []
  private cursor = 0
  private readonly after: After
  readonly now: () => number
  private readonly onSession: (session: Session) => void
  private readonly hooks: SessionHooks

  constructor(settings: Settings, after: After, now: () => number, onSession: (session: Session) => void) {
    this.settings = settings
    this.after = after
    this.now = now
    this.onSession = onSession
    this.hooks = {
      onReady: (session) => this.onReady(session),
      onRoom: () => this.serveLine(),
      onDraining: (session) => this.onDraining(session),
      onClosing: (session) => this.onClosing(session),
      onClosed: (session, reason) => this.onClosed(session, reason)
    }
  }

  add(origin: string): Address | undefined {
    if (this.addresses.has(origin) || this.isClosing) return undefined
    const address = new Address(origin)
    this.addresses.set(origin, address)
    this.order = [...this.addresses.values()]
    this.serveLine()
    return address
  }

  remove(origin: string): Address | undefined {
    const address = this.addresses.get(origin)
    if (address === undefined) return undefined
    address.isRemoved = true
    this.addresses.delete(origin)
    this.order = [...this.addresses.values()]
    this.leaving.add(address)
    address.cancelRedial?.()
    for (const session of [...address.sessions]) session.drain()
    this.forgetIfEmpty(address)
    this.serveLine()
    return address
  }

  private forgetIfEmpty(address: Address): void {
    if (!address.isEmpty || !this.leaving.delete(address)) return
    for (const name of ["created", "closed", "calls", "reused"] as const) this.past[name] += address[name]
    address.settle()
  }

  /** Gives the call a stream, now or later, or refuses it. */
  enter(waiter: Waiter): void {
    const session = this.line.size === 0 ? this.choose() : undefined
    if (session !== undefined) {
      waiter.serve(session)
      return
    }
    const refusal = this.hopeless() ?? this.lineFull()
    if (refusal !== undefined) {
      waiter.refuse(refusal)
      return
    }
    this.line.add(waiter)
    this.grow()
  }

  leave(waiter: Waiter): void {
    this.line.delete(waiter)
  }

  release(session: Session, wasReset: boolean): void {
    if (wasReset) session.giveBackReset(this.now)
    else session.giveBack(this.now())
  }

  private lineFull(): Refusal | undefined {
    if (this.line.size < this.settings.maxWaiting) return undefined
    return {
      code: Code.ResourceExhausted,
      details: `no stream is free, and ${this.line.size} calls wait already`,
      address: undefined
    }
  }

  /** Why nobody who waits can be served before something outside changes. */
  private hopeless(): Refusal | undefined {
    if (this.isClosing) return { code: Code.Unavailable, details: "the pool is closed", address: undefined }
    if (this.settings.waitForReady) return undefined
    if (this.order.length === 0) {
      return { code: Code.Unavailable, details: "the pool has no address", address: undefined }
    }
    let failed: Address | undefined
    for (const address of this.order) {
      if (address.isUsable) return undefined
      if (address.isFailed) failed = address
    }
    return failed === undefined
      ? { code: Code.Unavailable, details: "no address is serving", address: undefined }
      : { code: Code.Unavailable, details: `cannot connect: ${failed.lastError}`, address: failed.origin }
  }

  /** Takes the permit for a stream, where one is free. Opens a first session to every address that has none. */
  private choose(): Session | undefined {
    const { order } = this
    let best: Session | undefined
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < order.length; i++) {
      const address = order[(this.cursor + i) % order.length]
      if (address === undefined || !address.isUsable) continue
      if (address.sessions.size === 0) {
        this.dial(address)
        continue
      }
      const load = this.settings.balance === "round-robin" ? i : address.inUse
      if (load >= least) continue
      const session = withRoom(address)
      if (session === undefined) continue
      best = session
      least = load
      if (this.settings.balance === "round-robin") this.nextCursor = (this.cursor + i + 1) % order.length
    }
    if (best === undefined) return undefined
    this.cursor = this.settings.balance === "round-robin" ? this.nextCursor : (this.cursor + 1) % order.length
    best.take()
    best.address.calls++
    if (best.served > 1) best.address.reused++
    return best
  }
  private nextCursor = 0

  serveLine(): void {
    for (const waiter of this.line) {
      const session = this.choose()
      if (session === undefined) break
      this.line.delete(waiter)
      waiter.serve(session)
    }
    if (this.line.size === 0) return
    const refusal = this.hopeless()
    if (refusal === undefined) this.grow()
    else this.refuseLine(refusal)
  }

  refuseLine(refusal: Refusal): void {
    const waiters = [...this.line]
    this.line.clear()
    for (const waiter of waiters) waiter.refuse(refusal)
  }

  /** Opens the sessions that the line needs beyond those that are on their way. */
  private grow(): void {
    if (this.isClosing) return
    let wanted = this.line.size
    for (const { allowed, connecting, isUsable } of this.order) {
      // A server whose limit is not known yet may take all of them.
      if (isUsable && connecting > 0) wanted -= connecting * (allowed ?? Number.POSITIVE_INFINITY)
    }
    while (wanted > 0) {
      let smallest: Address | undefined
      for (const address of this.order) {
        if (!address.isUsable || address.sessions.size >= this.settings.maxSessions) continue
        if (smallest === undefined || address.sessions.size < smallest.sessions.size) smallest = address
      }
      if (smallest === undefined) return
      this.dial(smallest)
      wanted -= smallest.allowed ?? Number.POSITIVE_INFINITY
    }
  }

  dial(address: Address): void {
    if (this.isClosing || address.isRemoved) return
    const session = new Session(address, this.settings, this.hooks)
    address.sessions.add(session)
    address.connecting++
    const { connectMillis } = this.settings
    const cancel = this.after(connectMillis, () => session.destroy(`not ready within ${connectMillis} ms`))
    this.timeouts.set(session, cancel)
  }
  private readonly timeouts: Map<Session, () => void> = new Map()

  /** Answers whether the session was still being made. */
  private connected(session: Session): boolean {
    const cancel = this.timeouts.get(session)
    if (cancel === undefined) return false
    this.timeouts.delete(session)
    cancel()
    session.address.connecting--
    return true
  }

  private onReady(session: Session): void {
    const { address } = session
    this.connected(session)
    address.created++
    address.allowed = session.capacity
    address.isFailed = false
    address.failures = 0
    session.idleSince = this.now()
    if (address.isRemoved || this.isClosing) {
      session.drain()
      return
    }
    this.onSession(session)
    address.settle()
    this.serveLine()
  }

  private onDraining(session: Session): void {
    session.address.sessions.delete(session)
    session.address.draining.add(session)
    this.serveLine()
  }

  /** A server that no longer reads hears no goodbye: it is not waited for. */
  private onClosing(session: Session): void {
    this.after(goodbyeMillis, () => session.destroy("the connection was closed"))
  }

  private onClosed(session: Session, reason: string): void {
    const { address } = session
    address.sessions.delete(session)
    address.draining.delete(session)
    if (this.connected(session)) this.onDialFailed(address, reason)
    else address.closed++
    this.forgetIfEmpty(address)
    address.settle()
    this.serveLine()
  }

  private onDialFailed(address: Address, reason: string): void {
    address.lastError = reason
    address.failures++
    // One that others go on with is no reason to leave the address.
    address.isFailed = ![...address.sessions].some((session) => session.isOpen)
    if (!address.isFailed || address.isRemoved || this.isClosing) return
    const { baseMillis, capMillis } = this.settings.reconnect
    const delay = Math.min(capMillis, baseMillis * 1.6 ** (address.failures - 1))
    address.cancelRedial?.()
    // Clients that lost the same server must not all come back at once.
    address.cancelRedial = this.after(delay * (0.8 + 0.4 * Math.random()), () => {
      address.cancelRedial = undefined
      if (address.isFailed && address.sessions.size === 0) this.dial(address)
    })
  }

  /** Takes no more calls, and lets those in flight finish. */
  close(): void {
    if (this.isClosing) return
    this.isClosing = true
    for (const origin of [...this.addresses.keys()]) this.remove(origin)
  }

  /** Closes what is left at once. */
  destroy(): void {
    for (const address of [...this.leaving]) {
      for (const session of [...address.sessions, ...address.draining]) session.destroy("the pool is closed")
    }
  }

  setServing(address: Address, isServing: boolean): void {
    if (address.isServing === isServing) return
    address.isServing = isServing
    this.serveLine()
  }

  /** Closes the sessions that nothing has used for so long. */
  closeIdle(): void {
    const oldest = this.now() - this.settings.idleMillis
    for (const address of this.order) {
      for (const session of [...address.sessions]) {
        if (session.state === "ready" && session.inUse === 0 && session.idleSince <= oldest) session.drain()
      }
    }
  }
}

const withRoom = (address: Address): Session | undefined => {
  for (const session of address.sessions) if (session.hasRoom) return session
  return undefined
}
