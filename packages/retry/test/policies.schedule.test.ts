// Every schedule of small programs under each policy, with an interruption
// before every primitive.

import { Backoff, Deadline, Hedge, Retry, RetryBudget } from "@sluice/retry"
import { Explorer } from "@sluice/schedule-explorer"
import { Clock, Effect, Exit, Fiber } from "effect"
import { describe, it } from "vitest"

const everySecond = Backoff.linear({ base: "1 second", jitter: "none" })

const dieUnless = (holds: boolean, message: string) => (holds ? Effect.void : Effect.die(message))

/** Work that holds something while it runs; whatever became of it, nothing may be held at the end. */
const work = <A, E>(attempt: (nth: number) => Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const state = { open: 0, most: 0, begun: 0 }
    yield* Explorer.atEnd("work that was begun has ended", () => state.open === 0 || `${state.open} still runs`)
    const effect = Effect.acquireUseRelease(
      Effect.sync(() => {
        state.open++
        state.begun++
        state.most = Math.max(state.most, state.open)
        return state.begun
      }),
      attempt,
      () => Effect.sync(() => void state.open--)
    )
    return { state, effect }
  })

/** Lets fibers come to their end, and dies of what is no failure but a defect in one. */
const ended = <A, E>(fibers: ReadonlyArray<Fiber.Fiber<A, E>>) =>
  Effect.tap(Effect.forEach(fibers, Fiber.await), (exits) =>
    Effect.forEach(exits, (exit) =>
      dieUnless(Exit.isSuccess(exit) || exit.cause.reasons.every(({ _tag }) => _tag !== "Die"), String(exit))
    )
  )

/** Three preemptions; then an interruption anywhere together with one; then both at random, further apart. */
const holds = (program: Effect.Effect<unknown, unknown>, preemptions = 3): void => {
  const maxSchedules = 200_000
  Explorer.assert(program, { strategy: Explorer.exhaustive({ maxPreemptions: preemptions, maxSchedules }) })
  Explorer.assert(program, {
    interruptions: 1,
    strategy: Explorer.exhaustive({ maxPreemptions: 1, maxSchedules })
  })
  Explorer.assert(program, {
    interruptions: 2,
    strategy: Explorer.random({ runs: 2000, seed: 3, maxPreemptions: 3 })
  })
}

describe("Retry", () => {
  it("begins each attempt after the one before has ended, and none for a caller who has left", () => {
    holds(
      Effect.gen(function* () {
        const { effect, state } = yield* work((nth) => (nth < 3 ? Effect.fail("down") : Effect.succeed("up")))
        const retry = Retry.retry<string>({ maxAttempts: 3, backoff: everySecond })
        const fiber = yield* Effect.forkChild(retry(effect))
        const [exit] = yield* ended([fiber])
        const { attempts, calls, retries } = retry.statsUnsafe()
        yield* dieUnless(state.most <= 1, "two attempts at once")
        yield* dieUnless(attempts === calls + retries, "what was counted does not add up")
        yield* dieUnless(state.begun <= attempts, "an attempt was not counted")
        const wasInterrupted = exit !== undefined && Exit.isFailure(exit)
        yield* dieUnless(wasInterrupted || state.begun === 3, `${state.begun} attempts`)
      })
    )
  })

  it("lets two callers retry beside one another, each in its own time", () => {
    holds(
      Effect.gen(function* () {
        const { effect, state } = yield* work((nth) => (nth <= 2 ? Effect.fail("down") : Effect.succeed("up")))
        const retry = Retry.retry<string>({ maxAttempts: 2, backoff: everySecond })
        yield* ended([yield* Effect.forkChild(retry(effect)), yield* Effect.forkChild(retry(effect))])
        const now = yield* Clock.currentTimeMillis
        yield* dieUnless(now <= 1000, `one waited for the other: ${now} ms`)
        yield* dieUnless(state.begun <= 4, `${state.begun} attempts`)
      }),
      2
    )
  })
})

describe("RetryBudget", () => {
  it("grants what it has to whoever comes first, and takes back what a caller who left did not use", () => {
    holds(
      Effect.gen(function* () {
        const budget = RetryBudget.makeUnsafe({ ratio: 0.5, minPerSecond: 0 })
        const { effect, state } = yield* work(() => Effect.fail("down"))
        const retry = Retry.retry<string>({ maxAttempts: 2, backoff: everySecond, budget })
        const fibers = [yield* Effect.forkChild(retry(effect)), yield* Effect.forkChild(retry(effect))]
        yield* ended(fibers)
        const { retries } = retry.statsUnsafe()
        const { available, granted } = budget.statsUnsafe(1000)
        yield* dieUnless(granted === retries, `${granted} granted, ${retries} begun`)
        yield* dieUnless(granted + available <= 1, `${granted} granted and ${available} left of one`)
        yield* dieUnless(state.begun <= 2 + retries, "an attempt that nobody paid for")
      }),
      2
    )
  })

  it("as a throttle counts each outcome once, whoever leaves and when", () => {
    holds(
      Effect.gen(function* () {
        const budget = RetryBudget.throttleUnsafe({ maxTokens: 4, tokenRatio: 1 })
        const { effect } = yield* work((nth) => (nth === 1 ? Effect.fail("down") : Effect.succeed("up")))
        const retry = Retry.retry<string>({ maxAttempts: 2, backoff: everySecond, budget })
        yield* ended([yield* Effect.forkChild(retry(effect)), yield* Effect.forkChild(retry(effect))])
        const { granted } = budget.statsUnsafe(0)
        yield* dieUnless(granted === retry.statsUnsafe().retries, `${granted} granted`)
      }),
      2
    )
  })
})

describe("Hedge", () => {
  it("leaves no copy, whichever answers first and whoever is interrupted", () => {
    holds(
      Effect.gen(function* () {
        // The second copy is sent at 10 ms and answers at 15, the first at 15 as well: they fall together.
        const { effect, state } = yield* work((nth) => Effect.as(Effect.sleep(nth === 1 ? 15 : 5), nth))
        const hedge = Hedge.hedge({ idempotent: true, delay: "10 millis" })
        const [exit] = yield* ended([yield* Effect.forkChild(hedge(effect))])
        const { hedges, won } = hedge.statsUnsafe()
        yield* dieUnless(state.begun <= 1 + hedges && hedges <= 1, `${state.begun} copies, ${hedges} of them hedges`)
        if (exit === undefined || Exit.isFailure(exit)) return
        yield* dieUnless(won === (exit.value === 1 ? 0 : 1), `copy ${exit.value} answered, and ${won} won`)
      }),
      2
    )
  })

  it("answers with the last failure where all fail, once all have ended", () => {
    holds(
      Effect.gen(function* () {
        const { effect, state } = yield* work(() => Effect.andThen(Effect.sleep(15), Effect.fail("down")))
        const hedge = Hedge.hedge({ idempotent: true, delay: "10 millis" })
        const [exit] = yield* ended([yield* Effect.forkChild(hedge(effect))])
        yield* dieUnless(exit !== undefined && Exit.isFailure(exit), "something succeeded")
        yield* dieUnless(state.open === 0, "a copy outlives the answer")
      }),
      2
    )
  })

  it("sends no copy that its budget does not grant, however calls interleave", () => {
    const program = Effect.gen(function* () {
      const budget = RetryBudget.makeUnsafe({ ratio: 0.5, minPerSecond: 0 })
      const { effect, state } = yield* work(() => Effect.sleep(30))
      const hedge = Hedge.hedge({ idempotent: true, delay: "10 millis", budget })
      yield* ended([yield* Effect.forkChild(hedge(effect)), yield* Effect.forkChild(hedge(effect))])
      const { hedges } = hedge.statsUnsafe()
      yield* dieUnless(budget.statsUnsafe(0).granted === hedges && hedges <= 1, `${hedges} hedges`)
      yield* dieUnless(state.begun <= 2 + hedges, `${state.begun} copies`)
    })
    Explorer.assert(program, { strategy: Explorer.exhaustive({ maxPreemptions: 1, maxSchedules: 200_000 }) })
    Explorer.assert(program, {
      interruptions: 1,
      strategy: Explorer.random({ runs: 5000, seed: 8, maxPreemptions: 3 })
    })
  })
})

describe("Deadline", () => {
  it("ends work that is too late and no other, also where the two fall together", () => {
    for (const millis of [5, 10, 15]) {
      holds(
        Effect.gen(function* () {
          const { effect, state } = yield* work(() => Effect.sleep(millis))
          const within = Deadline.within("10 millis")
          const [exit] = yield* ended([yield* Effect.forkChild(within(effect))])
          const now = yield* Clock.currentTimeMillis
          const { missed, started } = within.statsUnsafe()
          yield* dieUnless(now <= 10 && started <= 1, `${now} ms, started ${started} times`)
          yield* dieUnless(state.open === 0, "the work outlives its deadline")
          if (exit === undefined || Exit.isSuccess(exit)) return yield* dieUnless(millis <= 10, "it was too late")
          const isLate = exit.cause.reasons.some(({ _tag }) => _tag === "Fail")
          yield* dieUnless(!isLate || (missed === 1 && millis >= 10), "it was in time")
        })
      )
    }
  })

  it("is one for all who work under it, and an inner one never the longer", () => {
    holds(
      Effect.gen(function* () {
        const { effect } = yield* work(() => Effect.sleep(50))
        const inner = Effect.exit(Deadline.within("30 millis")(effect))
        const both = Effect.all([inner, inner], { concurrency: "unbounded", discard: true })
        yield* ended([yield* Effect.forkChild(Effect.exit(Deadline.within("10 millis")(both)))])
        const now = yield* Clock.currentTimeMillis
        yield* dieUnless(now <= 10, `${now} ms`)
      }),
      1
    )
  })
})
