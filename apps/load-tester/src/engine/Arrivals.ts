/**
 * When iterations are to begin.
 *
 * A plan is a sequence of moments that is known before the run: what the system under test does cannot move it, which is
 * what makes latencies that are counted from it free of coordinated omission. Plans are deterministic, and so can be shared
 * out: agent `i` of `n` walks the same plan and takes each `n`-th moment, and all together do exactly what one would do.
 *
 * @module
 */
import { random } from "./Random.ts"
import { areaOf, type Shape, timeOf } from "./Shape.ts"

/** How arrivals lie within their rate: evenly, or as independent visitors do. */
export type Spacing = "even" | "poisson"

/** A walk over a plan. */
export interface Arrivals {
  /** The next moment, in microseconds since the plan began, never before the last; Infinity when there is none. */
  readonly next: () => number
}

/** A part of the load: the `index`-th of `of` that are equal. */
export interface Share {
  readonly index: number
  readonly of: number
}

export const whole: Share = { index: 0, of: 1 }

/**
 * The arrivals of a rate that changes as `shape` says.
 *
 * **Details**
 *
 * Evenly spaced, the `k`-th arrival is when the area under the rate reaches `k`: at a constant rate the gaps are equal, on a
 * ramp they shrink, and any window holds the area under it, give or take one. As a Poisson process, the areas between
 * arrivals are exponentially distributed with mean one. O(1) each; nothing is kept of what has passed.
 */
export const planned = (
  shape: Shape,
  options: { readonly spacing?: Spacing; readonly seed?: number } = {}
): Arrivals => {
  const draw = options.spacing === "poisson" ? random(options.seed ?? 1) : undefined
  const gap = draw === undefined ? () => 1 : () => -Math.log(1 - draw())
  let piece = 0
  let begins = 0
  let areaBefore = 0
  let last = 0
  let area = draw === undefined ? 0 : gap()
  return {
    next: () => {
      for (let current = shape[piece]; current !== undefined; current = shape[++piece]) {
        const all = areaOf(current)
        // A whole number of arrivals ends exactly where the next piece begins, up to the rounding of the sums.
        if (area - areaBefore < all - 1e-9 * Math.max(1, all)) {
          // Roots are found to a nanosecond: two that lie closer could come out in the wrong order.
          last = Math.max(last, (begins + timeOf(current, Math.max(0, area - areaBefore))) * 1e6)
          area += gap()
          return last
        }
        begins += current.seconds
        areaBefore += all
      }
      return Number.POSITIVE_INFINITY
    }
  }
}

/** The arrivals of a recorded run, in microseconds since its beginning, ascending. */
export const replayed = (moments: ArrayLike<number>): Arrivals => {
  let at = 0
  return { next: () => moments[at++] ?? Number.POSITIVE_INFINITY }
}

/** What falls to one share of a plan. All shares together are the plan, and no two have a moment in common. */
export const shared = (plan: Arrivals, { index, of }: Share): Arrivals => {
  if (of === 1) return plan
  let skip = index
  return {
    next: () => {
      for (; skip > 0; skip--) plan.next()
      skip = of - 1
      return plan.next()
    }
  }
}

/** No more than so many. */
export const limited = (plan: Arrivals, most: number): Arrivals => {
  let left = most
  return { next: () => (left-- > 0 ? plan.next() : Number.POSITIVE_INFINITY) }
}

/** The moment after the first `count`: when those are all, and the next would be due. O(count). */
export const momentOf = (plan: Arrivals, count: number): number => {
  for (let passed = 0; passed < count; passed++) if (plan.next() === Number.POSITIVE_INFINITY) break
  return plan.next()
}

/** What falls to one share of a number of users, such that the shares add up to it. */
export const sharedLevel = (level: number, { index, of }: Share): number =>
  Math.floor((Math.round(level) + of - 1 - index) / of)
