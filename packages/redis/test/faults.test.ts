// What happens to holders, waiters and callers when Redis, a machine or the
// wire between them fails. Leases are short here so that a test is; nothing is
// asserted about how long anything takes but by Redis's own account of leases.

import { LeasedSemaphore, RedisRateLimiter, RedisSession } from "@sluice/redis"
import { RedisQuota } from "@sluice/redis/quota"
import { Deferred, Effect, Exit, Fiber, type Scope } from "effect"
import { afterEach, describe, expect, it } from "vitest"
import { onMachine } from "./machine.ts"
import { type Proxy, startProxy } from "./proxy.ts"
import { command, durable, isInstalled, type RedisServer, startRedis } from "./servers.ts"

const lease = "600 millis" as const
const quick = { commandTimeout: "200 millis", retryBase: "10 millis", retryCap: "100 millis" } as const

describe.skipIf(!isInstalled)("when something fails", { timeout: 30_000 }, () => {
  const closing: Array<() => Promise<void>> = []
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })
  const redis = async (args: ReadonlyArray<string> = []): Promise<RedisServer> => {
    const server = await startRedis(args)
    closing.push(server.close)
    return server
  }
  const proxy = async (port: number): Promise<Proxy> => {
    const wire = await startProxy(port)
    closing.push(wire.close)
    return wire
  }
  const on =
    (url: string) =>
    <A, E>(program: Effect.Effect<A, E, RedisSession.RedisSession | Scope.Scope>): Promise<A> =>
      onMachine(url, program, quick)

  const until = (condition: Effect.Effect<boolean, unknown>) =>
    Effect.repeat(
      Effect.andThen(
        Effect.sleep(10),
        Effect.orElseSucceed(condition, () => false)
      ),
      { until: (holds) => holds }
    )

  /** Holds a permit for ever, in a fiber, and tells when it does. */
  const holder = (semaphore: LeasedSemaphore.LeasedSemaphore) =>
    Effect.gen(function* () {
      const holding = yield* Deferred.make<LeasedSemaphore.Lease>()
      const fiber = yield* Effect.forkChild(
        semaphore.withLease(1)((given) => Effect.andThen(Deferred.succeed(holding, given), Effect.never))
      )
      return { fiber, lease: yield* Deferred.await(holding) }
    })

  const failureOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
    Exit.isFailure(exit) ? exit.cause.reasons.map((reason) => ("error" in reason ? reason.error : reason)).at(0) : exit

  it("Redis is killed for good: holders are interrupted with LeaseLost within a lease, and callers are refused", async () => {
    const server = await redis()
    await on(server.url)(
      Effect.gen(function* () {
        const semaphore = yield* LeasedSemaphore.make({ name: "s", permits: 1, lease })
        const { fiber } = yield* holder(semaphore)
        const waiting = yield* Effect.forkChild(Effect.exit(semaphore.withPermit(Effect.void)))
        yield* until(Effect.map(semaphore.shared, (shared) => shared.waiting === 1))
        yield* Effect.promise(server.kill)
        expect(failureOf(yield* Fiber.await(fiber))).toMatchObject({
          _tag: "@sluice/redis/LeaseLost",
          reason: "expired"
        })
        expect(failureOf(yield* Fiber.join(waiting))).toMatchObject({ _tag: "@sluice/redis/RedisAway" })
        expect(failureOf(yield* Effect.exit(semaphore.take(1)))).toMatchObject({ _tag: "@sluice/redis/RedisAway" })
        expect(yield* semaphore.stats).toMatchObject({ held: 0, waiting: 0, lost: 1, isAway: true })
        yield* Effect.promise(() => server.restart({ keepData: false }))
        yield* until(Effect.map(semaphore.withPermit(Effect.void), () => true))
        expect(yield* semaphore.stats).toMatchObject({ isAway: false })
      })
    )
  })

  it("Redis is killed and back with its data: holders keep their permits, waiters their turns, if it took less than a lease", async () => {
    const server = await redis(durable)
    await on(server.url)(
      Effect.gen(function* () {
        const semaphore = yield* LeasedSemaphore.make({ name: "s", permits: 1, lease: "20 seconds" })
        const { fiber, lease: first } = yield* holder(semaphore)
        const order: Array<number> = []
        for (const number of [1, 2, 3]) {
          yield* Effect.forkChild(semaphore.withPermit(Effect.sync(() => order.push(number))))
          yield* until(Effect.map(semaphore.shared, (shared) => shared.waiting === number))
        }
        yield* Effect.promise(() => server.restart({ keepData: true }))
        yield* until(Effect.map(semaphore.shared, (shared) => shared.held === 1 && shared.waiting === 3))
        yield* Fiber.interrupt(fiber)
        yield* until(Effect.sync(() => order.length === 3))
        expect(order).toEqual([1, 2, 3])
        const { lost, requeued } = yield* semaphore.stats
        expect({ lost, requeued }).toEqual({ lost: 0, requeued: 0 })
        expect((yield* semaphore.take(1)).token).toBeGreaterThan(first.token ?? Number.NaN)
      })
    )
  })

  it("Redis is killed and back without its data: holders are told, waiters ask again, and tokens still grow", async () => {
    const server = await redis()
    await on(server.url)(
      Effect.gen(function* () {
        const semaphore = yield* LeasedSemaphore.make({ name: "s", permits: 1, lease: "3 seconds" })
        yield* semaphore.resize(2)
        const one = yield* holder(semaphore)
        const other = yield* holder(semaphore)
        const waiting = yield* Effect.forkChild(semaphore.take(1))
        yield* until(Effect.map(semaphore.shared, (shared) => shared.waiting === 1))
        yield* Effect.promise(() => server.restart({ keepData: false }))
        for (const { fiber } of [one, other]) {
          expect(failureOf(yield* Fiber.await(fiber))).toMatchObject({
            _tag: "@sluice/redis/LeaseLost",
            reason: "gone"
          })
        }
        expect((yield* Fiber.join(waiting)).token).toBeGreaterThan(other.lease.token ?? Number.NaN)
        // The capacity that was set comes back with whoever knew it.
        expect(yield* semaphore.shared).toMatchObject({ capacity: 2, held: 1 })
        expect(yield* semaphore.stats).toMatchObject({ lost: 2, requeued: 1 })
      })
    )
  })

  it("Redis stands still for longer than a lease (SIGSTOP): holders stop themselves, and their permits are free when it goes on", async () => {
    const server = await redis()
    await on(server.url)(
      Effect.gen(function* () {
        const semaphore = yield* LeasedSemaphore.make({ name: "s", permits: 1, lease })
        const { fiber } = yield* holder(semaphore)
        server.pause()
        expect(failureOf(yield* Fiber.await(fiber))).toMatchObject({ _tag: "@sluice/redis/LeaseLost" })
        server.resume()
        yield* until(Effect.map(semaphore.withPermit(Effect.void), () => true))
        expect(yield* semaphore.shared).toMatchObject({ held: 0, waiting: 0 })
      })
    )
  })

  it("a machine is cut off: it stops itself, the others have its permits within a lease, and its token is stale", async () => {
    const server = await redis()
    const wire = await proxy(server.port)
    const options = { name: "s", permits: 1, lease } as const
    await on(server.url)(
      Effect.gen(function* () {
        const here = yield* LeasedSemaphore.make(options)
        const cut = yield* Deferred.make<LeasedSemaphore.Lease>()
        const there = yield* Effect.forkChild(
          Effect.promise(() =>
            on(wire.url)(
              Effect.gen(function* () {
                const semaphore = yield* LeasedSemaphore.make(options)
                return yield* Effect.exit(
                  semaphore.withLease(1)((given) => Effect.andThen(Deferred.succeed(cut, given), Effect.never))
                )
              })
            )
          )
        )
        const stale = yield* Deferred.await(cut)
        wire.partition()
        const fresh = yield* here.take(1)
        expect(fresh.slots).toEqual(stale.slots)
        expect(fresh.token).toBeGreaterThan(stale.token ?? Number.NaN)
        wire.heal()
        expect(failureOf(yield* Fiber.join(there))).toMatchObject({ _tag: "@sluice/redis/LeaseLost" })
        expect(yield* here.shared).toMatchObject({ held: 1 })
      })
    )
  })

  it("a machine dies with many waiters: none of them is given a permit for longer than a lease", async () => {
    const server = await redis()
    const wire = await proxy(server.port)
    const options = { name: "s", permits: 2, lease } as const
    await on(server.url)(
      Effect.gen(function* () {
        const here = yield* LeasedSemaphore.make(options)
        const held = yield* here.take(2)
        const dead = yield* Effect.forkChild(
          Effect.promise(() =>
            on(wire.url)(
              Effect.flatMap(LeasedSemaphore.make(options), (semaphore) =>
                Effect.all(
                  Array.from({ length: 50 }, () => Effect.exit(semaphore.take(1))),
                  { concurrency: "unbounded" }
                )
              )
            )
          )
        )
        yield* until(Effect.map(here.shared, ({ waiting }) => waiting === 50))
        // They asked in several commands. Once they are renewed, by one, their leases end together.
        const endings = Effect.map(
          Effect.promise(() => command(server.port, "ZRANGE", "sluice:{s}:expiry", "0", "-1", "WITHSCORES")),
          (pairs) => new Set(Array.isArray(pairs) ? pairs.map((pair: ReadonlyArray<unknown>) => pair[1]) : [])
        )
        yield* until(Effect.map(endings, ({ size }) => size <= 2))
        wire.partition()
        yield* here.release(held)
        yield* here.take(2)
        // Two of the fifty dead were handed a permit, and kept it for what was left of their lease; then it was our turn.
        const said = String(yield* Effect.promise(() => command(server.port, "INFO", "commandstats")))
        expect(Number(/cmdstat_publish:calls=(\d+)/.exec(said)?.[1])).toBeLessThanOrEqual(3)
        wire.drop()
        yield* Fiber.interrupt(dead)
      })
    )
  })

  it("a replica is promoted: what it had not heard of is lost and told, and tokens still grow", async () => {
    const first = await redis()
    const second = await redis(["--replicaof", `127.0.0.1 ${first.port}`])
    const wire = await proxy(first.port)
    await on(wire.url)(
      Effect.gen(function* () {
        const semaphore = yield* LeasedSemaphore.make({ name: "s", permits: 2, lease: "3 seconds" })
        const known = yield* holder(semaphore)
        const copied = Effect.promise(() => command(second.port, "ZCARD", "sluice:{s}:expiry"))
        yield* until(Effect.map(copied, (count) => count === 1))
        // The replica is cut off before it hears of the second.
        yield* Effect.promise(() => command(second.port, "REPLICAOF", "NO", "ONE"))
        const unknown = yield* holder(semaphore)
        yield* Effect.sync(() => wire.redirect(second.port))
        yield* Effect.promise(first.kill)
        expect(failureOf(yield* Fiber.await(unknown.fiber))).toMatchObject({
          _tag: "@sluice/redis/LeaseLost",
          reason: "gone"
        })
        expect(known.fiber.pollUnsafe()).toBeUndefined()
        const next = yield* semaphore.take(1)
        expect(next.token).toBeGreaterThan(unknown.lease.token ?? Number.NaN)
        expect(yield* semaphore.shared).toMatchObject({ held: 2 })
      })
    )
  })

  it("Redis forgets its scripts: they are sent again", async () => {
    const server = await redis()
    await on(server.url)(
      Effect.gen(function* () {
        const limiter = yield* RedisRateLimiter.make({ name: "api", limit: 5, interval: "1 minute" })
        yield* limiter.tryTake("ann")
        yield* Effect.promise(() => command(server.port, "SCRIPT", "FLUSH"))
        expect(yield* limiter.tryTake("ann")).toMatchObject({ allowed: true, remaining: 3 })
        expect(yield* Effect.flatMap(RedisSession.RedisSession, (session) => session.stats)).toMatchObject({
          outages: 0
        })
      })
    )
  })

  it("a connection is lost and nobody notices: what a message would have told is found by the slow poll", async () => {
    const server = await redis()
    const wire = await proxy(server.port)
    const options = { name: "s", permits: 1, lease: "10 minutes" } as const
    await on(server.url)(
      Effect.gen(function* () {
        const here = yield* LeasedSemaphore.make(options)
        const held = yield* here.take(1)
        const there = yield* Effect.forkChild(
          Effect.promise(() =>
            on(wire.url)(
              Effect.flatMap(LeasedSemaphore.make(options), (semaphore) => semaphore.withPermit(Effect.succeed(7)))
            )
          )
        )
        yield* until(Effect.map(here.shared, ({ waiting }) => waiting === 1))
        wire.partition()
        yield* here.release(held)
        yield* Effect.sync(() => wire.heal())
        yield* Effect.sync(() => wire.drop())
        expect(yield* Fiber.join(there)).toBe(7)
      })
    )
  })

  describe("the policy for when Redis is away", () => {
    it("failOpen: everything goes, unlimited and counted, and the limit holds again when Redis is back", async () => {
      const server = await redis()
      await on(server.url)(
        Effect.gen(function* () {
          const semaphore = yield* LeasedSemaphore.make({ name: "s", permits: 1, lease, whenAway: "failOpen" })
          const limiter = yield* RedisRateLimiter.make({
            name: "api",
            limit: 1,
            interval: "1 hour",
            whenAway: "failOpen"
          })
          const kept = yield* holder(semaphore)
          yield* Effect.promise(server.kill)
          const [one, two] = yield* Effect.all([semaphore.take(1), semaphore.take(1)])
          expect([one.token, two.token]).toEqual([undefined, undefined])
          expect(
            (yield* Effect.all([limiter.tryTake("ann"), limiter.tryTake("ann")])).map(({ allowed }) => allowed)
          ).toEqual([true, true])
          expect(yield* semaphore.stats).toMatchObject({ heldLocally: 2, admittedLocally: 2, isAway: true })
          expect(yield* limiter.stats).toMatchObject({ admittedLocally: 2, isAway: true })
          // Longer than the lease: the holder goes on while Redis is away.
          yield* Effect.sleep(900)
          expect(kept.fiber.pollUnsafe()).toBeUndefined()
          yield* Effect.promise(() => server.restart({ keepData: false }))
          expect(failureOf(yield* Fiber.await(kept.fiber))).toMatchObject({
            _tag: "@sluice/redis/LeaseLost",
            reason: "gone"
          })
          yield* until(Effect.map(limiter.tryTake("ann"), ({ allowed }) => !allowed))
          expect((yield* semaphore.take(1)).token).toBeDefined()
        })
      )
    })

    it("localShare: each machine holds itself to its part of the limit, and waiters come back to Redis with it", async () => {
      const server = await redis()
      const share = { ...quick, heartbeat: "50 millis" } as const
      await onMachine(
        server.url,
        Effect.gen(function* () {
          const session = yield* RedisSession.RedisSession
          const semaphore = yield* LeasedSemaphore.make({ name: "s", permits: 4, lease, whenAway: "localShare" })
          const limiter = yield* RedisRateLimiter.make({
            name: "api",
            limit: 4,
            interval: "1 hour",
            whenAway: "localShare"
          })
          const quota = yield* RedisQuota.make({
            name: "model",
            limits: { requests: { limit: 4, interval: "1 hour" }, tokens: { limit: 200, interval: "1 hour" } },
            whenAway: "localShare"
          })
          yield* Effect.forkChild(Effect.promise(() => onMachine(server.url, Effect.never, share)))
          yield* until(Effect.map(session.stats, ({ instances }) => instances === 2))
          yield* Effect.promise(server.kill)
          yield* Effect.all([semaphore.take(1), semaphore.take(1)])
          expect((yield* semaphore.takeIfAvailable(1))._tag).toBe("None")
          const waiting = yield* Effect.forkChild(semaphore.take(1))
          yield* until(Effect.map(semaphore.stats, (stats) => stats.waiting === 1))
          expect(failureOf(yield* Effect.exit(semaphore.take(3)))).toMatchObject({ _tag: "@sluice/redis/RedisAway" })
          const taken = yield* Effect.all([limiter.tryTake("ann"), limiter.tryTake("ann"), limiter.tryTake("ann")])
          expect(taken.map(({ allowed }) => allowed)).toEqual([true, true, false])
          const both = { requests: 1, tokens: 60 }
          expect((yield* quota.tryTake("ann", both)).allowed).toBe(true)
          const refused = yield* quota.tryTake("ann", both)
          expect([refused.allowed, refused.limits.requests.remaining]).toEqual([false, 1])
          yield* Effect.promise(() => server.restart({ keepData: false }))
          expect((yield* Fiber.join(waiting)).token).toBeDefined()
          expect(yield* semaphore.stats).toMatchObject({ heldLocally: 2, held: 1 })
        }),
        share
      )
    })
  })
})
