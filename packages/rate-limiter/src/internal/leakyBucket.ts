// Requests leave one after the other, each when the one before has leaked out:
// the state is the time at which the next may go. One number, O(1).

import { type Ahead, type RateMeter, type Refund, refundable, refundableNow, type Shape, tolerance } from "./meter.ts"

export class LeakyBucketMeter implements RateMeter<number> {
  readonly shape: Shape

  constructor(shape: Shape) {
    this.shape = shape
  }

  none(): number {
    return Number.NEGATIVE_INFINITY
  }

  copy(next: number): number {
    return next
  }

  earliest(next: number, from: number): number {
    return Math.max(next, from)
  }

  behind(next: number, from: number, ahead: number): number {
    return Math.max(next, from) + this.shape.emission * ahead
  }

  commit(next: number, at: number, cost: number): number {
    return Math.max(next, at) + this.shape.emission * cost
  }

  // The one behind goes when this one has leaked out, so only the last can be taken back.
  cancel(next: number, at: number, cost: number, lastAt: number): Refund<number, number> {
    const given = refundable(this.shape, cost, at, lastAt)
    return { state: next - this.shape.emission * given, given }
  }

  adjust(next: number, now: number, delta: number, ahead: Ahead): number {
    const change = delta > 0 ? delta : -refundableNow(this.shape, -delta, next, now, ahead)
    return Math.max(next, now) + this.shape.emission * change
  }

  remaining(next: number, now: number): number {
    return next - now <= tolerance ? this.shape.burst : 0
  }

  freeAt(next: number): number {
    return next
  }

  adopt(next: number, from: Shape, now: number): number {
    return next <= now ? Number.NEGATIVE_INFINITY : now + ((next - now) / from.emission) * this.shape.emission
  }
}
