/**
 * How an adaptive limit is moved: by additive increase and multiplicative
 * decrease, by the length of the server's queue, or by the gradient of latency.
 *
 * @module
 */
import type * as Duration from "effect/Duration"
import { Aimd, Gradient2, type State, Vegas } from "./internal/limitAlgorithms.ts"
import { count, fail, millis, within } from "./internal/limitOptions.ts"
import { isCount } from "./internal/line.ts"

export type { Sample, State, Step } from "./internal/limitAlgorithms.ts"

/** Where a limit starts and between what it stays. */
export interface Bounds {
  /** Default 20. */
  readonly initial?: number | undefined
  /** Default 1. */
  readonly min?: number | undefined
  /** Default 1000. */
  readonly max?: number | undefined
}

/** How the limit is moved; made by {@link aimd}, {@link vegas} or {@link gradient2}. */
export interface Algorithm {
  readonly name: string
  /** Makes its state; `phase`, between 0 and 1, keeps the probes of many machines apart. */
  readonly start: (phase: number) => State
}

const bounded = ({ initial, max = 1000, min = 1 }: Bounds) => {
  count("min", min)
  if (!isCount(max) || max < min) fail("max", max, `a whole number of at least min, which is ${min},`)
  const start = initial ?? Math.max(min, Math.min(max, 20))
  if (!isCount(start) || start < min || start > max) fail("initial", start, `a whole number from ${min} to ${max}`)
  return { initial: start, min, max }
}

export interface AimdOptions extends Bounds {
  /** What the limit is multiplied with after a drop, 0.5 to 0.99. Default 0.9. */
  readonly backoff?: number | undefined
  /** Mean latency of a window that counts as a drop. Default 5 seconds. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * One more after each window that went well and used half of the limit, a tenth less after one with a drop or a mean
 * latency beyond `timeout`.
 *
 * For a dependency that refuses what it cannot do, or whose good latency is known. Slow to rise from far below; shares
 * fairly between clients that know nothing of one another. Constants from Netflix's `AIMDLimit.java`.
 */
export const aimd = (options: AimdOptions = {}): Algorithm => {
  const settings = {
    ...bounded(options),
    backoff: within("backoff", options.backoff ?? 0.9, 0.5, 0.99),
    timeoutMillis: millis("timeout", options.timeout ?? "5 seconds")
  }
  return { name: "AIMD", start: () => new Aimd(settings) }
}

export interface ProbeOptions extends Bounds {
  /** Requests in flight while the latency without load is measured. Default 3. */
  readonly probeLimit?: number | undefined
  /** Windows from one measurement to the next. Default 60. */
  readonly probeEvery?: number | undefined
}

const probing = (options: ProbeOptions) => ({
  ...bounded(options),
  probeLimit: count("probeLimit", options.probeLimit ?? 3),
  probeEvery: count("probeEvery", options.probeEvery ?? 60)
})

export interface VegasOptions extends ProbeOptions {
  /** Fewer requests than this, times log10 of the limit, in the server's queue: the limit rises. Default 3. */
  readonly alpha?: number | undefined
  /** More than this, times log10 of the limit: the limit falls. Default 6. */
  readonly beta?: number | undefined
}

/**
 * Keeps a few requests in the server's queue, whose length it tells from how much slower requests are than without load.
 *
 * The most exact where latency without load is steady. After TCP Vegas, with the constants of Netflix's `VegasLimit.java`;
 * unlike there, the latency without load is measured with few requests in flight (after Envoy's gradient controller) and
 * not taken from whatever load there was, and what is far too much falls by half at once.
 */
export const vegas = (options: VegasOptions = {}): Algorithm => {
  const { alpha = 3, beta = 6 } = options
  if (!(alpha > 0)) fail("alpha", alpha, "more than 0")
  if (!(beta > alpha)) fail("beta", beta, `more than alpha, which is ${alpha}`)
  const settings = { ...probing(options), alpha, beta }
  return {
    name: "Vegas",
    start: (phase) => new Vegas({ ...settings, firstProbeEvery: Math.ceil(settings.probeEvery * (0.5 + phase / 2)) })
  }
}

export interface Gradient2Options extends ProbeOptions {
  /** How much of the new limit goes into the limit at each step, above 0 and up to 1. Default 0.2. */
  readonly smoothing?: number | undefined
  /** How many times as slow as without load requests may be. 1 or more. Default 1.05. */
  readonly tolerance?: number | undefined
  /** Requests by which the limit would rise where latency is good. Default 4. */
  readonly queueSize?: number | undefined
}

/**
 * Moves the limit in proportion to how much slower requests are than without load.
 *
 * For latencies that vary: raise `tolerance` by what varies without any overload. After Netflix's `Gradient2Limit.java`,
 * with its smoothing and queue size. Its two known faults are not here: a drop lowers the limit, and latency is compared
 * with what probes measure without load, not with an average that rises with the load itself, which let the limit grow
 * without end.
 */
export const gradient2 = (options: Gradient2Options = {}): Algorithm => {
  const { queueSize = 4, smoothing = 0.2, tolerance = 1.05 } = options
  within("smoothing", smoothing, 0.01, 1)
  within("tolerance", tolerance, 1, 10)
  within("queueSize", queueSize, 1, 1000)
  const settings = { ...probing(options), smoothing, tolerance, queueSize }
  return {
    name: "Gradient2",
    start: (phase) =>
      new Gradient2({ ...settings, firstProbeEvery: Math.ceil(settings.probeEvery * (0.5 + phase / 2)) })
  }
}
