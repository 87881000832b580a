import { describe, expect, it } from "@effect/vitest"
import { Quota } from "@sluice/rate-limiter"
import { Clock, Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { algorithms, brokenPromise, type Event, optionsOf } from "./promises.ts"

const limits = {
  requests: { limit: 60, interval: "1 minute", burst: 2 },
  tokens: { limit: 600, interval: "1 minute", burst: 100 }
} as const

const at = Clock.currentTimeMillis
const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

describe("Quota", () => {
  it.effect("takes from all limits or from none", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.make({ limits })
      expect((yield* quota.tryTake({ requests: 1, tokens: 90 })).allowed).toBe(true)
      const refused = yield* quota.tryTake({ requests: 1, tokens: 20 })
      expect(refused.allowed).toBe(false)
      expect(Duration.toMillis(refused.retryAfter)).toBe(1000)
      expect(refused.limits.requests).toMatchObject({ allowed: true, remaining: 1, limit: 2 })
      expect(refused.limits.tokens).toMatchObject({ allowed: false, remaining: 10, limit: 100 })
      expect((yield* quota.tryTake({ requests: 1 })).allowed).toBe(true)
    })
  )

  it.effect("holds nothing of one limit while it waits for another", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.make({ limits })
      yield* quota.take({ tokens: 100 })
      const heavy = yield* fork(quota.take({ requests: 2, tokens: 50 }))
      yield* Fiber.interrupt(heavy)
      const light = yield* quota.tryTake({ requests: 2 })
      expect(light.allowed).toBe(true)
    })
  )

  it.effect("serves in order of arrival, whatever each needs", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.make({ limits })
      const log: Array<string> = []
      const take = (name: string, costs: Quota.CostsByName<"requests" | "tokens">) =>
        fork(
          Effect.andThen(
            quota.take(costs),
            Effect.map(at, (millis) => void log.push(`${name}@${millis}`))
          )
        )
      yield* quota.take({ requests: 1, tokens: 100 })
      yield* take("heavy", { requests: 1, tokens: 50 })
      yield* take("light", { requests: 1 })
      expect((yield* quota.tryTake({ requests: 1 })).allowed).toBe(false)
      yield* TestClock.adjust("10 seconds")
      expect(log).toEqual(["heavy@5000", "light@5000"])
    })
  )

  it.effect("settles afterwards what a request has really cost", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.make({ limits })
      yield* quota.take({ requests: 1, tokens: 80 })
      yield* quota.adjust({ tokens: -50 })
      const { limits: after } = yield* quota.tryTake({ requests: 1 })
      expect(after.tokens.remaining).toBe(70)
      yield* quota.adjust({ tokens: 100 })
      const refused = yield* quota.tryTake({ tokens: 10 })
      expect(Duration.toMillis(refused.retryAfter)).toBe(4000)
    })
  )

  it.effect("refuses at once what could not be served in time, and names the limit that is short", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.make({ limits })
      yield* quota.take({ requests: 2, tokens: 100 })
      const error = yield* Effect.flip(quota.limit({ requests: 1, tokens: 50 }, { maxWait: "4 seconds" })(Effect.void))
      expect(error).toMatchObject({ key: "tokens", cost: 50, limit: 600 })
      expect(Duration.toMillis(error.retryAfter)).toBe(5000)
      expect(quota.statsUnsafe()).toEqual({ waiting: 0, admitted: 1, rejected: 1 })
    })
  )

  it.effect("changes a limit under those who wait, and refuses who could no longer be served in time", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.make({ limits })
      yield* quota.take({ tokens: 100 })
      const patient = yield* fork(Effect.andThen(quota.take({ tokens: 50 }), at))
      const hasty = yield* fork(Effect.exit(quota.take({ tokens: 10 }, { maxWait: "6 seconds" })))
      yield* quota.updateConfig("tokens", { limit: 300, interval: "1 minute" })
      expect(Exit.isFailure(yield* Fiber.join(hasty))).toBe(true)
      yield* quota.updateConfig("tokens", { limit: 6000, interval: "1 minute" })
      yield* TestClock.adjust("500 millis")
      expect(yield* Fiber.join(patient)).toBe(500)
    })
  )

  it.effect("allows nothing while it is blocked", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.make({ limits })
      yield* quota.block("10 seconds")
      const refused = yield* quota.tryTake({ requests: 1 })
      expect(refused.allowed).toBe(false)
      expect(refused.limits.requests.isBlocked).toBe(true)
      expect(Duration.toMillis(refused.retryAfter)).toBe(10_000)
    })
  )

  it.effect("dies of what can never be, with a message that says why", () =>
    Effect.gen(function* () {
      const quota = yield* Quota.make({ limits })
      const wrong: ReadonlyArray<readonly [Readonly<Record<string, number>>, string]> = [
        [{ requests: 3 }, "Cannot take 3"],
        [{ tokens: -1 }, "Cannot take -1"],
        [{ words: 1 }, "Cannot take words from a quota: it has requests, tokens"],
        [{}, "Cannot take nothing"]
      ]
      for (const [costs, message] of wrong) {
        const exit = yield* Effect.exit(quota.take(costs))
        expect(Exit.isFailure(exit) && String(exit.cause)).toContain(message)
      }
      expect(() => Quota.makeUnsafe({ limits: {} })).toThrow("without a limit")
    })
  )

  /** Models a quota as its limits, each with the promise of its algorithm. */
  it("keeps the promise of each of its limits, whoever waits, leaves, and is refused", async () => {
    const step = fc.record({
      after: fc.integer({ min: 0, max: 400 }),
      a: fc.integer({ min: 0, max: 4 }).map((quarters) => quarters / 4),
      b: fc.integer({ min: 1, max: 4 }).map((quarters) => quarters / 4),
      patience: fc.option(fc.integer({ min: 0, max: 3000 }), { nil: undefined }),
      leaves: fc.boolean()
    })
    const limit = fc.record({
      limit: fc.integer({ min: 1, max: 8 }),
      interval: fc.integer({ min: 100, max: 2000 }),
      burst: fc.integer({ min: 1, max: 4 })
    })
    const algorithm = fc.constantFrom(...algorithms)
    await fc.assert(
      fc.asyncProperty(
        algorithm,
        limit,
        algorithm,
        limit,
        fc.array(step, { maxLength: 30, size: "max" }),
        (ofA, a, ofB, b, steps) =>
          Effect.gen(function* () {
            const quota = yield* Quota.make({ limits: { a: optionsOf(ofA, a), b: optionsOf(ofB, b) } })
            const events: { readonly a: Array<Event>; readonly b: Array<Event> } = { a: [], b: [] }
            const order: Array<number> = []
            const tooLong: Array<number> = []
            const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
            for (const [index, of] of steps.entries()) {
              yield* TestClock.adjust(of.after)
              const cameAt = yield* at
              const costs = { a: of.a, b: of.b }
              const taking = of.patience === undefined ? quota.take(costs) : quota.take(costs, { maxWait: of.patience })
              const fiber = yield* fork(
                Effect.andThen(
                  taking,
                  Effect.map(at, (millis) => {
                    if (of.a > 0) events.a.push({ at: millis, cost: of.a })
                    events.b.push({ at: millis, cost: of.b })
                    order.push(index)
                    if (millis - cameAt > (of.patience ?? Number.POSITIVE_INFINITY) + 1) tooLong.push(millis - cameAt)
                  })
                )
              )
              if (of.leaves && index % 3 === 0) yield* Fiber.interrupt(fiber)
              else fibers.push(fiber)
            }
            yield* TestClock.adjust("10 minutes")
            yield* Effect.forEach(fibers, Fiber.await)
            expect(brokenPromise(ofA, a, events.a)).toBeUndefined()
            expect(brokenPromise(ofB, b, events.b)).toBeUndefined()
            expect(order).toEqual(order.toSorted((x, y) => x - y))
            expect(tooLong).toEqual([])
            expect(quota.statsUnsafe().waiting).toBe(0)
          }).pipe(Effect.provide(TestClock.layer()), Effect.scoped, Effect.runPromise)
      ),
      { numRuns: 100 }
    )
  })
})
