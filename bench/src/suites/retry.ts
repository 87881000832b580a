// Retrying against Effect's own retry with an equivalent schedule, and against
// cockatiel, whose effects are Promises.

import { Backoff, Retry, RetryBudget } from "@sluice/retry"
import * as cockatiel from "cockatiel"
import { Clock, Effect, Schedule } from "effect"
import { nanosPerOperation, nanosPerOperationSync, type Suite } from "../harness.ts"

type Policy = <A>(self: Effect.Effect<A, string>) => Effect.Effect<A, string>

const repeated = (operations: number, effect: Effect.Effect<unknown>) =>
  nanosPerOperation(operations, () =>
    Effect.runPromise(
      Effect.gen(function* () {
        for (let n = 0; n < operations; n++) yield* effect
      })
    )
  )

const ours: Policy = Retry.retry<string>({ maxAttempts: 3, backoff: Backoff.exponential({ base: "100 millis" }) })
const budgeted: Policy = Retry.retry<string>({
  maxAttempts: 3,
  backoff: Backoff.exponential({ base: "100 millis" }),
  budget: RetryBudget.makeUnsafe({ ratio: 10 })
})
const effects: Policy = Effect.retry({ schedule: Schedule.jittered(Schedule.exponential("100 millis")), times: 2 })

const atOnce = (operations: number, policy: Policy) => repeated(operations, Effect.orDie(policy(Effect.void)))

/** Fails twice, then succeeds, on a clock whose sleeps take no time. */
const afterTwo = (operations: number, policy: Policy) => {
  let attempts = 0
  const flaky = Effect.suspend(() => (++attempts % 3 === 0 ? Effect.void : Effect.fail("down")))
  const tireless = Effect.map(
    Clock.Clock,
    (clock): Clock.Clock => ({
      ...clock,
      currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
      currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
      sleep: () => Effect.void
    })
  )
  return repeated(operations, Effect.provideServiceEffect(Effect.orDie(policy(flaky)), Clock.Clock, tireless))
}

const promised = (operations: number, run: () => Promise<unknown>) =>
  nanosPerOperation(operations, async () => {
    for (let n = 0; n < operations; n++) await run()
  })

const cockatiels = cockatiel.retry(cockatiel.handleAll, { maxAttempts: 2, backoff: new cockatiel.ExponentialBackoff() })
const once = ours(Effect.void)

const decisions = 2_000_000
const budget = RetryBudget.makeUnsafe({ ratio: 0.2 })

const suite: Suite = {
  name: "retry",
  comparisons: [
    {
      name: "a call that succeeds",
      unit: "ns/op",
      against: "Effect.retry",
      ours: () => atOnce(200_000, ours),
      peer: () => atOnce(200_000, effects)
    },
    {
      name: "a call that succeeds, with a budget",
      unit: "ns/op",
      against: "Effect.retry, which has none",
      ours: () => atOnce(200_000, budgeted),
      peer: () => atOnce(200_000, effects)
    },
    {
      name: "a call that fails twice first, delays left out",
      unit: "ns/op",
      against: "Effect.retry",
      ours: () => afterTwo(50_000, ours),
      peer: () => afterTwo(50_000, effects)
    },
    {
      name: "a Promise that succeeds, with what starting an effect costs",
      unit: "ns/op",
      against: "cockatiel",
      ours: () => promised(100_000, () => Effect.runPromise(once)),
      peer: () => promised(100_000, () => cockatiels.execute(() => undefined))
    },
    {
      name: "a budget's decision, with the call that pays for it",
      unit: "ns/op",
      against: "an empty loop",
      ours: () =>
        nanosPerOperationSync(decisions, () => {
          for (let n = 0; n < decisions; n++) {
            budget.callUnsafe(n / 1000)
            budget.tryRetryUnsafe(n / 1000)
          }
        }),
      peer: () =>
        nanosPerOperationSync(decisions, () => {
          for (let n = 0; n < decisions; n++) if (n < 0) budget.callUnsafe(n)
        })
    }
  ]
}

export default suite
