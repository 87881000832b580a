// Timeouts of one length, kept in a list.
//
// Every entry has the same time to live, so an entry that is added is due last
// and goes to the tail: adding and removing are O(1), and one timer, set for the
// head, serves all. Activity does not move an entry, it only bumps `movedAt`; when
// the timer finds that an entry has moved since, it puts it back in its place.
// So the cost of a request is two list operations and one reading of the clock.
//
// Under the live clock the timer does not keep the process alive. Under any
// other (a test's) it is a fiber that sleeps by that clock.
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

export interface Entry {
  /** When something last moved. */
  movedAt: number
  /** What `movedAt` was when the entry took its place in the list. */
  placedAt: number
  previous: Entry | undefined
  next: Entry | undefined
  list: DeadlineList | undefined
  onDeadline(): void
}

const liveClock = Context.get(Context.empty(), Clock.Clock)

export class DeadlineList {
  private head: Entry | undefined
  private tail: Entry | undefined
  private cancelTimer: (() => void) | undefined
  private readonly millis: number
  private readonly clock: Clock.Clock

  constructor(clock: Clock.Clock, millis: number) {
    this.clock = clock
    this.millis = millis
  }

  now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  add(entry: Entry): void {
    entry.movedAt = this.now()
    if (this.millis === Number.POSITIVE_INFINITY) return
    entry.list = this
    this.place(entry)
    if (this.cancelTimer === undefined) this.arm(this.millis)
  }

  remove(entry: Entry): void {
    if (entry.list !== this) return
    entry.list = undefined
    this.unlink(entry)
  }

  close(): void {
    this.cancelTimer?.()
    this.cancelTimer = undefined
  }

  private place(entry: Entry): void {
    entry.placedAt = entry.movedAt
    let before = this.tail
    while (before !== undefined && before.placedAt > entry.movedAt) before = before.previous
    const after = before === undefined ? this.head : before.next
    entry.previous = before
    entry.next = after
    if (before === undefined) this.head = entry
    else before.next = entry
    if (after === undefined) this.tail = entry
    else after.previous = entry
  }

  private unlink(entry: Entry): void {
    if (entry.previous === undefined) this.head = entry.next
    else entry.previous.next = entry.next
    if (entry.next === undefined) this.tail = entry.previous
    else entry.next.previous = entry.previous
    entry.previous = undefined
    entry.next = undefined
  }

  private arm(millis: number): void {
    if (this.clock === liveClock) {
      const timer = setTimeout(this.fire, Math.min(millis, 0x7fffffff))
      if (typeof timer === "object") timer.unref()
      this.cancelTimer = () => clearTimeout(timer)
      return
    }
    const fiber = Effect.runFork(
      Effect.andThen(Effect.sleep(millis), Effect.sync(this.fire)).pipe(Effect.provideService(Clock.Clock, this.clock))
    )
    this.cancelTimer = () => fiber.interruptUnsafe()
  }

  private readonly fire = (): void => {
    this.cancelTimer = undefined
    const now = this.now()
    let entry = this.head
    while (entry !== undefined && entry.placedAt + this.millis <= now) {
      this.unlink(entry)
      if (entry.movedAt + this.millis <= now) {
        entry.list = undefined
        entry.onDeadline()
      } else {
        this.place(entry)
      }
      entry = this.head
    }
    if (entry !== undefined) this.arm(Math.max(1, entry.placedAt + this.millis - now))
  }
}
