// What instruments share between fibers: every schedule of small programs, with
// an interruption before every primitive.

import { Registry } from "@sluice/metrics"
import { Explorer } from "@sluice/schedule-explorer"
import { Effect, Exit, Fiber } from "effect"
import { describe, it } from "vitest"

const dieUnless = (holds: boolean, message: string) => (holds ? Effect.void : Effect.die(message))

const forkAll = <A, E>(effects: ReadonlyArray<Effect.Effect<A, E>>) =>
  Effect.forEach(effects, (effect) => Effect.forkChild(effect))

const holds = (program: Effect.Effect<unknown, unknown>, preemptions = 3): void => {
  const maxSchedules = 200_000
  Explorer.assert(program, { strategy: Explorer.exhaustive({ maxPreemptions: preemptions, maxSchedules }) })
  Explorer.assert(program, { interruptions: 1, strategy: Explorer.exhaustive({ maxPreemptions: 1, maxSchedules }) })
  Explorer.assert(program, {
    interruptions: 2,
    strategy: Explorer.random({ runs: 2000, seed: 21, maxPreemptions: 3 })
  })
}

const valuesOf = (registry: Registry.Registry, name: string): ReadonlyArray<number> =>
  registry
    .snapshotUnsafe()
    .flatMap((metric) =>
      metric.name === name && (metric.type === "counter" || metric.type === "gauge") ? metric.series : []
    )
    .map(({ value }) => value)

describe("a counter", () => {
  it("loses no update of fibers that share it, nor of those that bind it at the same time", () => {
    holds(
      Effect.gen(function* () {
        const registry = Registry.makeUnsafe()
        const counter = registry.counter({ name: "calls_total", help: "Calls", labels: ["to"] })
        let done = 0
        const call = Effect.suspend(() =>
          Effect.onExit(counter.bind({ to: "a" }).increment, (exit) =>
            Effect.sync(() => {
              if (Exit.isSuccess(exit)) done++
            })
          )
        )
        const fibers = yield* forkAll([Effect.andThen(call, call), call])
        yield* Effect.forEach(fibers, Fiber.await)
        const [value, ...others] = valuesOf(registry, "calls_total")
        yield* dieUnless(others.length === 0, "the series was made twice")
        yield* dieUnless((value ?? 0) >= done && (value ?? 0) <= 3, `${value} counted, ${done} done`)
      })
    )
  })

  it("counts on past a reset, in a series that is bound anew", () => {
    holds(
      Effect.gen(function* () {
        const registry = Registry.makeUnsafe()
        const counter = registry.counter({ name: "calls_total", help: "Calls" })
        const call = Effect.suspend(() => counter.bind().increment)
        const fibers = yield* forkAll([call, registry.reset, call])
        yield* Effect.forEach(fibers, Fiber.await)
        yield* call
        const [value = 0, ...others] = valuesOf(registry, "calls_total")
        yield* dieUnless(others.length === 0 && value >= 1 && value <= 3, `${value} counted`)
      })
    )
  })
})

describe("a gauge", () => {
  it("counts what runs, and is back at 0 whoever is interrupted and when", () => {
    holds(
      Effect.gen(function* () {
        const registry = Registry.makeUnsafe()
        const gauge = registry.gauge({ name: "running", help: "Running" }).bind()
        let running = 0
        yield* Explorer.always("no less than what runs", () => gauge.value >= running)
        yield* Explorer.atEnd("nothing runs", () => gauge.value === 0 || `${gauge.value} do`)
        const job = Effect.acquireUseRelease(
          Effect.sync(() => void running++),
          () => Effect.yieldNow,
          () => Effect.sync(() => void running--)
        )
        const fibers = yield* forkAll([gauge.whileRunning(job), gauge.whileRunning(job)])
        yield* Effect.forEach(fibers, Fiber.await)
      }),
      2
    )
  })
})

describe("a histogram", () => {
  it("records each effect once, by virtual time, however it ends", () => {
    holds(
      Effect.gen(function* () {
        const registry = Registry.makeUnsafe()
        const histogram = registry.histogram({ name: "seconds", help: "Time" }).bind()
        let begun = 0
        const job = Effect.andThen(
          Effect.sync(() => void begun++),
          Effect.sleep("2 seconds")
        )
        const fibers = yield* forkAll([histogram.timed(job), histogram.timed(job)])
        const exits = yield* Effect.forEach(fibers, Fiber.await)
        const { count, max, sum } = histogram.snapshot()
        const whole = exits.filter(Exit.isSuccess).length
        yield* dieUnless(count >= begun && count <= 2, `${count} recorded of ${begun}`)
        yield* dieUnless(whole === 0 || (max === 2 && sum >= 2 * whole), `${sum} s in all, ${max} s at most`)
      })
    )
  })
})

describe("a snapshot", () => {
  it("has figures that belong together, whatever runs beside it", () => {
    holds(
      Effect.gen(function* () {
        const registry = Registry.makeUnsafe()
        const [left, right] = ["left_total", "right_total"].map((name) => registry.counter({ name, help: name }).bind())
        const both = Effect.sync(() => {
          left?.incrementUnsafe()
          right?.incrementUnsafe()
        })
        const look = Effect.flatMap(registry.snapshot, (metrics) => {
          const values = metrics.flatMap((metric) => (metric.type === "counter" ? metric.series : []))
          return dieUnless(new Set(values.map(({ value }) => value)).size <= 1, JSON.stringify(values))
        })
        const fibers = yield* forkAll([Effect.andThen(both, both), look])
        const exits = yield* Effect.forEach(fibers, Fiber.await)
        for (const exit of exits) yield* dieUnless(Exit.isSuccess(exit) || Exit.hasInterrupts(exit), String(exit))
      })
    )
  })

  it("pulls what is kept elsewhere once, at the moment", () => {
    holds(
      Effect.gen(function* () {
        const registry = Registry.makeUnsafe()
        let held = 0
        let pulls = 0
        registry.gaugeFrom({ name: "held", help: "Held" }, () => {
          pulls++
          return [[{}, held]]
        })
        const hold = Effect.acquireUseRelease(
          Effect.sync(() => void held++),
          () => Effect.yieldNow,
          () => Effect.sync(() => void held--)
        )
        const look = Effect.map(registry.snapshot, () => valuesOf(registry, "held")[0] === held)
        const fibers = yield* forkAll([hold, Effect.flatMap(look, (same) => dieUnless(same, "it was not the moment"))])
        const exits = yield* Effect.forEach(fibers, Fiber.await)
        for (const exit of exits) yield* dieUnless(Exit.isSuccess(exit) || Exit.hasInterrupts(exit), String(exit))
        yield* dieUnless(pulls === 0 || pulls === 2, `${pulls} pulls`)
      })
    )
  })
})
