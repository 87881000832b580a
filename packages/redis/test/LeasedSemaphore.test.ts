import { LeasedSemaphore } from "@sluice/redis"
import { Deferred, Effect, Exit, Fiber, Option } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { onMachine } from "./machine.ts"
import { isInstalled, type RedisServer, startRedis } from "./servers.ts"

describe.skipIf(!isInstalled)("LeasedSemaphore", () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server.close())

  let names = 0
  const fresh = (permits: number) => ({ name: `semaphore-${++names}`, permits })

  /** Waits until Redis knows of so many waiters. */
  const untilWaiting = (semaphore: LeasedSemaphore.LeasedSemaphore, count: number) =>
    Effect.repeat(semaphore.shared, { until: ({ waiting }) => waiting === count })

  it("gives each lease a greater token, and slots that nobody else holds", () =>
    onMachine(
      server.url,
      Effect.gen(function* () {
        const semaphore = yield* LeasedSemaphore.make(fresh(3))
        const first = yield* semaphore.take(2)
        const second = yield* semaphore.take(1)
        expect([first.slots, second.slots]).toEqual([[0, 1], [2]])
        yield* semaphore.release(first)
        const third = yield* semaphore.take(1)
        expect([0, 1]).toContain(third.slots[0])
        expect(second.token).toBeGreaterThan(first.token ?? Number.NaN)
        expect(third.token).toBeGreaterThan(second.token ?? Number.NaN)
        expect(yield* semaphore.shared).toMatchObject({ capacity: 3, held: 2, waiting: 0, token: third.token })
      })
    ))

  it("hands permits to the longest waiter, whatever the weight, across processes", () =>
    onMachine(
      server.url,
      Effect.gen(function* () {
        const options = fresh(2)
        const semaphore = yield* LeasedSemaphore.make(options)
        const order: Array<string> = []
        const lease = yield* semaphore.take(1)
        const heavy = yield* Effect.forkChild(semaphore.withPermits(2)(Effect.sync(() => order.push("heavy"))))
        yield* untilWaiting(semaphore, 1)
        const light = yield* Effect.promise(() =>
          onMachine(
            server.url,
            Effect.gen(function* () {
              const other = yield* LeasedSemaphore.make(options)
              return yield* other.takeIfAvailable(1)
            })
          )
        )
        expect(Option.isNone(light)).toBe(true)
        yield* semaphore.release(lease)
        yield* Fiber.join(heavy)
        expect(order).toEqual(["heavy"])
      })
    ))

  it("wakes a waiter of another process by a message, long before it would poll", () =>
    onMachine(
      server.url,
      Effect.gen(function* () {
        const options = { ...fresh(1), lease: "10 minutes" } as const
        const semaphore = yield* LeasedSemaphore.make(options)
        const lease = yield* semaphore.take(1)
        const other = Effect.promise(() =>
          onMachine(
            server.url,
            Effect.flatMap(LeasedSemaphore.make(options), (mine) => mine.withPermit(Effect.succeed("served")))
          )
        )
        const waiting = yield* Effect.forkChild(other)
        yield* untilWaiting(semaphore, 1)
        yield* semaphore.release(lease)
        expect(yield* Fiber.join(waiting)).toBe("served")
      })
    ))

  it("serves in the order of asking, whichever process asked", () =>
    onMachine(
      server.url,
      Effect.gen(function* () {
        const options = fresh(2)
        const here = yield* LeasedSemaphore.make(options)
        const lease = yield* here.take(2)
        const order: Array<number> = []
        const expected = Array.from({ length: 12 }, (_, number) => number)
        yield* Effect.promise(() =>
          onMachine(
            server.url,
            Effect.gen(function* () {
              const there = yield* LeasedSemaphore.make(options)
              const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
              for (const number of expected) {
                const semaphore = number % 2 === 0 ? here : there
                const take = semaphore.withPermits(2)(Effect.sync(() => order.push(number)))
                fibers.push(yield* Effect.forkChild(take))
                yield* untilWaiting(here, number + 1)
              }
              yield* here.release(lease)
              for (const fiber of fibers) yield* Fiber.join(fiber)
            })
          )
        )
        expect(order).toEqual(expected)
      })
    ))

  it("leaves nothing behind when waiters and holders are interrupted", () =>
    onMachine(
      server.url,
      Effect.gen(function* () {
        const semaphore = yield* LeasedSemaphore.make(fresh(1))
        const holding = yield* Deferred.make<void>()
        const holder = yield* Effect.forkChild(
          semaphore.withPermit(Effect.andThen(Deferred.succeed(holding, undefined), Effect.never))
        )
        yield* Deferred.await(holding)
        const waiters = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(semaphore.withPermit(Effect.never)))
        yield* untilWaiting(semaphore, 3)
        yield* Fiber.interruptAll(waiters)
        yield* untilWaiting(semaphore, 0)
        yield* Fiber.interrupt(holder)
        expect(yield* semaphore.shared).toMatchObject({ held: 0, waiting: 0 })
        expect(yield* semaphore.stats).toMatchObject({ held: 0, waiting: 0 })
      })
    ))

  it("gives back at once what is held and waited for when its scope closes", () =>
    onMachine(
      server.url,
      Effect.gen(function* () {
        const options = fresh(2)
        const other = yield* LeasedSemaphore.make(options)
        const left = yield* Effect.scoped(
          Effect.gen(function* () {
            const semaphore = yield* LeasedSemaphore.make(options)
            const lease = yield* semaphore.take(2)
            yield* Effect.forkDetach(semaphore.take(1))
            yield* untilWaiting(other, 1)
            return lease
          })
        )
        expect(yield* other.shared).toMatchObject({ held: 0, waiting: 0 })
        expect(yield* Effect.flip(left.lost)).toMatchObject({ _tag: "@sluice/redis/LeaseLost", reason: "gone" })
      })
    ))

  it("keeps slots apart, whatever is taken and given back at once", () =>
    onMachine(
      server.url,
      Effect.gen(function* () {
        const semaphore = yield* LeasedSemaphore.make(fresh(40))
        const together = (count: number) =>
          Effect.all(
            Array.from({ length: count }, () => semaphore.take(1)),
            { concurrency: "unbounded" }
          )
        const slotsOf = (leases: ReadonlyArray<LeasedSemaphore.Lease>) =>
          leases.flatMap(({ slots }) => slots).sort((a, b) => a - b)
        const all = yield* together(40)
        expect(slotsOf(all)).toEqual(Array.from({ length: 40 }, (_, slot) => slot))
        const returned = all.filter((_, index) => index % 2 === 1)
        yield* Effect.all(
          returned.map((lease) => semaphore.release(lease)),
          { concurrency: "unbounded" }
        )
        const some = yield* together(5)
        const heavy = yield* semaphore.take(15)
        expect(slotsOf([...some, heavy])).toEqual(slotsOf(returned))
      })
    ))

  it("grows and shrinks for everybody, and lets holders finish", () =>
    onMachine(
      server.url,
      Effect.gen(function* () {
        const options = fresh(1)
        const semaphore = yield* LeasedSemaphore.make(options)
        const other = yield* LeasedSemaphore.make(options)
        const first = yield* semaphore.take(1)
        const second = yield* Effect.forkChild(other.take(1))
        yield* untilWaiting(semaphore, 1)
        yield* semaphore.resize(2)
        expect((yield* Fiber.join(second)).slots).toEqual([1])
        yield* semaphore.resize(1)
        expect(yield* semaphore.shared).toMatchObject({ capacity: 1, held: 2 })
        yield* semaphore.release(first)
        expect(yield* other.takeIfAvailable(1)).toEqual(Option.none())
        expect(yield* other.stats).toMatchObject({ capacity: 1, rejected: 1 })
      })
    ))

  it("tells a bad argument, and what could never be served", () =>
    onMachine(
      server.url,
      Effect.gen(function* () {
        const semaphore = yield* LeasedSemaphore.make(fresh(2))
        expect(() => semaphore.withPermits(0)).toThrow("Cannot take 0 permits: a whole number, 1 or more, is needed")
        const exit = yield* Effect.exit(semaphore.take(3))
        expect(Exit.isFailure(exit) && String(exit.cause)).toContain("Cannot take 3 permits")
      })
    ))
})
