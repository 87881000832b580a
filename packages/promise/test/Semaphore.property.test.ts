// Random programs of takes, releases, aborts and resizes, run against the semaphores
// and against sequential models of them side by side: the models and the laws of
// @sluice/semaphore, for promises.

import { createKeyedSemaphore, createSemaphore, type Semaphore, SemaphoreClosed } from "@sluice/promise"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { deferred, outcome, settle } from "./turns.ts"

type Command =
  | { readonly type: "take"; readonly permits: number }
  | { readonly type: "tryTake"; readonly permits: number }
  | { readonly type: "finish"; readonly which: number }
  | { readonly type: "abort"; readonly which: number; readonly settled: boolean }
  | { readonly type: "resize"; readonly permits: number }

const capacity = 5

const permits = fc.integer({ min: 1, max: capacity })

const commands: fc.Arbitrary<ReadonlyArray<Command>> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ type: fc.constant("take" as const), permits }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("tryTake" as const), permits }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant("finish" as const), which: fc.nat(20) }) },
    {
      weight: 3,
      arbitrary: fc.record({ type: fc.constant("abort" as const), which: fc.nat(20), settled: fc.boolean() })
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

interface Running {
  readonly finish: () => void
  readonly controller: AbortController
  readonly done: Promise<unknown>
  isStarted: boolean
}

const run = async (program: ReadonlyArray<Command>, check: (semaphore: Semaphore, model: Model) => void) => {
  const semaphore = createSemaphore(capacity)
  const model = new Model()
  const admitted: Array<number> = []
  const tasks = new Map<number, Running>()
  let next = 0
  for (const command of program) {
    switch (command.type) {
      case "take": {
        // One that was handed its permits runs a turn later; a newcomer that need not wait runs at once.
        await settle()
        const id = next++
        const end = deferred()
        const controller = new AbortController()
        const task: Running = { finish: end.resolve, controller, done: Promise.resolve(), isStarted: false }
        const done = semaphore.run(
          () => {
            task.isStarted = true
            admitted.push(id)
            return end.promise
          },
          { permits: command.permits, signal: controller.signal }
        )
        tasks.set(id, Object.assign(task, { done: outcome(done) }))
        model.join(id, command.permits)
        break
      }
      case "tryTake": {
        const isFree = model.waiters.length === 0 && model.held + command.permits <= model.capacity
        using permit = semaphore.tryAcquire(command.permits)
        expect(permit !== undefined).toBe(isFree)
        break
      }
      case "finish": {
        const holder = model.holders[command.which % Math.max(1, model.holders.length)]
        if (holder === undefined) break
        await settle()
        tasks.get(holder.id)?.finish()
        await tasks.get(holder.id)?.done
        model.leave(holder.id)
        break
      }
      case "abort": {
        const alive = [...model.holders, ...model.waiters]
        const victim = alive[command.which % Math.max(1, alive.length)]
        if (victim === undefined) break
        // Unsettled, it may have been handed its permits and not know of it yet.
        if (command.settled) await settle()
        const task = tasks.get(victim.id)
        task?.controller.abort("aborted")
        // What runs is not stopped by a signal: its function heeds it.
        if (task?.isStarted === true) task.finish()
        await task?.done
        model.leave(victim.id)
        break
      }
      case "resize":
        semaphore.resize(command.permits)
        model.capacity = command.permits
        model.admit()
    }
    check(semaphore, model)
  }
  await settle()
  for (const { controller, finish } of tasks.values()) {
    controller.abort("end")
    finish()
  }
  await Promise.all([...tasks.values()].map(({ done }) => done))
  return { semaphore, model, admitted }
}

const holds = (check: (semaphore: Semaphore, model: Model) => void) =>
  fc.assert(
    fc.asyncProperty(commands, async (program) => {
      await run(program, check)
    }),
    { numRuns: 200 }
  )

const nothing = (): void => undefined

describe("Semaphore", () => {
  it("has as many permits held and waiting as the model, at every step", () =>
    holds((semaphore, model) => {
      const { capacity, held, waiting } = semaphore.stats()
      expect({ capacity, held, waiting }).toEqual({
        capacity: model.capacity,
        held: model.held,
        waiting: model.waiters.length
      })
    }))

  it("admits in the order of the model, but for those that gave up before they knew", () =>
    fc.assert(
      fc.asyncProperty(commands, async (program) => {
        const { admitted, model } = await run(program, nothing)
        const known = new Set(admitted)
        expect(admitted).toEqual(model.admitted.filter((id) => known.has(id)))
      }),
      { numRuns: 200 }
    ))

  it("has every permit back at the end, whatever was aborted", () =>
    fc.assert(
      fc.asyncProperty(commands, async (program) => {
        const { semaphore } = await run(program, nothing)
        expect(semaphore.stats()).toMatchObject({ held: 0, waiting: 0 })
      }),
      { numRuns: 200 }
    ))

  it("leaves nobody waiting while the head could go", () =>
    holds((semaphore, model) => {
      const [head] = model.waiters
      const { available, held } = semaphore.stats()
      if (head !== undefined && held <= model.capacity) expect(head.permits).toBeGreaterThan(available)
    }))

  /** Models holders and waiters at the moment of closing: the first finish, the others fail, and nobody comes after. */
  it("once closed, fails those who wait and those who come, and lets holders finish", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(permits, { maxLength: 12 }),
        fc.array(permits, { maxLength: 4 }),
        async (before, after) => {
          const semaphore = createSemaphore(capacity)
          const model = new Model()
          const use = (permits: number) => outcome(semaphore.run(settle, { permits }))
          const uses = before.map((permits, id) => {
            const done = use(permits)
            model.join(id, permits)
            return done
          })
          const holders = new Set(model.holders.map(({ id }) => id))
          semaphore.close()
          uses.push(...after.map(use))
          for (const [id, end] of (await Promise.all(uses)).entries()) {
            if (holders.has(id)) expect(end).toEqual({ value: undefined })
            else expect(end).toEqual({ error: expect.any(SemaphoreClosed) })
          }
          await semaphore.idle()
          expect(semaphore.stats()).toMatchObject({ held: 0, waiting: 0 })
        }
      ),
      { numRuns: 150 }
    ))
})

interface Request {
  readonly id: number
  readonly key: string
  readonly permits: number
}

const keys = ["a", "b", "c", "d"] as const
const perKey = 3
const all = 5

const keyedCommands = (maxPermits: number) =>
  fc.array(
    fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({
          type: fc.constant("take" as const),
          key: fc.constantFrom(...keys),
          permits: fc.integer({ min: 1, max: maxPermits })
        })
      },
      {
        weight: 2,
        arbitrary: fc.record({ type: fc.constant("end" as const), which: fc.nat(20), settled: fc.boolean() })
      }
    ),
    { maxLength: 50 }
  )

const sum = (requests: ReadonlyArray<Request>): number => requests.reduce((total, { permits }) => total + permits, 0)

describe("KeyedSemaphore", () => {
  /** Models who is alive, by key and in the order of arrival; what holds is what has been called. */
  const keyed = (
    maxPermits: number,
    check: (
      stats: ReturnType<ReturnType<typeof createKeyedSemaphore<string>>["stats"]>,
      holders: ReadonlyArray<Request>,
      waiters: ReadonlyArray<Request>
    ) => void
  ) =>
    fc.assert(
      fc.asyncProperty(keyedCommands(maxPermits), async (program) => {
        const semaphore = createKeyedSemaphore<string>({ permitsPerKey: perKey, permits: all })
        const alive = new Map<number, { readonly request: Request; readonly end: () => Promise<unknown> }>()
        const called = new Set<Request>()
        for (const [id, command] of program.entries()) {
          if (command.type === "take") {
            await settle()
            const request = { id, key: command.key, permits: command.permits }
            const holding = deferred()
            const controller = new AbortController()
            const done = outcome(
              semaphore.run(
                request.key,
                () => {
                  called.add(request)
                  return holding.promise
                },
                { permits: request.permits, signal: controller.signal }
              )
            )
            const end = () => {
              controller.abort("end")
              holding.resolve()
              return done
            }
            alive.set(id, { request, end })
          } else {
            if (command.settled) await settle()
            const victim = [...alive.values()][command.which % Math.max(1, alive.size)]
            if (victim === undefined) continue
            await victim.end()
            alive.delete(victim.request.id)
          }
          await settle()
          const requests = [...alive.values()].map(({ request }) => request)
          const holders = requests.filter((request) => called.has(request))
          check(
            semaphore.stats(),
            holders,
            requests.filter((request) => !called.has(request))
          )
          for (const key of keys) {
            const ofKey = sum(holders.filter((holder) => holder.key === key))
            expect(semaphore.keyStats(key).held).toBe(ofKey)
            expect(ofKey).toBeLessThanOrEqual(perKey)
          }
        }
        await Promise.all([...alive.values()].map(({ end }) => end()))
        expect(semaphore.stats()).toMatchObject({ held: 0, waiting: 0, keys: 0 })
      }),
      { numRuns: 120 }
    )

  it("has as much held and waiting as the requests that are alive, and no more held than there is", () =>
    keyed(perKey, (stats, holders, waiters) => {
      expect(stats).toMatchObject({ held: sum(holders), waiting: waiters.length })
      expect(sum(holders)).toBeLessThanOrEqual(all)
    }))

  it("serves each key in the order of arrival", () =>
    keyed(perKey, (_, holders, waiters) => {
      for (const key of keys) {
        const first = waiters.find((request) => request.key === key)
        const last = holders.filter((request) => request.key === key).at(-1)
        if (first !== undefined && last !== undefined) expect(last.id).toBeLessThan(first.id)
      }
    }))

  it("leaves nobody waiting for a single permit that is free", () =>
    keyed(1, (stats, holders, waiters) => {
      if (stats.available === 0) return
      for (const { key } of waiters) expect(holders.filter((request) => request.key === key)).toHaveLength(perKey)
    }))

  /** Models a line of each key that is long from the start, and one permit that goes round. */
  it("serves a key at least once between two turns of any other, while both wait", () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.nat(3), { minLength: 2, maxLength: 40 }), async (arrivals) => {
        const log: Array<number> = []
        const semaphore = createKeyedSemaphore<number>({ permitsPerKey: 1, permits: 1 })
        const permit = await semaphore.acquire(9)
        const runs = arrivals.map((key) => semaphore.run(key, () => log.push(key)))
        permit.release()
        await Promise.all(runs)
        for (const [at, key] of log.entries()) {
          const before = log.lastIndexOf(key, at - 1)
          if (at === 0 || before === -1) continue
          const between = log.slice(before + 1, at)
          for (const other of new Set(log.slice(at))) if (other !== key) expect(between).toContain(other)
        }
      }),
      { numRuns: 150 }
    ))
})
