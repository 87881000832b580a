// The generic cell rate algorithm (ITU-T I.371, "virtual scheduling"): the whole
// state of a limit is one number, the theoretical arrival time at which its
// bucket would be full again. A request of cost c moves it by c emission
// intervals, and conforms while that stays within the burst of now. O(1), and
// nothing is allocated.

export interface Shape {
  /** Requests that an interval allows. */
  readonly limit: number
  readonly intervalMillis: number
  /** Requests that may come at once. */
  readonly burst: number
  /** Milliseconds between requests at the sustained rate. */
  readonly emission: number
  /** Milliseconds in which an empty bucket fills: a state older than this says nothing. */
  readonly fill: number
}

const positive = (name: string, value: number, needed: string): void => {
  if (!(value > 0) || !Number.isFinite(value)) {
    throw new RangeError(`Cannot make a rate limiter with ${name} ${value}: ${needed} is needed`)
  }
}

export const shape = (limit: number, intervalMillis: number, burst: number = limit): Shape => {
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

// Sums of emission intervals differ from their products in the last bits, and a
// Duration counts whole nanoseconds: whoever comes back exactly when told must
// not be sent away again for a fraction of one.
const tolerance = 1e-5

/** Milliseconds until a request of `cost` conforms; 0 when it does. */
export const waitFor = ({ emission, fill }: Shape, tat: number, now: number, cost: number): number => {
  const wait = Math.max(tat, now) + emission * cost - fill - now
  return wait <= tolerance ? 0 : wait
}

/** The state after a request of `cost`. */
export const after = ({ emission }: Shape, tat: number, now: number, cost: number): number =>
  Math.max(tat, now) + emission * cost

/** Cost that would be allowed at once. */
export const remaining = ({ burst, emission }: Shape, tat: number, now: number): number =>
  Math.min(burst, Math.max(0, burst - (Math.max(tat, now) - now) / emission))
