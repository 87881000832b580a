// Inputs and interleavings in one property, shrunk together. The model of what
// is added up concurrently is the sum.

import { Explorer } from "@sluice/schedule-explorer"
import { schedules } from "@sluice/schedule-explorer/fast-check"
import { Effect, Semaphore } from "effect"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"

/** Adds amounts up, each in a fiber of its own. */
const adding = (amounts: ReadonlyArray<number>, isGuarded: boolean) =>
  Effect.gen(function* () {
    const semaphore = yield* Semaphore.make(1)
    let total = 0
    const add = (amount: number) =>
      Effect.gen(function* () {
        const read = yield* Effect.sync(() => total)
        yield* Effect.sync(() => {
          total = read + amount
        })
      })
    const each = isGuarded ? (amount: number) => semaphore.withPermit(add(amount)) : add
    yield* Effect.forEach(amounts, each, { concurrency: "unbounded", discard: true })
    const sum = amounts.reduce((a, b) => a + b, 0)
    if (total !== sum) yield* Effect.die(`${total} is not ${sum}`)
  })

const amounts = fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 4 })

const holding = (isGuarded: boolean) =>
  fc.property(amounts, schedules({ maxPreemptions: 3, interruptions: 0 }), (input, strategy) => {
    Explorer.assert(adding(input, isGuarded), { strategy })
  })

describe("schedules", () => {
  it("hold where the program is right, whatever is added", () => {
    fc.assert(holding(true), { numRuns: 500 })
  })

  it("are shrunk together with the input, down to two amounts and two choices", () => {
    const { counterexample, failed } = fc.check(holding(false), { numRuns: 2000, seed: 7 })
    expect(failed).toBe(true)
    const [input, strategy] = counterexample ?? []
    expect(input?.filter((amount) => amount !== 0)).toEqual([1])
    expect(input).toHaveLength(2)
    const token = strategy?.type === "replay" ? strategy.token : ""
    const choices = token.split(":")[1]?.split(".") ?? []
    expect(choices.filter((choice) => choice !== "0").length).toBeLessThanOrEqual(2)
    expect(() => Explorer.assert(adding(input ?? [], false), { strategy: Explorer.replay(token) })).toThrow("preempted")
  })

  it("are found for any seed", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        expect(fc.check(holding(false), { numRuns: 2000, seed, endOnFailure: true }).failed).toBe(true)
      }),
      { numRuns: 20 }
    )
  })

  it("keep to their bounds", () => {
    fc.assert(
      fc.property(
        schedules({ maxPreemptions: 1, interruptions: 1, maxChoices: 5, mode: "free" }),
        (strategy) => strategy.type === "replay" && /^s1f-1-1:(\d+(\.\d+){0,4})?$/.test(strategy.token)
      )
    )
  })
})
