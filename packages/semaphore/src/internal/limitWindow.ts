// Requests to samples. A window lasts for its time and until it has enough
// requests; a probe until it has enough. Only requests that began under the limit
// that the window is to judge are counted, so while a lowered limit drains nothing is.

import type { Sample, State, Step } from "./limitAlgorithms.ts"

/** Latencies below this say more of the clock than of the server (Netflix's `WindowedLimit`). */
const leastMillis = 0.1

/** Times as many requests as another window: all that follows is judged by it. */
const samplesOfProbe = 3

export type Outcome = "succeeded" | "dropped" | "ignored"

export interface Request {
  readonly startedAt: number
  readonly generation: number
}

export class LimitWindow {
  private readonly state: State
  private readonly windowMillis: number
  private readonly minSamples: number
  private step: Step
  private generation = 0
  private isDraining = false
  private endsAt: number
  private latencies = 0
  private count = 0
  private mostInFlight = 0
  private didDrop = false
  inFlight = 0
  drops = 0

  constructor(state: State, windowMillis: number, minSamples: number, now: number) {
    this.state = state
    this.windowMillis = windowMillis
    this.minSamples = minSamples
    this.step = state.first
    this.endsAt = now + windowMillis
  }

  get limit(): number {
    return this.step.limit
  }

  /** Whether the limit holds only for a measurement. */
  get isProbing(): boolean {
    return this.step.isProbe
  }

  start(now: number): Request {
    this.inFlight++
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight)
    return { startedAt: now, generation: this.generation }
  }

  /** Answers whether the limit may have changed. */
  finish({ generation, startedAt }: Request, now: number, outcome: Outcome): boolean {
    this.inFlight--
    if (this.isDraining && this.inFlight <= this.limit) {
      this.isDraining = false
      this.open(now)
      return false
    }
    if (outcome === "ignored" || this.isDraining || generation !== this.generation) {
      if (outcome === "dropped") this.drops++
      return false
    }
    if (outcome === "dropped") {
      this.drop()
    } else if (now - startedAt >= leastMillis) {
      this.latencies += now - startedAt
      this.count++
    }
    const isLong = now >= this.endsAt
    // Drops end a window without the full count: when everything is dropped there are no other requests to wait for.
    const isEnough = this.step.isProbe ? this.count >= samplesOfProbe * this.minSamples : this.count >= this.minSamples
    if (this.didDrop ? !isLong : !isEnough || (!isLong && !this.step.isProbe)) return false
    this.advance(now)
    return true
  }

  /** A drop that somebody reports. */
  drop(): void {
    this.didDrop = true
    this.drops++
  }

  private advance(now: number): void {
    const sample: Sample = {
      latencyMillis: this.count === 0 ? undefined : this.latencies / this.count,
      inFlight: this.mostInFlight,
      didDrop: this.didDrop
    }
    this.step = this.state.next(sample)
    this.isDraining = this.inFlight > this.limit
    this.open(now)
  }

  private open(now: number): void {
    this.generation++
    this.endsAt = now + this.windowMillis
    this.latencies = 0
    this.count = 0
    this.mostInFlight = this.inFlight
    this.didDrop = false
  }
}
