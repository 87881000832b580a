// Who waits, and the lines that they wait in. Nothing here knows what waits: a fiber
// (gate.ts) or a promise (the package of promises) is told by its own `settled`.

/** One who waits, and the place in the line. */
export interface Waiter {
  readonly permits: number
  state: "waiting" | "admitted" | "expired" | "refused"
  /** Where the line is ordered by more than arrival: what the waiter is ordered by. */
  rank: number
  previous: Waiter | undefined
  next: Waiter | undefined
  /**
   * Tells it that its state is decided. Whoever releases permits is in the middle of handing them out: nothing that the
   * waiter does may run before that is done.
   */
  settled(): void
}

/** A line of waiters, linked through themselves: joining, and leaving from the middle, are O(1) and allocate nothing. */
export class Line {
  head: Waiter | undefined
  tail: Waiter | undefined

  append(waiter: Waiter): void {
    waiter.previous = this.tail
    if (this.tail === undefined) this.head = waiter
    else this.tail.next = waiter
    this.tail = waiter
  }

  prepend(waiter: Waiter): void {
    waiter.next = this.head
    if (this.head === undefined) this.tail = waiter
    else this.head.previous = waiter
    this.head = waiter
  }

  remove(waiter: Waiter): void {
    if (waiter.previous === undefined) this.head = waiter.next
    else waiter.previous.next = waiter.next
    if (waiter.next === undefined) this.tail = waiter.previous
    else waiter.next.previous = waiter.previous
    waiter.previous = undefined
    waiter.next = undefined
  }
}

/** What hands out permits; `Refusal` is what it turns everybody away with once it is closed. */
export interface Permits<Refusal = never> {
  /** Throws a `RangeError` for permits that can never be had. */
  readonly check: (permits: number) => void
  /** Set once the gate is closed for good: what everybody who comes or waits is told. */
  readonly refusal: Refusal | undefined
  /** Whether somebody who comes now need not wait. */
  readonly isFree: (permits: number) => boolean
  /** Takes permits that {@link isFree} has found. */
  readonly take: (permits: number) => void
  readonly join: (waiter: Waiter) => void
  /** Takes a waiter out that gives up; what it was handed already goes to the next. */
  readonly leave: (waiter: Waiter) => void
  readonly release: (permits: number) => void
}

/** Tells a waiter that it has its permits, or that there will be none. */
export const settle = (waiter: Waiter, state: "admitted" | "refused"): void => {
  waiter.state = state
  waiter.settled()
}

/** Takes permits if they are free at once. */
export const tryTake = (gate: Permits<unknown>, permits: number): boolean => {
  gate.check(permits)
  if (gate.refusal !== undefined || !gate.isFree(permits)) return false
  gate.take(permits)
  return true
}

/** Gives back what a waiter has, be it permits or a place. */
export const quit = (gate: Permits<unknown>, waiter: Waiter): void => {
  if (waiter.state === "admitted") gate.release(waiter.permits)
  else if (waiter.state === "waiting") gate.leave(waiter)
}

export const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

export const permitsWord = (count: number): string => (count === 1 ? "1 permit" : `${count} permits`)

/** Throws unless `permits` may be asked of something that has never held more than `largest`. */
export const checkPermits = (permits: number, largest: number): void => {
  if (!isCount(permits)) throw new RangeError(`Cannot take ${permits} permits: a whole number, 0 or more, is needed`)
  if (permits > largest) throw new RangeError(`Cannot take ${permitsWord(permits)}: the semaphore holds ${largest}`)
}
