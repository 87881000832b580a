// What a limiter allows, against what each algorithm promises of any window of time: the
// laws of @sluice/rate-limiter, for promises.

import { createRateLimiter, type RateAlgorithm } from "@sluice/promise"
import * as fc from "fast-check"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { outcome } from "./turns.ts"

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const limit = 5
const interval = 1000

/** The most that a window of a length may hold that ends with a request of `last`. */
const promised: Readonly<Record<RateAlgorithm, (length: number, last: number) => number>> = {
  gcra: (length) => limit + (limit * length) / interval,
  "token-bucket": (length) => limit + (limit * length) / interval,
  "leaky-bucket": (length, last) => (limit * length) / interval + last,
  "fixed-window": (length) => limit * (Math.ceil(length / interval) + 1),
  "sliding-window-log": (length) => limit * (Math.floor(length / interval) + 1),
  "sliding-window-counter": (length) => limit + (limit * length) / interval
}

const algorithms: ReadonlyArray<RateAlgorithm> = [
  "gcra",
  "token-bucket",
  "leaky-bucket",
  "fixed-window",
  "sliding-window-log",
  "sliding-window-counter"
]

const steps = fc.array(
  fc.oneof(
    fc.record({
      type: fc.constant("take" as const),
      cost: fc.integer({ min: 1, max: limit }),
      isAborted: fc.boolean()
    }),
    fc.record({ type: fc.constant("try" as const), cost: fc.integer({ min: 1, max: limit }) }),
    fc.record({ type: fc.constant("wait" as const), millis: fc.integer({ min: 1, max: 900 }) })
  ),
  { maxLength: 25 }
)

describe.each(algorithms)("a limiter by %s", (algorithm) => {
  it("keeps its promise in every window, serves in order of arrival, and forgets nobody", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (program) => {
        const limiter = createRateLimiter({ algorithm, limit, interval })
        const events: Array<{ readonly at: number; readonly cost: number }> = []
        const served: Array<number> = []
        const waiting: Array<Promise<unknown>> = []
        const expected: Array<number> = []
        for (const [id, step] of program.entries()) {
          if (step.type === "wait") await vi.advanceTimersByTimeAsync(step.millis)
          else if (step.type === "try") {
            if (limiter.tryTake(step.cost).allowed) events.push({ at: Date.now(), cost: step.cost })
          } else {
            const controller = new AbortController()
            const { cost, isAborted } = step
            const end = limiter.run(
              () => {
                served.push(id)
                events.push({ at: Date.now(), cost })
              },
              { cost, signal: controller.signal }
            )
            waiting.push(outcome(end))
            if (isAborted) controller.abort("gone")
            else expected.push(id)
          }
        }
        await vi.advanceTimersByTimeAsync(60_000)
        await Promise.all(waiting)
        expect(limiter.stats().waiting).toBe(0)
        // What was served at once and aborted in the same step has spent its cost and is not run.
        expect(served.filter((id) => expected.includes(id))).toEqual(expected)
        for (const [start, from] of events.entries()) {
          let total = 0
          for (const to of events.slice(start)) {
            total += to.cost
            expect(total).toBeLessThanOrEqual(promised[algorithm](to.at - from.at + 2, to.cost) + 1e-6)
          }
        }
      }),
      { numRuns: 60 }
    )
  })
})
