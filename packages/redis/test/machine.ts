// What one machine has: a connection, a session, and what the test makes of it.

import { NodeRedis } from "@effect/platform-node"
import { RedisSession } from "@sluice/redis"
import { Effect, Layer, Logger, type Scope } from "effect"

/** A session of its own over a connection of its own. Warnings of the client below are not shown. */
export const machine = (
  url: string,
  options: RedisSession.Options = {}
): Layer.Layer<RedisSession.RedisSession, never> =>
  RedisSession.layer(options).pipe(
    Layer.provide(Layer.orDie(NodeRedis.layer({ url }))),
    Layer.provide(Logger.layer([]))
  )

/** Runs a program as one machine does. */
export const onMachine = <A, E>(
  url: string,
  program: Effect.Effect<A, E, RedisSession.RedisSession | Scope.Scope>,
  options: RedisSession.Options = {}
): Promise<A> => Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(machine(url, options))))
