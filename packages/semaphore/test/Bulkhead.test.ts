import { describe, expect, it } from "@effect/vitest"
import { Bulkhead } from "@sluice/semaphore"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"

const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

describe("Bulkhead", () => {
  it.effect("runs what it has permits for, queues what it has places for, and refuses the rest", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 2, maxWaiting: 1 })
      const running = yield* Effect.forEach([1, 2, 3], () => fork(bulkhead.withPermit(Effect.never)))
      expect(bulkhead.statsUnsafe()).toMatchObject({ held: 2, waiting: 1 })
      const refused = yield* Effect.flip(bulkhead.withPermit(Effect.void))
      expect(refused).toMatchObject({ _tag: "@sluice/semaphore/BulkheadFull", permits: 2, maxWaiting: 1 })
      expect(bulkhead.statsUnsafe().rejected).toBe(1)
      yield* Effect.forEach(running, Fiber.interrupt, { discard: true })
      expect(bulkhead.statsUnsafe()).toMatchObject({ held: 0, waiting: 0 })
    })
  )

  it.effect("gives up a wait that is too long, counted from arrival, and leaves its place", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, maxWaiting: 5, maxWait: "1 second" })
      const holder = yield* fork(bulkhead.withPermit(Effect.sleep("10 seconds")))
      const waiter = yield* fork(Effect.exit(bulkhead.withPermit(Effect.succeed("ran"))))
      yield* TestClock.adjust("999 millis")
      expect(bulkhead.statsUnsafe().waiting).toBe(1)
      yield* TestClock.adjust("1 millis")
      const exit = yield* Fiber.join(waiter)
      expect(Exit.isFailure(exit) && String(exit.cause)).toContain("No permit of the bulkhead came free within 1000 ms")
      expect(bulkhead.statsUnsafe()).toMatchObject({ held: 1, waiting: 0, rejected: 1 })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(holder)
      expect(yield* bulkhead.withPermit(Effect.succeed("after"))).toBe("after")
    })
  )

  it.effect("lets a newcomer displace nobody who has a place", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ permits: 1, maxWaiting: 1 })
      const order: Array<string> = []
      const job = (name: string) =>
        bulkhead.withPermit(
          Effect.andThen(
            Effect.sleep("1 second"),
            Effect.sync(() => order.push(name))
          )
        )
      yield* fork(job("first"))
      yield* fork(job("waiting"))
      const refused = yield* Effect.exit(job("newcomer"))
      expect(Exit.isFailure(refused)).toBe(true)
      yield* TestClock.adjust("5 seconds")
      expect(order).toEqual(["first", "waiting"])
    })
  )

  it("refuses to be made of what makes no sense", () => {
    expect(() => Bulkhead.makeUnsafe({ permits: -1, maxWaiting: 0 })).toThrow("-1 permits")
    expect(() => Bulkhead.makeUnsafe({ permits: 1, maxWaiting: 0.5 })).toThrow("maxWaiting 0.5")
  })

  /** Models arrivals that all come at once: permits run, places wait, the others are refused. */
  it("never has more running or waiting than it may", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.nat(6),
        fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 40 }),
        async (permits, maxWaiting, durations) => {
          const outcome = await Effect.runPromise(
            Effect.gen(function* () {
              const bulkhead = yield* Bulkhead.make({ permits, maxWaiting })
              let most = 0
              let mostWaiting = 0
              const job = (steps: number) =>
                Effect.forEach(
                  Array(steps).keys(),
                  () =>
                    Effect.andThen(
                      Effect.yieldNow,
                      Effect.sync(() => {
                        const { held, waiting } = bulkhead.statsUnsafe()
                        most = Math.max(most, held)
                        mostWaiting = Math.max(mostWaiting, waiting)
                      })
                    ),
                  { discard: true }
                )
              const fibers = yield* Effect.forEach(durations, (steps) =>
                fork(Effect.exit(bulkhead.withPermit(job(steps))))
              )
              const exits = yield* Effect.forEach(fibers, Fiber.join)
              return { most, mostWaiting, refused: exits.filter(Exit.isFailure).length, after: bulkhead.statsUnsafe() }
            })
          )
          expect(outcome.most).toBeLessThanOrEqual(permits)
          expect(outcome.mostWaiting).toBeLessThanOrEqual(maxWaiting)
          expect(outcome.refused).toBe(Math.max(0, durations.length - permits - maxWaiting))
          expect(outcome.after).toMatchObject({ held: 0, waiting: 0, rejected: outcome.refused })
        }
      ),
      { numRuns: 100 }
    ))
})
