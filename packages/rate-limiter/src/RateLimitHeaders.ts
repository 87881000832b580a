/**
 * How servers tell their limits: reading it and writing it.
 *
 * @module
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Decision } from "./Decision.ts"
import * as HeaderFields from "./internal/headerFields.ts"
import { writeList } from "./internal/structuredFields.ts"
import type { HeadersInput, Report } from "./LimitReport.ts"
import type { Config } from "./RateLimiter.ts"

export type { HeadersInput, Limit, Policy, Report } from "./LimitReport.ts"

/**
 * Reads what a response tells about limits, with the time in milliseconds given by the caller.
 *
 * **Details**
 *
 * `RateLimit` and `RateLimit-Policy` as structured fields (draft-ietf-httpapi-ratelimit-headers), and if they are absent the
 * forms of its earlier drafts, `X-RateLimit-Limit`, `-Remaining` and `-Reset`, also with the name of a limit behind it
 * (`x-ratelimit-remaining-tokens`). A reset may be in seconds, a time of day, or like `6m0s`. `Retry-After` in both its
 * forms. What cannot be read is passed over. Costs O(length of the fields).
 */
export const parseUnsafe = (headers: HeadersInput, nowMillis: number): Report => HeaderFields.parse(headers, nowMillis)

/**
 * Reads what a response tells about limits.
 *
 * @example
 * ```ts
 * import { RateLimitHeaders } from "@sluice/rate-limiter"
 * import { Duration, Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const { limits, policies } = yield* RateLimitHeaders.parse({
 *     "RateLimit-Policy": '"hour";q=1000;w=3600',
 *     RateLimit: '"hour";r=12;t=90'
 *   })
 *   console.log(policies[0]?.quota, limits[0]?.remaining) // => 1000 12
 *   console.log(Duration.format(limits[0]?.resetAfter ?? Duration.zero)) // => 1m 30s
 * })
 *
 * await Effect.runPromise(program)
 * ```
 */
export const parse = (headers: HeadersInput): Effect.Effect<Report> =>
  Effect.clockWith((clock) => Effect.sync(() => HeaderFields.parse(headers, clock.currentTimeMillisUnsafe())))

/** What a decision of a limiter is to its callers: a limit by name, how it stands, and when to come back if it was refused. */
export const fromDecision = (name: string, config: Config, decision: Decision): Report => ({
  policies: [{ name, quota: config.limit, window: Duration.fromInputUnsafe(config.interval) }],
  limits: [{ name, remaining: decision.remaining, resetAfter: decision.resetAfter }],
  retryAfter: decision.allowed ? undefined : decision.retryAfter
})

// Whoever comes back when told must not be early: seconds are rounded up, and what remains down.
const wholeSeconds = (duration: Duration.Duration | undefined): number | undefined =>
  duration === undefined ? undefined : Math.ceil(Duration.toMillis(duration) / 1000)

const withRetryAfter = (fields: Record<string, string>, report: Report): Readonly<Record<string, string>> => {
  const retryAfter = wholeSeconds(report.retryAfter)
  if (retryAfter !== undefined) fields["retry-after"] = String(retryAfter)
  return fields
}

/**
 * Writes `RateLimit`, `RateLimit-Policy` and `Retry-After`, those of them that there is something for. Seconds are rounded
 * up, costs down. Throws a `RangeError` for a name that is not printable ASCII.
 *
 * @example
 * ```ts
 * import { RateLimiter, RateLimitHeaders } from "@sluice/rate-limiter"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const config = { limit: 60, interval: "1 minute" } as const
 *   const limiter = yield* RateLimiter.make(config)
 *   const decision = yield* limiter.tryTake()
 *   const fields = RateLimitHeaders.write(RateLimitHeaders.fromDecision("minute", config, decision))
 *   console.log(fields["ratelimit-policy"]) // => "minute";q=60;w=60
 *   console.log(fields["ratelimit"]) // => "minute";r=59;t=1
 * })
 *
 * await Effect.runPromise(program)
 * ```
 */
export const write = (report: Report): Readonly<Record<string, string>> => {
  const fields: Record<string, string> = {}
  if (report.policies.length > 0) {
    fields["ratelimit-policy"] = writeList(
      report.policies.map(({ name, partitionKey, quota, unit, window }) => [
        name,
        { q: quota, w: wholeSeconds(window), qu: unit, pk: partitionKey }
      ])
    )
  }
  if (report.limits.length > 0) {
    fields["ratelimit"] = writeList(
      report.limits.map(({ name, partitionKey, remaining, resetAfter }) => [
        name,
        { r: remaining, t: wholeSeconds(resetAfter), pk: partitionKey }
      ])
    )
  }
  return withRetryAfter(fields, report)
}

export interface LegacyOptions {
  /** What `X-RateLimit-Reset` holds: `seconds` from now (the default), or the time in seconds since 1970. */
  readonly reset?: "seconds" | { readonly epochAtMillis: number } | undefined
}

/**
 * Writes the older `X-RateLimit-Limit`, `-Remaining` and `-Reset`, and `Retry-After`. With several limits each has its name
 * behind it.
 */
export const writeLegacy = (report: Report, options?: LegacyOptions): Readonly<Record<string, string>> => {
  const fields: Record<string, string> = {}
  const names = new Set([...report.policies, ...report.limits].map(({ name }) => name))
  const reset = options?.reset ?? "seconds"
  for (const name of names) {
    const suffix = names.size === 1 ? "" : `-${name.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`
    const policy = report.policies.find((candidate) => candidate.name === name)
    const limit = report.limits.find((candidate) => candidate.name === name)
    if (policy !== undefined) fields[`x-ratelimit-limit${suffix}`] = String(Math.floor(policy.quota))
    if (limit === undefined) continue
    fields[`x-ratelimit-remaining${suffix}`] = String(Math.floor(limit.remaining))
    const after = wholeSeconds(limit.resetAfter)
    if (after === undefined) continue
    fields[`x-ratelimit-reset${suffix}`] = String(
      reset === "seconds" ? after : Math.ceil(reset.epochAtMillis / 1000) + after
    )
  }
  return withRetryAfter(fields, report)
}
