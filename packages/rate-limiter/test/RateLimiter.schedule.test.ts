// Every schedule of small programs, with an interruption at every point.

import { KeyedRateLimiter, RateLimiter } from "@sluice/rate-limiter"
import { Explorer } from "@sluice/schedule-explorer"
import { Clock, Effect, Exit, Fiber } from "effect"
import { describe, it } from "vitest"

const dieUnless = (holds: boolean, message: string) => (holds ? Effect.void : Effect.die(message))

describe("RateLimiter", () => {
  it("serves in order, each in its time, whoever leaves and when", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 1, interval: "1 second", burst: 1 })
      const served: Array<{ readonly name: number; readonly at: number }> = []
      const fibers = yield* Effect.forEach([0, 1, 2], (name) =>
        Effect.forkChild(limiter.limit()(Effect.map(Clock.currentTimeMillis, (at) => void served.push({ name, at }))), {
          startImmediately: true
        })
      )
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      const gaps = served.slice(1).map(({ at }, index) => at - (served[index]?.at ?? 0))
      yield* dieUnless(
        gaps.every((gap) => gap >= 1000),
        `too close: ${gaps.join()}`
      )
      yield* dieUnless(served.length >= exits.filter(Exit.isSuccess).length, "somebody was not served")
      yield* dieUnless(limiter.statsUnsafe().waiting === 0, "somebody waits at the end")
      // Whoever left has taken nothing: the next is served one interval after the last that was.
      const last = served.at(-1)?.at ?? -1000
      yield* limiter.take()
      const next = yield* Clock.currentTimeMillis
      yield* dieUnless(next <= Math.max(last, 0) + 2000, `a turn was lost: ${last} then ${next}`)
    })
    Explorer.assert(program, { strategy: Explorer.exhaustive({ maxPreemptions: 2, maxSchedules: 100_000 }) })
    Explorer.assert(program, {
      interruptions: 1,
      strategy: Explorer.exhaustive({ maxPreemptions: 1, maxSchedules: 100_000 })
    })
  })

  it("refuses at once what comes too late, and has it take nothing", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ limit: 1, interval: "1 second", burst: 1 })
      const take = limiter.take(1, { maxWait: "1500 millis" })
      const fibers = yield* Effect.forEach([0, 1, 2], () => Effect.forkChild(Effect.exit(take)))
      const exits = yield* Effect.forEach(fibers, Fiber.join)
      yield* dieUnless(exits.filter(Exit.isSuccess).length === 2, "two of three fit into the wait")
      yield* dieUnless(limiter.statsUnsafe().admitted === 2, "what was refused has taken something")
    })
    Explorer.assert(program, { strategy: Explorer.exhaustive({ maxPreemptions: 2, maxSchedules: 100_000 }) })
  })
})

describe("KeyedRateLimiter", () => {
  it("keeps no queue for a key that nobody waits for, whoever leaves and when", () => {
    const program = Effect.gen(function* () {
      const limiter = yield* KeyedRateLimiter.make({ limit: 1, interval: "1 second", burst: 1 })
      const fibers = yield* Effect.forEach(["a", "a", "b"], (key) => Effect.forkChild(limiter.take(key)))
      yield* Effect.forEach(fibers, Fiber.await)
      yield* dieUnless(limiter.statsUnsafe().waiting === 0, "somebody waits at the end")
      yield* Effect.sleep("1 second")
      const { allowed } = yield* limiter.tryTake("a")
      yield* dieUnless(allowed, "a turn was lost")
    })
    Explorer.assert(program, {
      interruptions: 1,
      strategy: Explorer.exhaustive({ maxPreemptions: 1, maxSchedules: 100_000 })
    })
  })
})
