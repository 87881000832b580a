// Direct hand-off. A release that can satisfy the head moves the permits to it
// before the head runs, so nobody who arrives in between can take them, and a
// woken fiber has nothing to check again. What this costs: a waiter that is
// interrupted between hand-off and resumption owns permits that it will never
// use; `leave` gives them to the next.
//
// Last in, first out differs in one thing only: who comes goes before all who
// wait, so that it need not wait at all when its permits are free.

import { checkPermits, isCount, Line, type Permits, permitsWord, settle, type Waiter } from "./line.ts"

export interface Snapshot {
  readonly capacity: number
  readonly held: number
  readonly available: number
  readonly waiting: number
  readonly admitted: number
}

export class PermitQueue<Refusal = never> implements Permits<Refusal> {
  private readonly line: Line = new Line()
  private readonly isLifo: boolean
  /** What a resize may still grow to is not known, so only the largest capacity so far tells what can never be served. */
  private largest: number
  private idleListeners: Array<() => void> = []
  capacity: number
  held = 0
  waiting = 0
  admitted = 0
  refusal: Refusal | undefined

  constructor(capacity: number, isLifo = false) {
    if (!isCount(capacity)) {
      throw new RangeError(`Cannot make a semaphore of ${capacity} permits: a whole number, 0 or more, is needed`)
    }
    this.capacity = capacity
    this.largest = capacity
    this.isLifo = isLifo
  }

  check(permits: number): void {
    checkPermits(permits, this.largest)
  }

  isFree(permits: number): boolean {
    return (this.line.head === undefined || this.isLifo) && this.held + permits <= this.capacity
  }

  take(permits: number): void {
    this.held += permits
    this.admitted++
  }

  join(waiter: Waiter): void {
    if (this.isLifo) this.line.prepend(waiter)
    else this.line.append(waiter)
    this.waiting++
  }

  leave(waiter: Waiter): void {
    if (waiter.state === "admitted") {
      this.release(waiter.permits)
      return
    }
    this.remove(waiter)
    // It may have been the heavy one at the head that held back lighter ones.
    this.admit()
    this.tellIdle()
  }

  release(permits: number): void {
    this.held -= permits
    if (this.line.head !== undefined) this.admit()
    if (this.held === 0 && this.idleListeners.length > 0) this.tellIdle()
  }

  /** As {@link release}, for permits that somebody says he holds; answers how many are then free. */
  giveBack(permits: number): number {
    if (!isCount(permits) || permits > this.held) {
      throw new RangeError(`Cannot release ${permitsWord(permits)}: ${this.held} are held`)
    }
    this.release(permits)
    return this.available
  }

  resize(permits: number): void {
    if (!isCount(permits)) {
      throw new RangeError(`Cannot resize to ${permits} permits: a whole number, 0 or more, is needed`)
    }
    this.capacity = permits
    this.largest = Math.max(this.largest, permits)
    this.admit()
  }

  /** Refuses all who wait and all who come; whoever holds permits keeps them to his end. */
  close(refusal: Refusal): void {
    if (this.refusal !== undefined) return
    this.refusal = refusal
    for (let waiter = this.line.head; waiter !== undefined; waiter = this.line.head) {
      this.remove(waiter)
      settle(waiter, "refused")
    }
    this.tellIdle()
  }

  /** Calls a listener once, as soon as nobody holds or awaits permits; what it answers forgets the listener. */
  onIdle(listener: () => void): () => void {
    this.idleListeners.push(listener)
    this.tellIdle()
    return () => {
      this.idleListeners = this.idleListeners.filter((other) => other !== listener)
    }
  }

  get available(): number {
    return Math.max(0, this.capacity - this.held)
  }

  snapshot(): Snapshot {
    const { admitted, available, capacity, held, waiting } = this
    return { capacity, held, available, waiting, admitted }
  }

  /** Hands permits to the head for as long as they suffice. Amortised O(1) for each waiter. */
  private admit(): void {
    for (
      let waiter = this.line.head;
      waiter !== undefined && this.held + waiter.permits <= this.capacity;
      waiter = this.line.head
    ) {
      this.remove(waiter)
      this.take(waiter.permits)
      settle(waiter, "admitted")
    }
  }

  private remove(waiter: Waiter): void {
    this.line.remove(waiter)
    this.waiting--
  }

  private tellIdle(): void {
    if (this.held > 0 || this.waiting > 0) return
    const listeners = this.idleListeners
    this.idleListeners = []
    for (const listener of listeners) listener()
  }
}
