// Additive increase, multiplicative decrease, as TCP does it, on two signals.
//
// Refusals: it falls from what was in flight if that is less than the limit, or
// the fall would change nothing where the limit is far above the load. A window
// of requests falls once, however many of them were refused.
//
// Latency: requests to one API take times that differ by their nature, a schema
// six times that of a context, so the mean over all says little. Each kind of
// request is measured against what is usual for it: the average of about the last
// second against that of about the last minute. It is slow when the former is
// twice the latter. The averages are over time and not over requests, or one pause
// of this process, which all that are in flight see at once, would look like an
// overloaded API; and differences that nobody would notice are left out.
//
// O(1) a request, and four numbers for each kind of request.

import type { AdaptiveLimit } from "@sluice/semaphore"

/** Factor of a fall after a refusal: that of CUBIC, as in the AWS SDK's adaptive mode. */
const refusalFactor = 0.7
/** Factor of a fall for latency, which is the softer evidence. */
const latencyFactor = 0.9
const tolerance = 2
const noticeableMillis = 50
const warmUp = 10
const shortMillis = 1_000
const longMillis = 60_000

interface Usual {
  count: number
  atMillis: number
  short: number
  long: number
}

export class Congestion implements AdaptiveLimit.State {
  readonly first: AdaptiveLimit.Step
  readonly algorithm: AdaptiveLimit.Algorithm = { name: "Congestion", start: () => this }
  readonly #maximum: number
  readonly #usual = new Map<string, Usual>()
  #limit: number
  #isRefused = false
  #fellForRefusal = 0
  #fellForLatency = 0

  constructor(maximum: number) {
    this.#maximum = maximum
    this.#limit = maximum
    this.first = { limit: maximum, isProbe: false }
  }

  get fellForRefusal(): number {
    return this.#fellForRefusal
  }

  get fellForLatency(): number {
    return this.#fellForLatency
  }

  /** A request was refused, or not answered in time. */
  refused(): void {
    this.#isRefused = true
  }

  /** A request was answered after so long. Says whether its kind has become slow. */
  answered(kind: string, millis: number, nowMillis: number): boolean {
    const usual = this.#usual.get(kind)
    if (usual === undefined) {
      this.#usual.set(kind, { count: 1, atMillis: nowMillis, short: millis, long: millis })
      return false
    }
    usual.count++
    const sinceMillis = nowMillis - usual.atMillis
    usual.atMillis = nowMillis
    const few = usual.count <= warmUp ? 1 / usual.count : 0
    usual.short += (millis - usual.short) * Math.max(few, Math.min(1, sinceMillis / shortMillis))
    usual.long += (millis - usual.long) * Math.max(few, Math.min(1, sinceMillis / longMillis))
    return usual.count > warmUp && usual.short > tolerance * usual.long && usual.short - usual.long > noticeableMillis
  }

  /** The limit after a window. */
  next({ didDrop, inFlight }: AdaptiveLimit.Sample): AdaptiveLimit.Step {
    if (didDrop) {
      const factor = this.#isRefused ? refusalFactor : latencyFactor
      if (this.#isRefused) this.#fellForRefusal++
      else this.#fellForLatency++
      this.#limit = Math.max(1, Math.floor(Math.min(this.#limit, inFlight) * factor))
    } else if (inFlight * 2 >= this.#limit) {
      // A limit that is not used says nothing of whether a higher one would do.
      this.#limit = Math.min(this.#maximum, this.#limit + 1)
    }
    this.#isRefused = false
    return { limit: this.#limit, isProbe: false }
  }
}
