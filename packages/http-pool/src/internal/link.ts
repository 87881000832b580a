// What the pool knows of every connection, whichever protocol it speaks.
import type { Socket } from "node:net"
import type { DeadlineList, Entry } from "./deadlines.ts"
import type { Exchange } from "./exchange.ts"
import type { Origin, Pool } from "./pool.ts"

/** How often connections were closed, by reason; all of them none. */
export const noneClosed = () => ({
  expired: 0,
  peer: 0,
  evicted: 0,
  retired: 0,
  isolated: 0,
  interrupted: 0,
  timeout: 0,
  failed: 0,
  shutdown: 0
})

export type CloseReason = keyof ReturnType<typeof noneClosed>

export abstract class Link implements Entry {
  readonly pool: Pool
  readonly origin: Origin
  socket: Socket | undefined
  isIdle = false
  isClosed = false
  /** TCP stands and TLS does not yet. */
  isHandshaking = false
  /** Responses that came on the present socket. */
  served = 0
  private openedAt = 0
  private isOpen = false

  movedAt = 0
  placedAt = 0
  previous: Entry | undefined
  next: Entry | undefined
  list: DeadlineList | undefined

  constructor(pool: Pool, origin: Origin) {
    this.pool = pool
    this.origin = origin
  }

  /** The requests that are on it. */
  abstract exchanges(): Iterable<Exchange>
  abstract dispatch(exchange: Exchange): void
  /** Takes a request off, whose response is complete unless there is a reason or a failure. */
  abstract release(exchange: Exchange, reason: CloseReason | undefined): void
  /** Takes off a request that has failed, and sends it again. */
  abstract resend(exchange: Exchange): void
  abstract onDeadline(): void
  abstract onIdle(): void
  abstract onTaken(): void
  protected abstract close(): void

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
    this.list?.remove(this)
    this.pool.forget(this)
    this.close()
  }

  protected recordOpen(socket: Socket): void {
    this.socket = socket
    this.served = 0
    this.openedAt = this.pool.now()
    this.isOpen = true
    this.origin.open++
    this.origin.created++
    this.pool.tell({ _tag: "Opened", origin: this.origin.origin })
  }

  // A socket that is destroyed is closed, though its event comes later.
  protected recordClosed(reason: CloseReason): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.origin.open--
    this.origin.closed++
    this.origin.closedBy[reason]++
    this.pool.tell({ _tag: "Closed", origin: this.origin.origin, reason })
  }
}
