// A million operations, picked at random, with fibers that are interrupted while they wait.

import { describe, expect, it } from "@effect/vitest"
import { KeyedRateLimiter, Quota, RateLimiter } from "@sluice/rate-limiter"
import { Clock, Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { algorithms, brokenPromise, type Event, optionsOf } from "./promises.ts"

/** Numbers from 0 up to 1, the same ones for the same seed. */
const makeRandom = (seed: number) => {
  let state = seed
  return (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

interface Waiting {
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly number: number
}

/** Fibers that wait, those that were served in order, and what it takes to know that none is forgotten. */
const makeCrowd = () => {
  const waiting: Array<Waiting> = []
  const served: Array<number> = []
  let started = 0
  const start = (take: Effect.Effect<void, RateLimiter.RateLimitExceeded>, onServed: (at: number) => void) =>
    Effect.gen(function* () {
      const number = started++
      const fiber = yield* Effect.forkChild(
        Effect.andThen(
          take,
          Effect.map(Clock.currentTimeMillis, (at) => {
            served.push(number)
            onServed(at)
          })
        ),
        { startImmediately: true }
      )
      if (fiber.pollUnsafe() === undefined) waiting.push({ fiber, number })
    })
  const interruptOne = (pick: number) => {
    const [gone] = waiting.splice(Math.floor(pick * waiting.length), 1)
    return gone === undefined ? Effect.void : Fiber.interrupt(gone.fiber)
  }
  const settle = Effect.gen(function* () {
    for (const { fiber } of waiting.splice(0)) {
      const exit = yield* Fiber.await(fiber)
      if (Exit.isFailure(exit) && !String(exit.cause).includes("RateLimitExceeded")) yield* exit
    }
  })
  const forgetDone = () => {
    for (let index = waiting.length - 1; index >= 0; index--) {
      if (waiting[index]?.fiber.pollUnsafe() !== undefined) waiting.splice(index, 1)
    }
  }
  return { start, interruptOne, settle, forgetDone, served, size: () => waiting.length }
}

const isInOrder = (numbers: ReadonlyArray<number>) =>
  numbers.every((number, index) => number > (numbers[index - 1] ?? -1))

const limit = { limit: 8, interval: 100, burst: 4 }

describe("a million operations", () => {
  for (const [seed, algorithm] of algorithms.entries()) {
    it.effect(
      `of a limiter lose nothing and break no promise: ${algorithm}`,
      () =>
        Effect.gen(function* () {
          const random = makeRandom(seed + 1)
          const limiter = yield* RateLimiter.make(optionsOf(algorithm, limit))
          const crowd = makeCrowd()
          const events: Array<Event> = []
          const reserved: Array<{ readonly event: Event; readonly reservation: RateLimiter.Reservation }> = []
          const cancelled = new Set<Event>()
          for (let operation = 0; operation < 100_000; operation++) {
            const kind = random()
            const cost = Math.ceil(random() * 8) / 4
            const now = yield* Clock.currentTimeMillis
            if (kind < 0.3) {
              if ((yield* limiter.tryTake(cost)).allowed) events.push({ at: now, cost })
            } else if (kind < 0.5) {
              const take =
                random() < 0.5 ? limiter.take(cost) : limiter.take(cost, { maxWait: Math.floor(random() * 300) })
              yield* crowd.start(take, (at) => events.push({ at, cost }))
            } else if (kind < 0.6) {
              const made = yield* Effect.exit(limiter.reserve(cost, { maxWait: 500 }))
              if (Exit.isSuccess(made)) {
                const event = { at: now + Duration.toMillis(made.value.delay), cost }
                events.push(event)
                reserved.push({ event, reservation: made.value })
              }
            } else if (kind < 0.67) {
              const [of] = reserved.splice(Math.floor(random() * reserved.length), 1)
              if (of === undefined) continue
              yield* of.reservation.cancel
              if (of.event.at > now) cancelled.add(of.event)
            } else if (kind < 0.8) yield* crowd.interruptOne(random())
            else if (kind < 0.82) {
              yield* limiter.adjust(-cost)
              events.push({ at: now, cost: -cost })
            } else if (kind < 0.825) yield* limiter.block(random() * 50)
            else {
              yield* TestClock.adjust(Math.floor(random() * 30))
              crowd.forgetDone()
              while (crowd.size() > 40) yield* crowd.interruptOne(random())
            }
          }
          yield* TestClock.adjust("1 hour")
          yield* crowd.settle
          expect(
            brokenPromise(
              algorithm,
              limit,
              events.filter((event) => !cancelled.has(event))
            )
          ).toBeUndefined()
          expect(isInOrder(crowd.served)).toBe(true)
          expect(limiter.statsUnsafe().waiting).toBe(0)
          expect((yield* limiter.tryTake()).remaining).toBe(
            algorithm === "leaky-bucket" ? 0 : limiter.statsUnsafe().capacity - 1
          )
        }),
      60_000
    )
  }

  it.effect(
    "of a keyed limiter lose nothing and break no promise, whatever the limits become",
    () =>
      Effect.gen(function* () {
        const random = makeRandom(42)
        const keys = ["a", "b", "c", "d"]
        const limiter = yield* KeyedRateLimiter.make({ ...limit, maxKeys: 1000 })
        const crowds = new Map(keys.map((key) => [key, makeCrowd()]))
        for (let operation = 0; operation < 200_000; operation++) {
          const kind = random()
          const key = keys[Math.floor(random() * keys.length)] ?? "a"
          const cost = Math.ceil(random() * 4) / 4
          const crowd = crowds.get(key)
          if (kind < 0.3) yield* limiter.tryTake(key, cost)
          else if (kind < 0.55) {
            const take = random() < 0.5 ? limiter.take(key, cost) : limiter.take(key, cost, { maxWait: random() * 300 })
            yield* crowd?.start(take, () => {}) ?? Effect.void
          } else if (kind < 0.6) yield* limiter.reserve(key, cost)
          else if (kind < 0.75) yield* crowd?.interruptOne(random()) ?? Effect.void
          else if (kind < 0.8) yield* limiter.adjust(key, random() < 0.5 ? cost : -cost)
          else if (kind < 0.805) yield* limiter.block(key, random() * 50)
          else if (kind < 0.806) yield* limiter.updateConfig({ limit: Math.ceil(random() * 20) })
          else {
            yield* TestClock.adjust(Math.floor(random() * 60))
            for (const of of crowds.values()) {
              of.forgetDone()
              while (of.size() > 20) yield* of.interruptOne(random())
            }
          }
        }
        yield* TestClock.adjust("1 hour")
        for (const crowd of crowds.values()) {
          yield* crowd.settle
          expect(isInOrder(crowd.served)).toBe(true)
        }
        yield* limiter.tryTake("a")
        yield* TestClock.adjust("1 hour")
        yield* limiter.tryTake("a")
        expect(limiter.statsUnsafe()).toMatchObject({ waiting: 0, keys: 1 })
      }),
    60_000
  )

  it.effect(
    "of a quota lose nothing and break no promise",
    () =>
      Effect.gen(function* () {
        const random = makeRandom(7)
        const other = { limit: 40, interval: 1000, burst: 20 }
        const quota = yield* Quota.make({
          limits: { a: optionsOf("gcra", limit), b: optionsOf("sliding-window-log", other) }
        })
        const crowd = makeCrowd()
        const events: { readonly a: Array<Event>; readonly b: Array<Event> } = { a: [], b: [] }
        for (let operation = 0; operation < 200_000; operation++) {
          const kind = random()
          const costs = { a: Math.ceil(random() * 4) / 4, b: Math.ceil(random() * 4) / 2 }
          const note = (at: number) => {
            events.a.push({ at, cost: costs.a })
            events.b.push({ at, cost: costs.b })
          }
          if (kind < 0.4) {
            if ((yield* quota.tryTake(costs)).allowed) note(yield* Clock.currentTimeMillis)
          } else if (kind < 0.65) {
            yield* crowd.start(
              random() < 0.5 ? quota.take(costs) : quota.take(costs, { maxWait: random() * 300 }),
              note
            )
          } else if (kind < 0.8) yield* crowd.interruptOne(random())
          else if (kind < 0.801) yield* quota.block(random() * 50)
          else {
            yield* TestClock.adjust(Math.floor(random() * 100))
            crowd.forgetDone()
            while (crowd.size() > 20) yield* crowd.interruptOne(random())
          }
        }
        yield* TestClock.adjust("1 hour")
        yield* crowd.settle
        expect(brokenPromise("gcra", limit, events.a)).toBeUndefined()
        expect(brokenPromise("sliding-window-log", other, events.b)).toBeUndefined()
        expect(isInOrder(crowd.served)).toBe(true)
        expect(quota.statsUnsafe().waiting).toBe(0)
      }),
    60_000
  )
})
