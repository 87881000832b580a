// A budget is one thing to its callers and another to the policies that draw on it:
// the second is kept beside, so that no type of Effect stands in the first.

import type { RetryBudget as EffectBudget } from "@sluice/retry"
import type { RetryBudget } from "../Retry.ts"
import { runNow, unfailing } from "./running.ts"

const kept: WeakMap<RetryBudget, EffectBudget.RetryBudget> = new WeakMap()

export const keepBudget = (budget: EffectBudget.RetryBudget): RetryBudget => {
  const plain: RetryBudget = { stats: () => runNow(budget.stats, unfailing) }
  kept.set(plain, budget)
  return plain
}

export const budgetOf = (plain: RetryBudget): EffectBudget.RetryBudget => {
  const budget = kept.get(plain)
  if (budget !== undefined) return budget
  throw new TypeError("Cannot use a retry budget that createRetryBudget has not made")
}
