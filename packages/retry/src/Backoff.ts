/**
 * How long to wait before trying again: schedules that grow, spread and stop.
 *
 * @module
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"

/**
 * How a delay is spread, so that callers that failed together do not come back together. For a delay `d` that the
 * growth gives, capped:
 *
 * - `none`: `d`
 * - `full`: anywhere from 0 to `d`. Fewest collisions; the default
 * - `equal`: half of `d`, and anywhere up to as much again
 * - `decorrelated`: anywhere from the base to three times the delay before, capped; it grows by itself
 *
 * After Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
export type Jitter = "none" | "full" | "equal" | "decorrelated"

export interface Options {
  /** The first delay, before jitter. */
  readonly base: Duration.Input
  /** What each delay is multiplied by for the next. Default 2. */
  readonly factor?: number | undefined
  /** The longest delay. Default 20 seconds. */
  readonly cap?: Duration.Input | undefined
  /** Default `full`. */
  readonly jitter?: Jitter | undefined
  /** Attempts in all, the first among them. Default: no end. */
  readonly maxAttempts?: number | undefined
  /** Time since the first failure after which no delay begins. Default: no end. */
  readonly maxElapsed?: Duration.Input | undefined
}

const positive = (name: string, value: number): number => {
  if (value > 0 && Number.isFinite(value)) return value
  throw new RangeError(`Cannot back off with ${name} ${value}: a number above 0 is needed`)
}

const spread = (
  jitter: Jitter,
  random: number,
  delay: { readonly grown: number; readonly previous: number; readonly base: number; readonly cap: number }
): number => {
  switch (jitter) {
    case "none":
      return delay.grown
    case "full":
      return delay.grown * random
    case "equal":
      return delay.grown / 2 + (delay.grown / 2) * random
    case "decorrelated":
      return Math.min(delay.cap, delay.base + random * Math.max(0, delay.previous * 3 - delay.base))
  }
}

/**
 * Delays that grow by a factor, are capped, then spread by jitter. The schedule's output is the delay. Random numbers
 * come from Effect's `Random`, so that a seed repeats them. Throws a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { Backoff } from "@sluice/retry"
 * import { Duration, Effect, Schedule } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const step = yield* Schedule.toStep(Backoff.exponential({ base: "100 millis", jitter: "none", cap: "300 millis" }))
 *   const delays: Array<number> = []
 *   for (let attempt = 0; attempt < 4; attempt++) {
 *     const [, delay] = yield* step(0, undefined)
 *     delays.push(Duration.toMillis(delay))
 *   }
 *   return delays
 * })
 *
 * console.log(await Effect.runPromise(program)) // => [ 100, 200, 300, 300 ]
 * ```
 */
export const exponential = (options: Options): Schedule.Schedule<Duration.Duration> => {
  const base = positive("base", Duration.toMillis(options.base))
  const factor = positive("factor", options.factor ?? 2)
  const cap = positive("cap", Duration.toMillis(options.cap ?? "20 seconds"))
  const maxAttempts = positive("maxAttempts", Math.min(options.maxAttempts ?? Number.MAX_VALUE, Number.MAX_VALUE))
  const maxElapsed = options.maxElapsed === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(options.maxElapsed)
  const jitter = options.jitter ?? "full"
  return Schedule.fromStepWithMetadata(
    Effect.sync(() => {
      let previous = base
      return ({ attempt, elapsed }: Schedule.InputMetadata<unknown>) => {
        if (attempt >= maxAttempts || elapsed > maxElapsed) return Cause.done(Duration.millis(previous))
        const grown = Math.min(cap, base * factor ** (attempt - 1))
        return Effect.map(Random.next, (random): [Duration.Duration, Duration.Duration] => {
          previous = spread(jitter, random, { grown, previous, base, cap })
          const delay = Duration.millis(previous)
          return [delay, delay]
        })
      }
    })
  )
}
