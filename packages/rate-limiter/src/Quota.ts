/**
 * Several limits taken together, all or none: requests a minute and tokens a minute.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { type Decision, RateLimitExceeded } from "./Decision.ts"
import { shapeOf, withAlgorithm } from "./internal/algorithms.ts"
import { type Cell, type Cells, type Costs, cellsMeter, makeCell } from "./internal/cells.ts"
import { MillisDecision } from "./internal/decision.ts"
import { Line, type Tally } from "./internal/line.ts"
import { checkCost, checkDelta, tolerance } from "./internal/meter.ts"
import { makeSteadyTime } from "./internal/steadyTime.ts"
import type * as RateLimiter from "./RateLimiter.ts"

export interface Options<Name extends string> {
  /** The limits by their names: `{ requests: { limit: 60, interval: "1 minute" }, tokens: { … } }`. */
  readonly limits: Readonly<Record<Name, RateLimiter.Options>>
}

/** What a request takes of each limit, by name. A limit that is not named is not touched. */
export type CostsByName<Name extends string> = Readonly<Partial<Record<Name, number>>>

/** Whether a request may go, and how each limit stands. */
export interface QuotaDecision<Name extends string> {
  readonly allowed: boolean
  /** How long until the same request would be allowed by all. Zero when it was. */
  readonly retryAfter: Duration.Duration
  /** How each limit stands, and whether it would have allowed its cost. */
  readonly limits: Readonly<Record<Name, Decision>>
}

/** What a quota is doing right now. */
export interface Stats {
  /** Requests that wait for their turn. */
  readonly waiting: number
  /** Requests that were allowed. */
  readonly admitted: number
  /** Requests that were refused. */
  readonly rejected: number
}

/**
 * Limits that a request has to satisfy all of.
 *
 * **When to use**
 *
 * For a service that counts more than one thing: a model that allows so many requests and so many tokens a minute.
 *
 * **Details**
 *
 * A request takes from all of its limits at once or from none; while it waits for one it holds nothing of the others.
 * Whoever waits is served in order of arrival, also where the limits are different ones: nobody is overtaken by those who
 * need less. Each limit keeps its own promise, as `RateLimiter` tells. A decision costs O(limits); a waiter O(1), and with
 * a longest wait, or for a `tryTake` while others wait, the line is gone through once after each time that somebody
 * leaves it.
 *
 * **Gotchas**
 *
 * A cost above the burst of its limit dies with a `RangeError`, and so does a name that the quota does not know. What a
 * request has really cost is known afterwards: take an estimate, then `adjust`.
 */
export interface Quota<Name extends string> {
  /** Takes a cost of each limit, if all are free at once. */
  tryTake(costs: CostsByName<Name>): Effect.Effect<QuotaDecision<Name>>
  /** The same outside of an effect, with the time in milliseconds given by the caller. */
  tryTakeUnsafe(nowMillis: number, costs: CostsByName<Name>): QuotaDecision<Name>
  /** Takes a cost of each limit, waiting for its turn, until all are free. */
  take(costs: CostsByName<Name>): Effect.Effect<void>
  /** The same, unless it would have to wait for too long. The error's `key` is the limit that is short for longest. */
  take(costs: CostsByName<Name>, options: RateLimiter.TakeOptions): Effect.Effect<void, RateLimitExceeded>
  /** Runs an effect once its costs are taken. */
  limit(costs: CostsByName<Name>): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** The same, unless it would have to wait for too long. */
  limit(
    costs: CostsByName<Name>,
    options: RateLimiter.TakeOptions
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RateLimitExceeded, R>
  /** Settles afterwards what a request has really cost: takes more, even where that is not free, or gives back. */
  adjust(deltas: CostsByName<Name>): Effect.Effect<void>
  /** Changes one limit. What is taken stays taken, and those who wait keep their places. */
  updateConfig(name: Name, config: Partial<RateLimiter.Config>): Effect.Effect<void>
  /** Allows nothing for a time, from now on, whatever is free; zero ends it. */
  block(duration: Duration.Input): Effect.Effect<void>
  /** What the quota is doing right now. */
  readonly stats: Effect.Effect<Stats>
  /** The same, outside of an effect. */
  statsUnsafe(): Stats
}

const clockOf = (fiber: Fiber.Fiber<unknown, unknown>): number => fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()

/** Makes a quota outside of an effect. Throws a `RangeError` if an option is out of range. */
export const makeUnsafe = <const Name extends string>(options: Options<Name>): Quota<Name> => {
  const entries = Object.entries<RateLimiter.Options>(options.limits)
  const names = entries.map(([name]) => name)
  if (names.length === 0) throw new RangeError("Cannot make a quota without a limit")
  const configs: Array<RateLimiter.Options> = entries.map(([, config]) => config)
  const shapeFor = (config: RateLimiter.Options) =>
    shapeOf(config.algorithm ?? "gcra", config.limit, Duration.toMillis(config.interval), config.burst)
  let cells: Cells = configs.map((config) =>
    withAlgorithm(config.algorithm ?? "gcra", (meterOf): Cell => makeCell(meterOf, shapeFor(config)))
  )
  let blockedUntil = Number.NEGATIVE_INFINITY
  const meter = cellsMeter(() => cells)
  const steady = makeSteadyTime()
  const tally: Tally = { waiting: 0, admitted: 0, rejected: 0 }
  const line = new Line<Cells, Costs>(
    {
      meter: () => meter,
      load: () => cells,
      store: (next) => {
        cells = next
      },
      blockedUntil: () => blockedUntil,
      weight: () => 0,
      onEmpty: () => {}
    },
    steady,
    tally
  )

  const inOrder = (byName: Readonly<Record<string, number | undefined>>): Costs => {
    for (const name of Object.keys(byName)) {
      if (!names.includes(name)) {
        throw new RangeError(`Cannot take ${name} from a quota: it has ${names.join(", ")}`)
      }
    }
    return names.map((name) => byName[name] ?? 0)
  }
  const check = (costs: Costs): void => {
    if (!costs.some((cost) => cost !== 0)) throw new RangeError("Cannot take nothing from a quota")
    for (const [index, cell] of cells.entries()) if (costs[index] !== 0) checkCost(cell.shape, costs[index] ?? 0)
  }

  /** The error of a cost that would have to wait, with the limit that is short for longest. */
  const refusal = (costs: Costs) => (wait: number) => {
    const now = Math.max(blockedUntil, 0)
    let shortest = 0
    let latest = Number.NEGATIVE_INFINITY
    for (const [index, cell] of cells.entries()) {
      const cost = costs[index] ?? 0
      const at = cost > 0 ? cell.earliest(now, cost) : Number.NEGATIVE_INFINITY
      if (at > latest) {
        latest = at
        shortest = index
      }
    }
    return new RateLimitExceeded({
      key: names[shortest],
      cost: costs[shortest] ?? 0,
      limit: cells[shortest]?.shape.limit ?? 0,
      retryAfter: Duration.millis(wait)
    })
  }

  const decide = (now: number, costs: Costs): QuotaDecision<Name> => {
    const isBlocked = now < blockedUntil
    const wait = line.earliest(now, costs) - now
    const allowed = line.isEmpty() && wait <= tolerance
    const waits = cells.map((cell, index) => {
      const cost = costs[index] ?? 0
      return cost > 0 ? Math.max(0, cell.earliest(now, cost) - now) : 0
    })
    if (allowed) line.take(now, costs)
    else tally.rejected++
    const limits: Partial<Record<string, Decision>> = {}
    for (const [index, cell] of cells.entries()) {
      const alone = waits[index] ?? 0
      limits[names[index] ?? ""] = new MillisDecision(
        alone <= tolerance && !isBlocked,
        cell.remaining(now),
        cell.shape.burst,
        isBlocked,
        allowed ? 0 : alone,
        Math.max(0, cell.freeAt() - now)
      )
    }
    const retryMillis = allowed ? 0 : Math.max(Number.MIN_VALUE, wait)
    return {
      allowed,
      get retryAfter() {
        return Duration.millis(retryMillis)
      },
      // The names are those of `options.limits`, which `Object.entries` tells as strings.
      limits: limits as Record<Name, Decision>
    }
  }

  const tryTakeUnsafe = (nowMillis: number, byName: CostsByName<Name>): QuotaDecision<Name> => {
    const costs = inOrder(byName)
    check(costs)
    return decide(steady.at(nowMillis), costs)
  }

  const take = (
    byName: CostsByName<Name>,
    takeOptions?: RateLimiter.TakeOptions
  ): Effect.Effect<void, RateLimitExceeded> => {
    const maxWait = takeOptions === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(takeOptions.maxWait)
    return Effect.suspend(() => {
      const costs = inOrder(byName)
      return line.takeInTurn(costs, maxWait, check, refusal(costs))
    })
  }

  function quotaTake(costs: CostsByName<Name>): Effect.Effect<void>
  function quotaTake(costs: CostsByName<Name>, options: RateLimiter.TakeOptions): Effect.Effect<void, RateLimitExceeded>
  function quotaTake(costs: CostsByName<Name>, takeOptions?: RateLimiter.TakeOptions) {
    return take(costs, takeOptions)
  }
  function quotaLimit(costs: CostsByName<Name>): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  function quotaLimit(
    costs: CostsByName<Name>,
    options: RateLimiter.TakeOptions
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RateLimitExceeded, R>
  function quotaLimit(costs: CostsByName<Name>, takeOptions?: RateLimiter.TakeOptions) {
    const taking = take(costs, takeOptions)
    return <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.andThen(taking, self)
  }

  const statsUnsafe = (): Stats => ({ ...tally })
  return {
    tryTake: (costs) => Effect.withFiberSucceed((fiber) => tryTakeUnsafe(clockOf(fiber), costs)),
    tryTakeUnsafe,
    take: quotaTake,
    limit: quotaLimit,
    adjust: (byName) =>
      Effect.withFiberSucceed((fiber) => {
        const deltas = inOrder(byName)
        for (const delta of deltas) checkDelta(delta)
        line.adjust(steady.at(clockOf(fiber)), deltas)
      }),
    updateConfig: (name, change) =>
      Effect.withFiberSucceed((fiber) => {
        const now = steady.at(clockOf(fiber))
        const index = names.indexOf(name)
        const config = configs[index]
        if (config === undefined) {
          throw new RangeError(`Cannot change the limit ${name} of a quota: it has ${names.join(", ")}`)
        }
        const next = { ...config, ...change }
        const shape = shapeFor(next)
        cells = cells.map((cell, at) => (at === index ? cell.reshape(shape, now) : cell))
        configs[index] = next
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

/**
 * Makes a quota. Dies with a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { Quota } from "@sluice/rate-limiter"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const quota = yield* Quota.make({
 *     limits: {
 *       requests: { limit: 60, interval: "1 minute" },
 *       tokens: { limit: 1000, interval: "1 minute" }
 *     }
 *   })
 *   yield* quota.take({ requests: 1, tokens: 800 })
 *   const { allowed, limits } = yield* quota.tryTake({ requests: 1, tokens: 800 })
 *   console.log(allowed, limits.requests.remaining >= 59) // => false true
 * })
 *
 * await Effect.runPromise(program)
 * ```
 */
export const make = <const Name extends string>(options: Options<Name>): Effect.Effect<Quota<Name>> =>
  Effect.sync(() => makeUnsafe(options))
