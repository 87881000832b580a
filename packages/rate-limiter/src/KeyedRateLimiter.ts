/**
 * A rate limit for each of many keys: clients, tenants, addresses.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type Decision, RateLimitExceeded } from "./Decision.ts"
import { MillisDecision } from "./internal/decision.ts"
import * as Gcra from "./internal/gcra.ts"
import { makeGenerations } from "./internal/generations.ts"
import { makeSteadyTime } from "./internal/steadyTime.ts"
import { join, makeTurns, type Turns, waitTurn } from "./internal/turns.ts"
import type * as RateLimiter from "./RateLimiter.ts"

export interface Options extends RateLimiter.Options {
  /** Keys whose state is kept; beyond it the least recently used are forgotten, and start anew. Default 1,000,000. */
  readonly maxKeys?: number | undefined
}

/** What a keyed limiter is doing right now. */
export interface Stats extends RateLimiter.Stats {
  /** Keys whose state is kept. Costs O(keys) to count. */
  readonly keys: number
  /** Keys that were forgotten, to make room, while they still had something taken. */
  readonly evicted: number
}

/**
 * The same limit for every key, each by itself.
 *
 * **Details**
 *
 * As `RateLimiter`, which see. A key has state only while something of its limit is taken, or somebody waits. A decision
 * costs O(1), whatever the number of keys; a key costs a number in a map. Keys that were not touched for as long as their
 * bucket takes to fill are forgotten, and nothing is lost with them.
 *
 * **Gotchas**
 *
 * With more keys at once than `maxKeys`, the forgotten ones get their burst again. `evicted` counts them.
 */
export interface KeyedRateLimiter {
  /** Takes a cost for a key if it is free at once. Default cost 1. */
  tryTake(key: string, cost?: number): Effect.Effect<Decision>
  /** The same outside of an effect, with the time in milliseconds given by the caller. */
  tryTakeUnsafe(nowMillis: number, key: string, cost?: number): Decision
  /** Takes a cost for a key, waiting for its turn among those that wait for the same key. */
  take(key: string, cost?: number): Effect.Effect<void>
  /** The same, unless it would have to wait for too long. */
  take(key: string, cost: number, options: RateLimiter.TakeOptions): Effect.Effect<void, RateLimitExceeded>
  /** Runs an effect once its cost is taken. */
  limit(key: string, cost?: number): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** The same, unless it would have to wait for too long. */
  limit(
    key: string,
    cost: number,
    options: RateLimiter.TakeOptions
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RateLimitExceeded, R>
  /** What the limiter is doing right now. */
  readonly stats: Effect.Effect<Stats>
  /** The same, outside of an effect. */
  statsUnsafe(): Stats
}

const now: Effect.Effect<number> = Effect.clockWith((clock) => Effect.succeed(clock.currentTimeMillisUnsafe()))

/** Makes a keyed limiter outside of an effect. Throws a `RangeError` if an option is out of range. */
export const makeUnsafe = (options: Options): KeyedRateLimiter => {
  const shape = Gcra.shape(options.limit, Duration.toMillis(options.interval), options.burst)
  const maxKeys = options.maxKeys ?? 1_000_000
  if (!Number.isSafeInteger(maxKeys) || maxKeys < 2) {
    throw new RangeError(
      `Cannot make a keyed rate limiter with maxKeys ${maxKeys}: a whole number, 2 or more, is needed`
    )
  }
  const states = makeGenerations(maxKeys, shape.fill)
  const queues = new Map<string, Turns>()
  const steady = makeSteadyTime()
  let waiting = 0
  let admitted = 0
  let rejected = 0

  const takeFrom = (key: string, tat: number, time: number, cost: number): number => {
    const after = Gcra.after(shape, tat, time, cost)
    states.set(key, after, time)
    admitted++
    return after
  }

  const waitOfNewcomer = (turns: Turns | undefined, tat: number, time: number, cost: number): number =>
    turns === undefined
      ? Gcra.waitFor(shape, tat, time, cost)
      : Math.max(Number.MIN_VALUE, Gcra.waitFor(shape, tat, time, turns.cost + cost))

  const tryTakeUnsafe = (nowMillis: number, key: string, cost = 1): Decision => {
    Gcra.checkCost(shape, cost)
    const time = steady.at(nowMillis)
    const turns = queues.size === 0 ? undefined : queues.get(key)
    let tat = states.get(key, time)
    const wait = waitOfNewcomer(turns, tat, time, cost)
    const allowed = wait <= 0
    if (allowed) tat = takeFrom(key, tat, time, cost)
    else rejected++
    const remaining = turns === undefined ? Gcra.remaining(shape, tat, time) : 0
    const resetMillis = Math.max(0, tat - time) + shape.emission * (turns?.cost ?? 0)
    return new MillisDecision(allowed, remaining, shape.burst, allowed ? 0 : wait, resetMillis)
  }

  const queueOf = (key: string): Turns => {
    const queue = queues.get(key) ?? makeTurns()
    queues.set(key, queue)
    return queue
  }

  const take = (
    key: string,
    cost = 1,
    takeOptions?: RateLimiter.TakeOptions
  ): Effect.Effect<void, RateLimitExceeded> => {
    const maxWait = takeOptions === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(takeOptions.maxWait)
    return Effect.uninterruptibleMask((restore) =>
      Effect.withFiber((fiber): Effect.Effect<void, RateLimitExceeded> => {
        Gcra.checkCost(shape, cost)
        const time = steady.at(fiber.getRef(Clock.Clock).currentTimeMillisUnsafe())
        const tat = states.get(key, time)
        const wait = waitOfNewcomer(queues.get(key), tat, time, cost)
        if (wait <= 0) {
          takeFrom(key, tat, time, cost)
          return Effect.void
        }
        if (wait > maxWait) {
          rejected++
          return Effect.fail(
            new RateLimitExceeded({ key, cost, limit: shape.limit, retryAfter: Duration.millis(wait) })
          )
        }
        const turns = queueOf(key)
        const waiter = join(turns, cost, fiber.currentDispatcher)
        waiting++
        let turnAt = time
        const due = Effect.map(now, (millis) => {
          turnAt = steady.at(millis)
          return Gcra.waitFor(shape, states.get(key, turnAt), turnAt, cost)
        })
        return Effect.ensuring(
          waitTurn(turns, waiter, due, () => void takeFrom(key, states.get(key, turnAt), turnAt, cost), restore),
          Effect.sync(() => {
            waiting--
            if (turns.waiting === 0) queues.delete(key)
          })
        )
      })
    )
  }

  function keyedTake(key: string, cost?: number): Effect.Effect<void>
  function keyedTake(
    key: string,
    cost: number,
    options: RateLimiter.TakeOptions
  ): Effect.Effect<void, RateLimitExceeded>
  function keyedTake(key: string, cost?: number, takeOptions?: RateLimiter.TakeOptions) {
    return take(key, cost, takeOptions)
  }
  function keyedLimit(key: string, cost?: number): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  function keyedLimit(
    key: string,
    cost: number,
    options: RateLimiter.TakeOptions
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RateLimitExceeded, R>
  function keyedLimit(key: string, cost?: number, takeOptions?: RateLimiter.TakeOptions) {
    const taking = take(key, cost, takeOptions)
    return <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.andThen(taking, self)
  }

  const statsUnsafe = (): Stats => ({
    capacity: shape.burst,
    waiting,
    admitted,
    rejected,
    keys: states.size(),
    evicted: states.evicted()
  })
  return {
    tryTake: (key, cost) =>
      Effect.withFiberSucceed((fiber) => tryTakeUnsafe(fiber.getRef(Clock.Clock).currentTimeMillisUnsafe(), key, cost)),
    tryTakeUnsafe,
    take: keyedTake,
    limit: keyedLimit,
    stats: Effect.sync(statsUnsafe),
    statsUnsafe
  }
}

/**
 * Makes a keyed limiter. Dies with a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { KeyedRateLimiter } from "@sluice/rate-limiter"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const limiter = yield* KeyedRateLimiter.make({ limit: 1, interval: "1 minute" })
 *   const decisions = yield* Effect.all([limiter.tryTake("ann"), limiter.tryTake("ann"), limiter.tryTake("bob")])
 *   console.log(decisions.map(({ allowed }) => allowed)) // => [ true, false, true ]
 * })
 *
 * await Effect.runPromise(program)
 * ```
 */
export const make = (options: Options): Effect.Effect<KeyedRateLimiter> => Effect.sync(() => makeUnsafe(options))
