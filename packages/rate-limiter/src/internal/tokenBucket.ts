// A count of tokens and the time at which it was right. It fills at the rate, up
// to the burst; commitments ahead of time leave it in debt. Decides as GCRA does,
// which holds the same in one number: for those who think in tokens. O(1).

import { type Ahead, type RateMeter, type Refund, refundable, refundableNow, type Shape } from "./meter.ts"

export interface Tokens {
  count: number
  at: number
}

export class TokenBucketMeter implements RateMeter<Tokens> {
  readonly shape: Shape

  constructor(shape: Shape) {
    this.shape = shape
  }

  none(): Tokens {
    return { count: this.shape.burst, at: 0 }
  }

  copy({ at, count }: Tokens): Tokens {
    return { count, at }
  }

  private countAt(tokens: Tokens, time: number): number {
    return Math.min(this.shape.burst, tokens.count + (time - tokens.at) / this.shape.emission)
  }

  earliest(tokens: Tokens, from: number, cost: number): number {
    const missing = Math.min(cost, this.shape.burst) - this.countAt(tokens, from)
    return missing <= 0 ? from : from + missing * this.shape.emission
  }

  behind(tokens: Tokens, from: number, ahead: number, cost: number): number {
    const missing = ahead + cost - this.countAt(tokens, from)
    return missing <= 0 ? from : from + missing * this.shape.emission
  }

  commit(tokens: Tokens, at: number, cost: number): Tokens {
    tokens.count = this.countAt(tokens, at) - cost
    tokens.at = at
    return tokens
  }

  cancel(tokens: Tokens, at: number, cost: number, lastAt: number): Refund<Tokens, number> {
    const given = refundable(this.shape, cost, at, lastAt)
    tokens.count += given
    return { state: tokens, given }
  }

  adjust(tokens: Tokens, now: number, delta: number, ahead: Ahead): Tokens {
    const change = delta > 0 ? delta : -refundableNow(this.shape, -delta, this.freeAt(tokens), now, ahead)
    tokens.count = this.countAt(tokens, now) - change
    tokens.at = now
    return tokens
  }

  remaining(tokens: Tokens, now: number): number {
    return Math.max(0, this.countAt(tokens, now))
  }

  freeAt(tokens: Tokens): number {
    return tokens.at + (this.shape.burst - tokens.count) * this.shape.emission
  }

  adopt(tokens: Tokens, from: Shape, now: number): Tokens {
    const count = Math.min(from.burst, tokens.count + (now - tokens.at) / from.emission)
    return { count: this.shape.burst - (from.burst - count), at: now }
  }
}
