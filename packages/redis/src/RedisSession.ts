/**
 * What one process has with Redis, shared by all the limits that it keeps there.
 *
 * @module
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Redis from "effect/persistence/Redis"
import * as Mechanism from "./internal/session.ts"

export interface Options {
  /** What every key and channel begins with. Processes that share limits share it. Default `sluice`. */
  readonly prefix?: string | undefined
  /** How long Redis has for an answer before it counts as away. Default 1 second. */
  readonly commandTimeout?: Duration.Input | undefined
  /** While Redis is away it is tried again after this long, twice as long each time. Default 50 ms, with full jitter. */
  readonly retryBase?: Duration.Input | undefined
  /** The longest time between two tries. Default 2 seconds. */
  readonly retryCap?: Duration.Input | undefined
  /**
   * How many processes share the limits, where that is known. Otherwise they are counted: each tells Redis that it is
   * there, every `heartbeat`. It matters to `localShare` alone.
   */
  readonly instances?: number | undefined
  /** Default 5 seconds. A process that was not heard of for three of them is not counted. */
  readonly heartbeat?: Duration.Input | undefined
}

/** How this process stands with Redis. */
export interface Stats {
  readonly isAway: boolean
  /** How long Redis is away, or zero. */
  readonly awayFor: Duration.Duration
  /** Times that Redis went away since the session began. */
  readonly outages: number
  /** Commands that were sent, the tries of an outage and the heartbeat among them. */
  readonly commands: number
  /** Commands that failed or were not answered in time. */
  readonly failures: number
  /** Times that the subscription was lost, or could not be made. */
  readonly subscriptionsLost: number
  /** Processes that share the limits, as last known. */
  readonly instances: number
}

/** The facts of a refusal for want of Redis. */
export interface RedisAwayFields {
  /** What the last command met. */
  readonly cause: unknown
  /** Milliseconds since Redis went away. */
  readonly awayForMillis: number
}

const RedisAwayBase: new (
  fields: RedisAwayFields
) => Cause.YieldableError & { readonly _tag: "@sluice/redis/RedisAway" } & RedisAwayFields = Data.TaggedError(
  "@sluice/redis/RedisAway"
)<RedisAwayFields>

const describe = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** Redis did not answer, or refused, and the policy is to let nothing through without it. */
export class RedisAway extends RedisAwayBase {
  override get message(): string {
    return `Redis has been away for ${Math.round(this.awayForMillis)} ms: ${describe(this.cause)}`
  }
}

/** A Lua script, sent as text once to each server and by its digest from then on. */
export interface Script {
  readonly lua: string
}

/**
 * A process's standing with Redis: whether it is there, one subscription for all who wait, and the number of processes
 * that share its limits.
 *
 * **When to use**
 *
 * Once a process, below everything of this package: `RedisSession.layer()` over a layer of Effect's `Redis`.
 *
 * **Details**
 *
 * A command that fails, or is not answered within `commandTimeout`, means that Redis is away. From then on nothing is
 * sent to it but a small write, tried again with growing, jittered pauses, until it is answered; whoever asks in the
 * meantime is answered at once, as his policy says. A write, since a replica that was not promoted answers reads.
 *
 * **Gotchas**
 *
 * On a cluster, one shard that is away counts as Redis away.
 */
export interface RedisSession {
  /** A name that no other session has. */
  readonly id: string
  readonly prefix: string
  /** Runs a script in one round trip; in two the first time a server sees it. */
  evaluate(script: Script, keys: ReadonlyArray<string>, args: ReadonlyArray<string>): Effect.Effect<unknown, RedisAway>
  /** The same outside of an effect. */
  evaluateUnsafe(
    script: Script,
    keys: ReadonlyArray<string>,
    args: ReadonlyArray<string>,
    done: (exit: Exit.Exit<unknown, RedisAway>) => void
  ): void
  /** Begins, once a process, to listen on `prefix:wake:id`, and waits until that was tried. */
  readonly subscribed: Effect.Effect<void>
  /** Calls a function with each message whose first word is of the topic: the topic, a dot, and more without a space. */
  listen(topic: string, onMessage: (message: string) => void): void
  unlisten(topic: string): void
  /** A number that this session has not given before. */
  nextNumber(): number
  isAway(): boolean
  /** Processes that share the limits, as last known. */
  instances(): number
  /** Calls a function when Redis goes away, and when it is back or messages may have been missed. Answers how to stop. */
  watch(watcher: Watcher): () => void
  readonly stats: Effect.Effect<Stats>
  /** The same, outside of an effect. */
  statsUnsafe(): Stats
}

/** Who is told how Redis is. */
export interface Watcher {
  readonly onAway: () => void
  readonly onBack: () => void
}

/** The session as a service. */
export const RedisSession: Context.Service<RedisSession, RedisSession> =
  Context.Service<RedisSession>("@sluice/redis/RedisSession")

/**
 * Provides a session over Effect's `Redis`. It is made whether Redis is there or not.
 *
 * @example
 * ```ts
 * import { NodeRedis } from "@effect/platform-node"
 * import { RedisSession } from "@sluice/redis"
 * import { Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const session = yield* RedisSession.RedisSession
 *   const { isAway, instances } = yield* session.stats
 *   console.log(isAway, instances) // => false 1
 * })
 *
 * const redis = NodeRedis.layer({ url: process.env["REDIS_URL"] ?? "redis://localhost" })
 * await Effect.runPromise(program.pipe(Effect.provide(RedisSession.layer().pipe(Layer.provide(redis)))))
 * ```
 */
export const layer = (options: Options = {}): Layer.Layer<RedisSession, never, Redis.Redis> =>
  Layer.effect(
    RedisSession,
    Mechanism.make(
      {
        prefix: options.prefix ?? "sluice",
        commandTimeoutMillis: Duration.toMillis(options.commandTimeout ?? "1 second"),
        retryBase: options.retryBase ?? "50 millis",
        retryCap: options.retryCap ?? "2 seconds",
        instances: options.instances,
        heartbeatMillis: Duration.toMillis(options.heartbeat ?? "5 seconds")
      },
      (fields) => new RedisAway(fields)
    )
  )
