import { Backoff, Deadline, Hedge, Retry, RetryBudget } from "@sluice/retry"
import { Effect } from "effect"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { interruptEverywhere, runInOrder, type Trial } from "./simulation/virtual.ts"

/** Work that holds something while it runs, and counts how often it began. */
const held = <A, E>(outcome: Effect.Effect<A, E>) => {
  const state = { open: 0, begun: 0 }
  const effect = Effect.acquireUseRelease(
    Effect.sync(() => {
      state.open++
      state.begun++
    }),
    () => Effect.andThen(Effect.sleep("100 millis"), outcome),
    () =>
      Effect.sync(() => {
        state.open--
      })
  )
  return { effect, state }
}

const everySecond = Backoff.linear({ base: "1 second", jitter: "none" })

describe("interrupted at every point", () => {
  it("a hedge leaves no copy and nothing that it held, and sends no other", () => {
    const points = interruptEverywhere(() => {
      const { effect, state } = held(Effect.never)
      const policy = Hedge.hedge({ idempotent: true, delay: "10 millis", maxCopies: 3 })
      return {
        effect: Effect.timeoutOption(policy(effect), "1 second"),
        check: (asleep) => {
          expect(asleep).toBe(0)
          expect(state.open).toBe(0)
          expect(state.begun).toBeLessThanOrEqual(3)
          expect(policy.statsUnsafe().hedges).toBeLessThanOrEqual(2)
        }
      }
    })
    expect(points).toBeGreaterThan(80)
  })

  it("a hedge whose second copy wins leaves nothing", () => {
    const points = interruptEverywhere(() => {
      let copy = 0
      const { effect, state } = held(Effect.suspend(() => (copy++ === 0 ? Effect.void : Effect.never)))
      const policy = Hedge.hedge({ idempotent: true, delay: "10 millis" })
      return { effect: policy(effect), check: (asleep) => expect([state.open, asleep]).toEqual([0, 0]) }
    })
    expect(points).toBeGreaterThan(50)
  })

  it("retries take from their budget what they begin, and not one more", () => {
    const points = interruptEverywhere(() => {
      const budget = RetryBudget.makeUnsafe({ ratio: 2, minPerSecond: 0 })
      const { effect, state } = held(Effect.fail("down"))
      const policy = Retry.retry<string>({ maxAttempts: 4, backoff: everySecond, budget })
      const both = Effect.all([policy(effect), policy(effect)], { concurrency: "unbounded", mode: "result" })
      return {
        effect: both,
        check: (asleep) => {
          expect(asleep).toBe(0)
          const { calls, retries } = policy.statsUnsafe()
          expect(state.open).toBe(0)
          expect(budget.statsUnsafe(0).granted).toBe(retries)
          // An attempt that is interrupted before its first operation was begun for the policy, not for the work.
          expect(calls + retries - state.begun).toBeGreaterThanOrEqual(0)
          expect(calls + retries - state.begun).toBeLessThanOrEqual(2)
        }
      }
    })
    expect(points).toBeGreaterThan(80)
  })

  it("a deadline leaves nothing of the work, in whatever nest", () => {
    const points = interruptEverywhere(() => {
      const { effect, state } = held(Effect.never)
      const nested = Deadline.within("2 seconds")(Effect.exit(Deadline.within("150 millis")(effect)))
      return { effect: nested, check: (asleep) => expect([state.open, asleep]).toEqual([0, 0]) }
    })
    expect(points).toBeGreaterThan(30)
  })

  it("policies in one another leave nothing", () => {
    interruptEverywhere(() => {
      const { effect, state } = held(Effect.fail("down"))
      const composed = effect.pipe(
        Hedge.hedge({ idempotent: true, delay: "10 millis" }),
        Retry.retry<string>({ maxAttempts: 3, backoff: everySecond }),
        Deadline.within("1500 millis")
      )
      return { effect: Effect.exit(composed), check: (asleep) => expect([state.open, asleep]).toEqual([0, 0]) }
    })
  })
})

describe("in any order of its fibers' operations, interrupted anywhere", () => {
  const trial = (): Trial => {
    const budget = RetryBudget.makeUnsafe({ ratio: 4, minPerSecond: 0 })
    const { effect, state } = held(Effect.fail("down"))
    const hedge = Hedge.hedge({ idempotent: true, delay: "10 millis", maxCopies: 3, budget })
    const retry = Retry.retry<string>({ maxAttempts: 3, backoff: everySecond, budget })
    const call = Effect.exit(effect.pipe(hedge, retry, Deadline.within("1500 millis")))
    return {
      effect: Effect.all([call, call, call], { concurrency: "unbounded" }),
      check: (asleep) => {
        expect([state.open, asleep]).toEqual([0, 0])
        expect(budget.statsUnsafe(0).granted).toBe(hedge.statsUnsafe().hedges + retry.statsUnsafe().retries)
        expect(budget.statsUnsafe(0).granted).toBeLessThanOrEqual(12)
      }
    }
  }

  /** Models the budget as what pays for every copy and every retry, and interruption as the end of every fiber. */
  it("three calls under all policies leave nothing, and spend what they begin", () =>
    fc.assert(
      fc.property(fc.array(fc.nat(7), { minLength: 1, maxLength: 400 }), fc.nat(900), (choices, interruptAt) => {
        let taken = 0
        runInOrder(trial(), (ready) => (choices[taken++ % choices.length] ?? 0) % ready, interruptAt)
      }),
      { numRuns: 1000 }
    ))
})
