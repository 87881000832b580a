// A million random operations with interruptions, over every primitive and several
// seeds: permits are conserved, no waiter is forgotten, and order is kept.

import { AdaptiveLimit, Bulkhead, KeyedSemaphore, PrioritySemaphore, Semaphore } from "@sluice/semaphore"
import { Effect, Fiber } from "effect"
import { describe, expect, it } from "vitest"
import { fork, settle } from "./fibers.ts"

const operations = Number(process.env["SLUICE_FAULT_OPERATIONS"] ?? 1_000_000)
const seeds = [1, 2, 3]

interface Subject {
  /** Runs an effect under the primitive; `choice` is a random number to choose a weight, a key or a class by. */
  readonly run: (choice: number, effect: Effect.Effect<unknown>) => Effect.Effect<unknown, unknown>
  readonly statsUnsafe: () => { readonly held: number; readonly waiting: number }
  /** How many permits a choice takes. */
  readonly weight: (choice: number) => number
  readonly capacity: number
  /** Whether whoever came first is admitted first. */
  readonly isFifo: boolean
}

const light = () => 1
const heavy = (choice: number): number => 1 + (choice % 3)

const subjects: ReadonlyArray<readonly [string, Effect.Effect<Subject>]> = [
  [
    "Semaphore",
    Effect.map(Semaphore.make(5), (semaphore) => ({
      run: (choice, effect) => semaphore.withPermits(heavy(choice))(effect),
      statsUnsafe: semaphore.statsUnsafe,
      weight: heavy,
      capacity: 5,
      isFifo: true
    }))
  ],
  [
    "Semaphore, last in first out",
    Effect.map(Semaphore.make(5, { order: "lifo" }), (semaphore) => ({
      run: (choice, effect) => semaphore.withPermits(heavy(choice))(effect),
      statsUnsafe: semaphore.statsUnsafe,
      weight: heavy,
      capacity: 5,
      isFifo: false
    }))
  ],
  [
    "KeyedSemaphore",
    Effect.map(KeyedSemaphore.make<number>({ permitsPerKey: 3, permits: 5 }), (semaphore) => ({
      run: (choice, effect) => semaphore.withPermits(choice % 7, heavy(choice))(effect),
      statsUnsafe: semaphore.statsUnsafe,
      weight: heavy,
      capacity: 5,
      isFifo: false
    }))
  ],
  [
    "PrioritySemaphore",
    Effect.map(PrioritySemaphore.make({ permits: 5, ageing: 4 }), (semaphore) => ({
      run: (choice, effect) => semaphore.withPermits(heavy(choice), choice % 3)(effect),
      statsUnsafe: semaphore.statsUnsafe,
      weight: heavy,
      capacity: 5,
      isFifo: false
    }))
  ],
  [
    "Bulkhead",
    Effect.map(Bulkhead.make({ permits: 5, maxWaiting: 10 }), (bulkhead) => ({
      run: (_, effect) => bulkhead.withPermit(effect),
      statsUnsafe: bulkhead.statsUnsafe,
      weight: light,
      capacity: 5,
      isFifo: true
    }))
  ],
  [
    "AdaptiveLimit",
    Effect.map(
      AdaptiveLimit.make({ algorithm: AdaptiveLimit.aimd({ initial: 5, max: 5 }), maxWaiting: 20 }),
      (limit) => ({
        run: (_, effect) => limit.withPermit(effect),
        statsUnsafe: limit.statsUnsafe,
        weight: light,
        capacity: 5,
        isFifo: true
      })
    )
  ]
]

const random = (seed: number): ((below: number) => number) => {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 4_294_967_296) * below)
  }
}

interface Use {
  readonly id: number
  readonly weight: number
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  finish: (() => void) | undefined
  isOver: boolean
}

const drive = (make: Effect.Effect<Subject>, seed: number, count: number) =>
  Effect.gen(function* () {
    const subject = yield* make
    const below = random(seed)
    const alive: Array<Use> = []
    let next = 0
    let lastAdmitted = -1
    let isOrdered = true
    const start = (choice: number) =>
      Effect.suspend(() => {
        const use: Use = {
          id: next++,
          weight: subject.weight(choice),
          fiber: undefined,
          finish: undefined,
          isOver: false
        }
        const held = Effect.callback<void>((resume) => {
          if (use.id < lastAdmitted) isOrdered = false
          lastAdmitted = use.id
          use.finish = () => resume(Effect.void)
        })
        alive.push(use)
        return Effect.map(
          fork(
            Effect.ensuring(
              Effect.ignore(subject.run(choice, held)),
              Effect.sync(() => {
                use.isOver = true
              })
            )
          ),
          (fiber) => {
            use.fiber = fiber
          }
        )
      })
    const forgetOver = (): void => {
      for (let i = alive.length - 1; i >= 0; i--) if (alive[i]?.isOver === true) alive.splice(i, 1)
    }
    const check = Effect.gen(function* () {
      yield* settle
      forgetOver()
      const holders = alive.filter(({ finish }) => finish !== undefined)
      const held = holders.reduce((sum, { weight }) => sum + weight, 0)
      expect(subject.statsUnsafe()).toMatchObject({ held, waiting: alive.length - holders.length })
      expect(held).toBeLessThanOrEqual(subject.capacity)
      // Whoever can go has gone: what is free is less than the heaviest asks for.
      if (alive.length > holders.length) expect(subject.capacity - held).toBeLessThan(3)
    })
    for (let operation = 0; operation < count; operation++) {
      const cast = below(100)
      const victim = alive[below(Math.max(1, alive.length))]
      if (cast < 50 && alive.length < 40) yield* start(below(1000))
      else if (cast < 80) victim?.finish?.()
      else if (victim?.fiber !== undefined) yield* Fiber.interrupt(victim.fiber)
      if (operation % 64 === 0) yield* settle
      if (operation % 32 === 0) forgetOver()
      if (operation % 1024 === 0) yield* check
    }
    yield* check
    yield* Effect.forEach([...alive], ({ fiber }) => (fiber === undefined ? Effect.void : Fiber.interrupt(fiber)), {
      discard: true
    })
    expect(subject.statsUnsafe()).toMatchObject({ held: 0, waiting: 0 })
    if (subject.isFifo) expect(isOrdered).toBe(true)
  })

describe("random operations with interruptions", () => {
  for (const [name, make] of subjects) {
    it(`leave a ${name} whole`, async () => {
      for (const seed of seeds) {
        await Effect.runPromise(drive(make, seed, Math.ceil(operations / subjects.length / seeds.length)))
      }
    }, 120_000)
  }
})
