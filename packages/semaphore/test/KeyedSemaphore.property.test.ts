// Random requests of four keys, with interruptions, against what the docs promise.

import { KeyedSemaphore } from "@sluice/semaphore"
import { Effect, Fiber } from "effect"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { fork, settle } from "./fibers.ts"

const keys = ["a", "b", "c", "d"] as const
const perKey = 3
const all = 5

type Command =
  | { readonly type: "take"; readonly key: number; readonly permits: number }
  | { readonly type: "end"; readonly which: number; readonly settled: boolean }

const commands = (weights: boolean): fc.Arbitrary<ReadonlyArray<Command>> =>
  fc.array(
    fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({
          type: fc.constant("take" as const),
          key: fc.nat(3),
          permits: weights ? fc.integer({ min: 1, max: perKey }) : fc.constant(1)
        })
      },
      {
        weight: 2,
        arbitrary: fc.record({ type: fc.constant("end" as const), which: fc.nat(20), settled: fc.boolean() })
      }
    ),
    { maxLength: 50 }
  )

interface Request {
  readonly id: number
  readonly key: string
  readonly permits: number
}

/** Runs the commands; `check` sees, after each has settled, who holds and who waits, in the order of arrival. */
const run = (
  program: ReadonlyArray<Command>,
  check: (
    semaphore: KeyedSemaphore.KeyedSemaphore<string>,
    holders: ReadonlyArray<Request>,
    waiters: ReadonlyArray<Request>
  ) => void
) =>
  Effect.gen(function* () {
    const semaphore = yield* KeyedSemaphore.make<string>({ permitsPerKey: perKey, permits: all })
    const admitted: Array<Request> = []
    const alive = new Map<number, { readonly request: Request; readonly fiber: Fiber.Fiber<unknown> }>()
    let next = 0
    for (const command of program) {
      if (command.type === "take") {
        yield* settle
        const request = { id: next++, key: keys[command.key] ?? "a", permits: command.permits }
        const holding = Effect.andThen(
          Effect.sync(() => void admitted.push(request)),
          Effect.never
        )
        const fiber = yield* fork(semaphore.withPermits(request.key, request.permits)(holding))
        alive.set(request.id, { request, fiber })
      } else {
        // Unsettled, it may have been handed its permits and not know of it yet.
        if (command.settled) yield* settle
        const victim = [...alive.values()][command.which % Math.max(1, alive.size)]
        if (victim === undefined) continue
        yield* Fiber.interrupt(victim.fiber)
        alive.delete(victim.request.id)
      }
      yield* settle
      const requests = [...alive.values()].map(({ request }) => request)
      const known = new Set(admitted)
      check(
        semaphore,
        requests.filter((request) => known.has(request)),
        requests.filter((request) => !known.has(request))
      )
    }
    yield* Effect.forEach([...alive.values()], ({ fiber }) => Fiber.interrupt(fiber), { discard: true })
    return { semaphore, admitted }
  })

const sum = (requests: ReadonlyArray<Request>): number => requests.reduce((total, { permits }) => total + permits, 0)

const holds = (weights: boolean, check: Parameters<typeof run>[1]) =>
  fc.assert(
    fc.asyncProperty(commands(weights), async (program) => {
      await Effect.runPromise(run(program, check))
    }),
    { numRuns: 150 }
  )

describe("KeyedSemaphore", () => {
  it("has as much held and waiting as the requests that are alive, and no more held than there is", () =>
    holds(true, (semaphore, holders, waiters) => {
      expect(semaphore.statsUnsafe()).toMatchObject({ held: sum(holders), waiting: waiters.length })
      expect(sum(holders)).toBeLessThanOrEqual(all)
      for (const key of keys) {
        const ofKey = holders.filter((request) => request.key === key)
        expect(semaphore.keyStatsUnsafe(key).held).toBe(sum(ofKey))
        expect(sum(ofKey)).toBeLessThanOrEqual(perKey)
      }
    }))

  it("serves each key in the order of arrival", () =>
    holds(true, (_, holders, waiters) => {
      for (const key of keys) {
        const first = waiters.find((request) => request.key === key)
        const last = holders.filter((request) => request.key === key).at(-1)
        if (first !== undefined && last !== undefined) expect(last.id).toBeLessThan(first.id)
      }
    }))

  it("leaves nobody waiting for a single permit that is free", () =>
    holds(false, (semaphore, holders, waiters) => {
      if (semaphore.statsUnsafe().available === 0) return
      for (const { key } of waiters) expect(holders.filter((request) => request.key === key)).toHaveLength(perKey)
    }))

  it("forgets every key once nobody uses it", () =>
    fc.assert(
      fc.asyncProperty(commands(true), async (program) => {
        const { semaphore } = await Effect.runPromise(run(program, () => undefined))
        expect(semaphore.statsUnsafe()).toMatchObject({ held: 0, waiting: 0, keys: 0 })
      }),
      { numRuns: 100 }
    ))

  /** Models a queue of each key that is long from the start, and one permit that goes round. */
  it("serves a key at least once between two turns of any other, while both wait", () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.nat(3), { minLength: 2, maxLength: 40 }), async (arrivals) => {
        const log: Array<number> = []
        await Effect.runPromise(
          Effect.gen(function* () {
            const semaphore = yield* KeyedSemaphore.make<number>({ permitsPerKey: 1, permits: 1 })
            yield* semaphore.take(9, 1)
            const fibers = yield* Effect.forEach(arrivals, (key) =>
              fork(semaphore.withPermit(key)(Effect.sync(() => void log.push(key))))
            )
            yield* semaphore.release(9, 1)
            yield* Effect.forEach(fibers, Fiber.join)
          })
        )
        const left = new Map<number, number>()
        for (const key of arrivals) left.set(key, (left.get(key) ?? 0) + 1)
        const lastTurn = new Map<number, number>()
        log.forEach((key, turn) => {
          const before = lastTurn.get(key) ?? -1
          for (const [other, count] of left) {
            if (other !== key && count > 0 && lastTurn.has(key)) {
              expect(lastTurn.get(other) ?? -1).toBeGreaterThan(before)
            }
          }
          lastTurn.set(key, turn)
          left.set(key, (left.get(key) ?? 0) - 1)
        })
        expect(log).toHaveLength(arrivals.length)
      }),
      { numRuns: 200 }
    ))
})
