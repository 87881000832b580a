// Decisions on one or several limits together, by Redis or, while it is away, by
// this process on its share.

import type * as Duration from "effect/Duration"
import * as Durations from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { RedisAway, RedisSession, Script } from "../RedisSession.ts"
import type { WhenAway } from "../WhenAway.ts"
import type { Restore } from "./cell.ts"
import { type Combiner, makeCombiner } from "./combiner.ts"
import { refundScript } from "./limitScripts.ts"
import { makeLocalLimits } from "./localLimits.ts"
import { nowMillis } from "./time.ts"

export interface LimitOptions {
  /** Cost that an interval allows; a request costs 1 unless it says otherwise. */
  readonly limit: number
  readonly interval: Duration.Input
  /** Cost that may come at once, with `gcra`. Default: the limit. With 1, requests are evenly spaced. */
  readonly burst?: number | undefined
  /**
   * `gcra`: one number a key, whatever the limit; over any time `t` at most `burst + limit · t / interval`. The default.
   * `slidingWindow`: never more than the limit within any interval, at the price of an entry for each request in it.
   */
  readonly algorithm?: "gcra" | "slidingWindow" | undefined
}

export interface Shape {
  readonly isWindow: boolean
  readonly limit: number
  readonly intervalMicros: number
  readonly burst: number
}

/** How one limit of a decision stands. */
export interface Part {
  readonly remaining: number
  /** Until this limit alone would allow the same request. */
  readonly retryMillis: number
  readonly resetMillis: number
  /** What was taken, where it was allowed. */
  readonly taken: number
  readonly stamp: string
}

export interface Outcome {
  readonly allowed: boolean
  /** Until the request may go: its wait, where it was allowed to wait, or the time until it is worth asking again. */
  readonly waitMillis: number
  readonly parts: ReadonlyArray<Part>
  readonly isLocal: boolean
}

export interface Counts {
  admitted: number
  admittedLocally: number
  rejected: number
}

export interface Limits {
  readonly counts: Counts
  /** Takes `costs` of all limits of a key, or nothing. `wants`: what to take instead if there is so much. */
  readonly decide: (
    key: string,
    costs: ReadonlyArray<number>,
    maxWaitMillis: number,
    wants?: ReadonlyArray<number>
  ) => Effect.Effect<Outcome, RedisAway>
  /** Waits, with `restore`, until an outcome's time has come. Whoever leaves before gives back what can be given back. */
  readonly await: (key: string, outcome: Outcome, restore: Restore) => Effect.Effect<void>
}

const positive = (what: string, value: number): number => {
  if (value > 0 && Number.isFinite(value)) return value
  throw new RangeError(`Cannot make a rate limiter with ${what} ${value}: a number above 0 is needed`)
}

export const shapeOf = (options: LimitOptions): Shape => {
  const isWindow = options.algorithm === "slidingWindow"
  if (isWindow && options.burst !== undefined) {
    throw new RangeError(
      `Cannot make a sliding window with a burst of ${options.burst}: what comes at once is its limit`
    )
  }
  return {
    isWindow,
    limit: positive("limit", options.limit),
    intervalMicros: positive("interval", Durations.toMillis(options.interval)) * 1000,
    burst: positive("burst", options.burst ?? options.limit)
  }
}

export const checkCost = (shape: Shape, cost: number, least: number): void => {
  if (!(cost >= least) || !(cost <= shape.burst)) {
    const from = least === 0 ? "of 0 or more" : "above 0"
    throw new RangeError(`Cannot take ${cost} from a rate limiter: a cost ${from} and up to ${shape.burst} is needed`)
  }
}

const refused = (remaining: number): Part => ({ remaining, retryMillis: 0, resetMillis: 0, taken: 0, stamp: "-" })

const parse = (answer: string): Outcome => {
  const fields = answer.split(" ")
  const parts: Array<Part> = []
  for (let at = 2; at < fields.length; at += 5) {
    parts.push({
      remaining: Number(fields[at]),
      retryMillis: Number(fields[at + 1]) / 1000,
      resetMillis: Number(fields[at + 2]) / 1000,
      taken: Number(fields[at + 3]),
      stamp: fields[at + 4] ?? "-"
    })
  }
  return { allowed: fields[0] === "1", waitMillis: Number(fields[1]) / 1000, parts, isLocal: false }
}

interface Request {
  readonly costs: ReadonlyArray<number>
  readonly maxWaitMillis: number
  readonly wants: ReadonlyArray<number>
}

const isOrdinary = ({ costs, maxWaitMillis, wants }: Request): boolean =>
  maxWaitMillis === 0 && costs.every((cost) => cost === 1) && wants.every((want) => want === 1)

const written = ({ costs, maxWaitMillis, wants }: Request): string => {
  // A wait without end is longer than any that Redis would answer.
  let text = maxWaitMillis === Number.POSITIVE_INFINITY ? "1e300" : String(maxWaitMillis * 1000)
  for (const [index, cost] of costs.entries()) text += ` ${cost} ${wants[index] ?? 0}`
  return text
}

/** Requests that one command decides on at most: a script that runs for long holds up everybody's. */
const decidedAtOnce = 200

export const makeLimits = (
  session: RedisSession,
  settings: {
    readonly name: string
    readonly whenAway: WhenAway
    readonly limits: Readonly<Record<string, Shape>>
    /** That of these limits. */
    readonly script: Script
  }
): Limits => {
  const { name, script, whenAway } = settings
  const shapes = Object.values(settings.limits)
  const suffixes = Object.keys(settings.limits).map((limit) => `}:${limit}`)
  const start = `${session.prefix}:{${name}:`
  const local = makeLocalLimits(shapes, () => session.instances())
  const counts: Counts = { admitted: 0, admittedLocally: 0, rejected: 0 }
  const keysOf = (key: string): ReadonlyArray<string> => suffixes.map((suffix) => start + key + suffix)
  const combiners = new Map<string, Combiner<Request, string, RedisAway>>()

  const combinerOf = (key: string): Combiner<Request, string, RedisAway> => {
    const known = combiners.get(key)
    if (known !== undefined) return known
    const keys = keysOf(key)
    const combiner = makeCombiner<Request, string, RedisAway>({
      most: decidedAtOnce,
      onIdle: () => combiners.delete(key),
      run: (requests, done) =>
        session.evaluateUnsafe(
          script,
          keys,
          requests.every(isOrdinary)
            ? [String(requests.length)]
            : [String(requests.length), requests.map(written).join(" ")],
          (exit) => done(Exit.map(exit, (answer) => String(answer).split(";")))
        )
    })
    combiners.set(key, combiner)
    return combiner
  }

  const counted = (outcome: Outcome): Outcome => {
    if (!outcome.allowed) counts.rejected++
    else if (outcome.isLocal) counts.admittedLocally++
    if (outcome.allowed) counts.admitted++
    return outcome
  }

  const without = (
    away: RedisAway,
    key: string,
    costs: ReadonlyArray<number>,
    maxWaitMillis: number
  ): Effect.Effect<Outcome, RedisAway> => {
    if (whenAway === "failOpen") {
      return Effect.sync(() => {
        const parts = shapes.map((shape) => refused(shape.burst))
        return counted({ allowed: true, waitMillis: 0, parts, isLocal: true })
      })
    }
    return Effect.flatMap(nowMillis, (now) => {
      const outcome = whenAway === "localShare" ? local.decide(now, key, costs, maxWaitMillis) : undefined
      if (outcome !== undefined) return Effect.succeed(counted(outcome))
      counts.rejected++
      return Effect.fail(away)
    })
  }

  const refund = (key: string, outcome: Outcome): Effect.Effect<void> => {
    if (outcome.isLocal) return Effect.void
    const args = shapes.flatMap((shape, index) => {
      const { stamp, taken } = outcome.parts[index] ?? refused(0)
      return [shape.isWindow ? "w" : "g", String(shape.intervalMicros / shape.limit), String(taken), stamp]
    })
    return Effect.ignore(session.evaluate(refundScript, keysOf(key), args))
  }

  return {
    counts,
    decide: (key, costs, maxWaitMillis, wants = costs) =>
      Effect.matchEffect(
        Effect.suspend(() => combinerOf(key).ask({ costs, maxWaitMillis, wants })),
        {
          onFailure: (away) => without(away, key, costs, maxWaitMillis),
          onSuccess: (answer) => Effect.succeed(counted(parse(answer)))
        }
      ),
    await: (key, outcome, restore) =>
      outcome.waitMillis <= 0
        ? Effect.void
        : Effect.onInterrupt(restore(Effect.sleep(outcome.waitMillis)), () => refund(key, outcome))
  }
}
