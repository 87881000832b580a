// The laws of @sluice/semaphore's priorities and bulkheads, and of @sluice/retry's
// retries and budgets, for promises.

import {
  BulkheadFull,
  createBulkhead,
  createPrioritySemaphore,
  createRetry,
  createRetryBudget,
  RetryFailed
} from "@sluice/promise"
import * as fc from "fast-check"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { deferred, outcome, settle } from "./turns.ts"

describe("createPrioritySemaphore", () => {
  /** Models the order by one number: arrival plus class times ageing, the least first. */
  it("serves by arrival plus class times ageing, so that nobody is overtaken by more than that", () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.nat(2), { maxLength: 40 }), fc.nat(5), async (priorities, ageing) => {
        const semaphore = createPrioritySemaphore({ permits: 1, classes: 3, ageing })
        const permit = await semaphore.acquire()
        const order: Array<number> = []
        const runs = priorities.map((priority, at) => semaphore.run(() => void order.push(at), { priority }))
        permit.release()
        await Promise.all(runs)
        const rank = (at: number): number => at + (priorities[at] ?? 0) * ageing
        const ranked = Array.from(priorities.keys()).sort(
          (a, b) => rank(a) - rank(b) || (priorities[a] ?? 0) - (priorities[b] ?? 0)
        )
        expect(order).toEqual(ranked)
        for (const [place, at] of order.entries()) {
          const overtakers = order.slice(0, place).filter((other) => other > at)
          expect(overtakers.length).toBeLessThanOrEqual((priorities[at] ?? 0) * ageing)
        }
      }),
      { numRuns: 200 }
    ))
})

describe("createBulkhead", () => {
  const steps = fc.array(
    fc.oneof(fc.constant("come" as const), fc.constant("end" as const), fc.constant("abort" as const)),
    {
      maxLength: 50
    }
  )

  /** Models two numbers: how many run, and how many wait. */
  it("admits while there is a permit, then while there is a place, and refuses the rest", () =>
    fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 3 }), fc.nat(3), async (program, permits, maxWaiting) => {
        const bulkhead = createBulkhead({ permits, maxWaiting })
        const running: Array<() => void> = []
        const waiting: Array<AbortController> = []
        const ends: Array<Promise<unknown>> = []
        let refused = 0
        for (const step of program) {
          await settle()
          const { held, waiting: inLine } = bulkhead.stats()
          if (step === "come") {
            const controller = new AbortController()
            const holding = deferred()
            const end = outcome(
              bulkhead.run(
                () => {
                  running.push(holding.resolve)
                  const at = waiting.indexOf(controller)
                  if (at >= 0) waiting.splice(at, 1)
                  return holding.promise
                },
                { signal: controller.signal }
              )
            )
            ends.push(end)
            if (held < permits) continue
            if (inLine < maxWaiting) waiting.push(controller)
            else {
              refused++
              expect(await end).toEqual({ error: expect.any(BulkheadFull) })
            }
          } else if (step === "end") running.shift()?.()
          else waiting.shift()?.abort("gone")
          await settle()
          expect(bulkhead.stats()).toMatchObject({ held: running.length, waiting: waiting.length, rejected: refused })
        }
        for (const controller of waiting) controller.abort("end")
        for (const end of running) end()
        await Promise.all(ends)
        expect(bulkhead.stats()).toMatchObject({ held: 0, waiting: 0 })
      }),
      { numRuns: 150 }
    ))
})

describe("createRetry", () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  /** Models a call as a list of ends, of which it sees so many as it may make attempts. */
  it("makes attempts until one succeeds or there are none left, with the delays of its back-off between", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.boolean(), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 50 }),
        async (ends, maxAttempts, base) => {
          const policy = createRetry({ maxAttempts, recorded: true, backoff: { base, jitter: "none", cap: 200 } })
          const call = outcome(
            policy.run(({ attempt }) => {
              if (ends[attempt - 1] === true) return attempt
              throw attempt
            })
          )
          await vi.advanceTimersByTimeAsync(2000)
          const end = await call
          const first = ends.slice(0, maxAttempts).indexOf(true)
          const made = first < 0 ? maxAttempts : first + 1
          expect(policy.stats()).toMatchObject({ calls: 1, attempts: made, retries: made - 1 })
          if (first >= 0) expect(end).toEqual({ value: made })
          else {
            if (!("error" in end) || !(end.error instanceof RetryFailed)) throw new Error("A record was expected")
            const delays = end.error.attempts.slice(0, -1).map(({ delayMillis }) => delayMillis)
            expect(delays).toEqual(delays.map((_, n) => Math.min(200, base * 2 ** n)))
          }
        }
      ),
      { numRuns: 100 }
    ))

  /** Models a budget as a part of the calls, of all policies that share it. */
  it("retries no more than its budget's part of the calls", () =>
    fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 60 }), fc.constantFrom(0, 0.1, 0.25, 0.5), async (calls, ratio) => {
        const budget = createRetryBudget({ ratio, minPerSecond: 0 })
        const backoff = { base: 1, cap: 1, jitter: "none" } as const
        const policies = [createRetry({ budget, backoff, maxAttempts: 4 }), createRetry({ budget, backoff })]
        let attempts = 0
        const all = Array.from({ length: calls }, (_, n) =>
          outcome(
            policies[n % 2]?.run(() => {
              attempts++
              throw new Error("down")
            }) ?? Promise.resolve()
          )
        )
        await vi.advanceTimersByTimeAsync(100)
        await Promise.all(all)
        expect(attempts).toBeLessThanOrEqual(Math.floor(calls * (1 + ratio) + 1e-9))
        expect(budget.stats().granted).toBe(attempts - calls)
      }),
      { numRuns: 60 }
    ))
})
