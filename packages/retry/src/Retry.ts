/**
 * Tries an effect again where that can help, and not where it would harm.
 *
 * @module
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import * as Backoff from "./Backoff.ts"
import { makeLoop } from "./internal/retryLoop.ts"
import type * as RetryAfter from "./RetryAfter.ts"
import type { RetryBudget } from "./RetryBudget.ts"

/** Whether a failure is worth another attempt, and when. */
export type Verdict =
  | {
      readonly _tag: "Again"
      /** Not sooner than this; the back-off may wait longer. */
      readonly atLeast?: Duration.Duration | undefined
      /** After exactly this, in place of the back-off, which starts anew: gRPC's pushback. */
      readonly exactly?: Duration.Duration | undefined
    }
  | { readonly _tag: "Stop"; readonly reason: "NotRetryable" | "PushedBack" }

/** Another attempt may help. */
export const again: Verdict = { _tag: "Again" }

/** Another attempt may help, though no sooner than this. */
export const againAfter = (delay: Duration.Duration): Verdict => ({ _tag: "Again", atLeast: delay })

/** The dependency asks for another attempt after exactly this. */
export const againExactlyAfter = (delay: Duration.Duration): Verdict => ({ _tag: "Again", exactly: delay })

/** Another attempt cannot help, or would do harm. */
export const stop: Verdict = { _tag: "Stop", reason: "NotRetryable" }

/** The dependency asks for no other attempt. */
export const pushedBack: Verdict = { _tag: "Stop", reason: "PushedBack" }

/** What gRPC's pushback, read by `RetryAfter.parsePushback`, says of another attempt. */
export const fromPushback = (pushback: RetryAfter.Pushback): Verdict =>
  pushback._tag === "After" ? againExactlyAfter(pushback.delay) : pushedBack

/**
 * Why no other attempt was made.
 *
 * - `NotRetryable`, `PushedBack`: the verdict on the last error
 * - `Exhausted`: the attempts, or the back-off's time, are used up
 * - `RetryAfterTooLong`: the error asks for more than `maxRetryAfter`
 * - `PastDeadline`: the next attempt would begin after the deadline in force
 * - `BudgetDenied`: the budget has no retry left
 */
export type Reason = "NotRetryable" | "PushedBack" | "Exhausted" | "RetryAfterTooLong" | "PastDeadline" | "BudgetDenied"

/** One failed attempt. */
export interface Attempt<E> {
  readonly error: E
  /** Milliseconds from the start of the first attempt to the start of this one. */
  readonly startedAfterMillis: number
  /** How long it took to fail. */
  readonly tookMillis: number
  /** What was waited before the next; absent after the last. */
  readonly delayMillis?: number
}

/** What {@link RetryFailed} says. */
export interface RetryFailedFields<E> {
  /** The last error. */
  readonly error: E
  readonly reason: Reason
  /** Every attempt, in order. */
  readonly attempts: ReadonlyArray<Attempt<E>>
}

const RetryFailedBase: new (
  fields: RetryFailedFields<unknown>
) => Cause.YieldableError & {
  readonly _tag: "@sluice/retry/RetryFailed"
  readonly reason: Reason
} = Data.TaggedError("@sluice/retry/RetryFailed")<RetryFailedFields<unknown>>

/** The last error of a {@link recorded} retry, with the record of every attempt and why there was no other. */
export class RetryFailed<E> extends RetryFailedBase implements RetryFailedFields<E> {
  declare readonly error: E
  declare readonly attempts: ReadonlyArray<Attempt<E>>
  constructor(fields: RetryFailedFields<E>) {
    super(fields)
  }
  override get message(): string {
    const { length } = this.attempts
    return `Gave up after ${length} ${length === 1 ? "attempt" : "attempts"} (${this.reason}): ${String(this.error)}`
  }
}

export interface Options<E> {
  /** Attempts in all, the first among them. Default 3. */
  readonly maxAttempts?: number | undefined
  /** Delays between attempts. Default exponential from 100 ms to 20 s with full jitter. */
  readonly backoff?: Schedule.Schedule<Duration.Duration, unknown> | undefined
  /** Whether an error is worth another attempt. Default: every error is. Defects and interruption never are. */
  readonly while?: ((error: E) => boolean) | undefined
  /** How long the error asks to be left alone. The longer of this and the back-off is waited. */
  readonly retryAfter?: ((error: E) => Duration.Duration | undefined) | undefined
  /** Both at once, for more than they can say; asked where `while` allows. `HttpRetry.classify` is one. */
  readonly classify?: ((error: E) => Verdict | Effect.Effect<Verdict>) | undefined
  /** The longest that an error may ask for. Default 5 minutes. */
  readonly maxRetryAfter?: Duration.Input | undefined
  /** Where it asks for more: `fail` with it at once, which is the default, or `cap` the wait at `maxRetryAfter`. */
  readonly onLongRetryAfter?: "fail" | "cap" | undefined
  /** Bounds the retries of all who share it. Default: none. */
  readonly budget?: RetryBudget | undefined
}

/** What a retry policy has done, in all its uses together. */
export interface Stats {
  /** Effects that it was applied to, and that began. */
  readonly calls: number
  /** Attempts, first ones and retries. */
  readonly attempts: number
  readonly retries: number
  readonly succeeded: number
  /** Calls that failed in the end, by why there was no other attempt. */
  readonly failed: Readonly<Record<Reason, number>>
}

interface Observable {
  readonly stats: Effect.Effect<Stats>
  /** The same, without an effect. */
  statsUnsafe(): Stats
}

/** A policy: repeats an effect, and counts. Make it once and share it, so that its figures are of all its uses. */
export interface Policy<E> extends Observable {
  <A, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R>
}

/** As {@link Policy}, with the record of what was tried on the final error. */
export interface RecordedPolicy<E> extends Observable {
  <A, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, RetryFailed<E>, R>
}

const defaultBackoff: Schedule.Schedule<Duration.Duration> = Backoff.exponential({ base: "100 millis" })

const loopOf = <E, F>(options: Options<E>, toFailure: (fields: RetryFailedFields<E>) => F) => {
  const maxAttempts = options.maxAttempts ?? 3
  if (!Number.isSafeInteger(maxAttempts) || maxAttempts < 1) {
    throw new RangeError(`Cannot retry with maxAttempts ${maxAttempts}: a whole number, 1 or more, is needed`)
  }
  const accept = options.while
  const retryAfter = options.retryAfter
  const classify = options.classify
  return makeLoop<E, F>({
    maxAttempts,
    backoff: options.backoff ?? defaultBackoff,
    classify: (error) => {
      if (accept !== undefined && !accept(error)) return stop
      if (classify !== undefined) return classify(error)
      const delay = retryAfter?.(error)
      return delay === undefined ? again : againAfter(delay)
    },
    maxRetryAfterMillis: Duration.toMillis(options.maxRetryAfter ?? "5 minutes"),
    capsRetryAfter: options.onLongRetryAfter === "cap",
    budget: options.budget,
    toFailure
  })
}

/**
 * Repeats a failing effect, waiting between attempts; fails with the last error. Throws a `RangeError` if `maxAttempts`
 * is not a whole number from 1.
 *
 * **Details**
 *
 * Under a `Deadline` it never waits for an attempt that would begin too late: it fails at once. A retry that a budget
 * granted is given back if its fiber is interrupted before it is made. An effect that succeeds the first time costs
 * O(1); each retry costs what the back-off does, and an entry in the record.
 *
 * @example
 * ```ts
 * import { Backoff, Retry } from "@sluice/retry"
 * import { Effect } from "effect"
 *
 * let attempts = 0
 * const flaky = Effect.suspend(() => (++attempts < 3 ? Effect.fail("not yet") : Effect.succeed(attempts)))
 *
 * const program = flaky.pipe(
 *   Retry.retry({ maxAttempts: 5, backoff: Backoff.exponential({ base: "1 millis" }) })
 * )
 *
 * console.log(await Effect.runPromise(program)) // => 3
 * ```
 */
export const retry = <E>(options: Options<E> = {}): Policy<E> => loopOf(options, ({ error }) => error)

/**
 * As {@link retry}; the final error is a {@link RetryFailed} with every attempt, and the reason that it was the last.
 *
 * @example
 * ```ts
 * import { Backoff, Retry } from "@sluice/retry"
 * import { Effect } from "effect"
 *
 * const program = Effect.fail("down").pipe(
 *   Retry.recorded({ maxAttempts: 2, backoff: Backoff.exponential({ base: "1 millis" }) }),
 *   Effect.flip
 * )
 *
 * const { attempts, message } = await Effect.runPromise(program)
 * console.log(message) // => Gave up after 2 attempts (Exhausted): down
 * console.log(attempts.length) // => 2
 * ```
 */
export const recorded = <E>(options: Options<E> = {}): RecordedPolicy<E> =>
  loopOf(options, (fields) => new RetryFailed(fields))
