import { Explorer } from "@sluice/schedule-explorer"
import { Clock, Effect, Fiber, Random, Semaphore } from "effect"
import { describe, expect, it } from "vitest"

const together = <A, E>(...effects: ReadonlyArray<Effect.Effect<A, E>>) =>
  Effect.all(effects, { concurrency: "unbounded", discard: true })

/** Two fibers that read, then write. */
const lostUpdate = Effect.gen(function* () {
  let count = 0
  const increment = Effect.gen(function* () {
    const read = yield* Effect.sync(() => count)
    yield* Explorer.mark(`read ${read}`)
    yield* Effect.sync(() => {
      count = read + 1
    })
    yield* Explorer.mark(`wrote ${read + 1}`)
  })
  yield* together(increment, increment)
  if (count !== 2) yield* Effect.die(`lost an update: ${count}`)
})

const guardedUpdate = Effect.gen(function* () {
  const semaphore = yield* Semaphore.make(1)
  let count = 0
  const increment = semaphore.withPermit(
    Effect.gen(function* () {
      const read = count
      yield* Effect.yieldNow
      count = read + 1
    })
  )
  yield* together(increment, increment)
  if (count !== 2) yield* Effect.die(`lost an update: ${count}`)
})

describe("check", () => {
  it("finds a lost update that takes one preemption, and shows it", () => {
    const { failure } = Explorer.check(lostUpdate)
    expect(failure).toMatchObject({ type: "failure", message: expect.stringContaining("lost an update: 1") })
    expect(failure?.timeline).toContain("read 0")
    expect(failure?.timeline).toContain("⤳ preempted")
    expect(failure?.token).toMatch(/^s1-1-0:/)
  })

  it("finds nothing without preemption where it takes one", () => {
    const report = Explorer.check(lostUpdate, { strategy: Explorer.exhaustive({ maxPreemptions: 0 }) })
    expect(report).toMatchObject({ exhausted: true, failure: undefined })
  })

  it("runs every schedule of a program that is right, and says so", () => {
    const report = Explorer.check(guardedUpdate, { strategy: Explorer.exhaustive({ maxPreemptions: 3 }) })
    expect(report).toMatchObject({ exhausted: true, failure: undefined })
    expect(report.schedules).toBeGreaterThan(100)
  })

  it("says where it ended before every schedule was run", () => {
    const report = Explorer.check(guardedUpdate, { strategy: Explorer.exhaustive({ maxSchedules: 5 }) })
    expect(report).toMatchObject({ schedules: 5, exhausted: false, failure: undefined })
  })

  it("finds a deadlock and who waits", () => {
    const program = Effect.gen(function* () {
      const [left, right] = [Semaphore.makeUnsafe(1), Semaphore.makeUnsafe(1)]
      const both = (first: Semaphore.Semaphore, second: Semaphore.Semaphore) =>
        first.withPermit(Effect.andThen(Effect.yieldNow, second.withPermit(Effect.void)))
      yield* together(both(left, right), both(right, left))
    })
    const { failure } = Explorer.check(program)
    expect(failure).toMatchObject({ type: "deadlock" })
    expect(failure?.message).toContain("main, fiber 1, fiber 2 wait")
  })

  it("finds a livelock", () => {
    const program = Effect.forever(Effect.yieldNow)
    expect(Explorer.check(program, { maxSteps: 100 }).failure?.type).toBe("livelock")
  })

  it("ends a program that spins without ever yielding", () => {
    const program = Effect.forever(Effect.void, { disableYield: true })
    expect(Explorer.check(program, { maxSteps: 100 }).failure?.type).toBe("livelock")
  })

  it("finds a fiber that is left behind, unless that is allowed", () => {
    const program = Effect.forkDetach(Effect.never)
    expect(Explorer.check(program).failure?.type).toBe("leak")
    expect(Explorer.check(program, { allowLeaks: true }).failure).toBeUndefined()
  })

  it("tells a program that depends on more than the schedule", () => {
    let runs = 0
    const program = Effect.gen(function* () {
      runs++
      yield* Explorer.mark(`run ${runs}`)
      yield* Effect.die("always")
    })
    expect(Explorer.check(program).failure?.type).toBe("nondeterminism")
  })

  it("shows the simplest schedule that it can find", () => {
    const random = Explorer.check(lostUpdate, { strategy: Explorer.random({ runs: 1000, seed: 4 }) })
    const choices = random.failure?.token.split(":")[1]?.split(".") ?? []
    expect(choices.filter((choice) => choice !== "0")).toHaveLength(1)
  })
})

describe("the strategies", () => {
  const strategies = [
    Explorer.exhaustive(),
    Explorer.random({ runs: 500, seed: 1 }),
    Explorer.random({ runs: 500, seed: 2 }),
    Explorer.pct({ runs: 500, depth: 1, seed: 1 }),
    Explorer.pct({ runs: 500, depth: 2, seed: 9 })
  ]
  for (const strategy of strategies) {
    it(`${JSON.stringify(strategy)} finds the lost update, and its token repeats it`, () => {
      const { failure } = Explorer.check(lostUpdate, { strategy })
      expect(failure?.type).toBe("failure")
      const again = Explorer.check(lostUpdate, { strategy: Explorer.replay(failure?.token ?? "") })
      expect(again.failure).toEqual(failure)
    })
  }

  it("gives the same report for the same seed", () => {
    const strategy = Explorer.random({ runs: 300, seed: 42 })
    expect(Explorer.check(lostUpdate, { strategy })).toEqual(Explorer.check(lostUpdate, { strategy }))
  })

  it("refuses a token that is none", () => {
    expect(() => Explorer.check(lostUpdate, { strategy: Explorer.replay("s1:x") })).toThrow('Cannot replay "s1:x"')
  })
})

describe("interruption", () => {
  const program = (isSafe: boolean) =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(1)
      const use = isSafe
        ? semaphore.withPermit(Effect.yieldNow)
        : Effect.gen(function* () {
            yield* semaphore.take(1)
            yield* Effect.yieldNow
            yield* semaphore.release(1)
          })
      const fiber = yield* Effect.forkChild(use)
      yield* Fiber.await(fiber)
      yield* semaphore.withPermit(Effect.void)
    })

  it("finds a permit that is lost where a holder is interrupted", () => {
    const { failure } = Explorer.check(program(false), { interruptions: 1 })
    expect(failure?.type).toBe("deadlock")
    expect(failure?.timeline).toContain("✗ interrupted")
  })

  it("holds where the permit is given back however the holder ends", () => {
    Explorer.assert(program(true), { interruptions: 1 })
  })
})

describe("time", () => {
  it("moves when nothing else can, and starts at 0", () => {
    const program = Effect.gen(function* () {
      const before = yield* Clock.currentTimeMillis
      yield* Effect.sleep("3 hours")
      const after = yield* Clock.currentTimeMillis
      if (before !== 0 || after !== 10_800_000) yield* Effect.die(`${before} to ${after}`)
    })
    Explorer.assert(program)
  })

  it("has timers that fall together fire in either order", () => {
    const seen = new Set<string>()
    const program = Effect.gen(function* () {
      const order: Array<string> = []
      const after = (name: string) =>
        Effect.andThen(
          Effect.sleep("1 second"),
          Effect.sync(() => order.push(name))
        )
      yield* together(after("a"), after("b"))
      yield* Effect.sync(() => seen.add(order.join("")))
    })
    Explorer.assert(program)
    expect([...seen].sort()).toEqual(["ab", "ba"])
  })

  it("has random numbers that a seed repeats", () => {
    const drawn = new Set<number>()
    const program = Effect.map(Random.next, (value) => void drawn.add(value))
    Explorer.assert(program, { seed: 5 })
    Explorer.assert(program, { seed: 5 })
    expect(drawn.size).toBe(1)
    Explorer.assert(program, { seed: 6 })
    expect(drawn.size).toBe(2)
  })
})

describe("assert", () => {
  it("throws the timeline and how to repeat it", () => {
    expect(() => Explorer.assert(lostUpdate)).toThrow(/lost an update[\s\S]+fiber 2[\s\S]+Explorer\.replay\("s1-1-0:/)
  })

  it("throws where it could not run every schedule", () => {
    const strategy = Explorer.exhaustive({ maxSchedules: 3 })
    expect(() => Explorer.assert(guardedUpdate, { strategy })).toThrow("3 were run and there are more")
  })
})
