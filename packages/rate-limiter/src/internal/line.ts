// Those who wait for a limit, in the order of their arrival: fibers, and
// reservations that were made behind them.
//
// Only the first fiber watches the clock; the others are woken when the one before
// them has gone, by being admitted or by giving up, so a waiter costs O(1) and one
// timer runs however many wait. What a fiber takes, it takes itself once its turn
// and time have come: it looks and takes in one primitive. So a waiter that leaves
// has taken nothing, and nothing has to be handed on.
//
// When a newcomer would be served follows from what those before him cost, where
// the algorithm can tell (`behind`). Otherwise the line is gone through in a copy of
// the state, the plan. A plan is kept, and grows with the line, until somebody
// leaves or is late.
//
// A reservation has a time that was told, and keeps it. Behind fibers it stands in
// line, so that they are not put off by it; a fiber before it that wakes up late is
// written down at the time that it slept until, else the two would come too close.
// Where a block or a change of the limit puts those before it off beyond its time, it
// goes first.

import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"
import { type Ahead, type Meter, tolerance } from "./meter.ts"
import type { SteadyTime } from "./steadyTime.ts"

/** What a line waits for. */
export interface Place<S, C> {
  readonly meter: () => Meter<S, C>
  readonly load: (now: number) => S
  readonly store: (state: S, now: number) => void
  /** Until when nothing is allowed, whatever the state. */
  readonly blockedUntil: () => number
  /** What a cost adds to those that come behind it. */
  readonly weight: (cost: C) => number
  /** The line is empty again. */
  readonly onEmpty: (now: number) => void
}

/** Requests, counted. Lines of many keys share one. */
export interface Tally {
  waiting: number
  admitted: number
  rejected: number
}

interface Entry<C> {
  readonly cost: C
  /** The latest time to be served, for a fiber that named one. */
  readonly deadline: number
  /** Absent for a reservation. */
  readonly dispatcher: Scheduler.SchedulerDispatcher | undefined
  /** The time that was told to a reservation; for a fiber, the time in the plan. */
  at: number
  /** For the fiber that is first: the time that it sleeps until. */
  dueAt: number
  wake: (() => void) | undefined
  isWoken: boolean
  isGone: boolean
  /** Set for a fiber that can no longer be served in time: how long it would have to wait. */
  refusedWait: number | undefined
  previous: Entry<C> | undefined
  next: Entry<C> | undefined
}

interface PromiseRecord {
  readonly at: number
  readonly weight: number
  /** The latest time of all up to this one. */
  readonly latest: number
  isCancelled: boolean
}

/** A cost that was promised for a time. */
export interface Promised<C> {
  readonly record: PromiseRecord
  readonly cost: C
  readonly at: number
  /** Where it stands in line; once it has its place in the state it does not. */
  readonly entry: Entry<C> | undefined
}

const readClock = (fiber: Fiber.Fiber<unknown, unknown>): number => fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()

export class Line<S, C> {
  /** Fibers that wait. */
  waiting = 0
  /** What they weigh, reservations in line with them. */
  ahead = 0
  private readonly place: Place<S, C>
  private readonly steady: SteadyTime
  private readonly tally: Tally
  private head: Entry<C> | undefined
  private tail: Entry<C> | undefined
  /** Reservations in line. */
  private reserved = 0
  /** Fibers that named a longest wait. */
  private bounded = 0
  /** Promises in the order in which they were made, those that are past only until somebody asks. */
  private readonly promises: Array<PromiseRecord> = []
  private promisedCost = 0
  private plan: S | undefined
  private planLast = Number.NEGATIVE_INFINITY

  constructor(place: Place<S, C>, steady: SteadyTime, tally: Tally) {
    this.place = place
    this.steady = steady
    this.tally = tally
  }

  isEmpty(): boolean {
    return this.head === undefined
  }

  /** Whether nobody stands in line, and no promise is still to be kept. */
  isIdle(now: number): boolean {
    return this.head === undefined && this.promisedAhead(now).lastAt <= now
  }

  /** When somebody would be served who comes now. */
  earliest(now: number, cost: C): number {
    const meter = this.place.meter()
    const from = Math.max(now, this.place.blockedUntil())
    if (this.head === undefined) return meter.earliest(this.place.load(now), from, cost)
    const behind = this.reserved === 0 ? meter.behind(this.place.load(now), from, this.ahead, cost) : undefined
    if (behind !== undefined) return behind
    const plan = this.plan ?? this.makePlan(now)
    return meter.earliest(plan, Math.max(from, this.planLast), cost)
  }

  /** Takes a cost whose time has come. */
  take(now: number, cost: C): void {
    this.place.store(this.place.meter().commit(this.place.load(now), now, cost), now)
    this.tally.admitted++
  }

  private makePlan(now: number): S {
    const meter = this.place.meter()
    let plan = meter.copy(this.place.load(now))
    this.planLast = Math.max(now, this.place.blockedUntil())
    for (let entry = this.head; entry !== undefined; entry = entry.next) {
      if (entry.dispatcher !== undefined) entry.at = meter.earliest(plan, this.planLast, entry.cost)
      plan = meter.commit(plan, entry.at, entry.cost)
      this.planLast = Math.max(this.planLast, entry.at)
    }
    this.plan = plan
    return plan
  }

  /** Puts an entry at the end, at the time that {@link earliest} has just told. */
  private append(cost: C, at: number, deadline: number, dispatcher: Entry<C>["dispatcher"]): Entry<C> {
    const entry: Entry<C> = {
      cost,
      deadline,
      dispatcher,
      at,
      dueAt: Number.POSITIVE_INFINITY,
      wake: undefined,
      isWoken: false,
      isGone: false,
      refusedWait: undefined,
      previous: this.tail,
      next: undefined
    }
    if (this.tail === undefined) this.head = entry
    else this.tail.next = entry
    this.tail = entry
    this.ahead += this.place.weight(cost)
    if (dispatcher === undefined) this.reserved++
    else {
      this.waiting++
      this.tally.waiting++
      if (deadline < Number.POSITIVE_INFINITY) this.bounded++
    }
    if (this.plan !== undefined) {
      this.plan = this.place.meter().commit(this.plan, at, cost)
      this.planLast = Math.max(this.planLast, at)
    }
    return entry
  }

  private unlink(entry: Entry<C>): void {
    entry.isGone = true
    if (entry.previous === undefined) this.head = entry.next
    else entry.previous.next = entry.next
    if (entry.next === undefined) this.tail = entry.previous
    else entry.next.previous = entry.previous
    this.ahead -= this.place.weight(entry.cost)
    if (entry.dispatcher === undefined) this.reserved--
    else {
      this.waiting--
      this.tally.waiting--
      if (entry.deadline < Number.POSITIVE_INFINITY) this.bounded--
    }
    if (this.head === undefined) {
      // Sums of fractions drift; an empty line weighs nothing.
      this.ahead = 0
      this.plan = undefined
    }
  }

  private wake(entry: Entry<C> | undefined): void {
    if (entry === undefined) return
    entry.isWoken = true
    if (entry.wake !== undefined) entry.dispatcher?.scheduleTask(entry.wake, 0)
  }

  /** After the first has gone: reservations that are first now get their place in the state, and the next fiber is woken. */
  private moveUp(now: number): void {
    for (let entry = this.head; entry !== undefined && entry.dispatcher === undefined; entry = this.head) {
      this.unlink(entry)
      this.place.store(this.place.meter().commit(this.place.load(now), entry.at, entry.cost), now)
    }
    if (this.head === undefined) this.place.onEmpty(now)
    else this.wake(this.head)
  }

  private leave(entry: Entry<C>, now: number): void {
    if (entry.isGone) return
    const wasFirst = this.head === entry
    this.unlink(entry)
    this.plan = undefined
    if (wasFirst) this.moveUp(now)
  }

  /** The state, the limit or a block has changed: who waits has another time. */
  changed(now: number): void {
    this.plan = undefined
    if (this.head === undefined) return
    if (this.reserved > 0 && !this.keepsPromises(now)) this.keepPromises(now)
    if (this.bounded > 0) this.refuseLate(now)
    this.wake(this.head)
  }

  /** Whether those before a reservation in line would still be served early enough for it to have its time. */
  private keepsPromises(now: number): boolean {
    const meter = this.place.meter()
    let plan = meter.copy(this.place.load(now))
    let last = Math.max(now, this.place.blockedUntil())
    for (let entry = this.head; entry !== undefined; entry = entry.next) {
      const at = meter.earliest(plan, last, entry.cost)
      if (entry.dispatcher === undefined && at > entry.at + tolerance) return false
      last = entry.dispatcher === undefined ? entry.at : at
      plan = meter.commit(plan, last, entry.cost)
    }
    return true
  }

  /** Has the reservations in line get their places in the state before those who stand before them: their times were told. */
  private keepPromises(now: number): void {
    const meter = this.place.meter()
    let state = this.place.load(now)
    for (let entry = this.head; entry !== undefined; entry = entry.next) {
      if (entry.dispatcher !== undefined) continue
      this.unlink(entry)
      state = meter.commit(state, entry.at, entry.cost)
    }
    this.place.store(state, now)
  }

  /** Makes a plan in which nobody waits for longer than he named: who would is refused now. */
  private refuseLate(now: number): void {
    const meter = this.place.meter()
    const first = this.head
    let plan = meter.copy(this.place.load(now))
    this.planLast = Math.max(now, this.place.blockedUntil())
    for (let entry = first; entry !== undefined; entry = entry.next) {
      if (entry.dispatcher !== undefined) {
        entry.at = meter.earliest(plan, this.planLast, entry.cost)
        if (entry.at > entry.deadline + tolerance) {
          entry.refusedWait = entry.at - now
          this.unlink(entry)
          this.wake(entry)
          continue
        }
      }
      plan = meter.commit(plan, entry.at, entry.cost)
      this.planLast = Math.max(this.planLast, entry.at)
    }
    if (this.head !== undefined) this.plan = plan
    if (this.head !== first) this.moveUp(now)
  }

  /** Waits in line for a cost, to be run uninterruptibly; the waiting itself is interruptible through `restore`. */
  private wait<E>(
    entry: Entry<C>,
    restore: <A, E2, R>(effect: Effect.Effect<A, E2, R>) => Effect.Effect<A, E2, R>,
    refuse: (waitMillis: number) => E
  ): Effect.Effect<void, E> {
    const woken = (fiber: Fiber.Fiber<unknown, unknown>, withinMillis: number) =>
      Effect.callback<void>((resume) => {
        // It may have been woken before it came to wait.
        if (entry.isWoken) return resume(Effect.void)
        const wake = () => resume(Effect.void)
        entry.wake = wake
        if (withinMillis === Number.POSITIVE_INFINITY) return
        // A fiber of its own sleeps, so that this one can be woken before.
        const timer = Effect.runForkWith(fiber.context)(Effect.sleep(withinMillis))
        timer.addObserver(wake)
        return Effect.sync(() => timer.interruptUnsafe())
      })
    const turn: Effect.Effect<void, E> = Effect.withFiber((fiber): Effect.Effect<void, E> => {
      entry.wake = undefined
      entry.isWoken = false
      if (entry.refusedWait !== undefined) return Effect.fail(refuse(entry.refusedWait))
      if (this.head !== entry) return Effect.andThen(restore(woken(fiber, Number.POSITIVE_INFINITY)), turn)
      const now = this.steady.at(readClock(fiber))
      const meter = this.place.meter()
      const state = this.place.load(now)
      const at = meter.earliest(state, Math.max(now, this.place.blockedUntil()), entry.cost)
      // A timer may fire a little early: what counts is the clock.
      if (at - now > tolerance) {
        entry.dueAt = at
        return Effect.andThen(restore(woken(fiber, at - now)), turn)
      }
      const plan = this.plan
      const isLate = now > entry.at + tolerance
      const takenAt = this.reserved > 0 ? Math.min(now, entry.dueAt) : now
      this.place.store(meter.commit(state, takenAt, entry.cost), now)
      this.tally.admitted++
      this.unlink(entry)
      this.plan = isLate || this.head === undefined ? undefined : plan
      this.moveUp(now)
      return Effect.void
    })
    return Effect.onExit(turn, () =>
      entry.isGone
        ? Effect.void
        : Effect.withFiberSucceed((fiber) => this.leave(entry, this.steady.at(readClock(fiber))))
    )
  }

  /** Takes a cost, waiting for its turn for at most `maxWait` milliseconds. */
  takeInTurn<E>(
    cost: C,
    maxWait: number,
    check: (cost: C) => void,
    refuse: (waitMillis: number) => E
  ): Effect.Effect<void, E> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.withFiber((fiber): Effect.Effect<void, E> => {
        check(cost)
        const now = this.steady.at(readClock(fiber))
        return this.takeOrJoin(fiber, now, cost, maxWait, restore, refuse)
      })
    )
  }

  /** The same, in the primitive of a fiber that is not interruptible. */
  takeOrJoin<E>(
    fiber: Fiber.Fiber<unknown, unknown>,
    now: number,
    cost: C,
    maxWait: number,
    restore: <A, E2, R>(effect: Effect.Effect<A, E2, R>) => Effect.Effect<A, E2, R>,
    refuse: (waitMillis: number) => E
  ): Effect.Effect<void, E> {
    const isBounded = maxWait < Number.POSITIVE_INFINITY
    const isFirst = this.head === undefined
    // Who waits however long it takes need not know how long that is.
    const at = isFirst || isBounded || this.plan !== undefined ? this.earliest(now, cost) : Number.POSITIVE_INFINITY
    if (isFirst && at - now <= tolerance) {
      this.take(now, cost)
      return Effect.void
    }
    if (isBounded && at - now > maxWait + tolerance) {
      this.tally.rejected++
      return Effect.fail(refuse(at - now))
    }
    const entry = this.append(cost, at, now + maxWait, fiber.currentDispatcher)
    return this.wait(entry, restore, (wait) => {
      this.tally.rejected++
      return refuse(wait)
    })
  }

  /** Promises a cost for the earliest time, or tells how long a wait was too long. */
  reserve(now: number, cost: C, maxWait: number): Promised<C> | number {
    if (this.head !== undefined && this.plan === undefined) this.makePlan(now)
    const at =
      this.head === undefined || this.plan === undefined
        ? this.earliest(now, cost)
        : this.place.meter().earliest(this.plan, Math.max(now, this.place.blockedUntil(), this.planLast), cost)
    if (at - now > maxWait + tolerance) {
      this.tally.rejected++
      return at - now
    }
    this.tally.admitted++
    const ahead = this.promisedAhead(now)
    const weight = this.place.weight(cost)
    const record = { at, weight, latest: Math.max(at, ahead.lastAt), isCancelled: false }
    if (at > now) {
      this.promises.push(record)
      this.promisedCost += weight
    }
    if (this.head !== undefined)
      return { record, cost, at, entry: this.append(cost, at, Number.POSITIVE_INFINITY, undefined) }
    this.place.store(this.place.meter().commit(this.place.load(now), at, cost), now)
    return { record, cost, at, entry: undefined }
  }

  /** Takes back what was promised for a time that has not come, and answers what of it is free again. */
  cancel(promised: Promised<C>, now: number): C | undefined {
    if (now >= promised.at) return undefined
    const { entry, record } = promised
    const { lastAt } = this.promisedAhead(now)
    this.dropPromise(record)
    record.isCancelled = true
    if (entry !== undefined && !entry.isGone) {
      this.leave(entry, now)
      return promised.cost
    }
    const { given, state } = this.place.meter().cancel(this.place.load(now), promised.at, promised.cost, lastAt)
    this.place.store(state, now)
    this.changed(now)
    return given
  }

  /** Promises whose time is still to come; those that are past, or cancelled at the end, are forgotten. */
  private promisedAhead(now: number): Ahead {
    while ((this.promises[0]?.at ?? Number.POSITIVE_INFINITY) <= now) this.dropPromise(this.promises.shift())
    while (this.promises.at(-1)?.isCancelled) this.promises.pop()
    if (this.promises.length === 0) this.promisedCost = 0
    return { cost: this.promisedCost, lastAt: this.promises.at(-1)?.latest ?? Number.NEGATIVE_INFINITY }
  }

  private dropPromise(record: PromiseRecord | undefined): void {
    if (record !== undefined && !record.isCancelled) this.promisedCost -= record.weight
  }

  adjust(now: number, delta: C): void {
    this.place.store(this.place.meter().adjust(this.place.load(now), now, delta, this.promisedAhead(now)), now)
    this.changed(now)
  }
}
