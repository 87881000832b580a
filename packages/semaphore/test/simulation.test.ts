// The algorithms against a simulated server with a knee: the best limit is as many
// requests as it does at once.
import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { algorithms, steady, steps } from "./simulation/algorithms.ts"
import { plots } from "./simulation/plot.ts"
import { type Point, simulate } from "./simulation/server.ts"

const limitsOf = (points: ReadonlyArray<Point>, fromSecond: number, toSecond: number): ReadonlyArray<number> =>
  points.filter(({ second }) => second > fromSecond && second <= toSecond).map(({ limits }) => limits[0] ?? Number.NaN)

const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0) / values.length

const expectNear = (limits: ReadonlyArray<number>, best: number): void => {
  expect(mean(limits)).toBeGreaterThanOrEqual(0.8 * best)
  expect(mean(limits)).toBeLessThanOrEqual(1.2 * best)
  // Nor does it swing: every second is near.
  expect(Math.min(...limits)).toBeGreaterThanOrEqual(0.7 * best)
  expect(Math.max(...limits)).toBeLessThanOrEqual(1.3 * best)
}

describe.each(algorithms)("$name", ({ start }) => {
  it.each([1, 1000])("comes to within a fifth of the best limit from %i, for several seeds", (initial) => {
    for (const seed of [1, 2, 3]) {
      expectNear(limitsOf(simulate({ ...steady, seed, seconds: 200 }, [start(initial)]), 120, 200), 100)
    }
  })

  it("follows a capacity that halves and doubles", () => {
    const points = simulate(steps, [start(20)])
    expectNear(limitsOf(points, 120, 150), 100)
    expectNear(limitsOf(points, 250, 300), 50)
    expectNear(limitsOf(points, 400, 450), 100)
  })

  it("lowers the throughput by less than a tenth, once it has settled", () => {
    const points = simulate(steady, [start(20)]).filter(({ second }) => second > 120)
    expect(mean(points.map(({ answered }) => answered))).toBeGreaterThan(900)
  })

  it("does not grow while everything times out", () => {
    const points = simulate({ ...steady, timeoutMillis: 20, seconds: 120 }, [start(200)])
    expect(Math.max(...limitsOf(points, 0, 120))).toBeLessThanOrEqual(200)
    expect(Math.max(...limitsOf(points, 90, 120))).toBeLessThanOrEqual(3)
  })

  it("does not grow without end while the server drops a little of what it is sent", () => {
    const points = simulate({ ...steady, maxQueue: 20, seconds: 400 }, [start(20)])
    expect(Math.max(...limitsOf(points, 50, 400))).toBeLessThanOrEqual(130)
  })

  it("shares with another client that came first", () => {
    const points = simulate({ ...steady, seconds: 600 }, [start(20), start(200)])
    const late = points.filter(({ second }) => second > 300)
    const [one, other] = [0, 1].map((client) => mean(late.map(({ limits }) => limits[client] ?? Number.NaN)))
    const [least, most] = [Math.min(one ?? 0, other ?? 0), Math.max(one ?? 0, other ?? 0)]
    expect(most / least).toBeLessThan(1.5)
    expect(most + least).toBeLessThan(130)
  })
})

describe("the plots in the docs", () => {
  it.each(plots)("$name shows what the simulation gives", ({ draw, file }) => {
    expect(draw()).toBe(readFileSync(file, "utf8"))
  })
})
