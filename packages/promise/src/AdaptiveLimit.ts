/**
 * Bounds how much runs at once by a limit that is learned from latency and drops,
 * for what has a capacity that nobody knows or that changes.
 *
 * @module
 */
import {
  type Algorithm,
  aimd as aimdOf,
  gradient2 as gradient2Of,
  isCount,
  LimitWindow,
  type Outcome,
  type Partition,
  PartitionedPermits,
  vegas as vegasOf
} from "@sluice/semaphore/queues"
import * as EffectDuration from "effect/Duration"
import { BulkheadFull, makeBound } from "./Bulkhead.ts"
import type { Duration } from "./Duration.ts"
import { enter } from "./internal/turnstile.ts"
import type { SemaphoreStats } from "./Semaphore.ts"

/** How the limit is moved; made by {@link aimd}, {@link vegas} or {@link gradient2}. */
export type LimitAlgorithm = Algorithm

/** Where a limit starts and between what it stays. */
export interface LimitBounds {
  /** Default 20. */
  readonly initial?: number | undefined
  /** Default 1. */
  readonly min?: number | undefined
  /** Default 1000. */
  readonly max?: number | undefined
}

export interface AimdOptions extends LimitBounds {
  /** What the limit is multiplied with after a drop, 0.5 to 0.99. Default 0.9. */
  readonly backoff?: number | undefined
  /** Mean latency of a window that counts as a drop. Default 5 seconds. */
  readonly timeout?: Duration | undefined
}

export interface ProbeOptions extends LimitBounds {
  /** Requests in flight while the latency without load is measured. Default 3. */
  readonly probeLimit?: number | undefined
  /** Windows from one measurement to the next. Default 60. */
  readonly probeEvery?: number | undefined
}

export interface VegasOptions extends ProbeOptions {
  /** Fewer requests than this, times log10 of the limit, in the server's queue: the limit rises. Default 3. */
  readonly alpha?: number | undefined
  /** More than this, times log10 of the limit: the limit falls. Default 6. */
  readonly beta?: number | undefined
}

export interface Gradient2Options extends ProbeOptions {
  /** How much of the new limit goes into the limit at each step, above 0 and up to 1. Default 0.2. */
  readonly smoothing?: number | undefined
  /** How many times as slow as without load requests may be. 1 or more. Default 1.05. */
  readonly tolerance?: number | undefined
  /** Requests by which the limit would rise where latency is good. Default 4. */
  readonly queueSize?: number | undefined
}

/** One more after each window that went well, a tenth less after one that did not: for what refuses what it cannot do. */
export const aimd = (options: AimdOptions = {}): LimitAlgorithm => aimdOf(options)

/** Keeps a few requests in the server's queue: the most exact where latency without load is steady. */
export const vegas = (options: VegasOptions = {}): LimitAlgorithm => vegasOf(options)

/** Moves the limit in proportion to how much slower requests are than without load: for latencies that vary. */
export const gradient2 = (options: Gradient2Options = {}): LimitAlgorithm => gradient2Of(options)

export interface AdaptiveLimitOptions {
  readonly algorithm: LimitAlgorithm
  /** How many wait when the limit is reached. Default 0: what cannot run at once is refused. */
  readonly maxWaiting?: number | undefined
  /** Longest wait, from arrival. Default: as long as it takes. */
  readonly maxWait?: Duration | undefined
  /** How long requests are gathered before the limit is moved; longer where there are fewer than `minSamples`. Default 1 second. */
  readonly window?: Duration | undefined
  /** Fewest requests from which the limit is moved. Default 10. */
  readonly minSamples?: number | undefined
  /**
   * Which errors are drops: signs that what is called is overloaded. Default: those that are named `TimeoutError`, as that
   * of `AbortSignal.timeout` is. Other errors tell nothing of latency and are not counted.
   */
  readonly isDrop?: ((error: unknown) => boolean) | undefined
  /**
   * Shares of the limit by name, which together are at most 1. A part always has its share, at least one permit of it,
   * and above that what others do not use. Default: all share one.
   */
  readonly partitions?: Readonly<Record<string, number>> | undefined
}

/** What a part of the load is doing right now. */
export interface PartitionStats {
  /** Permits that it can always have. */
  readonly guaranteed: number
  readonly held: number
  readonly waiting: number
  readonly admitted: number
}

/** What an adaptive limit is doing right now; `capacity` is the limit that is in force. */
export interface AdaptiveLimitStats extends SemaphoreStats {
  /** Drops, seen and reported. */
  readonly dropped: number
  readonly partitions: Readonly<Record<string, PartitionStats>>
}

/** A limit that follows what it protects. */
export interface AdaptiveLimit {
  /** Runs a function under the limit, or rejects with `BulkheadFull` or `BulkheadTimeout` without having called it. */
  run<A>(
    f: () => A | PromiseLike<A>,
    options?: {
      /** The part of the load that it belongs to. */
      readonly partition?: string | undefined
      readonly signal?: AbortSignal | undefined
    }
  ): Promise<A>
  /** Reports a drop that no error shows, such as a 429 in a response. */
  reportDrop(): void
  /** What the limit is doing right now. */
  stats(): AdaptiveLimitStats
}

const isTimeout = (error: unknown): boolean => error instanceof Error && error.name === "TimeoutError"

const bad = (name: string, value: unknown, allowed: string): never => {
  throw new RangeError(`Cannot make an adaptive limit: ${name} must be ${allowed}, received ${String(value)}`)
}

const checkShares = (partitions: Readonly<Record<string, number>>): void => {
  let sum = 0
  for (const [name, share] of Object.entries(partitions)) {
    if (!(share >= 0 && share <= 1)) bad(`the share of ${name}`, share, "from 0 to 1")
    sum += share
  }
  // Shares such as 0.1 and 0.2 and 0.7 add up to a little more than they are.
  if (sum > 1 + 1e-9) bad("partitions", sum, "at most 1 in all")
}

/**
 * Makes an adaptive limit. Throws a `RangeError` if an option is out of range.
 *
 * @example
 * ```ts
 * import { createAdaptiveLimit, vegas } from "@sluice/promise"
 *
 * const limit = createAdaptiveLimit({ algorithm: vegas({ initial: 10 }) })
 * console.log(await limit.run(async () => "answered")) // => answered
 * ```
 */
export const createAdaptiveLimit = (options: AdaptiveLimitOptions): AdaptiveLimit => {
  const { algorithm, isDrop = isTimeout, maxWaiting = 0, minSamples = 10, partitions } = options
  if (!isCount(maxWaiting)) bad("maxWaiting", maxWaiting, "a whole number, 0 or more")
  if (!isCount(minSamples) || minSamples === 0) bad("minSamples", minSamples, "a whole number, 1 or more")
  const windowMillis = EffectDuration.toMillis(options.window ?? "1 second")
  if (!(windowMillis > 0)) bad("window", options.window, "longer than nothing")
  if (partitions !== undefined) checkShares(partitions)
  const now = (): number => performance.now()
  const window = new LimitWindow(algorithm.start(Math.random()), windowMillis, minSamples, now())
  const permits = new PartitionedPermits(window.limit, partitions)
  let rejected = 0
  const bound = options.maxWait === undefined ? undefined : makeBound(options.maxWait, () => rejected++)

  const partitionOf = (name: string | undefined): Partition => {
    const partition = name === undefined ? permits.rest : permits.named.get(name)
    if (partition !== undefined) return partition
    throw new RangeError(
      `Cannot run in partition ${name}: the partitions are ${[...permits.named.keys()].join(", ") || "none"}`
    )
  }
  // Measured from when it runs: the time in line is the limit's own doing.
  const measured = async <A>(f: () => A | PromiseLike<A>): Promise<A> => {
    const request = window.start(now())
    let outcome: Outcome = "ignored"
    try {
      const answer = await f()
      outcome = "succeeded"
      return answer
    } catch (error) {
      if (isDrop(error)) outcome = "dropped"
      throw error
    } finally {
      if (window.finish(request, now(), outcome)) permits.resize(window.limit)
    }
  }
  return {
    run: async (f, { partition: name, signal } = {}) => {
      const partition = partitionOf(name)
      signal?.throwIfAborted()
      if (!partition.isFree() && permits.waiting >= maxWaiting) {
        rejected++
        throw new BulkheadFull(permits.capacity, maxWaiting)
      }
      const entering = enter(partition, 1, signal, bound)
      if (entering !== undefined) await entering
      try {
        return await measured(f)
      } finally {
        partition.release()
      }
    },
    reportDrop: () => window.drop(),
    stats: () => {
      const { admitted, capacity, held, waiting } = permits
      const available = Math.max(0, capacity - held)
      const partitions = permits.snapshots()
      return { capacity, held, available, waiting, admitted, rejected, dropped: window.drops, partitions }
    }
  }
}
