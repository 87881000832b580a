// Random programs of takes, releases, interruptions and resizes, run against the
// semaphore and against a sequential model of it side by side.

import { Semaphore } from "@sluice/semaphore"
import { Effect, Exit, Fiber } from "effect"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"

type Command =
  | { readonly type: "take"; readonly permits: number }
  | { readonly type: "tryTake"; readonly permits: number }
  | { readonly type: "finish"; readonly which: number }
  | { readonly type: "interrupt"; readonly which: number; readonly settled: boolean }
  | { readonly type: "resize"; readonly permits: number }

const capacity = 5

const commands: fc.Arbitrary<ReadonlyArray<Command>> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ type: fc.constant("take" as const), permits: fc.integer({ min: 1, max: capacity }) })
    },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant("tryTake" as const), permits: fc.integer({ min: 1, max: capacity }) })
    },
    { weight: 4, arbitrary: fc.record({ type: fc.constant("finish" as const), which: fc.nat(20) }) },
    {
      weight: 3,
      arbitrary: fc.record({ type: fc.constant("interrupt" as const), which: fc.nat(20), settled: fc.boolean() })
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("resize" as const), permits: fc.nat(capacity) }) }
  ),
  { maxLength: 60 }
)

/** The model: a list of holders, a list of waiters, and one rule, that the first waiter goes first. */
class Model {
  capacity = capacity
  holders: Array<{ readonly id: number; readonly permits: number }> = []
  waiters: Array<{ readonly id: number; readonly permits: number }> = []
  readonly admitted: Array<number> = []

  get held(): number {
    return this.holders.reduce((sum, { permits }) => sum + permits, 0)
  }

  admit(): void {
    let head = this.waiters[0]
    while (head !== undefined && this.held + head.permits <= this.capacity) {
      this.waiters.shift()
      this.holders.push(head)
      this.admitted.push(head.id)
      head = this.waiters[0]
    }
  }

  join(id: number, permits: number): void {
    this.waiters.push({ id, permits })
    this.admit()
  }

  leave(id: number): void {
    this.holders = this.holders.filter((holder) => holder.id !== id)
    this.waiters = this.waiters.filter((waiter) => waiter.id !== id)
    this.admit()
  }
}

const run = (program: ReadonlyArray<Command>, check: (semaphore: Semaphore.Semaphore, model: Model) => void) =>
  Effect.gen(function* () {
    const semaphore = yield* Semaphore.make(capacity)
    const model = new Model()
    const admitted: Array<number> = []
    const fibers = new Map<number, { readonly fiber: Fiber.Fiber<unknown>; readonly finish: () => void }>()
    let next = 0
    // Each fiber has a dispatcher of its own, and those that were armed before this one's turn have run after it.
    const turn = Effect.promise(() => new Promise<void>((resolve) => void setImmediate(resolve)))
    const settle = Effect.andThen(turn, turn)

    for (const command of program) {
      switch (command.type) {
        case "take": {
          // A fiber that was handed its permits runs when its turn comes; a newcomer that need not wait runs at once.
          yield* settle
          const id = next++
          let finish = (): void => undefined
          const finished = new Promise<void>((resolve) => {
            finish = resolve
          })
          const holding = Effect.andThen(
            Effect.sync(() => void admitted.push(id)),
            Effect.promise(() => finished)
          )
          const fiber = yield* Effect.forkChild(semaphore.withPermits(command.permits)(holding), {
            startImmediately: true
          })
          fibers.set(id, { fiber, finish })
          model.join(id, command.permits)
          break
        }
        case "tryTake": {
          const free = model.waiters.length === 0 && model.held + command.permits <= model.capacity
          expect(yield* semaphore.takeIfAvailable(command.permits)).toBe(free)
          if (free) yield* semaphore.release(command.permits)
          break
        }
        case "finish": {
          const holder = model.holders[command.which % Math.max(1, model.holders.length)]
          if (holder === undefined) break
          const running = fibers.get(holder.id)
          yield* settle
          running?.finish()
          if (running !== undefined) yield* Fiber.await(running.fiber)
          model.leave(holder.id)
          break
        }
        case "interrupt": {
          const alive = [...model.holders, ...model.waiters]
          const victim = alive[command.which % Math.max(1, alive.length)]
          if (victim === undefined) break
          // Unsettled, it may have been handed its permits and not know of it yet.
          if (command.settled) yield* settle
          const running = fibers.get(victim.id)
          if (running !== undefined) yield* Fiber.interrupt(running.fiber)
          model.leave(victim.id)
          break
        }
        case "resize":
          yield* semaphore.resize(command.permits)
          model.capacity = command.permits
          model.admit()
      }
      check(semaphore, model)
    }
    yield* settle
    yield* Effect.forEach(fibers.values(), ({ fiber }) => Fiber.interrupt(fiber), { discard: true })
    return { semaphore, model, admitted }
  })

const holds = (check: (semaphore: Semaphore.Semaphore, model: Model) => void = () => undefined) =>
  fc.asyncProperty(commands, async (program) => {
    await Effect.runPromise(run(program, check))
  })

describe("Semaphore", () => {
  it("has as many permits held and fibers waiting as the model, at every step", () =>
    fc.assert(
      holds((semaphore, model) => {
        const { capacity, held, waiting } = semaphore.statsUnsafe()
        expect({ capacity, held, waiting }).toEqual({
          capacity: model.capacity,
          held: model.held,
          waiting: model.waiters.length
        })
      }),
      { numRuns: 300 }
    ))

  it("never holds more than its capacity but while it shrinks", () =>
    fc.assert(
      fc.asyncProperty(commands, async (program) => {
        const fixed = program.filter(({ type }) => type !== "resize")
        await Effect.runPromise(
          run(fixed, (semaphore) => expect(semaphore.statsUnsafe().held).toBeLessThanOrEqual(capacity))
        )
      }),
      { numRuns: 200 }
    ))

  it("admits in the order of the model, but for those that were interrupted before they knew", () =>
    fc.assert(
      fc.asyncProperty(commands, async (program) => {
        const { admitted, model } = await Effect.runPromise(run(program, () => undefined))
        const known = new Set(admitted)
        expect(admitted).toEqual(model.admitted.filter((id) => known.has(id)))
      }),
      { numRuns: 200 }
    ))

  it("has every permit back at the end, whatever was interrupted", () =>
    fc.assert(
      fc.asyncProperty(commands, async (program) => {
        const { semaphore } = await Effect.runPromise(run(program, () => undefined))
        expect(semaphore.statsUnsafe()).toMatchObject({ held: 0, waiting: 0 })
      }),
      { numRuns: 200 }
    ))

  it("leaves nobody waiting while the head could go", () =>
    fc.assert(
      holds((semaphore, model) => {
        const [head] = model.waiters
        const { available, held } = semaphore.statsUnsafe()
        if (head !== undefined && held <= model.capacity) expect(head.permits).toBeGreaterThan(available)
      }),
      { numRuns: 200 }
    ))

  /** Models holders and waiters at the moment of closing: the first finish, the others fail, and nobody comes after. */
  it("once closed, fails those who wait and those who come, and lets holders finish", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: capacity }), { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: capacity }), { maxLength: 4 }),
        async (before, after) => {
          await Effect.runPromise(
            Effect.gen(function* () {
              const semaphore = yield* Semaphore.makeClosable(capacity)
              const model = new Model()
              const use = (permits: number) =>
                Effect.forkChild(Effect.exit(semaphore.withPermits(permits)(Effect.yieldNow)), {
                  startImmediately: true
                })
              const fibers: Array<Fiber.Fiber<Exit.Exit<void, unknown>>> = []
              for (const [id, permits] of before.entries()) {
                fibers.push(yield* use(permits))
                model.join(id, permits)
              }
              const holders = new Set(model.holders.map(({ id }) => id))
              yield* semaphore.close
              for (const permits of after) fibers.push(yield* use(permits))
              const exits = yield* Effect.forEach(fibers, Fiber.join)
              expect(exits.map(Exit.isSuccess)).toEqual(fibers.map((_, id) => holders.has(id)))
              yield* semaphore.awaitIdle
              expect(semaphore.statsUnsafe()).toMatchObject({ held: 0, waiting: 0 })
            })
          )
        }
      ),
      { numRuns: 200 }
    ))
})
