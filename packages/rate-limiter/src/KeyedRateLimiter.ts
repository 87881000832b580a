/**
 * A rate limit for each of many keys: clients, tenants, addresses.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { type Decision, RateLimitExceeded, type Reservation } from "./Decision.ts"
import { type Algorithm, type MeterOf, shapeOf, withAlgorithm } from "./internal/algorithms.ts"
import { makeBlocks } from "./internal/blocks.ts"
import { MillisDecision } from "./internal/decision.ts"
import { type KeyStoreOptions, makeGenerations, makeLeastRecentlyUsed } from "./internal/keyStore.ts"
import { Line, type Tally } from "./internal/line.ts"
import { checkCost, checkDelta, type RateMeter, tolerance } from "./internal/meter.ts"
import { reservationOf } from "./internal/reservation.ts"
import { makeSteadyTime } from "./internal/steadyTime.ts"
import type * as RateLimiter from "./RateLimiter.ts"

export interface Options extends RateLimiter.Options {
  /** Keys whose state is kept; beyond it the least recently used are forgotten, and start anew. Default 1,000,000. */
  readonly maxKeys?: number | undefined
  /**
   * Forgets a key that nobody asks for during this time, even if something of its limit is taken, at the latest after
   * twice the time. Default: keys are forgotten once nothing is taken, so that nothing is lost with them.
   */
  readonly maxIdle?: Duration.Input | undefined
  /**
   * Which key goes when there are too many. `generations` (the default) forgets the half of the keys that was not asked
   * for since the other half was first, and keeps between `maxKeys / 2` and `maxKeys`; it costs nothing at a request.
   * `least-recently-used` forgets exactly the one that was not asked for longest; it costs some 60 bytes more a key.
   */
  readonly eviction?: "generations" | "least-recently-used" | undefined
  /**
   * A key's own limit, or nothing for the usual one. It is called for each request: return the same object for the same
   * limit, and it costs a look-up.
   */
  readonly limitOf?: ((key: string) => RateLimiter.Config | undefined) | undefined
}

/** What a keyed limiter is doing right now. */
export interface Stats extends RateLimiter.Stats {
  /** Keys whose state is kept. */
  readonly keys: number
  /** Keys that were forgotten, to make room or for being idle, while they might still have had something taken. */
  readonly evicted: number
}

/**
 * The same limit for every key, or one of its own, each by itself.
 *
 * **Details**
 *
 * As `RateLimiter`, which see. A key has state only while something of its limit is taken, or somebody waits. A decision
 * costs O(1), whatever the number of keys; a key costs a number in a map, with the window algorithms an object of two to
 * four. Keys that were not touched for as long as their bucket takes to fill are forgotten, and nothing is lost with them.
 *
 * **Gotchas**
 *
 * With more keys at once than `maxKeys`, the forgotten ones get their burst again. `evicted` counts them. An IPv6 client
 * has a whole network of addresses: use `AddressKey` for keys that are addresses.
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
  /** Takes a cost for the earliest time that it may be used, which may be in the future, and tells that time. */
  reserve(key: string, cost?: number): Effect.Effect<Reservation>
  /** The same, unless its time would be too far away. */
  reserve(key: string, cost: number, options: RateLimiter.TakeOptions): Effect.Effect<Reservation, RateLimitExceeded>
  /** Settles afterwards what a request has really cost: takes `delta` more, or gives back where it is negative. */
  adjust(key: string, delta: number): Effect.Effect<void>
  /**
   * Changes the usual limit. What is taken stays taken, those who wait keep their places, and keys with a limit of their
   * own keep it. Costs O(keys).
   */
  updateConfig(config: Partial<RateLimiter.Config>): Effect.Effect<void>
  /** Allows nothing for a key for a time, from now on, whatever is free; zero ends it. It takes nothing of the limit. */
  block(key: string, duration: Duration.Input): Effect.Effect<void>
  /** What the limiter is doing right now. */
  readonly stats: Effect.Effect<Stats>
  /** The same, outside of an effect. */
  statsUnsafe(): Stats
}

const clockOf = (fiber: Fiber.Fiber<unknown, unknown>): number => fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()

const maxWaitOf = (options: RateLimiter.TakeOptions | undefined): number =>
  options === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(options.maxWait)

const withMeter = <S>(options: Options, algorithm: Algorithm, meterOf: MeterOf<S>): KeyedRateLimiter => {
  const maxKeys = options.maxKeys ?? 1_000_000
  if (!Number.isSafeInteger(maxKeys) || maxKeys < 2) {
    throw new RangeError(
      `Cannot make a keyed rate limiter with maxKeys ${maxKeys}: a whole number, 2 or more, is needed`
    )
  }
  const maxIdle = options.maxIdle === undefined ? undefined : Duration.toMillis(options.maxIdle)
  if (maxIdle !== undefined && !(maxIdle > 0)) {
    throw new RangeError(
      `Cannot make a keyed rate limiter with maxIdle ${maxIdle} ms: a duration longer than nothing is needed`
    )
  }
  const makeMeter = ({ burst, interval, limit }: RateLimiter.Config): RateMeter<S> =>
    meterOf(shapeOf(algorithm, limit, Duration.toMillis(interval), burst))
  let config: RateLimiter.Config = options
  let usual = makeMeter(config)

  const { limitOf } = options
  const ownMeters = new WeakMap<RateLimiter.Config, RateMeter<S>>()
  const ownMeter = (own: RateLimiter.Config): RateMeter<S> => {
    const meter = ownMeters.get(own) ?? makeMeter(own)
    ownMeters.set(own, meter)
    return meter
  }
  const meterFor = (key: string): RateMeter<S> => {
    const own = limitOf?.(key)
    return own === undefined ? usual : ownMeter(own)
  }

  const storeOptions: KeyStoreOptions<S> = {
    maxKeys,
    lifetime: usual.shape.fill,
    maxIdle,
    freeAt: limitOf === undefined ? (_, state) => usual.freeAt(state) : (key, state) => meterFor(key).freeAt(state)
  }
  const states =
    options.eviction === "least-recently-used" ? makeLeastRecentlyUsed(storeOptions) : makeGenerations(storeOptions)
  const lines = new Map<string, Line<S, number>>()
  const blocks = makeBlocks(maxKeys)
  const steady = makeSteadyTime()
  const tally: Tally = { waiting: 0, admitted: 0, rejected: 0 }

  const load = (key: string, meter: RateMeter<S>, now: number): S => states.get(key, now) ?? meter.none()

  const lineOf = (key: string): Line<S, number> => {
    const known = lines.get(key)
    if (known !== undefined) return known
    let time = 0
    const line = new Line<S, number>(
      {
        meter: () => meterFor(key),
        load: (now) => {
          time = now
          return load(key, meterFor(key), now)
        },
        store: (state, now) => states.set(key, state, now),
        blockedUntil: () => blocks.until(key, time),
        weight: (cost) => cost,
        onEmpty: (now) => forgetIdle(key, line, now)
      },
      steady,
      tally
    )
    lines.set(key, line)
    return line
  }

  const forgetIdle = (key: string, line: Line<S, number>, now: number): void => {
    if (line.isIdle(now) && lines.get(key) === line) lines.delete(key)
  }

  /** Lines that are kept for a promise only go once that is past. All are looked at each time that they have doubled. */
  let linesToLookAt = 64
  const forgetKept = (now: number): void => {
    if (lines.size < linesToLookAt) return
    for (const [key, line] of lines) forgetIdle(key, line, now)
    linesToLookAt = Math.max(64, 2 * lines.size)
  }

  const refusal = (key: string, cost: number, meter: RateMeter<S>) => (wait: number) =>
    new RateLimitExceeded({ key, cost, limit: meter.shape.limit, retryAfter: Duration.millis(wait) })

  const tryTakeUnsafe = (nowMillis: number, key: string, cost = 1): Decision => {
    const meter = limitOf === undefined ? usual : meterFor(key)
    checkCost(meter.shape, cost)
    const now = steady.at(nowMillis)
    const line = lines.size === 0 ? undefined : lines.get(key)
    const isBlocked = now < blocks.until(key, now)
    let state = load(key, meter, now)
    if ((line === undefined || line.isEmpty()) && !isBlocked) {
      const wait = meter.earliest(state, now, cost) - now
      const allowed = wait <= tolerance
      if (allowed) {
        state = meter.commit(state, now, cost)
        states.set(key, state, now)
        tally.admitted++
      } else tally.rejected++
      return new MillisDecision(
        allowed,
        meter.remaining(state, now),
        meter.shape.burst,
        false,
        allowed ? 0 : wait,
        Math.max(0, meter.freeAt(state) - now)
      )
    }
    tally.rejected++
    const at = line?.earliest(now, cost) ?? meter.earliest(state, blocks.until(key, now), cost)
    const reset = Math.max(0, meter.freeAt(state) - now) + meter.shape.emission * (line?.ahead ?? 0)
    return new MillisDecision(false, 0, meter.shape.burst, isBlocked, Math.max(Number.MIN_VALUE, at - now), reset)
  }

  const take = (
    key: string,
    cost = 1,
    takeOptions?: RateLimiter.TakeOptions
  ): Effect.Effect<void, RateLimitExceeded> => {
    const maxWait = maxWaitOf(takeOptions)
    return Effect.uninterruptibleMask((restore) =>
      Effect.withFiber((fiber): Effect.Effect<void, RateLimitExceeded> => {
        const meter = meterFor(key)
        checkCost(meter.shape, cost)
        const now = steady.at(clockOf(fiber))
        const line = lineOf(key)
        const taken = line.takeOrJoin(fiber, now, cost, maxWait, restore, refusal(key, cost, meter))
        forgetIdle(key, line, now)
        return taken
      })
    )
  }

  const reserve = (
    key: string,
    cost = 1,
    takeOptions?: RateLimiter.TakeOptions
  ): Effect.Effect<Reservation, RateLimitExceeded> => {
    const maxWait = maxWaitOf(takeOptions)
    return Effect.withFiber((fiber) => {
      const meter = meterFor(key)
      checkCost(meter.shape, cost)
      const now = steady.at(clockOf(fiber))
      forgetKept(now)
      const line = lineOf(key)
      const promised = line.reserve(now, cost, maxWait)
      forgetIdle(key, line, now)
      return typeof promised === "number"
        ? Effect.fail(refusal(key, cost, meter)(promised))
        : Effect.succeed(reservationOf(line, steady, promised, now, (given) => given ?? 0))
    })
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
  function keyedReserve(key: string, cost?: number): Effect.Effect<Reservation>
  function keyedReserve(
    key: string,
    cost: number,
    options: RateLimiter.TakeOptions
  ): Effect.Effect<Reservation, RateLimitExceeded>
  function keyedReserve(key: string, cost?: number, takeOptions?: RateLimiter.TakeOptions) {
    return reserve(key, cost, takeOptions)
  }

  const statsUnsafe = (): Stats => ({
    capacity: usual.shape.burst,
    ...tally,
    keys: states.size(),
    evicted: states.evicted()
  })
  return {
    tryTake: (key, cost) => Effect.withFiberSucceed((fiber) => tryTakeUnsafe(clockOf(fiber), key, cost)),
    tryTakeUnsafe,
    take: keyedTake,
    limit: keyedLimit,
    reserve: keyedReserve,
    adjust: (key, delta) =>
      Effect.withFiberSucceed((fiber) => {
        checkDelta(delta)
        const now = steady.at(clockOf(fiber))
        const line = lineOf(key)
        line.adjust(now, delta)
        forgetIdle(key, line, now)
      }),
    updateConfig: (change) =>
      Effect.withFiberSucceed((fiber) => {
        const now = steady.at(clockOf(fiber))
        const before = usual.shape
        const next = { ...config, ...change }
        usual = makeMeter(next)
        config = next
        states.convert((key, state) => {
          const meter = meterFor(key)
          return meter === usual ? meter.adopt(state, before, now) : state
        })
        for (const line of [...lines.values()]) line.changed(now)
      }),
    block: (key, duration) =>
      Effect.withFiberSucceed((fiber) => {
        const now = steady.at(clockOf(fiber))
        blocks.block(key, now + Duration.toMillis(duration), now)
        lines.get(key)?.changed(now)
      }),
    stats: Effect.sync(statsUnsafe),
    statsUnsafe
  }
}

/** Makes a keyed limiter outside of an effect. Throws a `RangeError` if an option is out of range. */
export const makeUnsafe = (options: Options): KeyedRateLimiter => {
  const algorithm = options.algorithm ?? "gcra"
  return withAlgorithm(algorithm, (meterOf) => withMeter(options, algorithm, meterOf))
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
