// The time and cost of everything that was taken within the last interval. Taking
// costs amortised O(1); telling when a refused cost would fit goes through those
// that must have left until then. Entries beyond `maxEntries` join the last one
// and share its time, which is later than theirs was: memory is bounded, and less
// is allowed than might be, never more.

import { costTolerance, type RateMeter, type Refund, type Shape, tolerance } from "./meter.ts"

const maxEntries = 65_536

export interface Log {
  times: Array<number>
  costs: Array<number>
  /** Entries before it have left. */
  first: number
  total: number
}

const lastTime = ({ times }: Log): number => times[times.length - 1] ?? Number.NEGATIVE_INFINITY

export class SlidingLogMeter implements RateMeter<Log> {
  readonly shape: Shape

  constructor(shape: Shape) {
    this.shape = shape
  }

  none(): Log {
    return { times: [], costs: [], first: 0, total: 0 }
  }

  copy({ costs, first, times, total }: Log): Log {
    return { times: times.slice(first), costs: costs.slice(first), first: 0, total }
  }

  private leavesAt(log: Log, index: number): number {
    return (log.times[index] ?? Number.POSITIVE_INFINITY) + this.shape.intervalMillis
  }

  earliest(log: Log, from: number, cost: number): number {
    let time = Math.max(from, lastTime(log))
    let excess = log.total + Math.min(cost, this.shape.limit) - this.shape.limit
    for (let index = log.first; index < log.times.length; index++) {
      const leavesAt = this.leavesAt(log, index)
      if (leavesAt > time + tolerance) {
        if (excess <= costTolerance) break
        time = leavesAt
      }
      excess -= log.costs[index] ?? 0
    }
    return time
  }

  behind(): undefined {
    return undefined
  }

  private leave(log: Log, now: number): void {
    while (log.first < log.times.length && this.leavesAt(log, log.first) <= now + tolerance) {
      log.total -= log.costs[log.first] ?? 0
      log.first++
    }
    if (log.first === log.times.length) {
      // Sums of fractions drift; an empty log holds nothing.
      log.times = []
      log.costs = []
      log.first = 0
      log.total = 0
    } else if (log.first > 32 && log.first * 2 > log.times.length) {
      log.times.splice(0, log.first)
      log.costs.splice(0, log.first)
      log.first = 0
    }
  }

  commit(log: Log, at: number, cost: number): Log {
    const time = Math.max(at, lastTime(log))
    this.leave(log, time)
    const last = log.times.length - 1
    if (last >= 0 && (log.times[last] === time || last - log.first + 1 >= maxEntries)) {
      log.times[last] = time
      log.costs[last] = (log.costs[last] ?? 0) + cost
    } else {
      log.times.push(time)
      log.costs.push(cost)
    }
    log.total += cost
    return log
  }

  cancel(log: Log, at: number, cost: number): Refund<Log, number> {
    let low = log.first
    let high = log.times.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((log.times[middle] ?? 0) < at) low = middle + 1
      else high = middle
    }
    const given = log.times[low] === at ? Math.min(cost, log.costs[low] ?? 0) : 0
    if (given > 0) this.reduce(log, low, given)
    return { state: log, given }
  }

  private reduce(log: Log, index: number, cost: number): void {
    log.costs[index] = (log.costs[index] ?? 0) - cost
    log.total -= cost
  }

  adjust(log: Log, now: number, delta: number): Log {
    if (delta > 0) return this.commit(log, now, delta)
    let left = -delta
    for (let index = log.times.length - 1; index >= log.first && left > 0; index--) {
      if ((log.times[index] ?? 0) > now) continue
      const given = Math.min(left, log.costs[index] ?? 0)
      this.reduce(log, index, given)
      left -= given
    }
    return log
  }

  remaining(log: Log, now: number): number {
    if (now < lastTime(log) - tolerance) return 0
    let total = log.total
    for (let index = log.first; index < log.times.length && this.leavesAt(log, index) <= now + tolerance; index++) {
      total -= log.costs[index] ?? 0
    }
    return Math.max(0, this.shape.limit - total)
  }

  freeAt(log: Log): number {
    return lastTime(log) + this.shape.intervalMillis
  }

  adopt(log: Log): Log {
    return log
  }
}
