// The protocol under many schedules: the package's own scripts, run by the fake
// Redis, and its own fibers, of several machines, with interruptions at any point,
// machines that are cut off, and data that are lost. The resource at the end is
// the judge: it keeps the greatest token of each slot, and nobody may be told
// that he wrote while a greater one has.

import { LeasedSemaphore } from "@sluice/redis"
import { Explorer } from "@sluice/schedule-explorer"
import { Cause, Effect, Exit, Fiber, Option } from "effect"
import { describe, it } from "vitest"
import { onConnection } from "./fakeMachine.ts"
import { type FakeRedis, makeFakeRedis } from "./fakeRedis.ts"

/** What a test may not meet: anything but an interruption, a lost lease and Redis being away. */
const isUnexpected = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) &&
  exit.cause.reasons.some(
    (reason) => Cause.isDieReason(reason) || (Cause.isFailReason(reason) && !isDeclared(reason.error))
  )

const isDeclared = (error: unknown): boolean =>
  typeof error === "object" &&
  error !== null &&
  "_tag" in error &&
  (error._tag === "@sluice/redis/LeaseLost" || error._tag === "@sluice/redis/RedisAway")

const joined = (fibers: ReadonlyArray<Fiber.Fiber<unknown, unknown>>) =>
  Effect.forEach(fibers, (fiber) =>
    Effect.flatMap(Fiber.await(fiber), (exit) =>
      isUnexpected(exit) ? Effect.die(`ended with ${String(exit)}`) : Effect.void
    )
  )

/** A resource that refuses stale tokens, and counts who is inside with a valid one. */
const makeResource = () => {
  const greatest = new Map<number, number>()
  let inside = 0
  let accepted = 0
  return {
    accepted: () => accepted,
    write: (lease: LeasedSemaphore.Lease): boolean => {
      const token = lease.token ?? 0
      if (lease.slots.some((slot) => (greatest.get(slot) ?? 0) > token)) return false
      for (const slot of lease.slots) greatest.set(slot, token)
      accepted++
      return true
    },
    enter: () => ++inside,
    leave: () => --inside
  }
}

const machine = (fake: FakeRedis, permits = 1) => {
  const connection = fake.connect()
  const make = LeasedSemaphore.make({ name: "model", permits, lease: "9 seconds" })
  return Effect.map(onConnection(connection, { instances: 2 })(make), (semaphore) => ({ semaphore, connection }))
}

/** Holds a permit over two steps, alone, and writes twice. */
const work = (
  semaphore: LeasedSemaphore.LeasedSemaphore,
  resource: ReturnType<typeof makeResource>
): Effect.Effect<void, unknown> =>
  semaphore.withLease(1)((lease) =>
    Effect.gen(function* () {
      if (resource.enter() > 1) yield* Effect.die("two hold the only permit")
      if (!resource.write(lease)) yield* Effect.die("the only holder was refused")
      yield* Effect.yieldNow
      if (!resource.write(lease)) yield* Effect.die("the only holder was refused")
    }).pipe(Effect.ensuring(Effect.sync(resource.leave)))
  )

/** Nothing is held, nobody waits, and the permit can be had. */
const isWhole = (semaphore: LeasedSemaphore.LeasedSemaphore) =>
  Effect.gen(function* () {
    // What was left to be told is told with the next renewal.
    yield* Effect.sleep("30 seconds")
    const shared = yield* semaphore.shared
    if (shared.held !== 0 || shared.waiting !== 0) yield* Effect.die(`at the end ${JSON.stringify(shared)}`)
    const { held, waiting } = semaphore.statsUnsafe()
    if (held !== 0 || waiting !== 0) yield* Effect.die(`at the end this machine has ${held} and ${waiting} wait`)
    const lease = yield* semaphore.takeIfAvailable(1)
    if (Option.isNone(lease)) yield* Effect.die("a permit was lost")
  })

/** One fiber whose only deed falls anywhere among the others' steps, since the explorer chooses when it has its turn. */
const meanwhile = (deed: Effect.Effect<unknown>) => Effect.forkChild(deed)

const random = (runs: number, seed: number) => Explorer.random({ runs, seed, maxPreemptions: 3 })

describe("LeasedSemaphore under many schedules", () => {
  it("one holds at a time, and nothing is left behind, whoever is interrupted and when", () => {
    const program = Effect.gen(function* () {
      const fake = yield* makeFakeRedis
      const one = yield* machine(fake)
      const other = yield* machine(fake)
      const resource = makeResource()
      const first = yield* Effect.forkChild(work(one.semaphore, resource))
      const second = yield* Effect.forkChild(work(other.semaphore, resource))
      const killer = yield* meanwhile(Fiber.interrupt(first))
      yield* joined([first, second, killer])
      yield* isWhole(one.semaphore)
    }).pipe(Effect.scoped)
    Explorer.assert(program, { strategy: random(200, 3) })
    Explorer.assert(program, { strategy: Explorer.pct({ runs: 100, depth: 3, seed: 5 }) })
  })

  it("weights, a resize and a newcomer: never more than there are, and in the order of asking", () => {
    const program = Effect.gen(function* () {
      const fake = yield* makeFakeRedis
      const one = yield* machine(fake, 2)
      const other = yield* machine(fake, 2)
      let inside = 0
      const use = (weight: number) =>
        Effect.suspend(() => {
          inside += weight
          return inside > 3 ? Effect.die(`${inside} permits are held`) : Effect.yieldNow
        }).pipe(Effect.ensuring(Effect.sync(() => (inside -= weight))))
      const fibers = [
        yield* Effect.forkChild(one.semaphore.withPermits(2)(use(2))),
        yield* Effect.forkChild(other.semaphore.withPermits(1)(use(1))),
        yield* Effect.forkChild(one.semaphore.resize(3)),
        yield* Effect.forkChild(other.semaphore.withPermits(2)(use(2)))
      ]
      yield* joined(fibers)
      yield* isWhole(other.semaphore)
    }).pipe(Effect.scoped)
    Explorer.assert(program, { strategy: random(150, 7) })
  })

  it("a machine that is cut off has stopped itself before its permit is another's", () => {
    const program = Effect.gen(function* () {
      const fake = yield* makeFakeRedis
      const one = yield* machine(fake)
      const other = yield* machine(fake)
      const resource = makeResource()
      const long = one.semaphore.withLease(1)((lease) =>
        Effect.suspend(() =>
          resource.enter() > 1
            ? Effect.die("two hold the only permit")
            : Effect.andThen(
                Effect.sync(() => resource.write(lease)),
                Effect.sleep("1 minute")
              )
        ).pipe(Effect.ensuring(Effect.sync(resource.leave)))
      )
      const first = yield* Effect.forkChild(long)
      const cutter = yield* meanwhile(Effect.sync(one.connection.cut))
      const second = yield* Effect.forkChild(work(other.semaphore, resource))
      yield* joined([cutter, second])
      one.connection.heal()
      yield* joined([first])
      yield* isWhole(other.semaphore)
    }).pipe(Effect.scoped)
    Explorer.assert(program, { strategy: random(150, 11) })
  })

  it("where the data are lost, nobody writes after a later holder has, and no permit stays away", () => {
    const program = Effect.gen(function* () {
      const fake = yield* makeFakeRedis
      const one = yield* machine(fake)
      const other = yield* machine(fake)
      const resource = makeResource()
      const writing = (semaphore: LeasedSemaphore.LeasedSemaphore) =>
        semaphore.withLease(1)((lease) =>
          Effect.gen(function* () {
            for (let time = 0; time < 3; time++) {
              // A holder that is refused is stale: it is told within a renewal.
              if (!resource.write(lease)) return yield* lease.lost
              yield* Effect.sleep("2 seconds")
            }
          })
        )
      const fibers = [
        yield* Effect.forkChild(writing(one.semaphore)),
        yield* meanwhile(Effect.sync(fake.flush)),
        yield* Effect.forkChild(writing(other.semaphore))
      ]
      yield* joined(fibers)
      if (resource.accepted() < 3) yield* Effect.die(`only ${resource.accepted()} writes were accepted`)
      yield* isWhole(one.semaphore)
    }).pipe(Effect.scoped)
    Explorer.assert(program, { strategy: random(150, 13) })
  })

  it("finds the permit that a machine without renewal would lose", () => {
    // The same check on a broken protocol: a holder that dies and whose lease nobody ends.
    const program = Effect.gen(function* () {
      const fake = yield* makeFakeRedis
      const one = yield* machine(fake)
      const other = yield* machine(fake)
      yield* one.semaphore.take(1)
      yield* isWhole(other.semaphore)
    }).pipe(Effect.scoped)
    if (Explorer.check(program, { strategy: random(5, 1) }).failure === undefined) throw new Error("nothing was found")
  })
})
