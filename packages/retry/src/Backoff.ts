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
import * as Delays from "./internal/delays.ts"

/**
 * How a delay is spread, so that callers that failed together do not come back together. For a delay `d` that the
 * growth gives, capped:
 *
 * - `none`: `d`
 * - `full`: anywhere from 0 to `d`. Fewest collisions; the default
 * - `equal`: half of `d`, and anywhere up to as much again
 * - `decorrelated`: anywhere from the base to three times the delay before, capped; it grows by itself, whatever the
 *   growth
 * - `{ around: 0.2 }`: anywhere within 20 % of `d` on either side
 *
 * The first four after Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015; the last after gRPC
 * (proposal A6) and Google's HTTP client.
 */
export type Jitter = "none" | "full" | "equal" | "decorrelated" | { readonly around: number }

/** What every back-off takes. */
export interface CommonOptions {
  /** The first delay, before jitter. */
  readonly base: Duration.Input
  /** The longest delay, before jitter. Default 20 seconds. */
  readonly cap?: Duration.Input | undefined
  /** Default `full`. */
  readonly jitter?: Jitter | undefined
  /** Attempts in all, the first among them. Default: no end. */
  readonly maxAttempts?: number | undefined
  /** Time since the first failure within which every delay must end. Default: no end. */
  readonly maxElapsed?: Duration.Input | undefined
}

export interface ExponentialOptions extends CommonOptions {
  /** What each delay is multiplied by for the next. Default 2. */
  readonly factor?: number | undefined
}

export interface LinearOptions extends CommonOptions {
  /** What is added to each delay for the next. Default: the base. */
  readonly step?: Duration.Input | undefined
}

const positive = (name: string, value: number): number => {
  if (value > 0 && Number.isFinite(value)) return value
  throw new RangeError(`Cannot back off with ${name} ${value}: a number above 0 is needed`)
}

const make = (options: CommonOptions, growth: Delays.Growth): Schedule.Schedule<Duration.Duration> => {
  const base = positive("base", Duration.toMillis(options.base))
  const cap = positive("cap", Duration.toMillis(options.cap ?? "20 seconds"))
  const maxAttempts = positive("maxAttempts", Math.min(options.maxAttempts ?? Number.MAX_VALUE, Number.MAX_VALUE))
  const maxElapsed = options.maxElapsed === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(options.maxElapsed)
  const jitter = options.jitter ?? "full"
  if (typeof jitter === "object" && !(jitter.around >= 0 && jitter.around <= 1)) {
    throw new RangeError(`Cannot back off with jitter around ${jitter.around}: a part from 0 to 1 is needed`)
  }
  return Schedule.fromStepWithMetadata(
    Effect.sync(() => {
      const grow = growth()
      let previous = base
      return ({ attempt, elapsed }: Schedule.InputMetadata<unknown>) => {
        if (attempt >= maxAttempts) return Cause.done(Duration.millis(previous))
        const grown = Math.min(cap, grow(attempt))
        return Effect.flatMap(Random.next, (random) => {
          const millis = Delays.spread(jitter, random, { grown, previous, base, cap })
          if (elapsed + millis > maxElapsed) return Cause.done(Duration.millis(previous))
          previous = millis
          const delay = Duration.millis(millis)
          return Effect.succeed<[Duration.Duration, Duration.Duration]>([delay, delay])
        })
      }
    })
  )
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
export const exponential = (options: ExponentialOptions): Schedule.Schedule<Duration.Duration> =>
  make(options, Delays.exponential(Duration.toMillis(options.base), positive("factor", options.factor ?? 2)))

/** Delays that grow by the same amount each time; otherwise as {@link exponential}. */
export const linear = (options: LinearOptions): Schedule.Schedule<Duration.Duration> => {
  const base = Duration.toMillis(options.base)
  return make(
    options,
    Delays.linear(base, options.step === undefined ? base : positive("step", Duration.toMillis(options.step)))
  )
}

/** Delays of which each is the sum of the two before: 1, 1, 2, 3, 5 bases; otherwise as {@link exponential}. */
export const fibonacci = (options: CommonOptions): Schedule.Schedule<Duration.Duration> =>
  make(options, Delays.fibonacci(Duration.toMillis(options.base)))

/**
 * A back-off and the attempts that belong to it; to be spread into the options of `Retry.retry`.
 *
 * @example
 * ```ts
 * import { Backoff, Retry } from "@sluice/retry"
 * import { Effect } from "effect"
 *
 * const policy = Retry.retry<string>({ ...Backoff.awsStandard, while: (error) => error === "busy" })
 *
 * console.log(await Effect.runPromise(Effect.flip(policy(Effect.fail("gone"))))) // => gone
 * ```
 */
export interface Preset {
  readonly backoff: Schedule.Schedule<Duration.Duration>
  readonly maxAttempts: number
}

/**
 * What the AWS SDKs call `standard`: three attempts, full jitter, from 100 ms to 20 s.
 *
 * From `packages/util-retry/src/constants.ts` of smithy-typescript (`DEFAULT_RETRY_DELAY_BASE`, `MAXIMUM_RETRY_DELAY`)
 * and `config.ts` (`DEFAULT_MAX_ATTEMPTS`).
 */
export const awsStandard: Preset = {
  backoff: exponential({ base: "100 millis", cap: "20 seconds", jitter: "full" }),
  maxAttempts: 3
}

/** As {@link awsStandard}, for a service that said it is being throttled: from 500 ms (`THROTTLING_RETRY_DELAY_BASE`). */
export const awsThrottled: Preset = {
  backoff: exponential({ base: "500 millis", cap: "20 seconds", jitter: "full" }),
  maxAttempts: 3
}

/**
 * gRPC's retry policy: four attempts, doubling from 100 ms to 1 s, 20 % to either side.
 *
 * From proposal A6 (`A6-client-retries.md` of grpc/proposal), its example of a policy. gRPC has no default policy, and
 * never makes more than five attempts.
 */
export const grpc: Preset = {
  backoff: exponential({ base: "100 millis", cap: "1 second", factor: 2, jitter: { around: 0.2 } }),
  maxAttempts: 4
}

/**
 * What Google's HTTP client does: from 500 ms by half as much again to a minute, 50 % to either side, for 15 minutes.
 *
 * From `ExponentialBackOff.java` of googleapis/google-http-java-client. It bounds time, not attempts.
 */
export const google: Preset = {
  backoff: exponential({
    base: "500 millis",
    cap: "1 minute",
    factor: 1.5,
    jitter: { around: 0.5 },
    maxElapsed: "15 minutes"
  }),
  maxAttempts: Number.MAX_SAFE_INTEGER
}

/** What many a client's guide asks for: three retries after a first attempt, after 1, 2 and 4 seconds, full jitter. */
export const threeRetries: Preset = {
  backoff: exponential({ base: "1 second", jitter: "full" }),
  maxAttempts: 4
}
