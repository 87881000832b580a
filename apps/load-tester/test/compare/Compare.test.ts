import fc from "fast-check"
import { expect, it } from "vitest"
import { compare } from "../../src/compare/Compare.ts"
import * as Text from "../../src/compare/Text.ts"
import { make } from "../output/sample.ts"

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
    rate             50/s         50/s        0.0 %         [-1.1 %, +1.2 %]   same
    failed          0.00%        0.57%     +0.57 pt      [0.00 pt, +2.09 pt]   same
    mean            7.6ms         11ms      +44.7 %      [+14.7 %, +112.0 %]   ✗ worse
    p50            6.95ms        8.5ms      +22.3 %       [+19.3 %, +25.7 %]   ✗ worse
    p75             8.5ms       10.4ms      +22.3 %       [+19.4 %, +27.1 %]   ✗ worse
    p90            9.45ms      11.52ms      +21.8 %       [+19.4 %, +25.4 %]   ✗ worse
    p95             9.8ms      11.86ms      +21.1 %      [+19.2 %, +939.8 %]   ✗ worse
    p99           10.16ms     109.04ms     +972.8 %     [-85.8 %, +1501.9 %]   same
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

    ! The shorter run has 3 whole seconds: below 20 the intervals are a guess.
    ? Too little was recorded to tell. Changes below 3 % count as none."
  `)
})
