// Spans are measured on the clock that never jumps. The wall clock is read only
// where a time leaves the process (a header) or enters it.
import type * as Clock from "effect/Clock"

export const monotonicMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

/** A duration that may be waited for: no number of milliseconds below 0, and not `NaN`. */
export const checked = (action: string, name: string, value: number, least: 0 | "above 0"): number => {
  if (least === 0 ? value >= 0 : value > 0) return value
  throw new RangeError(
    `Cannot ${action} with ${name} ${value}: a number ${least === 0 ? "of 0 or more" : least} is needed`
  )
}
