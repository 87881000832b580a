// The same limits, held by one process on its share while Redis is away. A
// sliding window is held as GCRA here: an outage is no time to keep a log.

import type { Outcome, Part, Shape } from "./limits.ts"

/** Keys that are remembered; beyond it the oldest start anew. */
const mostKeys = 100_000

export interface LocalLimits {
  /** Takes all or nothing. `undefined` where the share can never serve the cost. */
  readonly decide: (
    nowMillis: number,
    key: string,
    costs: ReadonlyArray<number>,
    maxWaitMillis: number
  ) => Outcome | undefined
}

interface Plan {
  readonly at: string
  readonly tat: number
  readonly after: number
  readonly wait: number
  readonly emission: number
  readonly burst: number
}

export const makeLocalLimits = (shapes: ReadonlyArray<Shape>, instances: () => number): LocalLimits => {
  const tats = new Map<string, number>()

  const remember = ({ after, at }: Plan): void => {
    tats.delete(at)
    tats.set(at, after)
    if (tats.size <= mostKeys) return
    for (const oldest of tats.keys()) {
      tats.delete(oldest)
      return
    }
  }

  return {
    decide: (now, key, costs, maxWait) => {
      const sharers = instances()
      const plans: Array<Plan> = []
      let wait = 0
      for (const [index, shape] of shapes.entries()) {
        const cost = costs[index] ?? 0
        const emission = (sharers * shape.intervalMicros) / shape.limit / 1000
        // A share of less than one request would serve nobody: it is one, and its rate keeps it rare.
        const burst = Math.max(1, shape.burst / sharers)
        if (cost > burst) return undefined
        const at = `${index}:${key}`
        const tat = Math.max(tats.get(at) ?? now, now)
        const due = cost > 0 ? tat + (cost - burst) * emission - now : 0
        const plan = { at, tat, after: tat + cost * emission, wait: due > 1e-5 ? due : 0, emission, burst }
        wait = Math.max(wait, plan.wait)
        plans.push(plan)
      }
      const allowed = wait <= maxWait
      if (allowed) for (const plan of plans) remember(plan)
      const parts = plans.map((plan): Part => {
        const tat = allowed ? plan.after : plan.tat
        return {
          remaining: Math.max(0, Math.floor(plan.burst - (tat - now) / plan.emission + 1e-6)),
          retryMillis: plan.wait,
          resetMillis: tat - now,
          taken: 0,
          stamp: ""
        }
      })
      return { allowed, waitMillis: wait, parts, isLocal: true }
    }
  }
}
