/**
 * What a limiter answers, and the error for callers that were told to leave.
 *
 * @module
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"

/** Whether a request may go, and what to tell whoever asked. */
export interface Decision {
  readonly allowed: boolean
  /** Cost that would still be allowed at once. */
  readonly remaining: number
  /** Cost that is allowed at once when nothing was taken. */
  readonly limit: number
  /** How long until the same request would be allowed. Zero when it was. */
  readonly retryAfter: Duration.Duration
  /** How long until everything is free again. */
  readonly resetAfter: Duration.Duration
  /** Whether a block is in force, whatever the limit would say. Absent where a limiter has no blocks. */
  readonly isBlocked?: boolean
}

/** A cost that is promised for a time. */
export interface Reservation {
  /** How long after it was made it may be used. */
  readonly delay: Duration.Duration
  /** Waits until then. */
  readonly ready: Effect.Effect<void>
  /**
   * Gives back what of the cost can still be given back, and answers how much that is: nothing once its time has come, and
   * else all but what later reservations were put off by. A second time gives nothing.
   */
  readonly cancel: Effect.Effect<number>
}

/** The facts of a refusal. */
export interface RateLimitExceededFields {
  /** The key, where the limit is by key; the name of the limit, where there are several. */
  readonly key: string | undefined
  readonly cost: number
  /** Cost that an interval allows. */
  readonly limit: number
  /** How long the request would have had to wait. */
  readonly retryAfter: Duration.Duration
}

const RateLimitExceededBase: new (
  fields: RateLimitExceededFields
) => Cause.YieldableError & { readonly _tag: "@sluice/rate-limiter/RateLimitExceeded" } & RateLimitExceededFields =
  Data.TaggedError("@sluice/rate-limiter/RateLimitExceeded")<RateLimitExceededFields>

/** The wait would have been longer than allowed. It was refused at once, and nothing was taken. */
export class RateLimitExceeded extends RateLimitExceededBase {
  override get message(): string {
    const whose = this.key === undefined ? "" : ` for ${this.key}`
    return `The rate limit${whose} is exceeded: a cost of ${this.cost} is free in ${Duration.format(this.retryAfter)}`
  }
}
