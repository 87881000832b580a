// Additive increase, multiplicative decrease, as TCP does it, on two signals.
//
// Refusals: a request that is refused says that there were too many in flight
// when it was sent. All that were sent before the limit last fell say the same
// thing once more, so they are not heard: one burst, one fall. It falls from what
// was in flight if that is less than the limit, or the fall would change nothing.
//
// Latency: requests to one API take times that differ by their nature, a schema
// six times that of a context. So each kind of request is measured against what
// is usual for it: a short moving average against a long one. It is slow when the
// short one is twice the long one. Differences that nobody would notice are
// left out, or a garbage collection would look like an overloaded API.
//
// O(1) a request, and three numbers for each kind of request.

/** Factor of a fall after a refusal: that of CUBIC, as in the AWS SDK's adaptive mode. */
const refusalFactor = 0.7
/** Factor of a fall for latency, which is the softer evidence. */
const latencyFactor = 0.9
const tolerance = 2
const noticeableMillis = 50
const warmUp = 10
const shortWeight = 1 / 5
const longWeight = 1 / 100

/** What a request tells: it was refused or timed out, it was answered, or nothing that concerns the limit. */
export type Signal = "refused" | "answered" | "nothing"

export interface Ended {
  /** Requests of a kind take alike long. */
  readonly kind: string
  readonly startedMillis: number
  readonly endedMillis: number
  /** Requests in flight as it ended, itself among them. */
  readonly inFlight: number
  readonly signal: Signal
}

interface Usual {
  count: number
  short: number
  long: number
}

export class Congestion {
  readonly maximum: number
  #limit: number
  #fellAtMillis = Number.NEGATIVE_INFINITY
  #fellForRefusal = 0
  #fellForLatency = 0
  readonly #usual = new Map<string, Usual>()

  constructor(maximum: number) {
    this.maximum = maximum
    this.#limit = maximum
  }

  /** Requests that may be in flight now. */
  get limit(): number {
    return Math.floor(this.#limit)
  }

  get fellForRefusal(): number {
    return this.#fellForRefusal
  }

  get fellForLatency(): number {
    return this.#fellForLatency
  }

  ended({ endedMillis, inFlight, kind, signal, startedMillis }: Ended): void {
    if (signal === "refused") {
      if (this.#fall(startedMillis, endedMillis, inFlight, refusalFactor)) this.#fellForRefusal++
      return
    }
    if (signal === "nothing") return
    if (this.#isSlow(kind, endedMillis - startedMillis)) {
      if (this.#fall(startedMillis, endedMillis, inFlight, latencyFactor)) this.#fellForLatency++
      return
    }
    // A limit that is not used says nothing of whether a higher one would do.
    if (inFlight * 2 >= this.#limit) this.#limit = Math.min(this.maximum, this.#limit + 1 / this.#limit)
  }

  #fall(startedMillis: number, now: number, inFlight: number, factor: number): boolean {
    if (startedMillis < this.#fellAtMillis) return false
    this.#limit = Math.max(1, Math.min(this.#limit, inFlight) * factor)
    this.#fellAtMillis = now
    return true
  }

  #isSlow(kind: string, millis: number): boolean {
    const usual = this.#usual.get(kind)
    if (usual === undefined) {
      this.#usual.set(kind, { count: 1, short: millis, long: millis })
      return false
    }
    usual.count++
    usual.short += (millis - usual.short) * Math.max(shortWeight, 1 / usual.count)
    usual.long += (millis - usual.long) * Math.max(longWeight, 1 / usual.count)
    return usual.count > warmUp && usual.short > tolerance * usual.long && usual.short - usual.long > noticeableMillis
  }
}
