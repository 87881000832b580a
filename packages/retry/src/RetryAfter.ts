/**
 * Reads the `Retry-After` header of RFC 9110, section 10.2.3: seconds, or the
 * date at which to come back.
 *
 * @module
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

const imfDate =
  /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d{2}:\d{2}:\d{2} GMT$/

/**
 * How long to wait from `now`, in milliseconds since 1970. `None` where the header is neither a whole number of seconds
 * nor an HTTP-date; zero for a date that has passed. O(1).
 *
 * @example
 * ```ts
 * import { RetryAfter } from "@sluice/retry"
 *
 * console.log(String(RetryAfter.parse("120", 0))) // => some(Duration(2m))
 * console.log(String(RetryAfter.parse("soon", 0))) // => none()
 * ```
 */
export const parse = (header: string, now: number): Option.Option<Duration.Duration> => {
  const value = header.trim()
  if (/^\d{1,10}$/.test(value)) return Option.some(Duration.seconds(Number(value)))
  if (!imfDate.test(value)) return Option.none()
  const at = Date.parse(value)
  return Number.isNaN(at) ? Option.none() : Option.some(Duration.millis(Math.max(0, at - now)))
}
