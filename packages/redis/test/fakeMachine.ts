// A machine whose Redis is the fake one.

import { RedisSession } from "@sluice/redis"
import { Effect, Layer, type Scope } from "effect"
import { Redis } from "effect/persistence"
import type { Connection } from "./fakeRedis.ts"

/** Runs a program with a session over a connection to the fake. */
export const onConnection =
  (connection: Connection, options: RedisSession.Options = {}) =>
  <A, E, R>(
    program: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, Exclude<R, RedisSession.RedisSession> | Scope.Scope> =>
    Effect.flatMap(
      Layer.build(RedisSession.layer(options).pipe(Layer.provide(Layer.succeed(Redis.Redis, connection.redis)))),
      (context) => Effect.provide(program, context)
    )

/** Waits until what is under way with the fake has been answered: each fiber has its own turns. */
export const settled: Effect.Effect<void> = Effect.promise(async () => {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
})
