/**
 * When a call that failed is worth another attempt: gRPC's rules (proposal A6),
 * as a policy of `@sluice/retry`.
 *
 * @module
 */
import { Code } from "@connectrpc/connect"
import { Backoff, Retry, RetryAfter, RetryBudget } from "@sluice/retry"
import type * as Duration from "effect/Duration"
import type * as Schedule from "effect/Schedule"
import type { GrpcError } from "./GrpcError.ts"

export interface Options {
  /** Attempts in all. Default 5. */
  readonly maxAttempts?: number | undefined
  /** Delays between attempts. Default exponential from 50 ms to 5 s with full jitter. */
  readonly backoff?: Schedule.Schedule<Duration.Duration, unknown> | undefined
  /** Statuses that are worth another attempt. Default `[Code.Unavailable]`. */
  readonly retryableCodes?: ReadonlyArray<Code> | undefined
  /** Bounds the retries of all who share it. Default: a throttle of its own, of 10 tokens and 0.1 back for a success. */
  readonly budget?: RetryBudget.RetryBudget | undefined
}

/**
 * The verdict on a failed attempt. Where the server sent `grpc-retry-pushback-ms` that decides: when to come back, or
 * not to. Otherwise the status does.
 */
export const classify = (
  retryableCodes: ReadonlyArray<Code> = [Code.Unavailable]
): ((error: GrpcError) => Retry.Verdict) => {
  const codes = new Set(retryableCodes)
  return (error) => {
    const pushback = error.metadata.get("grpc-retry-pushback-ms")
    if (pushback !== null) return Retry.fromPushback(RetryAfter.parsePushback(pushback))
    return codes.has(error.code) ? Retry.again : Retry.stop
  }
}

/**
 * Tries calls again by gRPC's rules: with a throttle, so that a server that fails is left to recover.
 *
 * **Gotchas**
 *
 * `Code.Unavailable` does not say that the server did nothing. A method that must not run twice belongs in a client
 * without `retry`; what never reached a server is sent again even there.
 *
 * @example
 * ```ts
 * import { Code } from "@connectrpc/connect"
 * import { GrpcRetry } from "@sluice/grpc-pool"
 *
 * const retry = GrpcRetry.policy({ maxAttempts: 3, retryableCodes: [Code.Unavailable, Code.Aborted] })
 * console.log(retry.statsUnsafe().calls) // => 0
 * ```
 */
export const policy = (options: Options = {}): Retry.Policy<GrpcError> =>
  Retry.retry<GrpcError>({
    maxAttempts: options.maxAttempts ?? 5,
    backoff: options.backoff ?? Backoff.exponential({ base: "50 millis", cap: "5 seconds" }),
    classify: classify(options.retryableCodes),
    budget: options.budget ?? RetryBudget.throttleUnsafe()
  })
