// Two counts: of this window, and of the one before, which weighs as much as of
// it lies within the last interval. O(1).
//
// Why the promise holds: let a window of time end with a request at fraction f of
// a counted window. What that window holds is at most limit - before * (1 - f), so
// together with all of the one before it is at most limit * (1 + f); and if the
// window of time reaches into the one before, it is at least f intervals long.
// Each counted window in between adds at most the limit, and an interval.

import { costTolerance, type RateMeter, type Refund, type Shape, tolerance } from "./meter.ts"

export interface Counts {
  start: number
  used: number
  before: number
  /** The latest time that anything is committed to. */
  last: number
}

export class SlidingCounterMeter implements RateMeter<Counts> {
  readonly shape: Shape

  constructor(shape: Shape) {
    this.shape = shape
  }

  none(): Counts {
    return { start: Number.NEGATIVE_INFINITY, used: 0, before: 0, last: Number.NEGATIVE_INFINITY }
  }

  copy({ before, last, start, used }: Counts): Counts {
    return { start, used, before, last }
  }

  /** Goes to the window that a time is in. Windows follow each other until two were idle. */
  private advance(counts: Counts, time: number): Counts {
    const { intervalMillis } = this.shape
    if (time >= counts.start + 2 * intervalMillis - tolerance) {
      counts.start = time
      counts.before = 0
      counts.used = 0
    } else if (time >= counts.start + intervalMillis - tolerance) {
      counts.start += intervalMillis
      counts.before = counts.used
      counts.used = 0
    }
    return counts
  }

  earliest(counts: Counts, from: number, cost: number): number {
    const { intervalMillis, limit } = this.shape
    let time = Math.max(from, counts.last)
    if (time >= counts.start + 2 * intervalMillis - tolerance) return time
    let { before, start, used } = counts
    // At the latest when both counts have gone by.
    for (;;) {
      const end = start + intervalMillis
      const free = limit - used - Math.min(cost, limit)
      if (time < end - tolerance && free >= -costTolerance) {
        const fraction = before <= costTolerance ? 0 : 1 - Math.max(0, free) / before
        const at = Math.max(time, start + Math.max(0, fraction) * intervalMillis)
        if (at < end - tolerance) return at
      }
      before = used
      used = 0
      start = end
      time = Math.max(time, start)
    }
  }

  behind(): undefined {
    return undefined
  }

  commit(counts: Counts, at: number, cost: number): Counts {
    this.advance(counts, Math.max(at, counts.last))
    counts.used += cost
    counts.last = Math.max(at, counts.last)
    return counts
  }

  cancel(counts: Counts, at: number, cost: number): Refund<Counts, number> {
    if (at >= counts.start - tolerance) {
      const given = Math.min(cost, counts.used)
      counts.used -= given
      return { state: counts, given }
    }
    const given = at >= counts.start - this.shape.intervalMillis - tolerance ? Math.min(cost, counts.before) : 0
    counts.before -= given
    return { state: counts, given }
  }

  adjust(counts: Counts, now: number, delta: number): Counts {
    if (delta > 0) return this.commit(counts, now, delta)
    // What is committed to a time that is still to come was not taken yet.
    if (now < counts.last) return counts
    this.advance(counts, now)
    const ofUsed = Math.min(counts.used, -delta)
    counts.used -= ofUsed
    counts.before = Math.max(0, counts.before + delta + ofUsed)
    return counts
  }

  remaining(counts: Counts, now: number): number {
    if (now < counts.last - tolerance) return 0
    const { before, start, used } = this.advance(this.copy(counts), now)
    const weight = 1 - (now - start) / this.shape.intervalMillis
    return Math.max(0, this.shape.limit - used - before * weight)
  }

  freeAt({ before, start, used }: Counts): number {
    if (used > 0) return start + 2 * this.shape.intervalMillis
    return before > 0 ? start + this.shape.intervalMillis : Number.NEGATIVE_INFINITY
  }

  adopt(counts: Counts): Counts {
    return counts
  }
}
