// Every schedule of small programs that reserve, adjust, change the limit and block, with an interruption at every point.

import { KeyedRateLimiter, Quota, RateLimiter } from "@sluice/rate-limiter"
import { RateLimitLearner } from "@sluice/rate-limiter/learner"
import { Explorer } from "@sluice/schedule-explorer"
import { Clock, Duration, Effect, Fiber } from "effect"
import { describe, it } from "vitest"
import { algorithms, brokenPromise, type Event, optionsOf } from "./promises.ts"

const dieUnless = (holds: boolean, message: string) => (holds ? Effect.void : Effect.die(message))

const exploreBoth = (program: Effect.Effect<void, unknown>) => {
  Explorer.assert(program, { strategy: Explorer.exhaustive({ maxPreemptions: 1, maxSchedules: 100_000 }) })
  Explorer.assert(program, {
    interruptions: 1,
    strategy: Explorer.exhaustive({ maxPreemptions: 1, maxSchedules: 100_000 })
  })
}

const limit = { limit: 1, interval: 1000, burst: 1 }

describe("RateLimiter", () => {
  it.each(algorithms)("breaks no promise where one waits, one reserves and one cancels: %s", (algorithm) => {
    exploreBoth(
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.make(optionsOf(algorithm, limit))
        const events: Array<Event> = []
        const note = Effect.map(Clock.currentTimeMillis, (at) => void events.push({ at, cost: 1 }))
        yield* limiter.take()
        yield* note
        const waits = yield* Effect.forkChild(limiter.limit()(note))
        const reserves = yield* Effect.forkChild(
          Effect.flatMap(limiter.reserve(), (kept) =>
            Effect.map(
              Clock.currentTimeMillis,
              (at) => void events.push({ at: at + Duration.toMillis(kept.delay), cost: 1 })
            )
          )
        )
        const cancels = yield* Effect.forkChild(Effect.flatMap(limiter.reserve(), ({ cancel }) => cancel))
        yield* Effect.forEach([waits, reserves, cancels], Fiber.await)
        yield* dieUnless(limiter.statsUnsafe().waiting === 0, "somebody waits at the end")
        const broken = brokenPromise(algorithm, limit, events)
        yield* dieUnless(broken === undefined, broken ?? "")
        yield* limiter.take(1, { maxWait: "10 seconds" })
      })
    )
  })

  it("wakes who waits when the limit changes, whatever comes in between", () => {
    exploreBoth(
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.make({ limit: 1, interval: "1 hour" })
        yield* limiter.take()
        const waits = yield* Effect.forkChild(limiter.take())
        const changes = yield* Effect.forkChild(limiter.updateConfig({ interval: "1 second" }))
        yield* Effect.forEach([waits, changes], Fiber.await)
        yield* limiter.updateConfig({ interval: "1 second" })
        yield* limiter.take()
        const at = yield* Clock.currentTimeMillis
        yield* dieUnless(at <= 3_602_000, `the change was missed until ${at}`)
        yield* dieUnless(limiter.statsUnsafe().waiting === 0, "somebody waits at the end")
      })
    )
  })

  it("wakes who waits when a cost is given back or a block ends, whatever comes in between", () => {
    exploreBoth(
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.make({ limit: 1, interval: "1 hour" })
        yield* limiter.take()
        yield* limiter.block("1 hour")
        const waits = yield* Effect.forkChild(Effect.andThen(limiter.take(), Clock.currentTimeMillis))
        yield* Effect.yieldNow
        yield* limiter.adjust(-1)
        yield* limiter.block(0)
        yield* Fiber.await(waits)
        const at = yield* Clock.currentTimeMillis
        yield* dieUnless(at < 3_600_000, `who waited was left waiting until ${at}`)
        yield* dieUnless(limiter.statsUnsafe().waiting === 0, "somebody waits at the end")
      })
    )
  })
})

describe("KeyedRateLimiter", () => {
  it("lets nobody wait for longer than he named, also where the key is blocked meanwhile", () => {
    exploreBoth(
      Effect.gen(function* () {
        const limiter = yield* KeyedRateLimiter.make({ limit: 1, interval: "1 second" })
        yield* limiter.take("a")
        const late: Array<number> = []
        const take = Effect.gen(function* () {
          yield* Effect.exit(limiter.take("a", 1, { maxWait: "1500 millis" }))
          const at = yield* Clock.currentTimeMillis
          if (at > 1500) late.push(at)
        })
        const fibers = [yield* Effect.forkChild(take), yield* Effect.forkChild(limiter.block("a", "3 seconds"))]
        yield* Effect.forEach(fibers, Fiber.await)
        yield* dieUnless(late.length === 0, `waited until ${late.join()}`)
        yield* dieUnless(limiter.statsUnsafe().waiting === 0, "somebody waits at the end")
      })
    )
  })
})

describe("Quota", () => {
  it("takes from all or none, whoever leaves and when", () => {
    exploreBoth(
      Effect.gen(function* () {
        const quota = yield* Quota.make({ limits: { a: limit, b: { ...limit, burst: 2 } } })
        const events: Array<Event> = []
        const costs = [{ a: 1, b: 2 }, { b: 1 }, { a: 1, b: 1 }]
        const fibers = yield* Effect.forEach(costs, (cost) =>
          Effect.forkChild(
            quota.limit(cost)(Effect.map(Clock.currentTimeMillis, (at) => void events.push({ at, cost: cost.b })))
          )
        )
        yield* Effect.forEach(fibers, Fiber.await)
        const broken = brokenPromise("gcra", { ...limit, burst: 2 }, events)
        yield* dieUnless(broken === undefined, broken ?? "")
        yield* dieUnless(quota.statsUnsafe().waiting === 0, "somebody waits at the end")
        yield* Effect.sleep("2 seconds")
        const { allowed } = yield* quota.tryTake({ a: 1, b: 2 })
        yield* dieUnless(allowed, "something was left taken")
      })
    )
  })
})

describe("RateLimitLearner.make", () => {
  it("counts no request as under way that is over, whoever leaves and when", () => {
    exploreBoth(
      Effect.gen(function* () {
        const learner = yield* RateLimitLearner.make({ burst: 1 })
        const call = learner.pace((headers: Readonly<Record<string, string>>) => headers)(
          Effect.as(Effect.yieldNow, { ratelimit: '"a";r=5;t=60' })
        )
        const fibers = [yield* Effect.forkChild(call), yield* Effect.forkChild(call)]
        yield* Effect.forEach(fibers, Fiber.await)
        yield* Effect.sleep("61 seconds")
        yield* learner.observe({ ratelimit: '"a";r=5;t=60' })
        const { remaining, waiting } = learner.statsUnsafe()
        yield* dieUnless(remaining["a"] === 5, `remaining: ${remaining["a"]}`)
        yield* dieUnless(waiting === 0, "somebody waits at the end")
      })
    )
  })
})
