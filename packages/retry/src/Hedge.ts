/**
 * Sends a second copy of what takes unusually long, and takes whichever answer
 * comes first.
 *
 * @module
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import { makeHedge } from "./internal/hedging.ts"
import { makeLatencies } from "./internal/latencies.ts"
import { checked } from "./internal/time.ts"
import type { RetryBudget } from "./RetryBudget.ts"

/** A delay learned from how long recent calls took. */
export interface QuantileDelay {
  /** The part of recent calls that were faster: 0.95 sends a copy of about 5 % of them. */
  readonly quantile: number
  /** The delay until there are enough calls to go by. */
  readonly initial: Duration.Input
  /** How many calls are enough. Default 50. */
  readonly minSamples?: number | undefined
}

export interface Options {
  /** The caller's word that running it twice does no more than running it once. There is no default. */
  readonly idempotent: true
  /** How long a copy is waited for before the next is sent. */
  readonly delay: Duration.Input | QuantileDelay
  /** Copies at once, the first among them. Default 2. */
  readonly maxCopies?: number | undefined
  /** Bounds the copies of all who share it, together with their retries. Default: none. */
  readonly budget?: RetryBudget | undefined
}

/** What a hedge has done, in all its uses together. */
export interface Stats {
  /** Effects that it was applied to, and that began. */
  readonly calls: number
  /** Copies sent beside the first. */
  readonly hedges: number
  /** Calls that a copy answered first. */
  readonly won: number
  /** Copies that the budget denied. */
  readonly denied: number
  /** The delay that the next call would have. */
  readonly delayMillis: number
}

/** A policy: hedges an effect, and counts. Make it once and share it, so that it learns from all its uses. */
export interface Policy {
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R>
  readonly stats: Effect.Effect<Stats>
  /** The same, without an effect. */
  statsUnsafe(): Stats
}

const isQuantile = (delay: Duration.Input | QuantileDelay): delay is QuantileDelay =>
  typeof delay === "object" && "quantile" in delay

/**
 * Runs copies of an effect that takes longer than a delay; the first success is the result. Throws a `RangeError` if an
 * option is out of range.
 *
 * **When to use**
 *
 * For reads whose slowest are far slower than the rest for reasons of their own: a pause, a lost packet, a full queue.
 *
 * **Details**
 *
 * A failure before any copy was sent is the result: to try again is `Retry`'s part. Later ones are, once every copy has
 * failed. The losers are interrupted and their finalizers run before the result is seen, so that nothing is left behind.
 * A learned delay is the quantile of the last 1,000 first copies, to within 3 %; one that lost counts with the time it
 * had taken by then, so that what is hedged does not make the delay shrink. A call costs O(1), three fibers, and for a
 * learned delay an entry in a ring.
 *
 * **Gotchas**
 *
 * What is not idempotent must not be hedged: the type asks for the caller's word. An effect that overloads its
 * dependency when run twice needs a `budget`.
 *
 * @example
 * ```ts
 * import { Hedge } from "@sluice/retry"
 * import { Effect } from "effect"
 *
 * let copies = 0
 * const read = Effect.suspend(() => (++copies === 1 ? Effect.never : Effect.succeed(`copy ${copies}`)))
 *
 * const program = read.pipe(Hedge.hedge({ idempotent: true, delay: "10 millis" }))
 *
 * console.log(await Effect.runPromise(program)) // => copy 2
 * ```
 */
export const hedge = (options: Options): Policy => {
  const maxCopies = options.maxCopies ?? 2
  if (!Number.isSafeInteger(maxCopies) || maxCopies < 2) {
    throw new RangeError(`Cannot hedge with maxCopies ${maxCopies}: a whole number, 2 or more, is needed`)
  }
  const { budget, delay } = options
  if (!isQuantile(delay)) {
    const millis = checked("hedge", "delay", Duration.toMillis(delay), 0)
    return makeHedge({ maxCopies, budget, delayMillis: () => millis, observe: () => {} })
  }
  if (!(delay.quantile > 0 && delay.quantile < 1)) {
    throw new RangeError(`Cannot hedge at quantile ${delay.quantile}: a number between 0 and 1 is needed`)
  }
  const latencies = makeLatencies({
    quantile: delay.quantile,
    initialMillis: checked("hedge", "initial", Duration.toMillis(delay.initial), 0),
    minSamples: checked("hedge", "minSamples", delay.minSamples ?? 50, "above 0")
  })
  return makeHedge({ maxCopies, budget, delayMillis: latencies.quantileMillis, observe: latencies.observe })
}
