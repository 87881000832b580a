// Options as numbers, checked once.
import * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import type { Options, ProxyOptions } from "../HttpPool.ts"
import type { Proxy } from "./dial.ts"

export interface Settings {
  readonly connectMillis: number
  readonly readMillis: number
  readonly bodyMillis: number
  readonly poolMillis: number
  readonly drainMillis: number
  readonly warnMillis: number
  readonly maxConnections: number
  readonly maxConnectionsPerOrigin: number
  readonly maxKeepAliveConnections: number
  readonly keepAliveMillis: number
  readonly maxAgeMillis: number
  readonly maxRequestsPerConnection: number
  readonly maxResponseSize: number
  readonly maxOrigins: number
  readonly dnsMillis: number
  readonly http2: boolean | "prior-knowledge"
  readonly maxStreams: number
  readonly pingMillis: number
}

const fail = (name: string, value: unknown, allowed: string): never => {
  throw new RangeError(`Cannot make an HTTP pool: ${name} must be ${allowed}, received ${String(value)}`)
}

const count = (name: string, value: number | undefined, fallback: number, least: number): number => {
  if (value === undefined) return fallback
  if (value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && value >= least)) return value
  return fail(name, value, `a whole number of at least ${least} or Infinity`)
}

const millis = (name: string, value: Duration.Input | undefined, fallback: number): number => {
  if (value === undefined) return fallback
  const duration = Duration.fromInput(value)
  const result = duration._tag === "Some" ? Duration.toMillis(duration.value) : Number.NaN
  return result > 0 ? result : fail(name, value, "a duration longer than nothing")
}

const defaultPort = (protocol: string): number => (protocol === "https:" ? 443 : 80)

/** Where connections go, from what the options say of it. */
export const proxyOf = (proxy: ProxyOptions | undefined): Proxy | undefined => {
  if (proxy === undefined) return undefined
  const url = URL.canParse(String(proxy.url)) ? new URL(String(proxy.url)) : undefined
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    return fail("proxy.url", proxy.url, "a URL of scheme http or https")
  }
  const credentials =
    proxy.authorization === undefined
      ? url.username === ""
        ? undefined
        : `Basic ${btoa(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`)}`
      : Redacted.value(proxy.authorization)
  return {
    isTls: url.protocol === "https:",
    host: url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname,
    port: url.port === "" ? defaultPort(url.protocol) : Number(url.port),
    authorization: credentials,
    except: proxy.except ?? []
  }
}

/** Throws a `RangeError` that names the option, its value and what is allowed. */
export const settings = (options: Options): Settings => {
  const readMillis = millis("readTimeout", options.readTimeout, 180_000)
  const maxConnections = count("maxConnections", options.maxConnections, 50, 1)
  return {
    connectMillis: millis("connectTimeout", options.connectTimeout, 30_000),
    readMillis,
    bodyMillis: millis("bodyTimeout", options.bodyTimeout, readMillis),
    poolMillis: millis("poolTimeout", options.poolTimeout, 300_000),
    warnMillis: millis("warnAfter", options.warnAfter, 10_000),
    drainMillis: millis("drainTimeout", options.drainTimeout, 5_000),
    maxConnections,
    maxConnectionsPerOrigin: Math.min(
      maxConnections,
      count("maxConnectionsPerOrigin", options.maxConnectionsPerOrigin, maxConnections, 1)
    ),
    maxKeepAliveConnections: count("maxKeepAliveConnections", options.maxKeepAliveConnections, 10, 0),
    keepAliveMillis: millis("keepAliveExpiry", options.keepAliveExpiry, 300_000),
    maxAgeMillis: millis("maxConnectionAge", options.maxConnectionAge, Number.POSITIVE_INFINITY),
    maxRequestsPerConnection: count(
      "maxRequestsPerConnection",
      options.maxRequestsPerConnection,
      Number.POSITIVE_INFINITY,
      1
    ),
    maxResponseSize: count("maxResponseSize", options.maxResponseSize, Number.POSITIVE_INFINITY, 1),
    maxOrigins: count("maxOrigins", options.maxOrigins, 1_000, 1),
    dnsMillis: millis("dnsTtl", options.dnsTtl, 10_000),
    http2: options.http2 ?? false,
    maxStreams: count("maxStreams", options.maxStreams, 100, 1),
    pingMillis: millis("pingInterval", options.pingInterval, 60_000)
  }
}
