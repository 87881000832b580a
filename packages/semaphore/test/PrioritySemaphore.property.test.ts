// Random arrivals in random classes, served one after another by one permit.

import { PrioritySemaphore } from "@sluice/semaphore"
import { Effect, Fiber } from "effect"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { fork, settle } from "./fibers.ts"

interface Arrival {
  readonly priority: number
  /** How many are served before the next arrives. */
  readonly served: number
}

const classes = 3

const arrivals: fc.Arbitrary<ReadonlyArray<Arrival>> = fc.array(
  fc.record({ priority: fc.nat(classes - 1), served: fc.nat(2) }),
  { maxLength: 40 }
)

/** Serves everybody, and answers the numbers of the arrivals in the order in which they were admitted. */
const serve = (program: ReadonlyArray<Arrival>, ageing: number) =>
  Effect.gen(function* () {
    const semaphore = yield* PrioritySemaphore.make({ permits: 1, classes, ageing })
    const order: Array<number> = []
    yield* semaphore.take(1, 0)
    const fibers: Array<Fiber.Fiber<unknown>> = []
    const serveOne = Effect.andThen(semaphore.release(1), settle)
    for (const [number, { priority, served }] of program.entries()) {
      const request = Effect.andThen(
        semaphore.take(1, priority),
        Effect.sync(() => void order.push(number))
      )
      fibers.push(yield* fork(request))
      for (let i = 0; i < served && order.length <= number; i++) {
        if (semaphore.statsUnsafe().waiting > 0) yield* serveOne
      }
    }
    while (semaphore.statsUnsafe().waiting > 0) yield* serveOne
    yield* Effect.forEach(fibers, Fiber.join)
    return order
  })

const priorityOf = (program: ReadonlyArray<Arrival>, number: number): number => program[number]?.priority ?? 0

describe("PrioritySemaphore", () => {
  it("lets at most class times ageing of the later arrivals overtake a waiter", () =>
    fc.assert(
      fc.asyncProperty(arrivals, fc.nat(6), async (program, ageing) => {
        const order = await Effect.runPromise(serve(program, ageing))
        expect([...order].sort((a, b) => a - b)).toEqual(program.map((_, number) => number))
        order.forEach((number, place) => {
          const overtook = order.slice(0, place).filter((earlier) => earlier > number)
          expect(overtook.length).toBeLessThanOrEqual(priorityOf(program, number) * ageing)
        })
      }),
      { numRuns: 150 }
    ))

  it("admits the lowest class after at most those that wait and (classes - 1) times ageing others", () =>
    fc.assert(
      fc.asyncProperty(fc.nat(10), fc.nat(8), async (ahead, ageing) => {
        // The worst case: as many as there may be before it, and then urgent arrivals without end.
        const program = [
          ...Array.from({ length: ahead }, () => ({ priority: 0, served: 0 })),
          { priority: classes - 1, served: 0 },
          ...Array.from({ length: 60 }, () => ({ priority: 0, served: 1 }))
        ]
        const order = await Effect.runPromise(serve(program, ageing))
        expect(order.indexOf(ahead)).toBeLessThanOrEqual(ahead + (classes - 1) * ageing)
      }),
      { numRuns: 60 }
    ))

  it("serves each class in the order of arrival", () =>
    fc.assert(
      fc.asyncProperty(arrivals, fc.nat(6), async (program, ageing) => {
        const order = await Effect.runPromise(serve(program, ageing))
        for (let priority = 0; priority < classes; priority++) {
          const ofClass = order.filter((number) => priorityOf(program, number) === priority)
          expect(ofClass).toEqual([...ofClass].sort((a, b) => a - b))
        }
      }),
      { numRuns: 100 }
    ))

  it("makes no difference between classes without ageing", () =>
    fc.assert(
      fc.asyncProperty(arrivals, async (program) => {
        expect(await Effect.runPromise(serve(program, 0))).toEqual(program.map((_, number) => number))
      }),
      { numRuns: 60 }
    ))
})
