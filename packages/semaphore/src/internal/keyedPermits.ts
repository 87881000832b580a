// A line for each key, and a ring of the keys whose head could go if only there
// were permits left over all. Permits that come free go to the key at the front of
// the ring, which then goes to its end: the keys take turns, however long their
// lines are. The key in front keeps its turn until its head can be served, so that
// a heavy request is not starved by light ones of other keys.
//
// A key whose own permits are used up stands outside of the ring until one comes
// back. A key's state is made with its first use and dropped with its last.

import { checkPermits, isCount, Line, type Permits, permitsWord, settle, type Waiter } from "./line.ts"
import type { Snapshot } from "./permitQueue.ts"

/** What is kept of a key while it is used. */
class KeyState<K> {
  readonly key: K
  readonly capacity: number
  readonly line: Line = new Line()
  held = 0
  waiting = 0
  /** The neighbours in the ring. */
  previous: KeyState<K> | undefined
  next: KeyState<K> | undefined

  constructor(key: K, capacity: number) {
    this.key = key
    this.capacity = capacity
  }

  /** Whether the head of the line could go, were there permits over all. */
  get isReady(): boolean {
    const { head } = this.line
    return head !== undefined && this.held + head.permits <= this.capacity
  }
}

/** One request's way to a key, whose state may come and go while the request does. */
class KeyGate<K> implements Permits {
  readonly refusal = undefined
  private readonly permits: KeyedPermits<K>
  private readonly key: K
  private readonly capacity: number

  constructor(permits: KeyedPermits<K>, key: K) {
    this.permits = permits
    this.key = key
    this.capacity = permits.capacityFor(key)
  }

  check(permits: number): void {
    checkPermits(permits, Math.min(this.capacity, this.permits.capacity))
  }

  isFree(permits: number): boolean {
    return this.permits.isFree(this.key, permits, this.capacity)
  }

  take(permits: number): void {
    this.permits.take(this.permits.open(this.key, this.capacity), permits)
  }

  join(waiter: Waiter): void {
    this.permits.join(this.permits.open(this.key, this.capacity), waiter)
  }

  leave(waiter: Waiter): void {
    this.permits.leave(this.key, waiter)
  }

  release(permits: number): void {
    this.permits.release(this.key, permits)
  }
}

export interface KeyedSnapshot extends Snapshot {
  readonly keys: number
}

export interface KeySnapshot {
  readonly capacity: number
  readonly held: number
  readonly waiting: number
}

export class KeyedPermits<K> {
  readonly capacity: number
  private readonly capacityOf: (key: K) => number
  private readonly states: Map<K, KeyState<K>> = new Map()
  /** The key whose turn it is; the ring is closed. */
  private front: KeyState<K> | undefined
  private held = 0
  private waiting = 0
  private admitted = 0

  constructor(capacity: number, capacityOf: (key: K) => number) {
    this.capacity = capacity
    this.capacityOf = capacityOf
  }

  gate(key: K): Permits {
    return new KeyGate(this, key)
  }

  capacityFor(key: K): number {
    return this.states.get(key)?.capacity ?? this.capacityOf(key)
  }

  open(key: K, capacity: number): KeyState<K> {
    const known = this.states.get(key)
    if (known !== undefined) return known
    const state = new KeyState(key, capacity)
    this.states.set(key, state)
    return state
  }

  isFree(key: K, permits: number, capacity: number): boolean {
    if (this.front !== undefined || this.held + permits > this.capacity) return false
    const state = this.states.get(key)
    return state === undefined
      ? permits <= capacity
      : state.line.head === undefined && state.held + permits <= state.capacity
  }

  take(state: KeyState<K>, permits: number): void {
    state.held += permits
    this.held += permits
    this.admitted++
    this.drop(state)
  }

  join(state: KeyState<K>, waiter: Waiter): void {
    state.line.append(waiter)
    state.waiting++
    this.waiting++
    this.place(state)
  }

  leave(key: K, waiter: Waiter): void {
    const state = this.states.get(key)
    if (state === undefined) return
    this.remove(state, waiter)
    this.moveOn(state)
  }

  release(key: K, permits: number): void {
    const state = this.states.get(key)
    if (state === undefined) return
    state.held -= permits
    this.held -= permits
    this.moveOn(state)
  }

  /** As {@link release}, for permits that somebody says he holds. */
  giveBack(key: K, permits: number): void {
    const held = this.states.get(key)?.held ?? 0
    if (!isCount(permits) || permits > held) {
      throw new RangeError(`Cannot release ${permitsWord(permits)} of key ${String(key)}: ${held} are held`)
    }
    this.release(key, permits)
  }

  snapshot(): KeyedSnapshot {
    const { admitted, capacity, held, waiting } = this
    return { capacity, held, available: Math.max(0, capacity - held), waiting, admitted, keys: this.states.size }
  }

  snapshotOf(key: K): KeySnapshot {
    const state = this.states.get(key)
    return { capacity: this.capacityFor(key), held: state?.held ?? 0, waiting: state?.waiting ?? 0 }
  }

  private remove(state: KeyState<K>, waiter: Waiter): void {
    state.line.remove(waiter)
    state.waiting--
    this.waiting--
  }

  /** After a key has come by permits of its own, or its line has changed. */
  private moveOn(state: KeyState<K>): void {
    this.place(state)
    this.admit()
    this.drop(state)
  }

  /** Forgets a key that nobody uses. */
  private drop(state: KeyState<K>): void {
    if (state.held === 0 && state.waiting === 0) this.states.delete(state.key)
  }

  /** Puts a key at the end of the ring if it belongs there and is not in it, and takes it out if not. */
  private place(state: KeyState<K>): void {
    const isLinked = state.next !== undefined
    if (state.isReady === isLinked) return
    if (isLinked) this.unlink(state)
    else this.link(state)
  }

  /** Admits key by key for as long as the permits suffice. Amortised O(1) for each waiter. */
  private admit(): void {
    for (let state = this.front; state !== undefined; state = this.front) {
      const waiter = state.line.head
      if (waiter === undefined || this.held + waiter.permits > this.capacity) return
      this.remove(state, waiter)
      this.take(state, waiter.permits)
      settle(waiter, "admitted")
      this.front = state.next
      this.place(state)
    }
  }

  private link(state: KeyState<K>): void {
    const front = this.front ?? state
    const last = this.front?.previous ?? state
    state.next = front
    state.previous = last
    last.next = state
    front.previous = state
    this.front = front
  }

  private unlink(state: KeyState<K>): void {
    const { next, previous } = state
    if (next === undefined || previous === undefined) return
    if (next === state) {
      this.front = undefined
    } else {
      previous.next = next
      next.previous = previous
      if (this.front === state) this.front = next
    }
    state.next = undefined
    state.previous = undefined
  }
}
