// What an algorithm is to the rest: something that tells when a cost may be had
// and writes down that it was. States are plain numbers where one is enough, so
// that a million keys cost a number each; larger ones are changed in place.
// Times are those of one steady clock, in milliseconds.

export interface Shape {
  /** Cost that an interval allows. */
  readonly limit: number
  readonly intervalMillis: number
  /** Cost that may come at once. */
  readonly burst: number
  /** Milliseconds for a cost of 1 at the sustained rate. */
  readonly emission: number
  /** Milliseconds in which a burst becomes free again. */
  readonly fill: number
}

/** A state, and what of a cost came back to it. */
export interface Refund<S, C> {
  readonly state: S
  readonly given: C
}

/** Commitments to times that are still to come. */
export interface Ahead {
  /** What they weigh. */
  readonly cost: number
  /** The time of the last. */
  readonly lastAt: number
}

export interface Meter<S, C> {
  readonly none: () => S
  readonly copy: (state: S) => S
  /** When a cost may be had that is asked for at `from`, after all that was committed. A later time would do as well. */
  readonly earliest: (state: S, from: number, cost: C) => number
  /** The same, once `ahead` was had one by one; `undefined` where only going through them tells. */
  readonly behind: (state: S, from: number, ahead: number, cost: C) => number | undefined
  /** Writes down that a cost is had, at the time that {@link Meter.earliest} told or later. */
  readonly commit: (state: S, at: number, cost: C) => S
  /** Takes back a commitment to the time `at`, where `lastAt` is the latest time that was ever committed ahead. */
  readonly cancel: (state: S, at: number, cost: C, lastAt: number) => Refund<S, C>
  /** Takes more, or gives back, now. What is committed to times that are still to come is told by `ahead`. */
  readonly adjust: (state: S, now: number, delta: C, ahead: Ahead) => S
}

/** A meter of one limit. */
export interface RateMeter<S> extends Meter<S, number> {
  readonly shape: Shape
  readonly remaining: (state: S, now: number) => number
  /** When nothing is taken any more: from then on the state says nothing. */
  readonly freeAt: (state: S) => number
  /** Makes a state of another shape one of this shape, with as much taken. */
  readonly adopt: (state: S, from: Shape, now: number) => S
}

// Sums of emission intervals differ from their products in the last bits, and a
// Duration counts whole nanoseconds: whoever comes back exactly when told must
// not be sent away again for a fraction of one.
export const tolerance = 1e-5

/** The same for sums of costs. */
export const costTolerance = 1e-9

/**
 * What of a cost comes back that is given back for a time, where commitments reach up to `lastAt`: all but what the rate
 * gives between the two, for those commitments were put off by it and stay where they are.
 */
export const refundable = ({ emission }: Shape, cost: number, at: number, lastAt: number): number =>
  Math.max(0, cost - Math.max(0, lastAt - at) / emission)

/** The same for what is given back now, of a state that is taken until `freeAt`: not more than is taken now already. */
export const refundableNow = (shape: Shape, delta: number, freeAt: number, now: number, ahead: Ahead): number =>
  refundable(shape, Math.max(0, Math.min(delta, (freeAt - now) / shape.emission - ahead.cost)), now, ahead.lastAt)

const positive = (name: string, value: number, needed: string): void => {
  if (!(value > 0) || !Number.isFinite(value)) {
    throw new RangeError(`Cannot make a rate limiter with ${name} ${value}: ${needed} is needed`)
  }
}

export const makeShape = (limit: number, intervalMillis: number, burst: number = limit): Shape => {
  positive("limit", limit, "a number above 0")
  positive("interval", intervalMillis, "a duration longer than nothing")
  positive("burst", burst, "a number above 0")
  const emission = intervalMillis / limit
  return { limit, intervalMillis, burst, emission, fill: emission * burst }
}

/** Dies for a cost that could never be allowed, instead of waiting for ever. */
export const checkCost = ({ burst }: Shape, cost: number): void => {
  if (!(cost > 0) || !(cost <= burst)) {
    throw new RangeError(
      `Cannot take ${cost} from a rate limiter: a cost above 0 and up to its burst of ${burst} is needed`
    )
  }
}

export const checkDelta = (delta: number): void => {
  if (!Number.isFinite(delta)) throw new RangeError(`Cannot adjust a rate limiter by ${delta}: a number is needed`)
}
