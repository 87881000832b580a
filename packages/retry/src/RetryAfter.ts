/**
 * Reads what a server says about when to come back: the `Retry-After` header of
 * RFC 9110, section 10.2.3, in seconds or as a date, and gRPC's pushback.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

const months: ReadonlyArray<string> = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ")
const month = months.join("|")
const time = "(?<hour>\\d{2}):(?<minute>\\d{2}):(?<second>\\d{2})"
const formats: ReadonlyArray<RegExp> = [
  `(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?<day>\\d{2}) (?<month>${month}) (?<year>\\d{4}) ${time} GMT`,
  `(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?<day>\\d{2})-(?<month>${month})-(?<year>\\d{2}) ${time} GMT`,
  `(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?<month>${month}) (?<day>[ \\d]\\d) ${time} (?<year>\\d{4})`
].map((format) => new RegExp(`^${format}$`))

// RFC 9110 wants all three forms read. `Date.parse` is not used: engines differ in
// what else they take for a date, and let the 31st of February pass.
const parseDate = (value: string, now: number): number | undefined => {
  for (const format of formats) {
    const found = format.exec(value)?.groups
    if (found === undefined) continue
    const day = Number(found["day"])
    const monthIndex = months.indexOf(found["month"] ?? "")
    const at = (year: number): number =>
      Date.UTC(year, monthIndex, day, Number(found["hour"]), Number(found["minute"]), Number(found["second"]))
    const written = Number(found["year"])
    let year = written
    if (found["year"]?.length === 2) {
      const thisYear = new Date(now).getUTCFullYear()
      year = thisYear - (thisYear % 100) + written
      // RFC 9110: two digits that seem more than 50 years ahead are of the century before.
      if (year > thisYear + 50) year -= 100
    }
    const millis = at(year)
    const valid =
      new Date(millis).getUTCDate() === day &&
      Number(found["hour"]) < 24 &&
      Number(found["minute"]) < 60 &&
      Number(found["second"]) <= 60
    return valid ? millis : undefined
  }
  return undefined
}

/**
 * How long to wait from `now`, in milliseconds since 1970. `None` where the header is neither a whole number of seconds
 * nor an HTTP-date; zero for a date that has passed. O(1).
 *
 * @example
 * ```ts
 * import { RetryAfter } from "@sluice/retry"
 *
 * console.log(String(RetryAfter.parse("120", 0))) // => some(120000 millis)
 * console.log(String(RetryAfter.parse("Thu, 01 Jan 1970 00:02:00 GMT", 0))) // => some(120000 millis)
 * console.log(String(RetryAfter.parse("soon", 0))) // => none()
 * ```
 */
export const parse = (header: string, now: number): Option.Option<Duration.Duration> => {
  const value = header.trim()
  if (/^\d{1,10}$/.test(value)) return Option.some(Duration.seconds(Number(value)))
  const at = parseDate(value, now)
  return at === undefined ? Option.none() : Option.some(Duration.millis(Math.max(0, at - now)))
}

/** Reads the header of a response whose names are in lower case. One that makes no sense is ignored, with a warning. */
export const fromHeaders = (
  headers: Readonly<Record<string, string | undefined>>
): Effect.Effect<Option.Option<Duration.Duration>> => {
  const header = headers["retry-after"]
  if (header === undefined) return Effect.succeedNone
  return Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<Option.Option<Duration.Duration>> => {
    const parsed = parse(header, now)
    return Option.isSome(parsed)
      ? Effect.succeed(parsed)
      : Effect.as(Effect.logWarning(`Ignoring Retry-After ${JSON.stringify(header)}: not seconds, not a date`), parsed)
  })
}

/** What `grpc-retry-pushback-ms` says: come back after exactly so long, or do not come back. */
export type Pushback = { readonly _tag: "After"; readonly delay: Duration.Duration } | { readonly _tag: "Stop" }

/**
 * Reads `grpc-retry-pushback-ms`. By gRPC's proposal A6 a negative number, and anything else that is not a whole number
 * of milliseconds, means that no attempt may follow.
 */
export const parsePushback = (value: string): Pushback =>
  /^\d{1,10}$/.test(value.trim()) ? { _tag: "After", delay: Duration.millis(Number(value)) } : { _tag: "Stop" }
