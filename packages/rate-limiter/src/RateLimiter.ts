/**
 * Bounds how much may be done per unit of time.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type Decision, RateLimitExceeded } from "./Decision.ts"
import { MillisDecision } from "./internal/decision.ts"
import * as Gcra from "./internal/gcra.ts"
import { makeSteadyTime } from "./internal/steadyTime.ts"
import { join, makeTurns, waitTurn } from "./internal/turns.ts"

export { type Decision, RateLimitExceeded, type RateLimitExceededFields } from "./Decision.ts"

export interface Options {
  /** Cost that an interval allows; a request costs 1 unless it says otherwise. May be a fraction. */
  readonly limit: number
  readonly interval: Duration.Input
  /** Cost that may come at once. Default: the limit. With 1, requests are evenly spaced. */
  readonly burst?: number | undefined
}

export interface TakeOptions {
  /** The longest wait. A request that cannot be served within it is refused at once, and takes nothing. */
  readonly maxWait: Duration.Input
}

/** What a limiter is doing right now. */
export interface Stats {
  /** Cost that is allowed at once when nothing was taken. */
  readonly capacity: number
  /** Requests that wait for their turn. */
  readonly waiting: number
  /** Requests that were allowed. */
  readonly admitted: number
  /** Requests that were refused. */
  readonly rejected: number
}

/**
 * A limit on cost per interval.
 *
 * **When to use**
 *
 * To stay within what an API allows, or to hold callers of your own to what you allow.
 *
 * **Details**
 *
 * GCRA: over any window of length `t`, at most `burst + limit · t / interval` is allowed. There is no boundary at which
 * two bursts can meet, as with fixed windows. Whoever waits is served in order of arrival, and while anybody waits
 * nobody else is. A decision costs O(1); so does a waiter, and one timer runs however many wait.
 *
 * **Gotchas**
 *
 * A cost above the burst could never be allowed: it dies with a `RangeError`. Those who wait are not bounded in number:
 * give them a `maxWait`, or put a bulkhead before the limit.
 */
export interface RateLimiter {
  /** Takes a cost if it is free at once. Default cost 1. */
  tryTake(cost?: number): Effect.Effect<Decision>
  /** The same outside of an effect, with the time in milliseconds given by the caller. Allocates only the decision. */
  tryTakeUnsafe(nowMillis: number, cost?: number): Decision
  /** Takes a cost, waiting for its turn. */
  take(cost?: number): Effect.Effect<void>
  /** Takes a cost, waiting for its turn unless that would take too long. */
  take(cost: number, options: TakeOptions): Effect.Effect<void, RateLimitExceeded>
  /** Runs an effect once its cost is taken. */
  limit(cost?: number): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** The same, unless it would have to wait for too long. */
  limit(
    cost: number,
    options: TakeOptions
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RateLimitExceeded, R>
  /** What the limiter is doing right now. */
  readonly stats: Effect.Effect<Stats>
  /** The same, outside of an effect. */
  statsUnsafe(): Stats
}

const now: Effect.Effect<number> = Effect.clockWith((clock) => Effect.succeed(clock.currentTimeMillisUnsafe()))

/** Makes a limiter outside of an effect. Throws a `RangeError` if an option is out of range. */
export const makeUnsafe = (options: Options): RateLimiter => {
  const shape = Gcra.shape(options.limit, Duration.toMillis(options.interval), options.burst)
  const turns = makeTurns()
  const steady = makeSteadyTime()
  let tat = Number.NEGATIVE_INFINITY
  let admitted = 0
  let rejected = 0

  const takeAt = (time: number, cost: number): void => {
    tat = Gcra.after(shape, tat, time, cost)
    admitted++
  }

  /** Milliseconds until a newcomer's turn: those who wait come first, even where their time has come already. */
  const waitOfNewcomer = (time: number, cost: number): number =>
    turns.waiting === 0
      ? Gcra.waitFor(shape, tat, time, cost)
      : Math.max(Number.MIN_VALUE, Gcra.waitFor(shape, tat, time, turns.cost + cost))

  const tryTakeUnsafe = (nowMillis: number, cost = 1): Decision => {
    Gcra.checkCost(shape, cost)
    const time = steady.at(nowMillis)
    const wait = waitOfNewcomer(time, cost)
    const allowed = wait <= 0
    if (allowed) takeAt(time, cost)
    else rejected++
    const remaining = turns.waiting === 0 ? Gcra.remaining(shape, tat, time) : 0
    const resetMillis = Math.max(0, tat - time) + shape.emission * turns.cost
    return new MillisDecision(allowed, remaining, shape.burst, allowed ? 0 : wait, resetMillis)
  }

  const tryTake = (cost: number): Effect.Effect<Decision> =>
    Effect.withFiberSucceed((fiber) => tryTakeUnsafe(fiber.getRef(Clock.Clock).currentTimeMillisUnsafe(), cost))
  // The effect of the usual cost is the same each time it is asked for.
  const tryTakeOne = tryTake(1)

  const take = (cost = 1, takeOptions?: TakeOptions): Effect.Effect<void, RateLimitExceeded> => {
    const maxWait = takeOptions === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(takeOptions.maxWait)
    return Effect.uninterruptibleMask((restore) =>
      Effect.withFiber((fiber): Effect.Effect<void, RateLimitExceeded> => {
        Gcra.checkCost(shape, cost)
        const time = steady.at(fiber.getRef(Clock.Clock).currentTimeMillisUnsafe())
        const wait = waitOfNewcomer(time, cost)
        if (wait <= 0) {
          takeAt(time, cost)
          return Effect.void
        }
        if (wait > maxWait) {
          rejected++
          const retryAfter = Duration.millis(wait)
          return Effect.fail(new RateLimitExceeded({ key: undefined, cost, limit: shape.limit, retryAfter }))
        }
        let turnAt = time
        const due = Effect.map(now, (millis) => {
          turnAt = steady.at(millis)
          return Gcra.waitFor(shape, tat, turnAt, cost)
        })
        const waiter = join(turns, cost, fiber.currentDispatcher)
        return waitTurn(turns, waiter, due, () => takeAt(turnAt, cost), restore)
      })
    )
  }

  function limiterTake(cost?: number): Effect.Effect<void>
  function limiterTake(cost: number, options: TakeOptions): Effect.Effect<void, RateLimitExceeded>
  function limiterTake(cost?: number, takeOptions?: TakeOptions): Effect.Effect<void, RateLimitExceeded> {
    return take(cost, takeOptions)
  }
  function limiterLimit(cost?: number): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  function limiterLimit(
    cost: number,
    options: TakeOptions
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RateLimitExceeded, R>
  function limiterLimit(cost?: number, takeOptions?: TakeOptions) {
    const taking = take(cost, takeOptions)
    return <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.andThen(taking, self)
  }

  const statsUnsafe = (): Stats => ({ capacity: shape.burst, waiting: turns.waiting, admitted, rejected })
  return {
    tryTake: (cost) => (cost === undefined ? tryTakeOne : tryTake(cost)),
    tryTakeUnsafe,
    take: limiterTake,
    limit: limiterLimit,
    stats: Effect.sync(statsUnsafe),
    statsUnsafe
  }
}

/**
 * Makes a limiter. Dies with a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { RateLimiter } from "@sluice/rate-limiter"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const limiter = yield* RateLimiter.make({ limit: 2, interval: "1 minute" })
 *   const decisions = yield* Effect.all([limiter.tryTake(), limiter.tryTake(), limiter.tryTake()])
 *   console.log(decisions.map(({ allowed }) => allowed)) // => [ true, true, false ]
 * })
 *
 * await Effect.runPromise(program)
 * ```
 */
export const make = (options: Options): Effect.Effect<RateLimiter> => Effect.sync(() => makeUnsafe(options))
