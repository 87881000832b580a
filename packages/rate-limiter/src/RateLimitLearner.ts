/**
 * A limit that is learned from what a server tells.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { RateLimitExceeded } from "./Decision.ts"
import * as HeaderFields from "./internal/headerFields.ts"
import { type CostOf, type Learned, learn, learnedMeter } from "./internal/learned.ts"
import { Line, type Tally } from "./internal/line.ts"
import { makeSteadyTime } from "./internal/steadyTime.ts"
import type { HeadersInput } from "./LimitReport.ts"
import type { TakeOptions } from "./RateLimiter.ts"

export interface Options {
  /**
   * The share of what a window leaves that requests may be ahead of an even pace: 0 spreads them evenly over the time until
   * the reset, 1 sends them as they come until nothing remains. Default 0.1; the first request is never held back.
   */
  readonly burst?: number | undefined
}

/** What a learner is doing right now. */
export interface Stats {
  /** Requests that wait for their turn. */
  readonly waiting: number
  /** Requests that were let go. */
  readonly admitted: number
  /** Requests that were refused because they would have had to wait for too long. */
  readonly rejected: number
  /** What remains of each limit that is known, requests that are under way counted. */
  readonly remaining: Readonly<Record<string, number>>
}

/** What a request costs: of every limit, or of each by its name. */
export type Cost = number | Readonly<Record<string, number>>

/**
 * Keeps to the limits of a server, by what its responses tell of them.
 *
 * **When to use**
 *
 * For an API whose limits you do not know, share with others, or that change.
 *
 * **Details**
 *
 * Until the server has told a limit there is none. What remains is spread over the time until the reset; what is under way
 * is counted as taken, and of answers that come out of order the least that was told counts. At a reset the quota is taken
 * to be what it was. `Retry-After` holds back everything until then. Whoever waits is served in order of arrival; a waiter
 * costs O(1), a decision O(limits).
 *
 * **Gotchas**
 *
 * A number as the cost counts for every limit that the server names; where tokens are limited as well, give the costs by
 * name, as `{ requests: 1, tokens: 800 }`.
 */
export interface RateLimitLearner {
  /** Waits for the turn of a request. Default cost 1. */
  take(cost?: Cost): Effect.Effect<void>
  /** The same, unless it would have to wait for too long. */
  take(cost: Cost, options: TakeOptions): Effect.Effect<void, RateLimitExceeded>
  /** Learns from a response, whatever its status. */
  observe(headers: HeadersInput): Effect.Effect<void>
  /** Runs an effect once its turn has come, and learns from the response that it succeeds with. */
  pace<A>(
    headersOf: (response: A) => HeadersInput,
    cost?: Cost
  ): <E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** What the learner is doing right now. */
  readonly stats: Effect.Effect<Stats>
  /** The same, outside of an effect. */
  statsUnsafe(): Stats
}

const clockOf = (fiber: Fiber.Fiber<unknown, unknown>): number => fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()

const costOf = (cost: Cost): CostOf => (typeof cost === "number" ? () => cost : (name) => cost[name] ?? 0)

const checkCost = (cost: Cost): void => {
  for (const part of typeof cost === "number" ? [cost] : Object.values(cost)) {
    if (!(part >= 0) || !Number.isFinite(part)) {
      throw new RangeError(`Cannot take ${part} of a learned limit: a cost of 0 or more is needed`)
    }
  }
}

/** Makes a learner outside of an effect. Throws a `RangeError` if an option is out of range. */
export const makeUnsafe = (options?: Options): RateLimitLearner => {
  const burst = options?.burst ?? 0.1
  if (!(burst >= 0 && burst <= 1)) {
    throw new RangeError(`Cannot make a learner with burst ${burst}: a share from 0 to 1 is needed`)
  }
  const meter = learnedMeter(burst)
  let learned: Learned = new Map()
  let blockedUntil = Number.NEGATIVE_INFINITY
  /** What requests that are under way have taken, which answers do not tell yet. */
  const underWay = new Set<CostOf>()
  const steady = makeSteadyTime()
  const tally: Tally = { waiting: 0, admitted: 0, rejected: 0 }
  const line = new Line<Learned, CostOf>(
    {
      meter: () => meter,
      load: () => learned,
      store: (next) => {
        learned = next
      },
      blockedUntil: () => blockedUntil,
      weight: () => 0,
      onEmpty: () => {}
    },
    steady,
    tally
  )

  const learnFrom = (headers: HeadersInput, clock: number): void => {
    const now = steady.at(clock)
    const { limits, policies, retryAfter } = HeaderFields.parse(headers, clock)
    for (const { name, remaining, resetAfter } of limits) {
      const policy = policies.find((candidate) => candidate.name === name)
      let unknown = 0
      for (const cost of underWay) unknown += cost(name)
      const told = {
        remaining: Math.max(0, remaining - unknown),
        resetMillis: resetAfter === undefined ? undefined : Duration.toMillis(resetAfter),
        quota: policy?.quota,
        windowMillis: policy?.window === undefined ? undefined : Duration.toMillis(policy.window)
      }
      learn(learned, name, told, now)
    }
    if (retryAfter !== undefined) blockedUntil = Math.max(blockedUntil, now + Duration.toMillis(retryAfter))
    line.changed(now)
  }

  const observe = (headers: HeadersInput): Effect.Effect<void> =>
    Effect.withFiberSucceed((fiber) => learnFrom(headers, clockOf(fiber)))

  const take = (cost: Cost, takeOptions?: TakeOptions): Effect.Effect<void, RateLimitExceeded> =>
    line.takeInTurn(
      costOf(cost),
      takeOptions === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(takeOptions.maxWait),
      () => checkCost(cost),
      (wait) =>
        new RateLimitExceeded({
          key: undefined,
          cost: typeof cost === "number" ? cost : Math.max(0, ...Object.values(cost)),
          limit: Math.min(...Array.from(learned.values(), ({ base, quota }) => quota ?? base)),
          retryAfter: Duration.millis(wait)
        })
    )

  function learnerTake(cost?: Cost): Effect.Effect<void>
  function learnerTake(cost: Cost, options: TakeOptions): Effect.Effect<void, RateLimitExceeded>
  function learnerTake(cost: Cost = 1, takeOptions?: TakeOptions) {
    return take(cost, takeOptions)
  }

  const statsUnsafe = (): Stats => ({
    ...tally,
    remaining: Object.fromEntries(Array.from(learned, ([name, { remaining }]) => [name, remaining]))
  })
  return {
    take: learnerTake,
    observe,
    pace:
      <A>(headersOf: (response: A) => HeadersInput, cost: Cost = 1) =>
      <E, R>(self: Effect.Effect<A, E, R>) =>
        Effect.suspend(() => {
          const taken = costOf(cost)
          return learnerTake(cost).pipe(
            Effect.andThen(Effect.sync(() => void underWay.add(taken))),
            Effect.andThen(self),
            Effect.tap((response) => {
              underWay.delete(taken)
              return observe(headersOf(response))
            }),
            Effect.ensuring(Effect.sync(() => void underWay.delete(taken)))
          )
        }),
    stats: Effect.sync(statsUnsafe),
    statsUnsafe
  }
}

/**
 * Makes a learner. Dies with a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { RateLimitLearner } from "@sluice/rate-limiter/learner"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const learner = yield* RateLimitLearner.make()
 *   const call = Effect.succeed(new Response(null, { headers: { RateLimit: '"default";r=0;t=60' } }))
 *   yield* learner.pace((response: Response) => response.headers)(call)
 *   const error = yield* Effect.flip(learner.take(1, { maxWait: "1 second" }))
 *   console.log(error._tag) // => @sluice/rate-limiter/RateLimitExceeded
 * })
 *
 * await Effect.runPromise(program)
 * ```
 */
export const make = (options?: Options): Effect.Effect<RateLimitLearner> => Effect.sync(() => makeUnsafe(options))
