// A cluster of three servers, without replicas, on this machine.

import { LeasedSemaphore, RedisRateLimiter, RedisSession } from "@sluice/redis"
import { RedisCluster } from "@sluice/redis/cluster"
import { RedisQuota } from "@sluice/redis/quota"
import { Deferred, Effect, Fiber, Layer, Logger, type Scope } from "effect"
import { createCluster } from "redis"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { command, freePort, isInstalled, type RedisServer, startRedis } from "./servers.ts"

describe.skipIf(!isInstalled)("on a cluster of three", { timeout: 30_000 }, () => {
  let servers: ReadonlyArray<RedisServer> = []

  beforeAll(async () => {
    const buses = [await freePort(), await freePort(), await freePort()]
    const start = (bus: number) =>
      startRedis(["--cluster-enabled", "yes", "--cluster-port", String(bus), "--cluster-node-timeout", "2000"])
    servers = await Promise.all(buses.map(start))
    const ranges = ["0 5460", "5461 10922", "10923 16383"]
    for (const [index, { port }] of servers.entries()) {
      await command(port, "CLUSTER", "ADDSLOTSRANGE", ...(ranges[index] ?? "").split(" "))
    }
    const [first] = servers
    for (const [index, { port }] of servers.entries()) {
      await command(first?.port ?? 0, "CLUSTER", "MEET", "127.0.0.1", String(port), String(buses[index]))
    }
    const isWhole = async (port: number) => {
      const info = String(await command(port, "CLUSTER", "INFO"))
      return info.includes("cluster_state:ok") && info.includes("cluster_known_nodes:3")
    }
    for (const { port } of servers) {
      while (!(await isWhole(port))) await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }, 30_000)
  afterAll(async () => {
    for (const server of servers) await server.close()
  })

  const onCluster = <A, E>(program: Effect.Effect<A, E, RedisSession.RedisSession | Scope.Scope>): Promise<A> => {
    const cluster = createCluster({ rootNodes: servers.map(({ url }) => ({ url })) })
    const session = RedisSession.layer().pipe(
      Layer.provide(Layer.orDie(RedisCluster.layer(cluster))),
      Layer.provide(Logger.layer([]))
    )
    return Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(session)))
  }

  // Names enough that every server has some.
  const names = Array.from({ length: 24 }, (_, number) => `limit-${number}`)

  it("semaphores hand over and wake between processes, wherever their keys are", () =>
    onCluster(
      Effect.forEach(
        names,
        (name) =>
          Effect.gen(function* () {
            const options = { name, permits: 1, lease: "10 minutes" } as const
            const here = yield* LeasedSemaphore.make(options)
            const lease = yield* here.take(1)
            const waiting = yield* Deferred.make<void>()
            const other = yield* Effect.forkChild(
              Effect.promise(() =>
                onCluster(
                  Effect.gen(function* () {
                    const there = yield* LeasedSemaphore.make(options)
                    yield* Effect.forkChild(
                      Effect.repeat(there.shared, { until: (shared) => shared.waiting === 1 }).pipe(
                        Effect.andThen(Deferred.succeed(waiting, undefined))
                      )
                    )
                    return yield* there.withLease(1)((held) => Effect.succeed(held.token))
                  })
                )
              )
            )
            yield* Deferred.await(waiting)
            yield* here.release(lease)
            expect(yield* Fiber.join(other)).toBeGreaterThan(lease.token ?? Number.NaN)
          }),
        { concurrency: 4, discard: true }
      )
    ))

  it("limiters and quotas decide by one script, wherever their keys are", () =>
    onCluster(
      Effect.forEach(
        names,
        (name) =>
          Effect.gen(function* () {
            const limiter = yield* RedisRateLimiter.make({ name, limit: 1, interval: "1 hour" })
            expect((yield* limiter.tryTake("ann")).allowed).toBe(true)
            expect((yield* limiter.tryTake("ann")).allowed).toBe(false)
            const quota = yield* RedisQuota.make({
              name: `${name}-quota`,
              limits: {
                requests: { limit: 10, interval: "1 hour", algorithm: "slidingWindow" },
                tokens: { limit: 10, interval: "1 hour" }
              }
            })
            expect((yield* quota.tryTake("ann", { requests: 1, tokens: 8 })).allowed).toBe(true)
            const refused = yield* quota.tryTake("ann", { requests: 1, tokens: 8 })
            expect([refused.allowed, refused.limits.requests.remaining]).toEqual([false, 9])
          }),
        { concurrency: 4, discard: true }
      )
    ))

  it("uses all three servers", async () => {
    for (const { port } of servers) expect(Number(await command(port, "DBSIZE"))).toBeGreaterThan(0)
  })
})
