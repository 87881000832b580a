/**
 * Bounds how many effects run at once by a limit that is learned from latency
 * and drops, for what has a capacity that nobody knows or that changes.
 *
 * The algorithm (what the limit is next) is apart from its enforcement (who goes,
 * who waits, who is refused).
 *
 * @module
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import { BulkheadFull, BulkheadTimeout } from "./Bulkhead.ts"
import { using, usingInTime } from "./internal/gate.ts"
import { count, fail, millis, within } from "./internal/limitOptions.ts"
import { LimitWindow, type Outcome } from "./internal/limitWindow.ts"
import { isCount } from "./internal/line.ts"
import { type Partition, PartitionedPermits } from "./internal/partitionedPermits.ts"
import type { Algorithm } from "./LimitAlgorithm.ts"

export * from "./LimitAlgorithm.ts"

export interface Options {
  readonly algorithm: Algorithm
  /** Effects that wait when the limit is reached. Default 0: what cannot run at once is refused. */
  readonly maxWaiting?: number | undefined
  /** Longest wait, from arrival. Default: as long as it takes. */
  readonly maxWait?: Duration.Input | undefined
  /** How long requests are gathered before the limit is moved; longer where there are fewer than `minSamples`. Default 1 second. */
  readonly window?: Duration.Input | undefined
  /** Fewest requests from which the limit is moved. Default 10. */
  readonly minSamples?: number | undefined
  /**
   * Which ends of an effect are drops: signs that what it calls is overloaded. Default: failure with Effect's
   * `TimeoutError`. Other failures and interruptions tell nothing of latency and are not counted.
   */
  readonly isDrop?: ((exit: Exit.Exit<unknown, unknown>) => boolean) | undefined
  /**
   * Shares of the limit by name, which together are at most 1. A part always has its share, at least one permit of it,
   * and above that what others do not use. Default: all share one.
   */
  readonly partitions?: Readonly<Record<string, number>> | undefined
}

/** What an adaptive limit is doing right now. */
export interface Stats {
  /** The limit that is in force. */
  readonly capacity: number
  /** Effects that run. More than `capacity` while a lowered limit drains, and by what partitions were guaranteed. */
  readonly held: number
  readonly available: number
  readonly waiting: number
  readonly admitted: number
  /** Refused, or waited too long. */
  readonly rejected: number
  /** Drops, seen and reported. */
  readonly dropped: number
  readonly partitions: Readonly<Record<string, PartitionStats>>
}

/** What a part of the load is doing right now. */
export interface PartitionStats {
  /** Permits that it can always have. */
  readonly guaranteed: number
  readonly held: number
  readonly waiting: number
  readonly admitted: number
}

/**
 * A limit that follows what it protects.
 *
 * **Details**
 *
 * Effects are measured from when they start to run. After each window the algorithm moves the limit by their mean latency,
 * by how many were in flight and by whether any was dropped; only effects that began under the limit that is judged are
 * counted. A lowered limit lets those that run finish. Joining, leaving and admission cost O(1), and O(partitions) where
 * there are some.
 */
export interface AdaptiveLimit {
  /** Runs an effect under the limit, or fails without having run it. */
  withPermit<A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | BulkheadFull | BulkheadTimeout, R>
  /** The same for a part of the load. Throws a `RangeError` for a partition that there is not. */
  withPartition(
    name: string
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | BulkheadFull | BulkheadTimeout, R>
  /** Reports a drop that no exit shows, such as a 429 in a response. */
  readonly reportDrop: Effect.Effect<void>
  /** What the limit is doing right now. */
  readonly stats: Effect.Effect<Stats>
  /** The same, without an effect. */
  statsUnsafe(): Stats
}

const isTimeout = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) &&
  exit.cause.reasons.some((reason) => Cause.isFailReason(reason) && Cause.isTimeoutError(reason.error))

const sharesOf = (partitions: Readonly<Record<string, number>>): Readonly<Record<string, number>> => {
  const sum = Object.entries(partitions).reduce(
    (sum, [name, share]) => sum + within(`the share of ${name}`, share, 0, 1),
    0
  )
  // Shares such as 0.1 and 0.2 and 0.7 add up to a little more than they are.
  if (sum > 1 + 1e-9) fail("partitions", sum, "at most 1 in all")
  return partitions
}

/**
 * Makes an adaptive limit. Dies with a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { AdaptiveLimit } from "@sluice/semaphore"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const limit = yield* AdaptiveLimit.make({ algorithm: AdaptiveLimit.vegas({ initial: 10 }) })
 *   console.log(yield* limit.withPermit(Effect.succeed("answered"))) // => answered
 * })
 *
 * await Effect.runPromise(program)
 * ```
 */
export const make = (options: Options): Effect.Effect<AdaptiveLimit> =>
  Effect.gen(function* () {
    const { algorithm, isDrop = isTimeout, maxWaiting = 0, minSamples = 10, partitions } = options
    if (!isCount(maxWaiting)) fail("maxWaiting", maxWaiting, "a whole number, 0 or more")
    const windowMillis = millis("window", options.window ?? "1 second")
    const maxWait = options.maxWait === undefined ? undefined : Duration.fromInputUnsafe(options.maxWait)
    count("minSamples", minSamples)
    const clock = yield* Clock.Clock
    const now = (): number => Number(clock.currentTimeNanosUnsafe()) / 1e6
    const window = new LimitWindow(algorithm.start(yield* Random.next), windowMillis, minSamples, now())
    const permits = new PartitionedPermits(window.limit, partitions === undefined ? undefined : sharesOf(partitions))
    let rejected = 0

    const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Outcome =>
      isDrop(exit) ? "dropped" : Exit.isSuccess(exit) ? "succeeded" : "ignored"
    // Measured from when it runs: the time in line is the limit's own doing.
    const measured = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.suspend(() => {
        const request = window.start(now())
        return Effect.onExitPrimitive(self, (exit) => {
          if (window.finish(request, now(), outcomeOf(exit))) permits.resize(window.limit)
          return undefined
        })
      })
    const bound =
      maxWait === undefined
        ? undefined
        : {
            maxWait,
            onTimeout: () => {
              rejected++
              return new BulkheadTimeout({ waitedMillis: Duration.toMillis(maxWait) })
            }
          }
    const under =
      (partition: Partition) =>
      <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | BulkheadFull | BulkheadTimeout, R> =>
        Effect.suspend((): Effect.Effect<A, E | BulkheadFull | BulkheadTimeout, R> => {
          if (!partition.isFree() && permits.waiting >= maxWaiting) {
            rejected++
            return Effect.fail(new BulkheadFull({ permits: permits.capacity, maxWaiting }))
          }
          return bound === undefined
            ? using(partition, measured(self), 1)
            : usingInTime(partition, measured(self), 1, bound)
        })

    const statsUnsafe = (): Stats => {
      const { admitted, capacity, held, waiting } = permits
      const available = Math.max(0, capacity - held)
      return {
        capacity,
        held,
        available,
        waiting,
        admitted,
        rejected,
        dropped: window.drops,
        partitions: permits.snapshots()
      }
    }
    return {
      withPermit: under(permits.rest),
      withPartition: (name) => {
        const partition = permits.named.get(name)
        if (partition === undefined) {
          throw new RangeError(
            `Cannot run in partition ${name}: the partitions are ${[...permits.named.keys()].join(", ") || "none"}`
          )
        }
        return under(partition)
      },
      reportDrop: Effect.sync(() => window.drop()),
      stats: Effect.sync(statsUnsafe),
      statsUnsafe
    }
  })
