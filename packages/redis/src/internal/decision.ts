// A decision whose durations are made when somebody reads them.

import type { RateLimiter } from "@sluice/rate-limiter"
import * as Duration from "effect/Duration"
import type { Outcome, Part, Shape } from "./limits.ts"

const nothing: Part = { remaining: 0, retryMillis: 0, resetMillis: 0, taken: 0, stamp: "" }

export class PartDecision implements RateLimiter.Decision {
  readonly allowed: boolean
  readonly remaining: number
  readonly limit: number
  private readonly part: Part

  constructor(allowed: boolean, limit: number, part: Part) {
    this.allowed = allowed
    this.remaining = part.remaining
    this.limit = limit
    this.part = part
  }

  get retryAfter(): Duration.Duration {
    return this.allowed ? Duration.zero : Duration.millis(this.part.retryMillis)
  }

  get resetAfter(): Duration.Duration {
    return Duration.millis(this.part.resetMillis)
  }
}

export const decisionOf = (shape: Shape, outcome: Outcome, index: number): RateLimiter.Decision =>
  new PartDecision(outcome.allowed, shape.burst, outcome.parts[index] ?? nothing)
