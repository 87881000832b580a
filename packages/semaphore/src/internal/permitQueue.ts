// Direct hand-off. A release that can satisfy the head moves the permits to it
// before the head runs, so nobody who arrives in between can take them, and a
// woken fiber has nothing to check again. What this costs: a waiter that is
// interrupted between hand-off and resumption owns permits that it will never
// use; `leave` gives them to the next.
//
// The queue is a doubly linked list through the waiters themselves, so that
// joining, leaving from the middle and admission are O(1) each, and no node is
// allocated beside the waiter.

import type * as Effect from "effect/Effect"
import type * as Scheduler from "effect/Scheduler"

/** One fiber that waits, and its place in the queue. */
export interface Waiter {
  readonly permits: number
  /** The dispatcher of the fiber that waits: it is resumed by its own scheduler, after the one that releases. */
  readonly dispatcher: Scheduler.SchedulerDispatcher
  resume: ((effect: Effect.Effect<void>) => void) | undefined
  state: "waiting" | "admitted" | "expired"
  previous: Waiter | undefined
  next: Waiter | undefined
}

/** The permits, and who waits for them. */
export interface PermitQueue {
  capacity: number
  held: number
  waiting: number
  admitted: number
  head: Waiter | undefined
  tail: Waiter | undefined
  readonly resumed: Effect.Effect<void>
}

/** Whether `permits` are free and nobody has waited for longer. */
export const isFree = (queue: PermitQueue, permits: number): boolean =>
  queue.head === undefined && queue.held + permits <= queue.capacity

/** Takes permits that {@link isFree} has found. */
export const take = (queue: PermitQueue, permits: number): void => {
  queue.held += permits
  queue.admitted++
}

/** Puts a waiter at the end. */
export const join = (queue: PermitQueue, waiter: Waiter): void => {
  waiter.previous = queue.tail
  if (queue.tail === undefined) queue.head = waiter
  else queue.tail.next = waiter
  queue.tail = waiter
  queue.waiting++
}

const unlink = (queue: PermitQueue, waiter: Waiter): void => {
  if (waiter.previous === undefined) queue.head = waiter.next
  else waiter.previous.next = waiter.next
  if (waiter.next === undefined) queue.tail = waiter.previous
  else waiter.next.previous = waiter.previous
  waiter.previous = undefined
  waiter.next = undefined
  queue.waiting--
}

/** Hands permits to the head for as long as they suffice. Amortised O(1) for each waiter. */
export const admit = (queue: PermitQueue): void => {
  let head = queue.head
  while (head !== undefined && queue.held + head.permits <= queue.capacity) {
    const waiter = head
    unlink(queue, waiter)
    take(queue, waiter.permits)
    waiter.state = "admitted"
    // A waiter that has not yet suspended finds its state when it does.
    if (waiter.resume !== undefined) waiter.dispatcher.scheduleTask(() => waiter.resume?.(queue.resumed), 0)
    head = queue.head
  }
}

/** Gives permits back and hands them on. */
export const release = (queue: PermitQueue, permits: number): void => {
  queue.held -= permits
  if (queue.head !== undefined) admit(queue)
}

/** Takes an interrupted waiter out; what it was handed already goes to the next. */
export const leave = (queue: PermitQueue, waiter: Waiter): void => {
  if (waiter.state === "expired") return
  if (waiter.state === "admitted") {
    release(queue, waiter.permits)
    return
  }
  unlink(queue, waiter)
  // It may have been the heavy one at the head that held back lighter ones.
  admit(queue)
}
