// The machine against a sequential model: a counter of approvals that ends at five.
import { readFileSync } from "node:fs"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { diagram, type Event, isStep, next, STEPS, type State, TRANSITIONS } from "../src/Machine.ts"

const events: ReadonlyArray<Event> = ["approve", "reject", "regenerate", "expire"]
const history = fc.array(fc.constantFrom(...events), { maxLength: 40 })

const run = (taken: ReadonlyArray<Event>): State =>
  taken.reduce<State>((state, event) => next(state, event) ?? state, STEPS[0])

describe("the machine", () => {
  it("is at the step of as many approvals as came before an expiry", () => {
    fc.assert(
      fc.property(history, (taken) => {
        const expiry = taken.indexOf("expire")
        const before = expiry < 0 ? taken : taken.slice(0, expiry)
        const approvals = before.filter((event) => event === "approve").length
        const expected = approvals >= STEPS.length ? "completed" : expiry >= 0 ? "expired" : STEPS[approvals]
        expect(run(taken)).toBe(expected)
      })
    )
  })

  it("takes nothing once it has ended", () => {
    fc.assert(
      fc.property(history, fc.constantFrom(...events), (taken, event) => {
        const state = run(taken)
        if (!isStep(state)) expect(next(state, event)).toBeUndefined()
      })
    )
  })

  it("reaches every state, and ends from every state", () => {
    const reached = new Set<State>([STEPS[0]])
    for (const state of reached) {
      for (const { from, to } of TRANSITIONS) if (from === state) reached.add(to)
    }
    expect([...reached].sort()).toEqual([...STEPS, "completed", "expired"].sort())
    for (const step of STEPS) {
      let state: State = step
      while (isStep(state)) state = next(state, "approve") ?? "expired"
      expect(state).toBe("completed")
    }
  })

  it("is drawn with every transition, in the README too", () => {
    const drawn = diagram()
    for (const { event, from, to } of TRANSITIONS) expect(drawn).toContain(`${from} --> ${to}: ${event}`)
    expect(readFileSync(new URL("../README.md", import.meta.url), "utf8")).toContain(drawn)
  })
})
