import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { callers, outage, outageBudget, simulateOutage } from "./simulation/outage.ts"
import { plots } from "./simulation/plot.ts"
import { quantile, simulateTail, tailHedge } from "./simulation/tail.ts"

describe("a dependency that fails for a minute under 1,000 callers", () => {
  const bounded = simulateOutage(outageBudget())
  const unbounded = simulateOutage(undefined)

  it("sees at most 1.2 times its normal load in every second, if they share a budget", () => {
    expect(Math.max(...bounded.map(({ load }) => load))).toBeLessThanOrEqual(1.2 * callers)
  })

  it("answers every call from the first whole second after it is back", () => {
    for (const second of bounded.slice(outage.toSecond + 1)) {
      expect(second).toEqual({ load: callers, succeeded: callers, failed: 0 })
    }
  })

  it("sees four times its normal load without one, for as long as it fails", () => {
    for (const { load } of unbounded.slice(outage.fromSecond + 2, outage.toSecond)) {
      expect(load).toBeGreaterThan(3.8 * callers)
    }
  })
})

describe("reads of which one in a hundred takes a second", () => {
  const plain = simulateTail(undefined)
  const policy = tailHedge()
  const hedged = simulateTail(policy)

  it("have a 99th percentile of a second, and of some milliseconds once hedged", () => {
    expect(quantile(plain.latencies, 0.99)).toBe(1000)
    expect(quantile(hedged.latencies, 0.99)).toBeLessThan(25)
    expect(quantile(hedged.latencies, 0.999)).toBeLessThan(35)
  })

  it("cost some five in a hundred reads more", () => {
    expect(plain.load).toBe(1)
    expect(hedged.load).toBeLessThan(1.07)
    expect(policy.statsUnsafe().hedges).toBe(Math.round((hedged.load - 1) * hedged.latencies.length))
  })
})

describe("the plots in the docs", () => {
  it.each(plots)("$file.pathname shows what the simulation gives", ({ draw, file }) => {
    expect(draw()).toBe(readFileSync(file, "utf8"))
  })
})
