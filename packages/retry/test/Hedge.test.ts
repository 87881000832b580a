import { describe, expect, it } from "@effect/vitest"
import { Hedge, RetryBudget } from "@sluice/retry"
import { Clock, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"

type Plan = { readonly millis: number; readonly fails?: boolean }

/** A read whose copies take and do what the plans say, in turn; counts those that are open. */
const planned = (plans: ReadonlyArray<Plan>) => {
  const state = { sent: 0, open: 0, startedAt: [] as number[] }
  const effect = Effect.acquireUseRelease(
    Effect.map(Clock.currentTimeMillis, (now) => {
      state.open++
      state.startedAt.push(now)
      return state.sent++
    }),
    (copy) => {
      const plan = plans[copy] ?? { millis: 1_000_000 }
      const done: Effect.Effect<number, string> =
        plan.fails === true ? Effect.fail(`copy ${copy}`) : Effect.succeed(copy)
      return Effect.andThen(Effect.sleep(plan.millis), done)
    },
    () =>
      Effect.sync(() => {
        state.open--
      })
  )
  return { effect, state }
}

const timed = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(
      Effect.flatMap(Effect.exit(effect), (exit) => Effect.map(Clock.currentTimeMillis, (at) => ({ exit, at })))
    )
    yield* TestClock.adjust("1 hour")
    return yield* Fiber.join(fiber)
  })

describe("hedge", () => {
  it.effect("sends no copy of what is fast", () =>
    Effect.gen(function* () {
      const { effect, state } = planned([{ millis: 50 }])
      const policy = Hedge.hedge({ idempotent: true, delay: "100 millis" })
      expect(yield* timed(policy(effect))).toEqual({ exit: Exit.succeed(0), at: 50 })
      expect(state).toMatchObject({ sent: 1, open: 0 })
      expect(yield* policy.stats).toEqual({ calls: 1, hedges: 0, won: 0, denied: 0, delayMillis: 100 })
    })
  )

  it.effect("takes the answer of the copy that is first, and ends the other", () =>
    Effect.gen(function* () {
      const { effect, state } = planned([{ millis: 5000 }, { millis: 50 }])
      const policy = Hedge.hedge({ idempotent: true, delay: "100 millis" })
      expect(yield* timed(policy(effect))).toEqual({ exit: Exit.succeed(1), at: 150 })
      expect(state).toMatchObject({ sent: 2, open: 0 })
      expect(policy.statsUnsafe()).toMatchObject({ hedges: 1, won: 1 })
    })
  )

  it.effect("sends at most so many copies, one delay apart", () =>
    Effect.gen(function* () {
      const { effect, state } = planned([])
      const policy = Hedge.hedge({ idempotent: true, delay: "100 millis", maxCopies: 4 })
      yield* timed(policy(effect))
      expect(state.startedAt).toEqual([0, 100, 200, 300])
      expect(state.open).toBe(0)
    })
  )

  it.effect("leaves a failure that comes before any copy to whoever retries", () =>
    Effect.gen(function* () {
      const { effect, state } = planned([{ millis: 50, fails: true }])
      const { at, exit } = yield* timed(Hedge.hedge({ idempotent: true, delay: "100 millis" })(effect))
      expect(exit).toEqual(Exit.fail("copy 0"))
      expect(at).toBe(50)
      expect(state.sent).toBe(1)
    })
  )

  it.effect("fails once every copy has", () =>
    Effect.gen(function* () {
      const { effect } = planned([
        { millis: 150, fails: true },
        { millis: 200, fails: true }
      ])
      const { at, exit } = yield* timed(Hedge.hedge({ idempotent: true, delay: "100 millis" })(effect))
      expect(exit).toEqual(Exit.fail("copy 1"))
      expect(at).toBe(300)
    })
  )

  it.effect("ends every copy when it is interrupted itself", () =>
    Effect.gen(function* () {
      const { effect, state } = planned([])
      const policy = Hedge.hedge({ idempotent: true, delay: "100 millis", maxCopies: 3 })
      const fiber = yield* Effect.forkChild(policy(effect))
      yield* TestClock.adjust("150 millis")
      expect(state.open).toBe(2)
      yield* Fiber.interrupt(fiber)
      expect(state.open).toBe(0)
      yield* TestClock.adjust("1 hour")
      expect(state.sent).toBe(2)
    })
  )

  it.effect("sends no copy that the budget denies", () =>
    Effect.gen(function* () {
      const { effect, state } = planned([{ millis: 500 }])
      const policy = Hedge.hedge({
        idempotent: true,
        delay: "100 millis",
        budget: RetryBudget.makeUnsafe({ ratio: 0, minPerSecond: 0 })
      })
      expect(yield* timed(policy(effect))).toEqual({ exit: Exit.succeed(0), at: 500 })
      expect(state.sent).toBe(1)
      expect(policy.statsUnsafe()).toMatchObject({ hedges: 0, denied: 1 })
    })
  )

  it.effect("learns the delay from recent calls", () =>
    Effect.gen(function* () {
      const policy = Hedge.hedge({ idempotent: true, delay: { quantile: 0.9, initial: "1 second" } })
      expect(policy.statsUnsafe().delayMillis).toBe(1000)
      for (let millis = 1; millis <= 1000; millis++) yield* Effect.forkChild(policy(Effect.sleep(millis)))
      yield* TestClock.adjust("2 seconds")
      const { delayMillis } = policy.statsUnsafe()
      expect(Math.abs(delayMillis / 900 - 1)).toBeLessThan(0.04)
      for (let call = 0; call < 1000; call++) yield* Effect.forkChild(policy(Effect.sleep("10 millis")))
      yield* TestClock.adjust("2 seconds")
      expect(Math.abs(policy.statsUnsafe().delayMillis / 10 - 1)).toBeLessThan(0.03)
    })
  )

  /** Models each copy as sent one delay after the last, and the result as the first success, or the last failure. */
  it("gives what the fastest copy that succeeds gives, and leaves nothing open", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ millis: fc.integer({ min: 0, max: 100 }).map((n) => n * 10 + 1), fails: fc.boolean() }), {
          minLength: 3,
          maxLength: 3
        }),
        fc.integer({ min: 1, max: 40 }).map((n) => n * 10),
        async (plans, delay) => {
          const { effect, state } = planned(plans)
          const policy = Hedge.hedge({ idempotent: true, delay, maxCopies: 3 })
          const { at, exit } = await Effect.runPromise(
            Effect.scoped(Effect.provide(timed(policy(effect)), TestClock.layer()))
          )
          const ends: Array<{ readonly at: number; readonly fails: boolean }> = []
          let sent = 0
          let expected: { readonly at: number; readonly succeeds: boolean } | undefined
          while (expected === undefined) {
            const nextSend = sent < 3 ? sent * delay : Number.POSITIVE_INFINITY
            const won = ends.filter(({ fails }) => !fails).sort((a, b) => a.at - b.at)[0]
            const lost =
              ends.length === sent && sent > 0 ? Math.max(...ends.map((end) => end.at)) : Number.POSITIVE_INFINITY
            if (won !== undefined && won.at < nextSend && won.at < Math.max(lost, won.at + 1)) {
              expected = { at: won.at, succeeds: true }
            } else if (ends.every(({ fails }) => fails) && lost < nextSend) {
              expected = { at: lost, succeeds: false }
            } else {
              const plan = plans[sent]
              if (plan !== undefined) ends.push({ at: nextSend + plan.millis, fails: plan.fails })
              sent++
            }
          }
          return (
            at === expected.at && Exit.isSuccess(exit) === expected.succeeds && state.open === 0 && state.sent === sent
          )
        }
      )
    ))

  it("refuses options that make no sense, and what nobody says is idempotent", () => {
    expect(() => Hedge.hedge({ idempotent: true, delay: "1 second", maxCopies: 1 })).toThrow("maxCopies 1")
    expect(() => Hedge.hedge({ idempotent: true, delay: { quantile: 1, initial: 0 } })).toThrow("quantile 1")
    // @ts-expect-error: the type asks for the caller's word
    Hedge.hedge({ delay: "1 second" })
    // @ts-expect-error: and takes no other for it
    Hedge.hedge({ idempotent: false, delay: "1 second" })
  })
})
