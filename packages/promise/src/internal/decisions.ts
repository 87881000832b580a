// What the limiters of Effect answer, in plain words. Durations become numbers when
// they are read: most callers look at `allowed` alone.

import type { RateLimiter } from "@sluice/rate-limiter"
import * as EffectDuration from "effect/Duration"
import { type RateDecision, RateLimitExceeded, type RateReservation } from "../RateDecision.ts"
import { run, runNow, unfailing } from "./running.ts"

class PlainDecision implements RateDecision {
  readonly allowed: boolean
  readonly remaining: number
  readonly limit: number
  readonly isBlocked: boolean
  private readonly decision: RateLimiter.Decision

  constructor(decision: RateLimiter.Decision) {
    this.allowed = decision.allowed
    this.remaining = decision.remaining
    this.limit = decision.limit
    this.isBlocked = decision.isBlocked ?? false
    this.decision = decision
  }

  get retryAfterMillis(): number {
    return EffectDuration.toMillis(this.decision.retryAfter)
  }

  get resetAfterMillis(): number {
    return EffectDuration.toMillis(this.decision.resetAfter)
  }
}

export const plainDecision = (decision: RateLimiter.Decision): RateDecision => new PlainDecision(decision)

export const plainReservation = (reservation: RateLimiter.Reservation): RateReservation => ({
  delayMillis: EffectDuration.toMillis(reservation.delay),
  ready: ({ signal } = {}) => run(reservation.ready, signal, unfailing),
  cancel: () => runNow(reservation.cancel, unfailing),
  [Symbol.dispose]: () => void runNow(reservation.cancel, unfailing)
})

export const toExceeded = (error: RateLimiter.RateLimitExceeded): RateLimitExceeded => {
  const { cost, key, limit, message, retryAfter } = error
  return new RateLimitExceeded({ key, cost, limit, retryAfterMillis: EffectDuration.toMillis(retryAfter) }, message)
}
