/**
 * What the app is told by environment variables.
 *
 * A bad value stops the start; the message names every bad variable, its value
 * and what is allowed, so that one look suffices to put all of them right.
 *
 * @module
 */
import { Config, Data, Effect, Option, Redacted } from "effect"
import type * as Database from "./store/Database.ts"

export type LatencyProfile = "none" | "fast" | "guide"

export interface Settings {
  readonly host: string
  readonly port: number
  readonly database: Database.Options
  readonly modelServerUrl: string | undefined
  readonly modelLatency: LatencyProfile
  readonly lawTable: string | undefined
  readonly maxConcurrentRequests: number
  readonly maxConcurrentModelCalls: number
  readonly httpPoolSize: number
  readonly maxWaitingRequests: number
  readonly inferenceTimeoutSeconds: number
  readonly clauseCheckTimeoutSeconds: number
  readonly breakerFailures: number
  readonly breakerOpenSeconds: number
  readonly sessionTimeoutSeconds: number
  readonly duplicateWindowSeconds: number
  readonly drainSeconds: number
  readonly apiKey: string | undefined
  readonly firAuthKey: string | undefined
  readonly rateLimitRequests: number
  readonly rateLimitWindowSeconds: number
  readonly corsOrigins: ReadonlyArray<string>
  readonly logLevel: "Debug" | "Info" | "Warn" | "Error" | "None"
  readonly exitWithParent: boolean
}

export interface BadVariable {
  readonly name: string
  readonly value: string
  readonly allowed: string
}

export class BadSettings extends Data.TaggedError("BadSettings")<{ readonly variables: ReadonlyArray<BadVariable> }> {
  override get message(): string {
    return this.variables
      .map(({ allowed, name, value }) => `Cannot use ${name}=${value}: allowed is ${allowed}`)
      .join("\n")
  }
}

const whole = (least: number, most: number) => ({
  allowed: `a whole number from ${least} to ${most}`,
  parse: (raw: string): number | undefined => {
    const value = Number(raw)
    return /^\d+$/.test(raw) && value >= least && value <= most ? value : undefined
  }
})

const oneOf = <const A extends string>(...values: ReadonlyArray<A>) => ({
  allowed: `one of ${values.join(", ")}`,
  parse: (raw: string): A | undefined => values.find((value) => value.toLowerCase() === raw.toLowerCase())
})

const text = (least: number) => ({
  allowed: least === 1 ? "any text" : `at least ${least} characters`,
  parse: (raw: string): string | undefined => (raw.length >= least ? raw : undefined)
})

const httpUrl = {
  allowed: "an http or https URL",
  parse: (raw: string): string | undefined =>
    URL.canParse(raw) && /^https?:$/.test(new URL(raw).protocol) ? raw.replace(/\/+$/, "") : undefined
}

const origins = {
  allowed: "origins separated by commas, or *",
  parse: (raw: string): ReadonlyArray<string> | undefined => {
    const values = raw.split(",").map((origin) => origin.trim())
    return values.every((origin) => origin === "*" || (URL.canParse(origin) && new URL(origin).origin === origin))
      ? values
      : undefined
  }
}

interface Kind<A> {
  readonly allowed: string
  readonly parse: (raw: string) => A | undefined
}

type Read = <A, const F>(
  name: string,
  kind: Kind<A>,
  fallback: F,
  secret?: boolean
) => Effect.Effect<A | F, Config.ConfigError>

/** MySQL where a host is named, and else a file. */
const database = (read: Read): Effect.Effect<Database.Options, Config.ConfigError> =>
  Effect.gen(function* () {
    const path = yield* read("DATABASE_PATH", text(1), "fir.sqlite")
    const host = yield* read("MYSQL_HOST", text(1), undefined)
    const mysql = {
      port: yield* read("MYSQL_PORT", whole(1, 65_535), 3306),
      user: yield* read("MYSQL_USER", text(1), "root"),
      password: Redacted.make(yield* read("MYSQL_PASSWORD", text(1), "", true)),
      database: yield* read("MYSQL_DB", text(1), "fir_db"),
      poolSize: yield* read("MYSQL_POOL_SIZE", whole(1, 1000), 15),
      tls: (yield* read("MYSQL_TLS", oneOf("0", "1"), "0")) === "1"
    }
    return host === undefined ? { kind: "sqlite", path } : { kind: "mysql", host, ...mysql }
  })

/** Reads the settings from the environment, or from whatever `ConfigProvider` is in place. */
export const load: Effect.Effect<Settings, BadSettings | Config.ConfigError> = Effect.gen(function* () {
  const bad: Array<BadVariable> = []
  const read: Read = <A, const F>(name: string, kind: Kind<A>, fallback: F, secret = false) =>
    Effect.map(Config.option(Config.String(name)), (found): A | F => {
      const raw = Option.getOrUndefined(found)
      if (raw === undefined || raw === "") return fallback
      const value = kind.parse(raw)
      if (value !== undefined) return value
      bad.push({ name, value: secret ? "(secret)" : JSON.stringify(raw), allowed: kind.allowed })
      return fallback
    })
  const settings: Settings = {
    host: yield* read("HOST", text(1), "127.0.0.1"),
    port: yield* read("PORT", whole(0, 65_535), 8000),
    database: yield* database(read),
    modelServerUrl: yield* read("MODEL_SERVER_URL", httpUrl, undefined),
    modelLatency: yield* read("MODEL_LATENCY", oneOf("none", "fast", "guide"), "none"),
    lawTable: yield* read("LAW_TABLE", text(1), undefined),
    maxConcurrentRequests: yield* read("MAX_CONCURRENT_REQUESTS", whole(1, 10_000), 15),
    maxConcurrentModelCalls: yield* read("MAX_CONCURRENT_MODEL_CALLS", whole(1, 10_000), 10),
    httpPoolSize: yield* read("HTTP_POOL_SIZE", whole(1, 10_000), 20),
    maxWaitingRequests: yield* read("MAX_WAITING_REQUESTS", whole(0, 100_000), 200),
    inferenceTimeoutSeconds: yield* read("INFERENCE_TIMEOUT_SECONDS", whole(1, 3600), 60),
    clauseCheckTimeoutSeconds: yield* read("CLAUSE_CHECK_TIMEOUT_SECONDS", whole(1, 3600), 8),
    breakerFailures: yield* read("BREAKER_FAILURES", whole(1, 10_000), 5),
    breakerOpenSeconds: yield* read("BREAKER_OPEN_SECONDS", whole(1, 86_400), 60),
    sessionTimeoutSeconds: yield* read("SESSION_TIMEOUT_SECONDS", whole(1, 31_536_000), 3600),
    duplicateWindowSeconds: yield* read("DUPLICATE_WINDOW_SECONDS", whole(0, 31_536_000), 86_400),
    drainSeconds: yield* read("DRAIN_SECONDS", whole(0, 3600), 30),
    apiKey: yield* read("API_KEY", text(8), undefined, true),
    firAuthKey: yield* read("FIR_AUTH_KEY", text(8), undefined, true),
    rateLimitRequests: yield* read("RATE_LIMIT_REQUESTS", whole(1, 1_000_000), 600),
    rateLimitWindowSeconds: yield* read("RATE_LIMIT_WINDOW", whole(1, 86_400), 60),
    corsOrigins: yield* read("CORS_ORIGINS", origins, []),
    logLevel: yield* read("LOG_LEVEL", oneOf("Debug", "Info", "Warn", "Error", "None"), "Info"),
    exitWithParent: (yield* read("EXIT_WITH_PARENT", oneOf("0", "1"), "0")) === "1"
  }
  if (bad.length > 0) return yield* new BadSettings({ variables: bad })
  return settings
})
