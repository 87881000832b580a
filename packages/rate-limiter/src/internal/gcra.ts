// The generic cell rate algorithm (ITU-T I.371, "virtual scheduling"): the whole
// state of a limit is one number, the theoretical arrival time at which its
// bucket would be full again. A request of cost c moves it by c emission
// intervals, and conforms while that stays within the burst of now. O(1), and
// nothing is allocated.
//
// Cancelling a commitment gives back its cost but for what the rate gives between
// its time and that of the last commitment: those behind it were put off by it and
// stay where they are, so that much of its place goes by unused (the rule of
// golang.org/x/time/rate). A refund of an adjustment is an arrival of a negative
// cost, so the promise holds for costs less what is given back in the window; it
// too comes too late for what is committed already.

import { type Ahead, type RateMeter, type Refund, refundable, refundableNow, type Shape } from "./meter.ts"

export class GcraMeter implements RateMeter<number> {
  readonly shape: Shape
  private readonly emission: number
  private readonly burst: number
  private readonly fill: number

  constructor(shape: Shape) {
    this.shape = shape
    this.emission = shape.emission
    this.burst = shape.burst
    this.fill = shape.fill
  }

  none(): number {
    return Number.NEGATIVE_INFINITY
  }

  copy(tat: number): number {
    return tat
  }

  earliest(tat: number, from: number, cost: number): number {
    return Math.max(from, tat + this.emission * Math.min(cost, this.burst) - this.fill)
  }

  behind(tat: number, from: number, ahead: number, cost: number): number {
    return Math.max(from, Math.max(tat, from) + this.emission * (ahead + cost) - this.fill)
  }

  commit(tat: number, at: number, cost: number): number {
    return Math.max(tat, at) + this.emission * cost
  }

  cancel(tat: number, at: number, cost: number, lastAt: number): Refund<number, number> {
    const given = refundable(this.shape, cost, at, lastAt)
    return { state: tat - this.emission * given, given }
  }

  adjust(tat: number, now: number, delta: number, ahead: Ahead): number {
    const change = delta > 0 ? delta : -refundableNow(this.shape, -delta, tat, now, ahead)
    return Math.max(tat, now) + this.emission * change
  }

  remaining(tat: number, now: number): number {
    return Math.min(this.burst, Math.max(0, this.burst - (Math.max(tat, now) - now) / this.emission))
  }

  freeAt(tat: number): number {
    return tat
  }

  adopt(tat: number, from: Shape, now: number): number {
    return tat <= now ? Number.NEGATIVE_INFINITY : now + ((tat - now) / from.emission) * this.emission
  }
}
