/**
 * Tries an effect again where that can help, and not where it would harm.
 *
 * @module
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Backoff from "./Backoff.ts"

export interface Options<E> {
  /** Attempts in all, the first among them. Default 3. */
  readonly maxAttempts?: number | undefined
  /** Delays between attempts. Default exponential from 100 ms to 20 s with full jitter. */
  readonly backoff?: Schedule.Schedule<Duration.Duration, unknown> | undefined
  /** Whether an error is worth another attempt. Default: every error is. Defects and interruption never are. */
  readonly while?: ((error: E) => boolean) | undefined
  /** How long the error asks to be left alone. The longer of this and the back-off is waited. */
  readonly retryAfter?: ((error: E) => Duration.Duration | undefined) | undefined
  /** A `retryAfter` beyond this is not waited for: the error is final. Default 5 minutes. */
  readonly maxRetryAfter?: Duration.Input | undefined
}

const defaultBackoff: Schedule.Schedule<Duration.Duration> = Backoff.exponential({ base: "100 millis" })

/**
 * Repeats a failing effect, waiting between attempts; fails with the last error. Throws a `RangeError` if `maxAttempts`
 * is not a whole number from 1.
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
export const retry = <E>(
  options: Options<E> = {}
): (<A, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) => {
  const maxAttempts = options.maxAttempts ?? 3
  if (!Number.isSafeInteger(maxAttempts) || maxAttempts < 1) {
    throw new RangeError(`Cannot retry with maxAttempts ${maxAttempts}: a whole number, 1 or more, is needed`)
  }
  const longest = Duration.toMillis(options.maxRetryAfter ?? "5 minutes")
  const asked = (error: E): number => {
    const duration = options.retryAfter?.(error)
    return duration === undefined ? 0 : Duration.toMillis(duration)
  }
  const schedule = Schedule.setInputType<E>()(options.backoff ?? defaultBackoff).pipe(
    Schedule.modifyDelay(({ duration, input }) =>
      Effect.succeed(Duration.millis(Math.max(Duration.toMillis(duration), asked(input))))
    )
  )
  return (self) =>
    Effect.retry(self, {
      schedule,
      times: maxAttempts - 1,
      while: (error) => asked(error) <= longest && (options.while?.(error) ?? true)
    })
}
