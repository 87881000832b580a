import { NodeRedis } from "@effect/platform-node"
import { EffectStores } from "@sluice/redis/effect"
import { Effect, Layer } from "effect"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { isInstalled, type RedisServer, startRedis } from "./servers.ts"

describe.skipIf(!isInstalled)("EffectStores", () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server.close())

  /** What one machine has: a connection of its own. */
  const machine = () => EffectStores.layer().pipe(Layer.provide(NodeRedis.layer({ url: server.url })))

  it("hold two machines to one limit of Effect's RateLimiter", async () => {
    const consume = Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter
      return (yield* limiter.consume({ key: "shared", limit: 10, window: "1 minute" })).remaining
    }).pipe(Effect.provide(RateLimiter.layer.pipe(Layer.provide(machine()))))
    expect(await Effect.runPromise(consume)).toBe(9)
    expect(await Effect.runPromise(consume)).toBe(8)
  })

  it("let two machines share one circuit of Effect's CircuitBreaker", async () => {
    const stateAfter = (call: Effect.Effect<unknown, unknown>) =>
      Effect.gen(function* () {
        const breaker = yield* CircuitBreaker.make({
          tripPolicy: CircuitBreaker.consecutive(1),
          openDuration: "1 minute"
        })
        yield* Effect.exit(breaker.execute(call, { key: "service" }))
        return yield* breaker.state("service")
      }).pipe(Effect.scoped, Effect.provide(machine()))
    expect((await Effect.runPromise(stateAfter(Effect.fail("down"))))._tag).toBe("Open")
    expect((await Effect.runPromise(stateAfter(Effect.void)))._tag).toBe("Open")
  })
})
