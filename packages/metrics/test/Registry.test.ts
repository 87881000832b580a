import { describe, expect, it } from "@effect/vitest"
import { Exposition, Registry } from "@sluice/metrics"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"

const lines = (registry: Registry.Registry): ReadonlyArray<string> =>
  Exposition.prometheusText(registry)
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))

describe("a counter", () => {
  it("only grows", () => {
    const series = Registry.makeUnsafe().counter({ name: "jobs_total", help: "Jobs." }).bind()
    series.incrementUnsafe()
    series.addUnsafe(2.5)
    expect(series.value).toBe(3.5)
    expect(() => series.addUnsafe(-1)).toThrow("Cannot add -1 to a counter")
    expect(() => series.addUnsafe(Number.NaN)).toThrow("Cannot add NaN")
  })

  it("gives the same series for the same labels, in whatever order they stand", () => {
    const counter = Registry.makeUnsafe().counter({ name: "a_total", help: "", labels: ["x", "y"] })
    expect(counter.bind({ x: "1", y: "2" })).toBe(counter.bind({ y: "2", x: "1" }))
    expect(counter.bind({ x: "1", y: "2" })).not.toBe(counter.bind({ x: "2", y: "1" }))
    expect(counter.bind({ x: 'a","b', y: "c" })).not.toBe(counter.bind({ x: "a", y: 'b","c' }))
  })

  it("refuses labels that are not its own", () => {
    const counter = Registry.makeUnsafe().counter({ name: "a_total", help: "", labels: ["x"] })
    expect(() => counter.bind({ y: "1" })).toThrow("Cannot bind a_total to the labels y: its labels are x")
    expect(() => counter.bind()).toThrow("its labels are x")
    expect(() => counter.bind({ x: "1", y: "2" })).toThrow("its labels are x")
  })
})

describe("a gauge", () => {
  it.effect("counts effects while they run, however they end", () =>
    Effect.gen(function* () {
      const running = Registry.makeUnsafe().gauge({ name: "running", help: "" }).bind()
      const fiber = yield* Effect.forkChild(running.whileRunning(Effect.never), { startImmediately: true })
      yield* Effect.exit(running.whileRunning(Effect.die("no")))
      expect(running.value).toBe(1)
      yield* Fiber.interrupt(fiber)
      expect(running.value).toBe(0)
    })
  )

  it("is read when it is scraped, where its state is kept elsewhere", () => {
    const registry = Registry.makeUnsafe()
    let waiting = 1
    registry.gaugeFrom({ name: "waiting", help: "", labels: ["queue"] }, () => [[{ queue: "a" }, waiting]])
    waiting = 7
    expect(lines(registry)).toEqual(['waiting{queue="a"} 7'])
  })
})

describe("a histogram", () => {
  it.effect("records how long an effect takes, however it ends", () =>
    Effect.gen(function* () {
      const series = Registry.makeUnsafe().histogram({ name: "seconds", help: "" }).bind()
      const fiber = yield* Effect.forkChild(
        Effect.exit(series.timed(Effect.andThen(Effect.sleep("2 seconds"), Effect.fail("no"))))
      )
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(fiber)
      expect(series.snapshot()).toMatchObject({ count: 1, sum: 2, min: 2, max: 2 })
    })
  )

  it("leaves out what is not finite, and counts zero and below in one bucket", () => {
    const series = Registry.makeUnsafe().histogram({ name: "h", help: "" }).bind()
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 0, -3, 4]) series.observeUnsafe(value)
    const snapshot = series.snapshot()
    expect(snapshot).toMatchObject({ count: 3, sum: 1, min: -3, max: 4 })
    expect(snapshot.quantile(0.5)).toBe(0)
    expect(snapshot.quantile(1)).toBe(4)
    expect(snapshot.cumulative).toEqual([
      [0, 2],
      [4, 3]
    ])
  })

  it("holds every finite number, from the least to the largest", () => {
    const series = Registry.makeUnsafe().histogram({ name: "h", help: "" }).bind()
    for (const value of [Number.MIN_VALUE, 1, Number.MAX_VALUE]) series.observeUnsafe(value)
    expect(series.snapshot().cumulative.at(-1)?.[1]).toBe(3)
  })

  it("knows nothing before it has recorded anything", () => {
    const snapshot = Registry.makeUnsafe().histogram({ name: "h", help: "" }).bind().snapshot()
    expect([snapshot.count, snapshot.min, snapshot.max, snapshot.quantile(0.5)]).toEqual([0, NaN, NaN, NaN])
  })

  it("has a snapshot that later values do not change", () => {
    const series = Registry.makeUnsafe().histogram({ name: "h", help: "" }).bind()
    series.observeUnsafe(1)
    const before = series.snapshot()
    series.observeUnsafe(100)
    expect(before).toMatchObject({ count: 1, max: 1 })
    expect(before.quantile(1)).toBe(1)
  })
})

describe("the registry", () => {
  it("puts label sets beyond the limit into one series, and goes on counting", () => {
    const registry = Registry.makeUnsafe()
    const counter = registry.counter({ name: "hits_total", help: "", labels: ["user"], maxSeries: 2 })
    for (const user of ["a", "b", "c", "d", "c"]) counter.bind({ user }).incrementUnsafe()
    expect(lines(registry)).toEqual([
      'hits_total{user="a"} 1',
      'hits_total{user="b"} 1',
      'hits_total{user="_overflow"} 3'
    ])
  })

  it("forgets a series that is removed", () => {
    const registry = Registry.makeUnsafe()
    const gauge = registry.gauge({ name: "g", help: "", labels: ["x"] })
    gauge.bind({ x: "1" }).setUnsafe(5)
    expect([gauge.remove({ x: "1" }), gauge.remove({ x: "1" })]).toEqual([true, false])
    expect(lines(registry)).toEqual([])
  })

  const refused: ReadonlyArray<readonly [string, (registry: Registry.Registry) => void, string]> = [
    ["a name with a dash", (registry) => registry.gauge({ name: "a-b", help: "" }), '"a-b"'],
    ["a counter that does not say so", (registry) => registry.counter({ name: "hits", help: "" }), "_total"],
    ["a reserved label", (registry) => registry.histogram({ name: "h", help: "", labels: ["le"] }), '"le"'],
    ["a label with __", (registry) => registry.gauge({ name: "g", help: "", labels: ["__x"] }), '"__x"'],
    ["a label twice", (registry) => registry.gauge({ name: "g", help: "", labels: ["x", "x"] }), "each name once"],
    [
      "a name that is taken",
      (registry) => {
        registry.gauge({ name: "g", help: "" })
        registry.histogram({ name: "g", help: "" })
      },
      "a gauge of that name already"
    ]
  ]
  for (const [what, register, message] of refused) {
    it(`refuses ${what}`, () => {
      expect(() => register(Registry.makeUnsafe())).toThrow(message)
    })
  }

  it("gives every series its namespace and constant labels", () => {
    const registry = Registry.makeUnsafe({ namespace: "app", labels: { worker: "1" } })
    registry
      .counter({ name: "a_total", help: "", labels: ["x"] })
      .bind({ x: "y" })
      .incrementUnsafe()
    expect(lines(registry)).toEqual(['app_a_total{worker="1",x="y"} 1'])
  })

  it.effect("is provided as a service", () =>
    Effect.gen(function* () {
      const registry = yield* Registry.Registry
      expect(yield* registry.snapshot).toEqual([])
    }).pipe(Effect.provide(Registry.layer()))
  )
})

describe("the Prometheus text", () => {
  it("counts every series at the same bounds, so that they may be added up", () => {
    const registry = Registry.makeUnsafe()
    const histogram = registry.histogram({ name: "h", help: "", labels: ["x"] })
    histogram.bind({ x: "fast" }).observeUnsafe(0.3)
    histogram.bind({ x: "slow" }).observeUnsafe(6)
    histogram.bind({ x: "none" }).observeUnsafe(0)
    const bounds = (x: string) =>
      lines(registry).flatMap((line) => new RegExp(`^h_bucket\\{x="${x}",le="([^"]+)"`).exec(line)?.[1] ?? [])
    expect(bounds("fast")).toHaveLength(26)
    expect(bounds("slow")).toEqual(bounds("fast"))
    expect(bounds("none")).toEqual(bounds("fast"))
    expect(lines(registry)).toContain('h_bucket{x="none",le="0.00006103515625"} 1')
    expect(lines(registry)).toContain('h_bucket{x="fast",le="8"} 1')
  })

  it("refuses bounds at which it could not count exactly", () => {
    const register = (bounds: ReadonlyArray<number>) => Registry.makeUnsafe().histogram({ name: "h", help: "", bounds })
    for (const bounds of [[0.3], [0], [2, 1], [1, 1]]) expect(() => register(bounds)).toThrow("powers of two")
  })

  it("is what the format says", () => {
    const registry = Registry.makeUnsafe()
    const counter = registry.counter({ name: "requests_total", help: "All\nrequests \\ ever.", labels: ["path"] })
    counter.bind({ path: 'a"b\\c\nd' }).addUnsafe(3)
    const series = registry
      .histogram({ name: "seconds", help: "Time.", labels: ["op"], bounds: [0.25, 0.5, 1, 2, 4, 8] })
      .bind({ op: "read" })
    for (const value of [0.3, 0.5, 0.9, 3]) series.observeUnsafe(value)
    expect(Exposition.prometheusText(registry)).toBe(
      [
        "# HELP requests_total All\\nrequests \\\\ ever.",
        "# TYPE requests_total counter",
        'requests_total{path="a\\"b\\\\c\\nd"} 3',
        "# HELP seconds Time.",
        "# TYPE seconds histogram",
        'seconds_bucket{op="read",le="0.25"} 0',
        'seconds_bucket{op="read",le="0.5"} 2',
        'seconds_bucket{op="read",le="1"} 3',
        'seconds_bucket{op="read",le="2"} 3',
        'seconds_bucket{op="read",le="4"} 4',
        'seconds_bucket{op="read",le="8"} 4',
        'seconds_bucket{op="read",le="+Inf"} 4',
        'seconds_sum{op="read"} 4.7',
        'seconds_count{op="read"} 4',
        ""
      ].join("\n")
    )
  })
})
