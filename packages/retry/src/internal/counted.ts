// Which budget has already counted the call that a fiber is in. A hedge within a
// retry, or a retry within a retry, that shares its budget must not count each
// attempt as a call: its retries would pay for more retries.
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { RetryBudget } from "../RetryBudget.ts"

const CountedBy: Context.Reference<RetryBudget | undefined> = Context.Reference<RetryBudget | undefined>(
  "@sluice/retry/CountedBy",
  { defaultValue: () => undefined }
)

/** Counts the call, unless it is part of one that the budget knows; gives the effect that is part of it. */
export const counted = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  budget: RetryBudget | undefined,
  fiber: Fiber.Fiber<unknown, unknown>,
  now: number
): Effect.Effect<A, E, R> => {
  if (budget === undefined || fiber.getRef(CountedBy) === budget) return self
  budget.callUnsafe(now)
  return Effect.provideService(self, CountedBy, budget)
}
