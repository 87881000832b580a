// What a limit is next, from what a window of requests was like. No clock, no
// fibers, no enforcement: plain functions of samples, so that they can be run
// against a simulated server.
//
// Latency tells of a queue only beside the latency without one. Measured under
// load that base drifts upwards with the load itself, and the limit after it, without
// end; and a limit that starts too high never sees it at all. So Vegas and Gradient2
// measure it from time to time with few requests in flight (a probe, as Envoy's
// gradient controller makes), which takes as many requests as a sample needs.

/** What the requests of one window were like. */
export interface Sample {
  /** Mean latency of the requests that succeeded, in milliseconds; undefined if none did. */
  readonly latencyMillis: number | undefined
  /** Most requests that were in flight at once. */
  readonly inFlight: number
  /** Whether a request was dropped: timed out, or refused by an overloaded server. */
  readonly didDrop: boolean
}

/** What is done next. */
export interface Step {
  readonly limit: number
  /** Whether the limit holds only for as many requests as a sample needs. */
  readonly isProbe: boolean
}

export interface State {
  /** The first step. */
  readonly first: Step
  /** Answers the sample of the last step with the next. */
  next(sample: Sample): Step
}

export interface Bounds {
  readonly initial: number
  readonly min: number
  readonly max: number
}

const clamp = (value: number, { max, min }: Bounds): number => Math.max(min, Math.min(max, value))

const settled = (limit: number): Step => ({ limit: Math.round(limit), isProbe: false })

/** Whether the limit is what bounds the load: a limit that is not reached says nothing of a higher one. */
const isUsed = ({ inFlight }: Sample, limit: number): boolean => inFlight * 2 >= limit

export interface AimdSettings extends Bounds {
  readonly backoff: number
  readonly timeoutMillis: number
}

export class Aimd implements State {
  readonly first: Step
  private readonly settings: AimdSettings
  private limit: number

  constructor(settings: AimdSettings) {
    this.settings = settings
    this.limit = settings.initial
    this.first = settled(this.limit)
  }

  next(sample: Sample): Step {
    const { backoff, timeoutMillis } = this.settings
    if (sample.didDrop || (sample.latencyMillis ?? 0) > timeoutMillis) this.limit *= backoff
    else if (isUsed(sample, this.limit)) this.limit += 1
    this.limit = clamp(this.limit, this.settings)
    return settled(this.limit)
  }
}

export interface ProbeSettings extends Bounds {
  /** Requests in flight while the latency without load is measured. */
  readonly probeLimit: number
  /** Windows from one probe to the next. */
  readonly probeEvery: number
  /** Windows to the second probe: the first is made at once. */
  readonly firstProbeEvery: number
}

/** A limit that moves by latency against a base that probes measure. */
abstract class Probing<S extends ProbeSettings> implements State {
  readonly first: Step
  protected readonly settings: S
  protected limit: number
  protected baseMillis: number = Number.POSITIVE_INFINITY
  private isProbing = true
  private windowsLeft: number

  constructor(settings: S) {
    this.settings = settings
    this.limit = settings.initial
    this.windowsLeft = settings.firstProbeEvery
    this.first = this.probe()
  }

  next(sample: Sample): Step {
    const { latencyMillis } = sample
    if (this.isProbing) {
      this.isProbing = false
      if (latencyMillis !== undefined && !sample.didDrop) this.baseMillis = latencyMillis
      return settled(this.limit)
    }
    // A window that is faster than the probe was tells of a better base, but a little at a time: the least of many
    // noisy windows would be far below what there is.
    if (latencyMillis !== undefined && latencyMillis < this.baseMillis) {
      const { baseMillis } = this
      this.baseMillis = baseMillis === Number.POSITIVE_INFINITY ? latencyMillis : 0.9 * baseMillis + 0.1 * latencyMillis
    }
    this.limit = clamp(this.move(sample), this.settings)
    if (--this.windowsLeft > 0 || sample.didDrop) return settled(this.limit)
    this.windowsLeft = this.settings.probeEvery
    this.isProbing = true
    return this.probe()
  }

  protected abstract move(sample: Sample): number

  private probe(): Step {
    return { limit: clamp(Math.min(this.limit, this.settings.probeLimit), this.settings), isProbe: true }
  }
}

export interface VegasSettings extends ProbeSettings {
  readonly alpha: number
  readonly beta: number
}

export class Vegas extends Probing<VegasSettings> {
  protected move(sample: Sample): number {
    const { limit } = this
    const { alpha, beta } = this.settings
    const step = Math.max(1, String(Math.floor(limit)).length - 1)
    if (sample.didDrop) return Math.min(limit - step, limit * 0.9)
    if (sample.latencyMillis === undefined || !isUsed(sample, limit)) return limit
    const queued = Math.ceil(limit * (1 - this.baseMillis / sample.latencyMillis))
    if (queued <= step) return limit + beta * step
    if (queued < alpha * step) return limit + step
    // By half of what is too much: one step at a time would take minutes to come down from ten times too many.
    return queued > beta * step ? limit - Math.max(step, (queued - beta * step) / 2) : limit
  }
}

export interface Gradient2Settings extends ProbeSettings {
  readonly smoothing: number
  readonly tolerance: number
  readonly queueSize: number
}

export class Gradient2 extends Probing<Gradient2Settings> {
  protected move(sample: Sample): number {
    const { limit } = this
    const { queueSize, smoothing, tolerance } = this.settings
    if (sample.didDrop) return limit * 0.9
    if (sample.latencyMillis === undefined || !isUsed(sample, limit)) return limit
    const gradient = Math.max(0.5, Math.min(1, (tolerance * this.baseMillis) / sample.latencyMillis))
    return limit * (1 - smoothing) + smoothing * (limit * gradient + queueSize)
  }
}
