/**
 * Tries again what has failed where that can help, and not where it would harm.
 *
 * @module
 */
import { Deadline, Backoff as EffectBackoff, RetryBudget as EffectBudget, Retry as EffectRetry } from "@sluice/retry"
import * as EffectDuration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Duration } from "./Duration.ts"
import { budgetOf, keepBudget } from "./internal/budgets.ts"
import { run } from "./internal/running.ts"

/**
 * How a delay `d` is spread, so that callers that failed together do not come back together: `none`, anywhere from 0 to `d`
 * (`full`), from half of it (`equal`), from the base to three times the delay before (`decorrelated`), or so many parts of
 * it to either side.
 */
export type Jitter = "none" | "full" | "equal" | "decorrelated" | { readonly around: number }

/** How long to wait between attempts. */
export interface Backoff {
  /** How delays grow. Default `exponential`. */
  readonly growth?: "exponential" | "linear" | "fibonacci" | undefined
  /** The first delay, before jitter. */
  readonly base: Duration
  /** What each is multiplied by for the next, where growth is exponential. Default 2. */
  readonly factor?: number | undefined
  /** The longest delay, before jitter. Default 20 seconds. */
  readonly cap?: Duration | undefined
  /** Default `full`. */
  readonly jitter?: Jitter | undefined
  /** Time since the first failure within which every delay must end. Default: no end. */
  readonly maxElapsed?: Duration | undefined
}

/** What is told to the function about the attempt that it is. */
export interface AttemptContext {
  /** 1 for the first. */
  readonly attempt: number
  /** Aborts when the answer can no longer matter: the caller gave up, or the deadline passed. */
  readonly signal: AbortSignal
}

/** Why no other attempt was made. */
export type RetryFailure =
  | "NotRetryable"
  | "PushedBack"
  | "Exhausted"
  | "RetryAfterTooLong"
  | "PastDeadline"
  | "BudgetDenied"

/** One failed attempt. */
export interface FailedAttempt {
  readonly error: unknown
  /** Milliseconds from the start of the first attempt to the start of this one. */
  readonly startedAfterMillis: number
  /** How long it took to fail. */
  readonly tookMillis: number
  /** What was waited before the next; absent after the last. */
  readonly delayMillis?: number
}

/** The last error of a `recorded` retry, as the `cause` too, with every attempt and why there was no other. */
export class RetryFailed extends Error {
  override readonly name: string = "RetryFailed"
  /** The last error. */
  readonly error: unknown
  readonly reason: RetryFailure
  /** Every attempt, in order. */
  readonly attempts: ReadonlyArray<FailedAttempt>

  constructor(message: string, error: unknown, reason: RetryFailure, attempts: ReadonlyArray<FailedAttempt>) {
    super(message, { cause: error })
    this.error = error
    this.reason = reason
    this.attempts = attempts
  }
}

/** The deadline passed while the work ran. */
export class DeadlineExceeded extends Error {
  override readonly name: string = "DeadlineExceeded"
  /** Milliseconds that there were. */
  readonly deadlineMillis: number

  constructor(message: string, deadlineMillis: number) {
    super(message)
    this.deadlineMillis = deadlineMillis
  }
}

export interface RetryBudgetOptions {
  /** Retries for a call. Default 0.2. */
  readonly ratio?: number | undefined
  /** Retries a second that are granted however few calls there are. Default 10. */
  readonly minPerSecond?: number | undefined
  /** How long a call counts; a second or more. Default 10 seconds. */
  readonly window?: Duration | undefined
}

/** What a budget has decided. */
export interface RetryBudgetStats {
  readonly granted: number
  readonly denied: number
  /** Retries that it would grant now, one after the other. */
  readonly available: number
}

/** A bound on what all who share it retry, and hedge, together. */
export interface RetryBudget {
  stats(): RetryBudgetStats
}

/**
 * Makes a budget: with the defaults a dependency that fails wholly sees 1.2 times its normal load, and ten attempts a second
 * more. Throws a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { createRetryBudget, retry } from "@sluice/promise"
 *
 * const budget = createRetryBudget({ ratio: 0.2, minPerSecond: 0 })
 * let attempts = 0
 * const call = async () => {
 *   attempts++
 *   throw new Error("down")
 * }
 * for (let n = 0; n < 100; n++) {
 *   await retry(call, { maxAttempts: 4, backoff: { base: 1, cap: 1 }, budget }).catch(() => {})
 * }
 * console.log(attempts) // => 120
 * ```
 */
export const createRetryBudget = (options: RetryBudgetOptions = {}): RetryBudget =>
  keepBudget(EffectBudget.makeUnsafe(options))

export interface RetryOptions {
  /** Attempts in all, the first among them. Default 3. */
  readonly maxAttempts?: number | undefined
  /** Delays between attempts. Default exponential from 100 ms to 20 s with full jitter. */
  readonly backoff?: Backoff | undefined
  /** Whether an error is worth another attempt. Default: every error is. */
  readonly while?: ((error: unknown) => boolean) | undefined
  /** How long the error asks to be left alone. The longer of this and the back-off is waited. */
  readonly retryAfter?: ((error: unknown) => Duration | undefined) | undefined
  /** The longest that an error may ask for. Default 5 minutes. */
  readonly maxRetryAfter?: Duration | undefined
  /** Where it asks for more: `fail` with it at once, which is the default, or `cap` the wait at `maxRetryAfter`. */
  readonly onLongRetryAfter?: "fail" | "cap" | undefined
  /** Bounds the retries of all who share it. Default: none. */
  readonly budget?: RetryBudget | undefined
  /**
   * Time for a call, all its attempts and delays together; then it rejects with {@link DeadlineExceeded}. No attempt is
   * waited for that would begin too late.
   */
  readonly deadline?: Duration | undefined
  /** Whether to reject with {@link RetryFailed}, which tells of every attempt, in place of the last error. */
  readonly recorded?: boolean | undefined
}

/** What a policy has done, in all its uses together. */
export interface RetryStats {
  readonly calls: number
  /** Attempts, first ones and retries. */
  readonly attempts: number
  readonly retries: number
  readonly succeeded: number
  /** Calls that failed in the end, by why there was no other attempt. */
  readonly failed: Readonly<Record<RetryFailure, number>>
}

/** A policy to be made once and shared. */
export interface RetryPolicy {
  /**
   * Calls a function until it succeeds or the policy gives up. The signal ends it at once, in an attempt or between two;
   * what an attempt still does then is its own business: its context has a signal.
   */
  run<A>(
    f: (context: AttemptContext) => A | PromiseLike<A>,
    options?: { readonly signal?: AbortSignal | undefined }
  ): Promise<A>
  stats(): RetryStats
}

const defaultBackoff: Backoff = { base: 100 }

const schedule = (backoff: Backoff) => {
  const { growth, ...options } = backoff
  return growth === "linear"
    ? EffectBackoff.linear(options)
    : growth === "fibonacci"
      ? EffectBackoff.fibonacci(options)
      : EffectBackoff.exponential(options)
}

const translate = (deadlineMillis: number, isRecorded: boolean) => (error: unknown) => {
  if (error instanceof Deadline.DeadlineExceeded) return new DeadlineExceeded(error.message, deadlineMillis)
  if (!isRecorded || !(error instanceof EffectRetry.RetryFailed)) return error
  return new RetryFailed(error.message, error.error, error.reason, error.attempts)
}

/**
 * Makes a retry policy. Throws a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { createRetry } from "@sluice/promise"
 *
 * const policy = createRetry({ maxAttempts: 5, backoff: { base: "1 millis" } })
 * const answer = await policy.run(async ({ attempt }) => {
 *   if (attempt < 3) throw new Error("not yet")
 *   return attempt
 * })
 * console.log(answer, policy.stats().retries) // => 3 2
 * ```
 */
export const createRetry = (options: RetryOptions = {}): RetryPolicy => {
  const { budget, deadline, recorded = false, retryAfter } = options
  const effectOptions: EffectRetry.Options<unknown> = {
    maxAttempts: options.maxAttempts,
    backoff: schedule(options.backoff ?? defaultBackoff),
    while: options.while,
    retryAfter:
      retryAfter === undefined
        ? undefined
        : (error) => {
            const delay = retryAfter(error)
            return delay === undefined ? undefined : EffectDuration.fromInputUnsafe(delay)
          },
    maxRetryAfter: options.maxRetryAfter,
    onLongRetryAfter: options.onLongRetryAfter,
    budget: budget === undefined ? undefined : budgetOf(budget)
  }
  const policy: EffectRetry.Policy<unknown> | EffectRetry.RecordedPolicy<unknown> = recorded
    ? EffectRetry.recorded(effectOptions)
    : EffectRetry.retry(effectOptions)
  const within = deadline === undefined ? undefined : Deadline.within(deadline)
  const toError = translate(deadline === undefined ? 0 : EffectDuration.toMillis(deadline), recorded)
  return {
    run: (f, { signal } = {}) => {
      let attempt = 0
      const attempts = policy(
        Effect.tryPromise({
          try: async (signal) => f({ attempt: ++attempt, signal }),
          catch: (error) => error
        })
      )
      return run(within === undefined ? attempts : within(attempts), signal, toError)
    },
    stats: () => policy.statsUnsafe()
  }
}

/**
 * Calls a function until it succeeds or there is nothing more to try: a {@link createRetry} for one call.
 *
 * @example
 * ```ts
 * import { retry } from "@sluice/promise"
 *
 * const answer = await retry(
 *   async ({ attempt }) => {
 *     if (attempt === 1) throw new Error("reset")
 *     return "answered"
 *   },
 *   { backoff: { base: "1 millis" } }
 * )
 * console.log(answer) // => answered
 * ```
 */
export const retry = <A>(
  f: (context: AttemptContext) => A | PromiseLike<A>,
  options: RetryOptions & { readonly signal?: AbortSignal | undefined } = {}
): Promise<A> => {
  const { signal, ...policy } = options
  return createRetry(policy).run(f, { signal })
}
