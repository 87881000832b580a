import { RetryBudget } from "@sluice/retry"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"

const slotMillis = 1000

const step = fc.record({
  after: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: 30_000 })),
  does: fc.constantFrom("call", "call", "call", "retry", "retry", "refund")
})

type Event = { readonly slot: number; readonly does: "call" | "retry" }

describe("RetryBudget.makeUnsafe", () => {
  /** Models the budget as the list of all calls and retries, of which those of the last ten slots are counted. */
  it("grants a retry exactly where the calls of the window pay for it, whatever was given back", () =>
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 300 }),
        fc.integer({ min: 0, max: 100 }),
        fc.integer({ min: 0, max: 3 }),
        (steps, percent, minPerSecond) => {
          const budget = RetryBudget.makeUnsafe({ ratio: percent / 100, minPerSecond, window: 10 * slotMillis })
          const events: Array<Event> = []
          const taken: Array<{ readonly at: number; readonly event: Event }> = []
          let now = 0
          for (const { after, does } of steps) {
            now += after
            const slot = Math.floor(now / slotMillis)
            const counted = (kind: Event["does"]) =>
              events.filter((event) => event.does === kind && event.slot > slot - 10).length
            if (does === "call") {
              budget.callUnsafe(now)
              events.push({ slot, does })
            } else if (does === "retry") {
              const pays = (counted("retry") + 1) * 100 <= counted("call") * percent + minPerSecond * 10 * 100
              if (budget.tryRetryUnsafe(now) !== pays) return false
              if (pays) {
                const event: Event = { slot, does }
                events.push(event)
                taken.push({ at: now, event })
              }
            } else {
              const back = taken.shift()
              if (back === undefined) continue
              budget.refundUnsafe(back.at)
              events.splice(events.indexOf(back.event), 1)
            }
          }
          return true
        }
      )
    ))

  it.each([0.01, 0.07, 0.1, 0.2, 0.29, 0.3, 0.7, 1, 1.1, 2.5])("does not round a ratio of %s to another", (ratio) => {
    const budget = RetryBudget.makeUnsafe({ ratio, minPerSecond: 0 })
    for (let call = 0; call < 9000; call++) budget.callUnsafe(0)
    let granted = 0
    while (budget.tryRetryUnsafe(0)) granted++
    expect(granted).toBe(Math.round(9000 * ratio))
  })
})

describe("RetryBudget.throttleUnsafe", () => {
  /** Models the tokens of gRPC's proposal A6, in thousandths. */
  it("grants while more than half of the tokens are there", () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.integer({ min: 1, max: 3000 }),
        fc.array(fc.constantFrom("succeeded", "failed", "retry"), { maxLength: 300 }),
        (maxTokens, thousandths, steps) => {
          const budget = RetryBudget.throttleUnsafe({ maxTokens, tokenRatio: thousandths / 1000 })
          let tokens = maxTokens * 1000
          for (const does of steps) {
            if (does === "succeeded") {
              tokens = Math.min(maxTokens * 1000, tokens + thousandths)
              budget.succeededUnsafe()
            } else if (does === "failed") {
              tokens = Math.max(0, tokens - 1000)
              budget.failedUnsafe()
            } else if (budget.tryRetryUnsafe(0) !== tokens * 2 > maxTokens * 1000) return false
          }
          return true
        }
      )
    ))
})

describe("options", () => {
  it("out of range are refused by name and value", () => {
    expect(() => RetryBudget.makeUnsafe({ ratio: -1 })).toThrow("ratio -1")
    expect(() => RetryBudget.makeUnsafe({ minPerSecond: Number.NaN })).toThrow("minPerSecond NaN")
    expect(() => RetryBudget.makeUnsafe({ window: "10 millis" })).toThrow("window 10 ms")
    expect(() => RetryBudget.throttleUnsafe({ maxTokens: 0 })).toThrow("maxTokens 0")
    expect(() => RetryBudget.throttleUnsafe({ tokenRatio: 0 })).toThrow("tokenRatio 0")
  })
})
