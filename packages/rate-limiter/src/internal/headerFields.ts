// The forms in which servers tell their limits, from the newest to the oldest. What
// cannot be read is passed over: a field about limits is advice.
//
//   RateLimit-Policy: "hour";q=1000;w=3600      RateLimit: "hour";r=980;t=1200
//   RateLimit: limit=1000, remaining=980, reset=1200
//   RateLimit-Limit: 1000, 1000;w=3600          RateLimit-Remaining, RateLimit-Reset
//   X-RateLimit-Limit: 1000                     …-Remaining, …-Reset: seconds or a time of day
//   x-ratelimit-limit-tokens: 1000              …-reset-tokens: 6m0s

import * as Duration from "effect/Duration"
import type { HeadersInput, Limit, Policy, Report } from "../LimitReport.ts"
import { type Bare, parseDictionary, parseList } from "./structuredFields.ts"

const isIterable = (headers: HeadersInput): headers is Iterable<readonly [string, string]> => Symbol.iterator in headers

const lowerCased = (headers: HeadersInput): ReadonlyMap<string, string> => {
  const entries = isIterable(headers) ? headers : Object.entries(headers)
  const fields = new Map<string, string>()
  for (const [name, value] of entries) if (value !== undefined) fields.set(name.toLowerCase(), value)
  return fields
}

const count = (value: Bare | undefined): number | undefined =>
  typeof value === "number" && value >= 0 ? value : undefined

const seconds = (value: Bare | undefined): Duration.Duration | undefined => {
  const number = count(value)
  return number === undefined ? undefined : Duration.millis(number * 1000)
}

const text = (value: Bare | undefined): string | undefined => (typeof value === "string" ? value : undefined)
const bytes = (value: Bare | undefined): Uint8Array | undefined => (value instanceof Uint8Array ? value : undefined)

const until = (millis: number, nowMillis: number): Duration.Duration => Duration.millis(Math.max(0, millis - nowMillis))

const unitMillis: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Seconds, seconds or milliseconds since 1970, `1m30s`, or a date: whichever it looks like. */
export const parseReset = (value: string, nowMillis: number): Duration.Duration | undefined => {
  const trimmed = value.trim()
  if (/^\d{1,15}(\.\d{1,9})?$/.test(trimmed)) {
    const number = Number(trimmed)
    if (number >= 1e11) return until(number, nowMillis)
    return number >= 1e9 ? until(number * 1000, nowMillis) : Duration.millis(number * 1000)
  }
  if (/^(\d{1,9}(\.\d{1,9})?(ms|[smhd]))+$/.test(trimmed)) {
    let millis = 0
    for (const [, amount, unit] of trimmed.matchAll(/([\d.]+)(ms|[smhd])/g)) {
      millis += Number(amount) * (unitMillis[unit ?? ""] ?? 0)
    }
    return Duration.millis(millis)
  }
  return parseDate(trimmed, nowMillis)
}

const parseDate = (value: string, nowMillis: number): Duration.Duration | undefined => {
  if (!/^([A-Z][a-z]{2,8},? |\d{4}-\d\d-\d\d)/.test(value) || value.length > 64) return undefined
  const millis = Date.parse(value)
  return Number.isNaN(millis) ? undefined : until(millis, nowMillis)
}

export const parseRetryAfter = (value: string, nowMillis: number): Duration.Duration | undefined => {
  const trimmed = value.trim()
  return /^\d{1,10}$/.test(trimmed) ? Duration.seconds(Number(trimmed)) : parseDate(trimmed, nowMillis)
}

const parsePolicies = (field: string): ReadonlyArray<Policy> =>
  (parseList(field) ?? []).flatMap(({ parameters, value }): ReadonlyArray<Policy> => {
    const quota = count(parameters.get("q"))
    if (typeof value !== "string" || quota === undefined) return []
    return [
      {
        name: value,
        quota,
        window: seconds(parameters.get("w")),
        unit: text(parameters.get("qu")),
        partitionKey: bytes(parameters.get("pk"))
      }
    ]
  })

const parseLimits = (field: string): ReadonlyArray<Limit> =>
  (parseList(field) ?? []).flatMap(({ parameters, value }): ReadonlyArray<Limit> => {
    const remaining = count(parameters.get("r"))
    if (typeof value !== "string" || remaining === undefined) return []
    return [
      { name: value, remaining, resetAfter: seconds(parameters.get("t")), partitionKey: bytes(parameters.get("pk")) }
    ]
  })

/** What older forms tell of one limit. */
interface Older {
  quota?: number
  window?: Duration.Duration
  remaining?: number
  resetAfter?: Duration.Duration
}

const olderOfDictionary = (field: string): Older => {
  const members = parseDictionary(field)
  const quota = count(members?.get("limit"))
  const remaining = count(members?.get("remaining"))
  const resetAfter = seconds(members?.get("reset"))
  return {
    ...(quota === undefined ? {} : { quota }),
    ...(remaining === undefined ? {} : { remaining }),
    ...(resetAfter === undefined ? {} : { resetAfter })
  }
}

const readOlder = (older: Older, kind: string, value: string, nowMillis: number): void => {
  if (kind === "reset" || kind === "reset-after") {
    const resetAfter = parseReset(value, nowMillis)
    if (resetAfter !== undefined) older.resetAfter = resetAfter
    return
  }
  const [first, ...policies] = parseList(value) ?? []
  const number = count(first?.value)
  if (number === undefined) return
  if (kind === "remaining") older.remaining = number
  else {
    older.quota = number
    const window = [first, ...policies].map((item) => seconds(item?.parameters.get("w"))).find((found) => found)
    if (window !== undefined) older.window = window
  }
}

const parseOlder = (fields: ReadonlyMap<string, string>, nowMillis: number): ReadonlyMap<string, Older> => {
  const byName = new Map<string, Older>()
  const of = (name: string): Older => {
    const older = byName.get(name) ?? {}
    byName.set(name, older)
    return older
  }
  for (const [field, value] of fields) {
    const match = /^(?:x-)?rate-?limit-(limit|remaining|reset-after|reset)(?:-(.+))?$/.exec(field)
    if (match !== null) readOlder(of(match[2] ?? "default"), match[1] ?? "", value, nowMillis)
  }
  return byName
}

export const parse = (headers: HeadersInput, nowMillis: number): Report => {
  const fields = lowerCased(headers)
  const retryAfter = parseRetryAfter(fields.get("retry-after") ?? "", nowMillis)
  const field = fields.get("ratelimit") ?? ""
  const policies = [...parsePolicies(fields.get("ratelimit-policy") ?? "")]
  const limits = [...parseLimits(field)]
  if (limits.length > 0 || policies.length > 0) return { policies, limits, retryAfter }
  const older = new Map(parseOlder(fields, nowMillis))
  const dictionary = olderOfDictionary(field)
  if (dictionary.remaining !== undefined) older.set("default", dictionary)
  for (const [name, { quota, remaining, resetAfter, window }] of older) {
    if (quota !== undefined) policies.push({ name, quota, window, unit: undefined, partitionKey: undefined })
    if (remaining !== undefined) limits.push({ name, remaining, resetAfter, partitionKey: undefined })
  }
  return { policies, limits, retryAfter }
}
