// What the options of a pool come to, checked once when it is made.

import type { Interceptor } from "@connectrpc/connect"
import * as Duration from "effect/Duration"
import type { Options, Protocol } from "../GrpcPool.ts"

export interface Settings {
  readonly protocol: Protocol
  readonly balance: "least-loaded" | "round-robin"
  readonly maxSessions: number
  readonly maxStreams: number
  readonly maxWaiting: number
  readonly maxMessageBytes: number
  readonly waitForReady: boolean
  readonly connectMillis: number
  readonly drainMillis: number
  readonly idleMillis: number
  readonly reconnect: { readonly baseMillis: number; readonly capMillis: number }
  readonly keepAlive: KeepAlive | undefined
  readonly health: HealthCheck | undefined
  readonly interceptors: ReadonlyArray<Interceptor>
  readonly tls: Options["tls"]
}

export interface KeepAlive {
  readonly intervalMillis: number
  readonly timeoutMillis: number
  readonly isForIdle: boolean
}

export interface HealthCheck {
  readonly service: string
  readonly intervalMillis: number
  readonly timeoutMillis: number
}

const whole = (name: string, value: number, least: number): number => {
  if (value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && value >= least)) return value
  throw new RangeError(`Cannot make a gRPC pool with ${name} ${value}: a whole number, ${least} or more, is needed`)
}

const millis = (name: string, value: Duration.Input, isAboveZero = false): number => {
  const given = Duration.toMillis(value)
  if (isAboveZero ? given > 0 : given >= 0) return given
  const needed = isAboveZero ? "more than no time" : "no less than no time"
  throw new RangeError(`Cannot make a gRPC pool with ${name} ${given} ms: ${needed} is needed`)
}

/** The origin that an address names: `host:port` is plain text, as gRPC has it. Throws a `RangeError` for what is none. */
export const originOf = (address: string): string => {
  const url = URL.parse(/^https?:\/\//.test(address) ? address : `http://${address}`)
  if (url === null || url.hostname === "" || url.pathname !== "/" || url.search !== "") {
    throw new RangeError(
      `Cannot take ${JSON.stringify(address)} as an address: host:port, or http:// or https:// with host and port, is needed`
    )
  }
  return url.origin
}

export const settingsOf = (options: Options): Settings => {
  const { healthCheck, keepAlive } = options
  return {
    protocol: options.protocol ?? "grpc",
    balance: options.balance ?? "least-loaded",
    maxSessions: whole("maxSessionsPerAddress", options.maxSessionsPerAddress ?? 8, 1),
    maxStreams: whole("maxStreamsPerSession", options.maxStreamsPerSession ?? Number.POSITIVE_INFINITY, 1),
    maxWaiting: whole("maxWaiting", options.maxWaiting ?? 10_000, 0),
    maxMessageBytes: whole("maxMessageBytes", options.maxMessageBytes ?? 4 * 1024 * 1024, 1),
    waitForReady: options.waitForReady ?? false,
    connectMillis: millis("connectTimeout", options.connectTimeout ?? "20 seconds", true),
    drainMillis: millis("drainTimeout", options.drainTimeout ?? "30 seconds"),
    idleMillis: millis("idleTimeout", options.idleTimeout ?? "15 minutes", true),
    reconnect: {
      baseMillis: millis("reconnect.base", options.reconnect?.base ?? "50 millis", true),
      capMillis: millis("reconnect.cap", options.reconnect?.cap ?? "10 seconds", true)
    },
    keepAlive:
      keepAlive === undefined
        ? undefined
        : {
            intervalMillis: millis("keepAlive.interval", keepAlive.interval, true),
            timeoutMillis: millis("keepAlive.timeout", keepAlive.timeout ?? "20 seconds", true),
            isForIdle: keepAlive.idle ?? false
          },
    health:
      healthCheck === undefined
        ? undefined
        : {
            service: healthCheck.service ?? "",
            intervalMillis: millis("healthCheck.interval", healthCheck.interval ?? "10 seconds", true),
            timeoutMillis: millis("healthCheck.timeout", healthCheck.timeout ?? "1 second", true)
          },
    interceptors: options.interceptors ?? [],
    tls: options.tls
  }
}
