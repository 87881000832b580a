import { describe, expect, it } from "@effect/vitest"
import { Exposition, Registry, Track } from "@sluice/metrics"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"

const lines = (registry: Registry.Registry): ReadonlyArray<string> =>
  Exposition.prometheusText(registry)
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))

const warned = () => {
  const warnings: Array<string> = []
  let millis = 1_000
  const registry = Registry.makeUnsafe({ warn: (message) => warnings.push(message), now: () => millis })
  return {
    registry,
    warnings,
    advance: (by: number) => {
      millis += by
    }
  }
}

describe("a counter that goes up and down", () => {
  it.effect("adds what it is given, and counts effects while they run", () =>
    Effect.gen(function* () {
      const series = Registry.makeUnsafe().upDownCounter({ name: "jobs", help: "" }).bind()
      series.addUnsafe(-2)
      const fiber = yield* Effect.forkChild(series.whileRunning(Effect.never), { startImmediately: true })
      expect(series.value).toBe(-1)
      yield* Fiber.interrupt(fiber)
      expect(series.value).toBe(-2)
      expect(() => series.addUnsafe(Number.POSITIVE_INFINITY)).toThrow("Cannot add Infinity")
    })
  )
})

describe("a counter", () => {
  it("refuses what is not finite", () => {
    const series = Registry.makeUnsafe().counter({ name: "a_total", help: "" }).bind()
    expect(() => series.addUnsafe(Number.POSITIVE_INFINITY)).toThrow("Cannot add Infinity to a counter")
    expect(series.value).toBe(0)
  })
})

describe("a histogram of fixed buckets", () => {
  it("counts each value in the first bucket that holds it", () => {
    const { registry } = warned()
    const series = registry.fixedHistogram({ name: "size", help: "", bounds: [1, 10, 100] }).bind()
    for (const value of [0.5, 1, 1.5, 100, 101, Number.NaN]) series.observeUnsafe(value)
    expect(series.snapshot()).toEqual({ count: 5, sum: 204, counts: [2, 1, 1, 1] })
    expect(lines(registry)).toEqual([
      'size_bucket{le="1"} 2',
      'size_bucket{le="10"} 3',
      'size_bucket{le="100"} 4',
      'size_bucket{le="+Inf"} 5',
      "size_sum 204",
      "size_count 5"
    ])
  })

  it("refuses bounds that are not ascending", () => {
    expect(() => Registry.makeUnsafe().fixedHistogram({ name: "h", help: "", bounds: [1, 1] })).toThrow("the bound 1")
  })
})

describe("a timer", () => {
  it.effect("records durations and effects, in seconds", () =>
    Effect.gen(function* () {
      const series = Registry.makeUnsafe().timer({ name: "call_seconds", help: "" }).bind()
      series.recordUnsafe("1500 millis")
      expect(series.startUnsafe()()).toBeGreaterThanOrEqual(0)
      const fiber = yield* Effect.forkChild(series.timed(Effect.sleep("2 seconds")), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(fiber)
      expect(series.snapshot()).toMatchObject({ count: 3, max: 2 })
    })
  )

  it("says that it is in seconds", () => {
    expect(() => Registry.makeUnsafe().timer({ name: "call", help: "" })).toThrow("its name must end in _seconds")
  })
})

describe("a summary", () => {
  it("tells quantiles of what is not too old, and counts all", () => {
    const { advance, registry } = warned()
    const series = registry.summary({ name: "s", help: "", quantiles: [0, 1], maxAge: "10 seconds", steps: 5 }).bind()
    series.observeUnsafe(100)
    advance(6_000)
    series.observeUnsafe(1)
    expect(series.snapshot()).toEqual({
      count: 2,
      sum: 101,
      quantiles: [
        [0, 1],
        [1, 100]
      ]
    })
    advance(6_000)
    expect(series.snapshot().quantiles).toEqual([
      [0, 1],
      [1, 1]
    ])
    advance(60_000)
    expect(series.snapshot().quantiles).toEqual([
      [0, Number.NaN],
      [1, Number.NaN]
    ])
    expect(lines(registry)).toEqual(['s{quantile="0"} NaN', 's{quantile="1"} NaN', "s_sum 101", "s_count 2"])
  })

  it("refuses a quantile that is none", () => {
    expect(() => Registry.makeUnsafe().summary({ name: "s", help: "", quantiles: [2] })).toThrow("the quantile 2")
  })
})

describe("policies", () => {
  it.effect("count and time effects by how they end", () =>
    Effect.gen(function* () {
      const registry = Registry.makeUnsafe()
      const calls = registry.counter({ name: "calls_total", help: "", labels: ["to", "outcome"] })
      const seconds = registry.timer({ name: "calls_seconds", help: "", labels: ["outcome"] })
      const all = registry.counter({ name: "all_total", help: "" }).bind()
      const seen = <A, E>(effect: Effect.Effect<A, E>) =>
        effect.pipe(Track.countedByExit(calls, { to: "x" }), Track.timedByExit(seconds), Track.counted(all))
      yield* seen(Effect.void)
      yield* Effect.exit(seen(Effect.fail("no")))
      yield* Effect.exit(seen(Effect.die("no")))
      const fiber = yield* Effect.forkChild(seen(Effect.never), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      for (const outcome of ["success", "failure", "defect", "interrupted"]) {
        expect(calls.bind({ to: "x", outcome }).value).toBe(1)
        expect(seconds.bind({ outcome }).snapshot().count).toBe(1)
      }
      expect(all.value).toBe(4)
    })
  )
})

describe("faults", () => {
  it("tell a number for every quantile, at the ends of what numbers there are and with few buckets", () => {
    for (const maxBuckets of [2, 3, 4, 160]) {
      const series = Registry.makeUnsafe().histogram({ name: "h", help: "", maxBuckets }).bind()
      for (const value of [Number.MIN_VALUE, 1e-300, 1, 1e300, Number.MAX_VALUE]) series.observeUnsafe(value)
      const snapshot = series.snapshot()
      for (const q of [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1]) {
        expect(snapshot.quantile(q)).toBeGreaterThanOrEqual(Number.MIN_VALUE)
        expect(snapshot.quantile(q)).toBeLessThanOrEqual(Number.MAX_VALUE)
      }
      expect(snapshot.relativeError).toBeLessThanOrEqual(1)
    }
  })

  it("write every bound of a histogram once", () => {
    const { registry } = warned()
    registry.histogram({ name: "h", help: "" }).bind().observeUnsafe(Number.MAX_VALUE)
    const bounds = lines(registry).filter((line) => line.includes("le="))
    expect(new Set(bounds.map((line) => line.split(" ")[0])).size).toBe(bounds.length)
  })

  it("put a user's value of the overflow series into that series", () => {
    const { registry } = warned()
    const counter = registry.counter({ name: "a_total", help: "", labels: ["user"], maxSeries: 1 })
    for (const user of ["a", "b", "_overflow"]) counter.bind({ user }).incrementUnsafe()
    expect(lines(registry)).toEqual(['a_total{user="a"} 1', 'a_total{user="_overflow"} 2'])
  })

  it("tell of the overflow once, and how many label sets it took", () => {
    const { registry, warnings } = warned()
    const counter = registry.counter({ name: "a_total", help: "", labels: ["user"], maxSeries: 1 })
    for (const user of ["a", "b", "c"]) counter.bind({ user })
    expect(counter.overflowed).toBe(2)
    expect(warnings).toEqual([
      "a_total has 1 series, which is its limit: all further label sets share the series _overflow"
    ])
  })

  it("leave a metric out of the scrape whose reading fails, with one warning", () => {
    const { registry, warnings } = warned()
    registry.gaugeFrom({ name: "broken", help: "" }, () => {
      throw new Error("no such file")
    })
    registry.gaugeFrom({ name: "mislabelled", help: "", labels: ["x"] }, () => [[{ y: "1" }, 1]])
    registry.gauge({ name: "whole", help: "" }).bind().setUnsafe(1)
    expect(lines(registry)).toEqual(["whole 1"])
    expect(lines(registry)).toEqual(["whole 1"])
    expect(warnings).toEqual([
      "The scrape goes without broken: no such file",
      "The scrape goes without mislabelled: it was read with the labels y, and has x"
    ])
  })

  it("let nothing that is read override a constant label", () => {
    const registry = Registry.makeUnsafe({ labels: { worker: "1" } })
    expect(() => registry.gaugeFrom({ name: "g", help: "", labels: ["worker"] }, () => [])).toThrow('"worker"')
  })

  it("refuse a name that another metric stands under in the scrape", () => {
    const { registry } = warned()
    registry.histogram({ name: "h", help: "" })
    expect(() => registry.gauge({ name: "h_count", help: "" })).toThrow(
      "Cannot register h_count: the registry has h_count, which belongs to the histogram h"
    )
    registry.gauge({ name: "s_sum", help: "" })
    expect(() => registry.summary({ name: "s", help: "" })).toThrow("belongs to the gauge s_sum")
  })

  it("forget a metric that is taken out, so that its name is free", () => {
    const registry = Registry.makeUnsafe({ namespace: "app" })
    registry.histogram({ name: "h", help: "" })
    expect([registry.unregister("h"), registry.unregister("h")]).toEqual([true, false])
    registry.gauge({ name: "h_count", help: "" })
  })
})
