import fc from "fast-check"
import { expect, it } from "vitest"
import * as Compare from "../../src/compare/Compare.ts"
import * as Text from "../../src/compare/Text.ts"
import type * as Result from "../../src/results/Result.ts"
import { make } from "../output/sample.ts"

const compare = (before: Result.Result, after: Result.Result, options?: Compare.Options) =>
  Compare.compare([before], [after], options)

const minute = { seconds: 60, perSecond: 50, slowSecond: -1 }

it("finds no difference between runs of one server", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 1, max: 1e6 }), (one, two) => {
      const comparison = compare(make({ ...minute, seed: one }), make({ ...minute, seed: two }), { draws: 200 })
      expect(comparison.rows.filter(({ name }) => ["rate", "p50", "p75"].includes(name))).toMatchObject([
        { verdict: "same" },
        { verdict: "same" },
        { verdict: "same" }
      ])
    }),
    { numRuns: 10, seed: 11 }
  )
})

it("finds a server that is slower, and not the other way round", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), fc.double({ min: 1.15, max: 3, noNaN: true }), (seed, slowness) => {
      const fast = make({ ...minute, seed })
      const slow = make({ ...minute, seed: seed + 1, slowness })
      const worse = compare(fast, slow, { draws: 200 })
      expect(worse.verdict).toBe("worse")
      const median = worse.rows.find(({ name }) => name === "p50")
      expect(median?.verdict).toBe("worse")
      expect(median?.change).toBeCloseTo(slowness - 1, 0)
      expect(compare(slow, fast, { draws: 200 }).verdict).toBe("better")
    }),
    { numRuns: 10, seed: 11 }
  )
})

it("has the truth in its interval", () => {
  const slow = compare(make({ ...minute, seed: 3 }), make({ ...minute, seed: 4, slowness: 1.5 }))
  const [low = 0, high = 0] = slow.rows.find(({ name }) => name === "p50")?.interval ?? []
  expect(low).toBeLessThan(0.5)
  expect(high).toBeGreaterThan(0.5)
})

it("leaves out the beginning, where it is told to", () => {
  const warm = { ...minute, slowSecond: -1 }
  const comparison = compare(make(warm), make({ ...minute, slowSecond: 0 }), { warmUpSeconds: 2, draws: 200 })
  expect(comparison.rows.find(({ name }) => name === "failed")?.verdict).toBe("same")
  expect(compare(make(warm), make({ ...minute, slowSecond: 0 }), { draws: 200 }).rows[1]?.after).toBeGreaterThan(0)
})

it("knows from several runs how much a machine varies by itself", () => {
  const runs = (slownesses: ReadonlyArray<number>, seed: number) =>
    slownesses.map((slowness, index) => make({ ...minute, seconds: 30, seed: seed + index, slowness }))
  const noisy = [1, 1.1, 0.95, 1.05]
  const median = (before: ReadonlyArray<Result.Result>, after: ReadonlyArray<Result.Result>) =>
    Compare.compare(before, after, { draws: 300 }).rows.find(({ name }) => name === "p50")?.verdict
  const [one, two] = [runs(noisy, 1), runs([1.08, 0.97, 1.1, 1], 20)]
  expect(median(one.slice(0, 1), two.slice(0, 1))).toBe("worse")
  expect(median(one, two)).toBe("same")
  expect(median(one, runs([1.5, 1.45, 1.6, 1.5], 40))).toBe("worse")
})

it("does not decide what it cannot know", () => {
  const comparison = compare(make({ seconds: 3 }), make({ seconds: 3, slowness: 2 }))
  expect(comparison.verdict).toBe("unknown")
  expect(compare(make({ seconds: 0 }), make({ seconds: 0 })).verdict).toBe("unknown")
})

it("tells each figure with its interval and a verdict", () => {
  const comparison = compare(make(minute), make({ ...minute, seed: 9, slowness: 1.2, slowSecond: 20 }))
  expect(Text.text(comparison, ["monday.slr", "tuesday.slr"])).toMatchInlineSnapshot(`
    "before: monday.slr (1m0s)
    after:  tuesday.slr (1m0s)

                   before        after       change            99 % interval   verdict
    rate             50/s         50/s        0.0 %         [-0.6 %, +0.7 %]   same
    failed          0.00%        0.57%     +0.57 pt      [0.00 pt, +2.33 pt]   same
    mean            7.6ms         11ms      +44.7 %      [+15.3 %, +127.1 %]   ✗ worse
    p50            6.95ms        8.5ms      +22.3 %       [+19.4 %, +25.6 %]   ✗ worse
    p75             8.5ms       10.4ms      +22.3 %       [+19.0 %, +26.3 %]   ✗ worse
    p90            9.45ms      11.52ms      +21.8 %       [+19.4 %, +26.7 %]   ✗ worse
    p95             9.8ms      11.86ms      +21.1 %      [+19.2 %, +958.0 %]   ✗ worse
    p99           10.16ms     109.04ms     +972.8 %     [-85.6 %, +1545.6 %]   same
    p99.9         89.97ms      173.7ms      +93.1 %                        –   unknown
    p99.99         90.7ms     181.39ms     +100.0 %                        –   unknown

    ✗ The second run is worse. Changes below 3 % count as none."
  `)
  expect(Text.text(compare(make({ seconds: 3 }), make({ seconds: 3 })), ["a", "b"])).toMatchInlineSnapshot(`
    "before: a (3s)
    after:  b (3s)

                   before        after       change            99 % interval   verdict
    rate             50/s         50/s        0.0 %                        –   unknown
    failed          0.00%        0.00%      0.00 pt                        –   unknown
    mean           7.47ms       7.47ms        0.0 %                        –   unknown
    p50            7.04ms       7.04ms        0.0 %                        –   unknown
    p75            8.39ms       8.39ms        0.0 %                        –   unknown
    p90            9.25ms       9.25ms        0.0 %                        –   unknown
    p95            9.74ms       9.74ms        0.0 %                        –   unknown
    p99           10.62ms      10.62ms        0.0 %                        –   unknown
    p99.9         88.75ms      88.75ms        0.0 %                        –   unknown
    p99.99        88.75ms      88.75ms        0.0 %                        –   unknown

    ! There are 3 whole seconds of one side: below 20 the intervals are a guess.
    ? Too little was recorded to tell. Changes below 3 % count as none."
  `)
})
