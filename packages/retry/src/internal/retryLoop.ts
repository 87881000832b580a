// One call is one synchronous state machine between attempts: an error comes in,
// and either a delay and another attempt or the final failure goes out. The
// whole runs uninterruptibly but for the attempts and the delays, so that a
// retry taken from the budget is either begun or given back: there is no point
// between the two at which an interruption could end the fiber.
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import * as Deadline from "../Deadline.ts"
import type { Attempt, Reason, RetryFailedFields, Stats, Verdict } from "../Retry.ts"
import type { RetryBudget } from "../RetryBudget.ts"
import { counted } from "./counted.ts"
import { monotonicMillis } from "./time.ts"

export interface LoopOptions<E, F> {
  readonly maxAttempts: number
  readonly backoff: Schedule.Schedule<Duration.Duration, unknown>
  readonly classify: (error: E) => Verdict | Effect.Effect<Verdict>
  readonly maxRetryAfterMillis: number
  readonly capsRetryAfter: boolean
  readonly budget: RetryBudget | undefined
  readonly toFailure: (fields: RetryFailedFields<E>) => F
}

export interface Loop<E, F> {
  <A, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, F, R>
  readonly stats: Effect.Effect<Stats>
  statsUnsafe(): Stats
}

type Step = (now: number, input: unknown) => Pull.Pull<[Duration.Duration, Duration.Duration], never, Duration.Duration>

export const makeLoop = <E, F>(options: LoopOptions<E, F>): Loop<E, F> => {
  const { backoff, budget, capsRetryAfter, classify, maxAttempts, maxRetryAfterMillis, toFailure } = options
  const counts = { calls: 0, attempts: 0, retries: 0, succeeded: 0 }
  const failed: Record<Reason, number> = {
    NotRetryable: 0,
    PushedBack: 0,
    Exhausted: 0,
    RetryAfterTooLong: 0,
    PastDeadline: 0,
    BudgetDenied: 0
  }

  const run = <A, R>(
    work: Effect.Effect<A, E, R>,
    fiber: Fiber.Fiber<unknown, unknown>,
    restore: <A1, E1, R1>(effect: Effect.Effect<A1, E1, R1>) => Effect.Effect<A1, E1, R1>
  ): Effect.Effect<A, F, R> => {
    const clock = fiber.getRef(Clock.Clock)
    const deadline = fiber.getRef(Deadline.Current)
    const first = monotonicMillis(clock)
    const self = counted(work, budget, fiber, first)
    const attempts: Array<Attempt<E>> = []
    let startedAt = first
    let step: Step | undefined
    counts.calls++
    counts.attempts++

    const succeed = (value: A): Effect.Effect<A> => {
      counts.succeeded++
      budget?.succeededUnsafe()
      return Effect.succeed(value)
    }

    const giveUp = (error: E, reason: Reason, took: number): Effect.Effect<never, F> => {
      failed[reason]++
      attempts.push({ error, startedAfterMillis: startedAt - first, tookMillis: took })
      return Effect.fail(toFailure({ error, reason, attempts }))
    }

    const attemptAgain = (error: E, delay: number, now: number, took: number): Effect.Effect<A, F, R> => {
      if (now + delay >= deadline) return giveUp(error, "PastDeadline", took)
      if (budget !== undefined && !budget.tryRetryUnsafe(now)) return giveUp(error, "BudgetDenied", took)
      attempts.push({ error, startedAfterMillis: startedAt - first, tookMillis: took, delayMillis: delay })
      let begun = false
      const next = restore(
        Effect.flatMap(Effect.sleep(delay), () => {
          begun = true
          counts.attempts++
          counts.retries++
          startedAt = monotonicMillis(clock)
          return self
        })
      )
      return settle(
        budget === undefined
          ? next
          : Effect.onInterrupt(next, () => (begun ? Effect.void : Effect.sync(() => budget.refundUnsafe(now))))
      )
    }

    const nextDelay = (error: E, asked: number, now: number, took: number): Effect.Effect<A, F, R> => {
      if (step === undefined) {
        return Effect.flatMap(Schedule.toStep(backoff), (made) => {
          step = made
          return nextDelay(error, asked, now, took)
        })
      }
      return Pull.matchEffect(step(clock.currentTimeMillisUnsafe(), error), {
        onSuccess: ([, delay]) => attemptAgain(error, Math.max(Duration.toMillis(delay), asked), now, took),
        onFailure: Effect.failCause,
        onDone: () => giveUp(error, "Exhausted", took)
      })
    }

    const judge = (error: E, verdict: Verdict, now: number, took: number): Effect.Effect<A, F, R> => {
      if (verdict._tag === "Again" || verdict.reason === "PushedBack") budget?.failedUnsafe()
      if (verdict._tag === "Stop") return giveUp(error, verdict.reason, took)
      if (attempts.length + 1 >= maxAttempts) return giveUp(error, "Exhausted", took)
      const asked = Duration.toMillis(verdict.exactly ?? verdict.atLeast ?? Duration.zero)
      if (asked > maxRetryAfterMillis && !capsRetryAfter) return giveUp(error, "RetryAfterTooLong", took)
      const wait = Math.min(asked, maxRetryAfterMillis)
      if (verdict.exactly === undefined) return nextDelay(error, wait, now, took)
      step = undefined
      return attemptAgain(error, wait, now, took)
    }

    const onFailure = (error: E): Effect.Effect<A, F, R> => {
      const now = monotonicMillis(clock)
      const took = now - startedAt
      const verdict = classify(error)
      return Effect.isEffect(verdict)
        ? Effect.flatMap(restore(verdict), (found) => judge(error, found, monotonicMillis(clock), took))
        : judge(error, verdict, now, took)
    }

    const settle = (attempt: Effect.Effect<A, E, R>): Effect.Effect<A, F, R> =>
      Effect.matchEffect(attempt, { onFailure, onSuccess: succeed })

    return settle(restore(self))
  }

  const policy = <A, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, F, R> =>
    Effect.uninterruptibleMask((restore) => Effect.withFiber((fiber) => run(self, fiber, restore)))
  const statsUnsafe = (): Stats => ({ ...counts, failed: { ...failed } })
  return Object.assign(policy, { stats: Effect.sync(statsUnsafe), statsUnsafe })
}
