/**
 * Effect's `Redis` on a cluster.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"

/** What is needed of a cluster client: `createCluster` of the `redis` package gives one. */
export interface ClusterClient {
  connect(): Promise<unknown>
  destroy(): void
  on(event: "error", listener: (error: unknown) => void): unknown
  sendCommand(firstKey: string | undefined, isReadonly: boolean | undefined, args: Array<string>): Promise<unknown>
  subscribe(channel: string, listener: (message: string, channel: string) => void): Promise<void>
  unsubscribe(channel: string): Promise<void>
}

/** Where the key stands by which a command finds its node. */
const firstKey = (command: string, args: ReadonlyArray<string>): string | undefined => {
  switch (command) {
    case "EVAL":
    case "EVALSHA":
      return args[1] === "0" ? undefined : args[2]
    case "SCRIPT":
    case "PUBLISH":
    case "PING":
      return undefined
    default:
      return args[0]
  }
}

/**
 * Provides Effect's `Redis` over a cluster: each command goes to the node that has its first key, messages go by any.
 * Connects while the layer is built, and closes the client with it. Keys of this package that belong together share a
 * hash tag, so each of its scripts finds all of its keys on one node.
 *
 * `reserve` is not there: nothing of this package blocks a connection.
 *
 * @example
 * ```text
 * const cluster = createCluster({ rootNodes: [{ url: "redis://10.0.0.1:6379" }, { url: "redis://10.0.0.2:6379" }] })
 * const session = RedisSession.layer().pipe(Layer.provide(RedisCluster.layer(cluster)))
 * ```
 */
export const layer = (client: ClusterClient): Layer.Layer<Redis.Redis, Redis.RedisError> =>
  Layer.effect(
    Redis.Redis,
    Effect.gen(function* () {
      const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, Redis.RedisError> =>
        Effect.tryPromise({ try: run, catch: (cause) => new Redis.RedisError({ cause }) })
      const warn = Effect.runForkWith(yield* Effect.context<never>())
      // Without a listener an error event would end the process; commands tell their own failures.
      client.on("error", (cause) => {
        warn(Effect.logWarning("Redis cluster client error", cause))
      })
      yield* Effect.acquireRelease(
        attempt(() => client.connect()),
        () => Effect.sync(() => client.destroy())
      )
      return yield* Redis.make({
        send: <A = unknown>(command: string, ...args: ReadonlyArray<string>) =>
          // What a command answers is its caller's to say, as it is in Effect's own `Redis`.
          attempt(() => client.sendCommand(firstKey(command, args), false, [command, ...args]) as Promise<A>),
        subscribe: (channel, onMessage) => {
          const listener = (message: string): void => onMessage({ channel, message })
          return Effect.as(
            Effect.acquireRelease(
              attempt(() => client.subscribe(channel, listener)),
              () => Effect.ignore(attempt(() => client.unsubscribe(channel)))
            ),
            Effect.never
          )
        },
        connect: Effect.fail(new Redis.RedisError({ cause: new Error("A cluster has no connection to reserve") }))
      })
    })
  )
