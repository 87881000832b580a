// Policies around policies, under every schedule of small programs, with an
// interruption before every primitive: nothing is left, whatever stands around
// what, and whoever leaves when.

import { RateLimiter } from "@sluice/rate-limiter"
import { Backoff, Deadline, Hedge, Retry, RetryBudget } from "@sluice/retry"
import { Explorer } from "@sluice/schedule-explorer"
import { Bulkhead, Semaphore } from "@sluice/semaphore"
import { Clock, Effect, Exit, Fiber } from "effect"
import { CircuitBreaker } from "effect/persistence"
import { describe, it } from "vitest"

const dieUnless = (holds: boolean, message: string) => (holds ? Effect.void : Effect.die(message))

const everySecond = Backoff.linear({ base: "1 second", jitter: "none" })

/** Work that holds something while it runs, and that nothing may outlive. */
const work = <A, E>(attempt: (nth: number) => Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const state = { open: 0, most: 0, begun: 0 }
    yield* Explorer.atEnd("work that was begun has ended", () => state.open === 0 || `${state.open} still runs`)
    const effect = Effect.acquireUseRelease(
      Effect.sync(() => {
        state.begun++
        state.open++
        state.most = Math.max(state.most, state.open)
        return state.begun
      }),
      attempt,
      () => Effect.sync(() => void state.open--)
    )
    return { state, effect }
  })

/** Calls beside one another; the fibers that a policy runs within are its own, and nobody else's to interrupt. */
const calls = <A, E>(effects: ReadonlyArray<Effect.Effect<A, E>>) =>
  Effect.gen(function* () {
    const fibers = yield* Effect.forEach(effects, (effect) => Effect.forkChild(Explorer.victim(effect)))
    const exits = yield* Effect.forEach(fibers, Fiber.await)
    for (const exit of exits) {
      const isDefect = Exit.isFailure(exit) && exit.cause.reasons.some(({ _tag }) => _tag === "Die")
      yield* dieUnless(!isDefect, String(exit))
    }
    return exits
  })

interface Bounds {
  /** Preemptions up to which all schedules are run. */
  readonly preemptions: number
  /** The same, where there is an interruption as well. */
  readonly besideAnInterruption: number
}

const holds = (program: Effect.Effect<unknown, unknown>, { besideAnInterruption, preemptions }: Bounds): void => {
  const maxSchedules = 100_000
  Explorer.assert(program, { strategy: Explorer.exhaustive({ maxPreemptions: preemptions, maxSchedules }) })
  Explorer.assert(program, {
    interruptions: 1,
    strategy: Explorer.exhaustive({ maxPreemptions: besideAnInterruption, maxSchedules })
  })
  Explorer.assert(program, {
    interruptions: 2,
    strategy: Explorer.random({ runs: 2000, seed: 37, maxPreemptions: 3 })
  })
}

describe("a hedge inside a bulkhead inside a deadline", () => {
  for (const [when, millis] of [
    ["in time", 5],
    ["by its copy", 50],
    ["at the deadline", 100],
    ["too late", 500]
  ] as const) {
    it(`leaks nothing where it is done ${when}`, () => {
      const program = Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ permits: 1, maxWaiting: 1 })
        yield* Explorer.expectIdle("the bulkhead", bulkhead)
        const { effect, state } = yield* work((nth) => Effect.sleep(nth === 1 ? millis : 40))
        const call = effect.pipe(
          Hedge.hedge({ idempotent: true, delay: "10 millis" }),
          bulkhead.withPermit,
          Deadline.within("100 millis")
        )
        yield* calls([call])
        const now = yield* Clock.currentTimeMillis
        yield* dieUnless(now <= 100 && state.most <= 2, `${now} ms, ${state.most} copies`)
      })
      holds(program, { preemptions: 2, besideAnInterruption: 1 })
    })
  }

  it("leaks nothing where two calls share the bulkhead, and one waits", () => {
    const program = Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, maxWaiting: 1 })
      yield* Explorer.expectIdle("the bulkhead", bulkhead)
      const { effect, state } = yield* work(() => Effect.sleep(30))
      const call = effect.pipe(
        Hedge.hedge({ idempotent: true, delay: "10 millis" }),
        bulkhead.withPermit,
        Deadline.within("50 millis")
      )
      yield* calls([call, call])
      yield* dieUnless(state.most <= 2, `${state.most} copies of one call`)
    })
    holds(program, { preemptions: 1, besideAnInterruption: 0 })
  })
})

describe("a retry budget around a breaker", () => {
  it("asks a dead dependency no more than the breaker allows, and pays for each retry that it makes", () => {
    const breaker = CircuitBreaker.layer({ tripPolicy: CircuitBreaker.consecutive(2), openDuration: "1 minute" })
    const program = Effect.gen(function* () {
      const { execute } = yield* CircuitBreaker.CircuitBreaker
      const budget = RetryBudget.makeUnsafe({ ratio: 1, minPerSecond: 0 })
      const { effect, state } = yield* work(() => Effect.fail("down" as const))
      const retry = Retry.retry<"down" | CircuitBreaker.CircuitBreakerError>({
        maxAttempts: 3,
        backoff: everySecond,
        budget,
        while: (error) => error === "down"
      })
      const call = effect.pipe(execute({ key: "it" }), retry)
      yield* calls([call, call])
      // Calls that were under way when it tripped had been let through.
      yield* dieUnless(state.begun <= 4, `${state.begun} attempts reached it`)
      const { granted } = budget.statsUnsafe(0)
      yield* dieUnless(granted === retry.statsUnsafe().retries && granted <= 2, `${granted} were paid for`)
    }).pipe(Effect.provide(breaker), Effect.provide(CircuitBreaker.layerStoreMemory()))
    holds(program, { preemptions: 1, besideAnInterruption: 0 })
  })
})

describe("the order of policies", () => {
  it("has a permit inside a retry given back while the retry waits, under any schedule", () => {
    const program = Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(1)
      yield* Explorer.expectIdle("the semaphore", semaphore)
      const { effect, state } = yield* work((nth) => (nth === 1 ? Effect.fail("not yet") : Effect.void))
      const retry = Retry.retry<string>({ maxAttempts: 2, backoff: everySecond })
      yield* calls([retry(semaphore.withPermit(effect)), retry(semaphore.withPermit(effect))])
      const now = yield* Clock.currentTimeMillis
      yield* dieUnless(now <= 1000 && state.most <= 1, `${now} ms, ${state.most} at once`)
    })
    holds(program, { preemptions: 3, besideAnInterruption: 1 })
  })

  it("has a retry inside a permit hold it, and the other call wait", () => {
    const program = Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(1)
      yield* Explorer.expectIdle("the semaphore", semaphore)
      const { effect } = yield* work((nth) => (nth === 1 ? Effect.fail("not yet") : Effect.void))
      const retry = Retry.retry<string>({ maxAttempts: 2, backoff: everySecond })
      const exits = yield* calls([semaphore.withPermit(retry(effect)), semaphore.withPermit(retry(effect))])
      const now = yield* Clock.currentTimeMillis
      yield* dieUnless(!exits.every(Exit.isSuccess) || now === 1000, `${now} ms`)
    })
    holds(program, { preemptions: 3, besideAnInterruption: 1 })
  })

  it("has a limiter inside a permit pace who holds one, and a turn go to nobody who left", () => {
    const program = Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(1)
      const limiter = yield* RateLimiter.make({ limit: 1, interval: "1 second", burst: 1 })
      yield* Explorer.expectIdle("the semaphore", semaphore)
      yield* Explorer.atEnd("nobody waits for the limiter", () => limiter.statsUnsafe().waiting === 0)
      const call = semaphore.withPermit(limiter.limit()(Effect.yieldNow))
      yield* calls([call, call])
      yield* Explorer.spared(call)
      const now = yield* Clock.currentTimeMillis
      yield* dieUnless(now <= 2000, `${now} ms for three turns`)
    })
    holds(program, { preemptions: 2, besideAnInterruption: 1 })
  })

  it("has all of them around one another leave nothing: hedge, limiter, semaphore, retry, bulkhead, deadline", () => {
    const program = Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(2)
      const bulkhead = yield* Bulkhead.make({ permits: 1, maxWaiting: 1 })
      const limiter = yield* RateLimiter.make({ limit: 10, interval: "1 second" })
      const budget = RetryBudget.makeUnsafe({ ratio: 2, minPerSecond: 0 })
      yield* Explorer.expectIdle("the semaphore", semaphore)
      yield* Explorer.expectIdle("the bulkhead", bulkhead)
      const { effect } = yield* work((nth) =>
        Effect.andThen(Effect.sleep(20), nth < 2 ? Effect.fail("down") : Effect.void)
      )
      const hedge = Hedge.hedge({ idempotent: true, delay: "10 millis", budget })
      const retry = Retry.retry<unknown>({ maxAttempts: 2, backoff: everySecond, budget })
      const call = effect.pipe(
        limiter.limit(),
        semaphore.withPermit,
        hedge,
        retry,
        bulkhead.withPermit,
        Deadline.within("1500 millis")
      )
      yield* calls([call, call])
      const { granted } = budget.statsUnsafe(0)
      const begun = hedge.statsUnsafe().hedges + retry.statsUnsafe().retries
      yield* dieUnless(granted === begun, `${granted} were paid for and ${begun} begun`)
    })
    Explorer.assert(program, { strategy: Explorer.random({ runs: 2000, seed: 41, maxPreemptions: 3 }) })
    Explorer.assert(program, {
      interruptions: 2,
      strategy: Explorer.random({ runs: 4000, seed: 43, maxPreemptions: 3 })
    })
  })
})
