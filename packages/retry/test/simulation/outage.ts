// A thousand callers, each with one call a second. Their dependency fails wholly
// for a minute.
import { Backoff, Retry, RetryBudget } from "@sluice/retry"
import { Clock, Effect, Random } from "effect"
import { runVirtually } from "./virtual.ts"

export const callers = 1000
export const outage = { fromSecond: 30, toSecond: 90, untilSecond: 120 }

export interface Second {
  /** Attempts that reached the dependency in this second. */
  readonly load: number
  /** Of the calls that ended in this second, how many succeeded and how many failed. */
  readonly succeeded: number
  readonly failed: number
}

export const simulateOutage = (budget: RetryBudget.RetryBudget | undefined): ReadonlyArray<Second> => {
  const seconds = Array.from({ length: outage.untilSecond }, () => ({ load: 0, succeeded: 0, failed: 0 }))
  const at = (now: number) => seconds[Math.min(seconds.length - 1, Math.floor(now / 1000))]

  const attempt = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const second = at(now)
    if (second !== undefined) second.load++
    const isDown = now >= outage.fromSecond * 1000 && now < outage.toSecond * 1000
    return Effect.andThen(Effect.sleep("10 millis"), isDown ? Effect.fail("unavailable") : Effect.void)
  })

  const policy = Retry.retry<string>({
    maxAttempts: 4,
    backoff: Backoff.exponential({ base: "100 millis", cap: "1 second" }),
    budget
  })

  const count = (outcome: "succeeded" | "failed") =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      const second = at(now)
      if (second !== undefined) second[outcome]++
    })
  const call = Effect.matchEffect(policy(attempt), {
    onFailure: () => count("failed"),
    onSuccess: () => count("succeeded")
  })

  const caller = Effect.gen(function* () {
    yield* Effect.sleep((yield* Random.next) * 1000)
    // On the second, whatever the last call did: an open loop, as users are.
    return yield* Effect.forever(Effect.andThen(Effect.forkDetach(call), Effect.sleep("1 second")))
  })

  runVirtually(
    Effect.forEach(Array.from({ length: callers }), () => caller, { concurrency: "unbounded", discard: true }),
    { untilMillis: outage.untilSecond * 1000, seed: "outage" }
  )
  return seconds
}

/** Twenty retries for a hundred calls of the last second, and none besides. */
export const outageBudget = (): RetryBudget.RetryBudget =>
  RetryBudget.makeUnsafe({ ratio: 0.2, minPerSecond: 0, window: "1 second" })
