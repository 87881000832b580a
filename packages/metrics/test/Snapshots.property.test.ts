// Snapshots of random processes: merged in any grouping and order they are the same,
// and equal to those of one process that had recorded everything.

import { Registry, Snapshots } from "@sluice/metrics"
import { Effect } from "effect"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"

interface Recorded {
  readonly counts: ReadonlyArray<readonly [label: string, amount: number]>
  readonly values: ReadonlyArray<number>
  readonly level: number
}

const recorded: fc.Arbitrary<Recorded> = fc.record({
  counts: fc.array(fc.tuple(fc.constantFrom("a", "b", "c"), fc.nat(100))),
  // Whole numbers, whose sums are exact in whatever order.
  values: fc.array(fc.integer({ min: -5, max: 2 ** 30 })),
  level: fc.integer()
})

const record = (registry: Registry.Registry) => {
  const counter = registry.counter({ name: "a_total", help: "", labels: ["x"] })
  const histogram = registry.histogram({ name: "h", help: "", maxBuckets: 40 }).bind()
  const fixed = registry.fixedHistogram({ name: "f", help: "", bounds: [1, 10, 1000] }).bind()
  const sum = registry.gauge({ name: "sum", help: "" }).bind()
  const max = registry.gauge({ name: "max", help: "", aggregation: "max" }).bind()
  const min = registry.gauge({ name: "min", help: "", aggregation: "min" }).bind()
  return ({ counts, level, values }: Recorded): void => {
    for (const [x, amount] of counts) counter.bind({ x }).addUnsafe(amount)
    for (const value of values) {
      histogram.observeUnsafe(value)
      fixed.observeUnsafe(value)
    }
    sum.addUnsafe(level)
    max.setUnsafe(level)
    min.setUnsafe(level)
  }
}

const snapshotOf = (...all: ReadonlyArray<Recorded>): ReadonlyArray<Registry.MetricSnapshot> => {
  const registry = Registry.makeUnsafe({ now: () => 0 })
  const add = record(registry)
  for (const one of all) add(one)
  return registry.snapshotUnsafe()
}

/** What can be compared: series in an order of their own, histograms by their buckets. */
const plain = (snapshots: ReadonlyArray<Registry.MetricSnapshot>) =>
  Snapshots.encode(snapshots).metrics.map((metric) => {
    const text = JSON.stringify(metric, (key, value: unknown) =>
      key === "series" && Array.isArray(value) ? value.map((one) => JSON.stringify(one)).sort() : value
    )
    return text
  })

describe("merging", () => {
  it("is associative", () =>
    fc.assert(
      fc.property(recorded, recorded, recorded, (a, b, c) => {
        const [one, two, three] = [snapshotOf(a), snapshotOf(b), snapshotOf(c)]
        expect(plain(Snapshots.merge(Snapshots.merge(one, two), three))).toEqual(
          plain(Snapshots.merge(one, Snapshots.merge(two, three)))
        )
      }),
      { numRuns: 200 }
    ))

  it("is commutative", () =>
    fc.assert(
      fc.property(recorded, recorded, (a, b) => {
        expect(plain(Snapshots.merge(snapshotOf(a), snapshotOf(b)))).toEqual(
          plain(Snapshots.merge(snapshotOf(b), snapshotOf(a)))
        )
      }),
      { numRuns: 200 }
    ))

  it("gives what one process would have that had recorded everything", () =>
    fc.assert(
      fc.property(recorded, recorded, (a, b) => {
        const of = (snapshots: ReadonlyArray<Registry.MetricSnapshot>) =>
          plain(snapshots.filter(({ name }) => name !== "max" && name !== "min"))
        expect(of(Snapshots.merge(snapshotOf(a), snapshotOf(b)))).toEqual(of(snapshotOf(a, b)))
      }),
      { numRuns: 200 }
    ))

  it("takes gauges by the rule that they were declared with", () =>
    fc.assert(
      fc.property(recorded, recorded, (a, b) => {
        const merged = Snapshots.merge(snapshotOf(a), snapshotOf(b))
        const value = (name: string) => merged.find((metric) => metric.name === name)?.series[0]?.value
        expect([value("sum"), value("max"), value("min")]).toEqual([
          a.level + b.level,
          Math.max(a.level, b.level),
          Math.min(a.level, b.level)
        ])
      }),
      { numRuns: 100 }
    ))
})

describe("the difference", () => {
  it("and what was before are together what is now", () =>
    fc.assert(
      fc.property(recorded, recorded, (a, b) => {
        const registry = Registry.makeUnsafe({ now: () => 0 })
        const add = record(registry)
        add(a)
        const before = registry.snapshotUnsafe()
        add(b)
        const now = registry.snapshotUnsafe()
        const counted = (snapshots: ReadonlyArray<Registry.MetricSnapshot>) =>
          snapshots.filter(({ name }) => name === "a_total" || name === "f")
        const grown = Snapshots.difference(now, before)
        expect(plain(counted(Snapshots.merge(before, grown)))).toEqual(plain(counted(now)))
        const histogram = (snapshots: ReadonlyArray<Registry.MetricSnapshot>) => {
          const found = snapshots.find(({ name }) => name === "h")
          return found?.type === "histogram" ? found.series[0]?.value : undefined
        }
        const together = histogram(before)?.merge(histogram(grown) ?? expect.fail("no histogram"))
        expect(together).toMatchObject({ count: histogram(now)?.count, sum: histogram(now)?.sum })
        expect(together?.cumulative).toEqual(histogram(now)?.cumulative)
      }),
      { numRuns: 200 }
    ))

  it("counts from nothing what has been reset", () => {
    const registry = Registry.makeUnsafe()
    const counter = registry.counter({ name: "a_total", help: "" })
    counter.bind().addUnsafe(5)
    const read = Snapshots.deltas(registry)
    const value = () => Effect.runSync(read)[0]?.series[0]?.value
    expect(value()).toBe(5)
    counter.bind().addUnsafe(2)
    expect(value()).toBe(2)
    Effect.runSync(registry.reset)
    counter.bind().addUnsafe(1)
    expect(value()).toBe(1)
  })
})

describe("an aggregator", () => {
  const worker = (count: number, level: number) => {
    const registry = Registry.makeUnsafe()
    registry.counter({ name: "a_total", help: "" }).bind().addUnsafe(count)
    registry.gauge({ name: "level", help: "" }).bind().setUnsafe(level)
    return registry.snapshotUnsafe()
  }

  const values = (snapshots: ReadonlyArray<Registry.MetricSnapshot>) =>
    Object.fromEntries(snapshots.map(({ name, series }) => [name, series[0]?.value]))

  it("keeps the counts of a process that has ended, and not its gauges", () => {
    const all = Snapshots.makeAggregator()
    all.update("1", worker(3, 10))
    all.update("1", worker(5, 20))
    all.update("2", worker(7, 1))
    expect(values(all.snapshot())).toEqual({ a_total: 12, level: 21 })
    all.end("1")
    all.end("1")
    expect(values(all.snapshot())).toEqual({ a_total: 12, level: 1 })
    // The number is given to the process that takes its place, which counts from nothing.
    all.update("1", worker(1, 4))
    expect(values(all.snapshot())).toEqual({ a_total: 13, level: 5 })
  })

  it("refuses metrics of one name that are not alike", () => {
    const other = Registry.makeUnsafe()
    other.gauge({ name: "a_total", help: "" })
    expect(() => Snapshots.merge(worker(1, 1), other.snapshotUnsafe())).toThrow(
      "Cannot merge the metric a_total: it is a counter here and a gauge there"
    )
  })
})
