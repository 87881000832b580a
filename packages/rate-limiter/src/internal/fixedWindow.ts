// A count, and when its window began. A window begins with the first request
// after the one before has ended. Commitments ahead of time go to the last window
// that anything is committed to, or start the one after it, so two numbers do for
// them too. O(1).

import { costTolerance, type RateMeter, type Refund, type Shape, tolerance } from "./meter.ts"

export interface Window {
  start: number
  used: number
}

export class FixedWindowMeter implements RateMeter<Window> {
  readonly shape: Shape

  constructor(shape: Shape) {
    this.shape = shape
  }

  none(): Window {
    return { start: Number.NEGATIVE_INFINITY, used: 0 }
  }

  copy({ start, used }: Window): Window {
    return { start, used }
  }

  private end(window: Window): number {
    return window.start + this.shape.intervalMillis
  }

  private hasEnded(window: Window, time: number): boolean {
    return time >= this.end(window) - tolerance
  }

  earliest(window: Window, from: number, cost: number): number {
    if (this.hasEnded(window, from)) return from
    const fits = window.used + Math.min(cost, this.shape.limit) <= this.shape.limit + costTolerance
    return fits ? Math.max(from, window.start) : this.end(window)
  }

  behind(): undefined {
    return undefined
  }

  commit(window: Window, at: number, cost: number): Window {
    if (this.hasEnded(window, at)) {
      window.start = Math.max(at, this.end(window))
      window.used = cost
    } else window.used += cost
    return window
  }

  cancel(window: Window, at: number, cost: number): Refund<Window, number> {
    const given = at < window.start ? 0 : Math.min(cost, window.used)
    window.used -= given
    return { state: window, given }
  }

  adjust(window: Window, now: number, delta: number): Window {
    if (delta > 0) return this.commit(window, now, delta)
    // What is committed to a window that is still to come was not taken yet.
    if (now >= window.start && !this.hasEnded(window, now)) window.used = Math.max(0, window.used + delta)
    return window
  }

  remaining(window: Window, now: number): number {
    if (this.hasEnded(window, now)) return this.shape.limit
    return now < window.start - tolerance ? 0 : Math.max(0, this.shape.limit - window.used)
  }

  freeAt(window: Window): number {
    return this.end(window)
  }

  adopt(window: Window): Window {
    return window
  }
}
