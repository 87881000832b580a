/**
 * Bounds how much may be done per unit of time.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { type Decision, RateLimitExceeded, type Reservation } from "./Decision.ts"
import { type Algorithm, type MeterOf, shapeOf, withAlgorithm } from "./internal/algorithms.ts"
import { MillisDecision } from "./internal/decision.ts"
import { Line, type Tally } from "./internal/line.ts"
import { checkCost, checkDelta, tolerance } from "./internal/meter.ts"
import { reservationOf } from "./internal/reservation.ts"
import { makeSteadyTime } from "./internal/steadyTime.ts"

export { type Decision, RateLimitExceeded, type RateLimitExceededFields, type Reservation } from "./Decision.ts"

/**
 * How a limit of `N` per interval `T` is kept. What each allows, over any window of time that you care to pick:
 *
 * | | allows | state |
 * |---|---|---|
 * | `gcra` | in any window of length `t` at most `burst + N · t / T` | a number |
 * | `token-bucket` | the same, and decides the same; it counts tokens | two numbers |
 * | `leaky-bucket` | evenly spaced: after a cost of `c` nothing for `c · T / N`; so in any window of length `t` at most `N · t / T` and the last request | a number |
 * | `fixed-window` | at most `N` in each window; a window begins with the first request after the one before has ended. In any window of length `t` at most `N · (⌈t / T⌉ + 1)`: twice the limit where two windows meet | two numbers |
 * | `sliding-window-log` | in any window of length `T`, one of its ends left out, at most `N`: the exact one | an entry for each request of the last interval, at most 65,536 |
 * | `sliding-window-counter` | in any window of length `t` at most `N + N · t / T`; the estimate of the last interval, which takes the one before as evenly filled, never goes above `N` | four numbers |
 *
 * A reservation counts at the time that it was given. What is given back, by `adjust`, counts against what is taken in the
 * same window, at the time when it is given back; a cancelled reservation does not count.
 */
export type { Algorithm } from "./internal/algorithms.ts"

export interface Config {
  /** Cost that an interval allows; a request costs 1 unless it says otherwise. May be a fraction. */
  readonly limit: number
  readonly interval: Duration.Input
  /** Cost that may come at once, for `gcra` and `token-bucket`. Default: the limit. With 1, requests are evenly spaced. */
  readonly burst?: number | undefined
}

export interface Options extends Config {
  /** How the limit is kept. Default `gcra`. */
  readonly algorithm?: Algorithm | undefined
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
  /** Requests that were allowed, reservations with them. */
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
 * GCRA unless `algorithm` says otherwise: over any window of length `t`, at most `burst + limit · t / interval` is allowed.
 * There is no boundary at which two bursts can meet, as with fixed windows. `Algorithm` tells what each promises.
 *
 * Whoever waits is served in order of arrival, and while anybody waits nobody else is. A decision costs O(1), with the
 * sliding log O(requests that have to leave first); a waiter costs O(1), and one timer runs however many wait. To tell
 * when a newcomer would be served behind others, with a window algorithm or behind a reservation, the line is gone
 * through once after each time that somebody leaves it.
 *
 * Time is Effect's Clock, and never goes back: where the clock is set back, time stands still for as long as it takes to
 * say so; where it is set forward, everything may become free, but never more than that.
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
  /** Takes a cost for the earliest time that it may be used, which may be in the future, and tells that time. */
  reserve(cost?: number): Effect.Effect<Reservation>
  /** The same, unless its time would be too far away. */
  reserve(cost: number, options: TakeOptions): Effect.Effect<Reservation, RateLimitExceeded>
  /**
   * Settles afterwards what a request has really cost: takes `delta` more, even where that is not free, so that those who
   * come later wait for it; or gives back, where it is negative, never more than is taken.
   */
  adjust(delta: number): Effect.Effect<void>
  /**
   * Changes the limit. What is taken stays taken, those who wait keep their places, and reservations their times. Whoever
   * could no longer be served within his longest wait is refused now. A cost in line that is above the new burst is served
   * once everything is free. A sliding window that becomes longer knows of what was before the shorter one no more.
   */
  updateConfig(config: Partial<Config>): Effect.Effect<void>
  /** Allows nothing for a time, from now on, whatever is free; zero ends it. It takes nothing of the limit. */
  block(duration: Duration.Input): Effect.Effect<void>
  /** What the limiter is doing right now. */
  readonly stats: Effect.Effect<Stats>
  /** The same, outside of an effect. */
  statsUnsafe(): Stats
}

const clockOf = (fiber: Fiber.Fiber<unknown, unknown>): number => fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()

const maxWaitOf = (options: TakeOptions | undefined): number =>
  options === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(options.maxWait)

const withMeter = <S>(options: Options, algorithm: Algorithm, meterOf: MeterOf<S>): RateLimiter => {
  let config: Config = options
  const shapeFor = ({ burst, interval, limit }: Config) => shapeOf(algorithm, limit, Duration.toMillis(interval), burst)
  let meter = meterOf(shapeFor(config))
  let state = meter.none()
  let blockedUntil = Number.NEGATIVE_INFINITY
  const steady = makeSteadyTime()
  const tally: Tally = { waiting: 0, admitted: 0, rejected: 0 }
  const line = new Line<S, number>(
    {
      meter: () => meter,
      load: () => state,
      store: (next) => {
        state = next
      },
      blockedUntil: () => blockedUntil,
      weight: (cost) => cost,
      onEmpty: () => {}
    },
    steady,
    tally
  )
  const check = (cost: number): void => checkCost(meter.shape, cost)
  const refusal = (cost: number) => (wait: number) =>
    new RateLimitExceeded({ key: undefined, cost, limit: meter.shape.limit, retryAfter: Duration.millis(wait) })

  const tryTakeUnsafe = (nowMillis: number, cost = 1): Decision => {
    const { shape } = meter
    checkCost(shape, cost)
    const now = steady.at(nowMillis)
    const isBlocked = now < blockedUntil
    if (line.isEmpty() && !isBlocked) {
      const wait = meter.earliest(state, now, cost) - now
      const allowed = wait <= tolerance
      if (allowed) {
        state = meter.commit(state, now, cost)
        tally.admitted++
      } else tally.rejected++
      const reset = Math.max(0, meter.freeAt(state) - now)
      return new MillisDecision(allowed, meter.remaining(state, now), shape.burst, false, allowed ? 0 : wait, reset)
    }
    tally.rejected++
    // Whoever stands in line comes first, even where his time has come already.
    const wait = Math.max(Number.MIN_VALUE, line.earliest(now, cost) - now)
    const reset = Math.max(0, meter.freeAt(state) - now) + shape.emission * line.ahead
    return new MillisDecision(false, 0, shape.burst, isBlocked, wait, reset)
  }

  const tryTake = (cost: number): Effect.Effect<Decision> =>
    Effect.withFiberSucceed((fiber) => tryTakeUnsafe(clockOf(fiber), cost))
  // The effect of the usual cost is the same each time it is asked for.
  const tryTakeOne = tryTake(1)

  const take = (cost = 1, options?: TakeOptions): Effect.Effect<void, RateLimitExceeded> =>
    line.takeInTurn(cost, maxWaitOf(options), check, refusal(cost))

  const reserveFor = (cost = 1, options?: TakeOptions): Effect.Effect<Reservation, RateLimitExceeded> => {
    const maxWait = maxWaitOf(options)
    return Effect.withFiber((fiber) => {
      check(cost)
      const now = steady.at(clockOf(fiber))
      const promised = line.reserve(now, cost, maxWait)
      return typeof promised === "number"
        ? Effect.fail(refusal(cost)(promised))
        : Effect.succeed(reservationOf(line, steady, promised, now, (given) => given ?? 0))
    })
  }

  function limiterTake(cost?: number): Effect.Effect<void>
  function limiterTake(cost: number, options: TakeOptions): Effect.Effect<void, RateLimitExceeded>
  function limiterTake(cost?: number, options?: TakeOptions): Effect.Effect<void, RateLimitExceeded> {
    return take(cost, options)
  }
  function limiterLimit(cost?: number): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  function limiterLimit(
    cost: number,
    options: TakeOptions
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RateLimitExceeded, R>
  function limiterLimit(cost?: number, options?: TakeOptions) {
    const taking = take(cost, options)
    return <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.andThen(taking, self)
  }
  function limiterReserve(cost?: number): Effect.Effect<Reservation>
  function limiterReserve(cost: number, options: TakeOptions): Effect.Effect<Reservation, RateLimitExceeded>
  function limiterReserve(cost?: number, options?: TakeOptions): Effect.Effect<Reservation, RateLimitExceeded> {
    return reserveFor(cost, options)
  }

  const statsUnsafe = (): Stats => ({ capacity: meter.shape.burst, ...tally })
  return {
    tryTake: (cost) => (cost === undefined ? tryTakeOne : tryTake(cost)),
    tryTakeUnsafe,
    take: limiterTake,
    limit: limiterLimit,
    reserve: limiterReserve,
    adjust: (delta) =>
      Effect.withFiberSucceed((fiber) => {
        checkDelta(delta)
        line.adjust(steady.at(clockOf(fiber)), delta)
      }),
    updateConfig: (change) =>
      Effect.withFiberSucceed((fiber) => {
        const now = steady.at(clockOf(fiber))
        const next = { ...config, ...change }
        const nextMeter = meterOf(shapeFor(next))
        state = nextMeter.adopt(state, meter.shape, now)
        meter = nextMeter
        config = next
        line.changed(now)
      }),
    block: (duration) =>
      Effect.withFiberSucceed((fiber) => {
        const now = steady.at(clockOf(fiber))
        blockedUntil = now + Duration.toMillis(duration)
        line.changed(now)
      }),
    stats: Effect.sync(statsUnsafe),
    statsUnsafe
  }
}

/** Makes a limiter outside of an effect. Throws a `RangeError` if an option is out of range. */
export const makeUnsafe = (options: Options): RateLimiter => {
  const algorithm = options.algorithm ?? "gcra"
  return withAlgorithm(algorithm, (meterOf) => withMeter(options, algorithm, meterOf))
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
