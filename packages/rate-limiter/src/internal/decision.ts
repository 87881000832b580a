// A decision whose durations are made when somebody reads them: most callers
// look at `allowed` alone, and making two durations costs as much as deciding.

import * as Duration from "effect/Duration"
import type { Decision } from "../Decision.ts"

export class MillisDecision implements Decision {
  readonly allowed: boolean
  readonly remaining: number
  readonly limit: number
  readonly isBlocked: boolean
  private readonly retryMillis: number
  private readonly resetMillis: number

  constructor(
    allowed: boolean,
    remaining: number,
    limit: number,
    isBlocked: boolean,
    retryMillis: number,
    resetMillis: number
  ) {
    this.allowed = allowed
    this.remaining = remaining
    this.limit = limit
    this.isBlocked = isBlocked
    this.retryMillis = retryMillis
    this.resetMillis = resetMillis
  }

  get retryAfter(): Duration.Duration {
    return Duration.millis(this.retryMillis)
  }

  get resetAfter(): Duration.Duration {
    return Duration.millis(this.resetMillis)
  }
}
