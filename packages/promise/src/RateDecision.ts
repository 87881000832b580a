/**
 * What a limiter answers, and the error for callers that were told to leave.
 *
 * @module
 */

/** Whether a request may go, and what to tell whoever asked. */
export interface RateDecision {
  readonly allowed: boolean
  /** Cost that would still be allowed at once. */
  readonly remaining: number
  /** Cost that is allowed at once when nothing was taken. */
  readonly limit: number
  /** Milliseconds until the same request would be allowed. Zero when it was. */
  readonly retryAfterMillis: number
  /** Milliseconds until everything is free again. */
  readonly resetAfterMillis: number
  /** Whether a block is in force, whatever the limit would say. */
  readonly isBlocked: boolean
}

/** A cost that is promised for a time. With `using` it is cancelled where the block is left before then. */
export interface RateReservation extends Disposable {
  /** Milliseconds after it was made at which it may be used. */
  readonly delayMillis: number
  /** Waits until then. */
  ready(options?: { readonly signal?: AbortSignal | undefined }): Promise<void>
  /** Gives back what of the cost can still be given back, and answers how much that is: nothing once its time has come. */
  cancel(): number
}

/** The facts of a refusal. */
export interface RateLimitExceededFields {
  readonly key: string | undefined
  readonly cost: number
  readonly limit: number
  readonly retryAfterMillis: number
}

/** The cost would not be allowed within the longest wait. Nothing was taken. */
export class RateLimitExceeded extends Error {
  override readonly name: string = "RateLimitExceeded"
  /** The key, where the limit is by key; the name of the limit, where there are several. */
  readonly key: string | undefined
  readonly cost: number
  /** Cost that an interval allows. */
  readonly limit: number
  /** How long the request would have had to wait. */
  readonly retryAfterMillis: number

  constructor({ cost, key, limit, retryAfterMillis }: RateLimitExceededFields, message: string) {
    super(message)
    this.key = key
    this.cost = cost
    this.limit = limit
    this.retryAfterMillis = retryAfterMillis
  }
}
