// A line for each class, and a virtual deadline for each waiter: the number of its
// arrival plus what its class costs it. The earliest deadline goes next.
//
// Why nobody starves: a waiter that came as number `s` in class `c` has the rank
// `s + c × ageing`. Who comes later as number `s' > s` in class `c'` goes before it
// only if `s' + c' × ageing <= s + c × ageing`, so only if `s' - s <= c × ageing`: at
// most `c × ageing` of those that come later, whatever their class.

import { checkPermits, isCount, Line, type Permits, permitsWord, settle, type Waiter } from "./line.ts"
import type { Snapshot } from "./permitQueue.ts"

const maxClasses = 16

class ClassGate implements Permits {
  readonly refusal = undefined
  readonly line: Line = new Line()
  private readonly queue: PriorityQueue
  private readonly handicap: number
  waiting = 0

  constructor(queue: PriorityQueue, handicap: number) {
    this.queue = queue
    this.handicap = handicap
  }

  check(permits: number): void {
    this.queue.check(permits)
  }

  isFree(permits: number): boolean {
    return this.queue.isFree(permits)
  }

  take(permits: number): void {
    this.queue.take(permits)
  }

  join(waiter: Waiter): void {
    waiter.rank = this.queue.arrivals++ + this.handicap
    this.line.append(waiter)
    this.waiting++
    this.queue.waiting++
  }

  leave(waiter: Waiter): void {
    this.remove(waiter)
    this.queue.admit()
  }

  remove(waiter: Waiter): void {
    this.line.remove(waiter)
    this.waiting--
    this.queue.waiting--
  }

  release(permits: number): void {
    this.queue.release(permits)
  }
}

export interface PrioritySnapshot extends Snapshot {
  readonly waitingByClass: ReadonlyArray<number>
}

export class PriorityQueue {
  private readonly classes: ReadonlyArray<ClassGate>
  private largest: number
  private capacity: number
  private held = 0
  private admitted = 0
  arrivals = 0
  waiting = 0

  constructor(permits: number, classes: number, ageing: number) {
    const fail = (name: string, value: number, allowed: string): never => {
      throw new RangeError(`Cannot make a priority semaphore with ${name} ${value}: ${allowed} is needed`)
    }
    if (!isCount(permits)) fail("permits", permits, "a whole number, 0 or more,")
    if (!isCount(classes) || classes < 1 || classes > maxClasses) {
      fail("classes", classes, `a whole number from 1 to ${maxClasses}`)
    }
    if (!isCount(ageing)) fail("ageing", ageing, "a whole number, 0 or more,")
    this.capacity = permits
    this.largest = permits
    this.classes = Array.from({ length: classes }, (_, priority) => new ClassGate(this, priority * ageing))
  }

  gate(priority: number): Permits {
    const gate = this.classes[priority]
    if (gate === undefined) {
      throw new RangeError(`Cannot wait in class ${priority}: the classes are 0 to ${this.classes.length - 1}`)
    }
    return gate
  }

  check(permits: number): void {
    checkPermits(permits, this.largest)
  }

  isFree(permits: number): boolean {
    return this.waiting === 0 && this.held + permits <= this.capacity
  }

  take(permits: number): void {
    this.held += permits
    this.admitted++
  }

  release(permits: number): void {
    this.held -= permits
    if (this.waiting > 0) this.admit()
  }

  giveBack(permits: number): number {
    if (!isCount(permits) || permits > this.held) {
      throw new RangeError(`Cannot release ${permitsWord(permits)}: ${this.held} are held`)
    }
    this.release(permits)
    return Math.max(0, this.capacity - this.held)
  }

  resize(permits: number): void {
    if (!isCount(permits)) {
      throw new RangeError(`Cannot resize to ${permits} permits: a whole number, 0 or more, is needed`)
    }
    this.capacity = permits
    this.largest = Math.max(this.largest, permits)
    this.admit()
  }

  /** Admits in the order of ranks for as long as the permits suffice. */
  admit(): void {
    while (true) {
      const next = this.next()
      const waiter = next?.line.head
      if (next === undefined || waiter === undefined || this.held + waiter.permits > this.capacity) return
      next.remove(waiter)
      this.take(waiter.permits)
      settle(waiter, "admitted")
    }
  }

  snapshot(): PrioritySnapshot {
    const { admitted, capacity, held, waiting } = this
    const available = Math.max(0, capacity - held)
    const waitingByClass = this.classes.map((gate) => gate.waiting)
    return { capacity, held, available, waiting, admitted, waitingByClass }
  }

  private next(): ClassGate | undefined {
    let next: ClassGate | undefined
    let lowest = Number.POSITIVE_INFINITY
    for (const gate of this.classes) {
      const rank = gate.line.head?.rank
      if (rank === undefined || rank >= lowest) continue
      lowest = rank
      next = gate
    }
    return next
  }
}
