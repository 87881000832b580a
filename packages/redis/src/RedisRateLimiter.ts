/**
 * Bounds how much may be done per unit of time across all processes that share a Redis, for each of many keys.
 *
 * @module
 */
import { RateLimiter } from "@sluice/rate-limiter"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { makeBlocks } from "./internal/blocks.ts"
import { decisionOf } from "./internal/decision.ts"
import { takeScript } from "./internal/limitScripts.ts"
import { checkCost, type LimitOptions, makeLimits, type Outcome, shapeOf } from "./internal/limits.ts"
import { type RedisAway, RedisSession } from "./RedisSession.ts"
import type { WhenAway } from "./WhenAway.ts"

export type { LimitOptions } from "./internal/limits.ts"

/** Tokens that are taken in blocks. */
export interface BlockOptions {
  /** Cost that is taken from Redis at once, if there is so much. */
  readonly size: number
  /** How long what is left of a block may be used. Default: the limit's interval. */
  readonly maxAge?: Duration.Input | undefined
  /** Keys with a block in memory; beyond it the least recently used are given up. Default 10,000. */
  readonly maxKeys?: number | undefined
}

export interface Options extends LimitOptions {
  /** What names the limiter: all who give the same name share it. */
  readonly name: string
  /** What to do when Redis is away. Default `failClosed`. */
  readonly whenAway?: WhenAway | undefined
  /**
   * Takes in blocks and gives out from memory, so that most decisions need no round trip. Not exact any more: each
   * process may spend a block later than it took it, so that up to `size` more than the limit may go within an interval
   * for each process, and lose what is left of one, so that up to `size` less may. Default: none.
   */
  readonly block?: BlockOptions | undefined
}

/** What this process has had of a limiter. */
export interface Stats {
  /** Requests that were allowed, and blocks that were fetched. */
  readonly admitted: number
  /** Of these, without Redis, by the policy for when it is away. */
  readonly admittedLocally: number
  /** Requests that were refused. */
  readonly rejected: number
  readonly isAway: boolean
}

/**
 * A limit on cost per interval, for every key by itself, that processes share.
 *
 * **When to use**
 *
 * To hold callers to what you allow, or yourselves to what an API allows, however many machines there are.
 *
 * **Details**
 *
 * A decision is one script, in one round trip, on Redis's own clock. A request that may wait is given its time in that
 * same script, so that waiting costs no further command, and those who wait for a key go in the order in which they
 * asked. Whoever is interrupted while he waits gives back what he reserved, if nobody reserved after him (`gcra`) or in
 * any case (`slidingWindow`).
 *
 * **Gotchas**
 *
 * A cost above the burst could never be allowed: it dies with a `RangeError`. A key costs Redis memory only while
 * something of its limit is taken.
 */
export interface RedisRateLimiter {
  /** Takes a cost for a key if it is free at once. Default cost 1. */
  tryTake(key: string, cost?: number): Effect.Effect<RateLimiter.Decision, RedisAway>
  /** Takes a cost for a key, waiting for its turn. */
  take(key: string, cost?: number): Effect.Effect<void, RedisAway>
  /** The same, unless it would have to wait for too long. */
  take(
    key: string,
    cost: number,
    options: RateLimiter.TakeOptions
  ): Effect.Effect<void, RedisAway | RateLimiter.RateLimitExceeded>
  /** Runs an effect once its cost is taken. */
  limit(key: string, cost?: number): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RedisAway, R>
  /** The same, unless it would have to wait for too long. */
  limit(
    key: string,
    cost: number,
    options: RateLimiter.TakeOptions
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RedisAway | RateLimiter.RateLimitExceeded, R>
  /** What this process has had. */
  readonly stats: Effect.Effect<Stats>
  /** The same, outside of an effect. */
  statsUnsafe(): Stats
}

/**
 * Makes this process's side of a limiter. Dies with a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { NodeRedis } from "@effect/platform-node"
 * import { RedisRateLimiter, RedisSession } from "@sluice/redis"
 * import { Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const limiter = yield* RedisRateLimiter.make({ name: "api", limit: 2, interval: "1 minute" })
 *   const decisions = yield* Effect.all([limiter.tryTake("ann"), limiter.tryTake("ann"), limiter.tryTake("ann")])
 *   console.log(decisions.map(({ allowed }) => allowed)) // => [ true, true, false ]
 * })
 *
 * const redis = NodeRedis.layer({ url: process.env["REDIS_URL"] ?? "redis://localhost" })
 * const session = RedisSession.layer().pipe(Layer.provide(redis))
 * await Effect.runPromise(program.pipe(Effect.provide(session)))
 * ```
 */
export const make = (options: Options): Effect.Effect<RedisRateLimiter, never, RedisSession> =>
  Effect.gen(function* () {
    const session = yield* RedisSession
    const shape = shapeOf(options)
    const script = yield* takeScript([shape])
    const limits = makeLimits(session, {
      name: options.name,
      whenAway: options.whenAway ?? "failClosed",
      limits: { rate: shape },
      script
    })
    const { block } = options
    if (block !== undefined) checkCost(shape, block.size, Number.MIN_VALUE)
    const fromBlocks =
      block === undefined
        ? undefined
        : makeBlocks({
            size: block.size,
            maxAgeMillis: Duration.toMillis(block.maxAge ?? options.interval),
            maxKeys: block.maxKeys ?? 10_000,
            limits
          })

    const decide = (key: string, cost: number): Effect.Effect<Outcome, RedisAway> =>
      Effect.suspend(() => {
        checkCost(shape, cost, Number.MIN_VALUE)
        return fromBlocks === undefined ? limits.decide(key, [cost], 0) : fromBlocks(key, cost)
      })

    const exceeded = (key: string, cost: number, waitMillis: number) =>
      new RateLimiter.RateLimitExceeded({
        key,
        cost,
        limit: shape.limit,
        retryAfter: Duration.millis(waitMillis)
      })

    const reserve = (
      key: string,
      cost: number,
      maxWait: number
    ): Effect.Effect<void, RedisAway | RateLimiter.RateLimitExceeded> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.suspend(() => {
          checkCost(shape, cost, Number.MIN_VALUE)
          return Effect.flatMap(
            restore(limits.decide(key, [cost], maxWait)),
            (outcome): Effect.Effect<void, RateLimiter.RateLimitExceeded> =>
              outcome.allowed
                ? limits.await(key, outcome, restore)
                : Effect.fail(exceeded(key, cost, outcome.waitMillis))
          )
        })
      )

    /** A block has no time to reserve: who waits asks again when he was told to. */
    const keepAsking = (
      key: string,
      cost: number,
      maxWait: number
    ): Effect.Effect<void, RedisAway | RateLimiter.RateLimitExceeded> =>
      Effect.flatMap(decide(key, cost), (outcome): Effect.Effect<void, RedisAway | RateLimiter.RateLimitExceeded> => {
        if (outcome.allowed) return Effect.void
        if (outcome.waitMillis > maxWait) return Effect.fail(exceeded(key, cost, outcome.waitMillis))
        return Effect.andThen(
          Effect.sleep(Math.max(1, outcome.waitMillis)),
          keepAsking(key, cost, maxWait - outcome.waitMillis)
        )
      })

    function take(key: string, cost?: number): Effect.Effect<void, RedisAway>
    function take(
      key: string,
      cost: number,
      options: RateLimiter.TakeOptions
    ): Effect.Effect<void, RedisAway | RateLimiter.RateLimitExceeded>
    function take(
      key: string,
      cost = 1,
      takeOptions?: RateLimiter.TakeOptions
    ): Effect.Effect<void, RedisAway | RateLimiter.RateLimitExceeded> {
      const maxWait = takeOptions === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(takeOptions.maxWait)
      return fromBlocks === undefined ? reserve(key, cost, maxWait) : keepAsking(key, cost, maxWait)
    }
    function limit(
      key: string,
      cost?: number
    ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RedisAway, R>
    function limit(
      key: string,
      cost: number,
      options: RateLimiter.TakeOptions
    ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RedisAway | RateLimiter.RateLimitExceeded, R>
    function limit(key: string, cost = 1, takeOptions?: RateLimiter.TakeOptions) {
      const taking: Effect.Effect<void, RedisAway | RateLimiter.RateLimitExceeded> =
        takeOptions === undefined ? take(key, cost) : take(key, cost, takeOptions)
      return <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.andThen(taking, self)
    }

    const statsUnsafe = (): Stats => ({ ...limits.counts, isAway: session.isAway() })
    return {
      tryTake: (key, cost = 1) => Effect.map(decide(key, cost), (outcome) => decisionOf(shape, outcome, 0)),
      take,
      limit,
      stats: Effect.sync(statsUnsafe),
      statsUnsafe
    }
  })
