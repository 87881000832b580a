/**
 * What the app is told by environment variables.
 *
 * A bad value stops the start; the message names every bad variable, its value
 * and what is allowed, so that one look suffices to put all of them right.
 *
 * @module
 */
import { type Config, Effect, Redacted } from "effect"
import type * as Models from "./models/layer.ts"
import type { ServerOptions } from "./models/layer.ts"
import { headerName, httpUrl, networks, oneOf, origins, redisUrl, text, whole, words } from "./settings/kinds.ts"
import { BadSettings, makeReading, type Reading } from "./settings/reading.ts"
import type * as Database from "./store/Database.ts"
import { readUsers, USERS_ALLOWED, type User } from "./Users.ts"

export type LatencyProfile = "none" | "fast" | "guide"

/** Model servers, as the settings name them; where no URL is given, the embedded one. */
export interface ModelSettings extends Omit<Models.Options, "modelServer" | "asrOcrServer"> {
  readonly modelServer: Omit<ServerOptions, "url"> & { readonly url: string | undefined }
  readonly asrOcrServer: Omit<ServerOptions, "url"> & { readonly url: string | undefined; readonly ocrModel: string }
}

export interface ProxySettings {
  /** Peers whose forwarding and user headers are believed. */
  readonly trusted: ReadonlyArray<string>
  readonly believesForwarded: boolean
  /** The header in which they name the user, and that of his role. */
  readonly userHeader: string | undefined
  readonly roleHeader: string
}

export interface Settings {
  readonly host: string
  readonly port: number
  readonly database: Database.Options
  readonly models: ModelSettings
  readonly modelLatency: LatencyProfile
  readonly lawTable: string | undefined
  readonly redisUrl: string | undefined
  readonly maxConcurrentRequests: number
  readonly maxConcurrentModelCalls: number
  readonly httpPoolSize: number
  readonly http2: boolean
  readonly maxWaitingRequests: number
  readonly maxFileMegabytes: number
  readonly inferenceTimeoutSeconds: number
  readonly clauseCheckTimeoutSeconds: number
  readonly breakerFailures: number
  readonly breakerOpenSeconds: number
  readonly sessionTimeoutSeconds: number
  readonly duplicateWindowSeconds: number
  readonly drainSeconds: number
  readonly apiKey: string | undefined
  readonly firAuthKey: string | undefined
  readonly users: ReadonlyArray<User>
  readonly proxy: ProxySettings
  readonly rateLimitRequests: number
  readonly rateLimitWindowSeconds: number
  readonly corsOrigins: ReadonlyArray<string>
  readonly otlpUrl: string | undefined
  readonly logLevel: "Debug" | "Info" | "Warn" | "Error" | "None"
  readonly logFormat: "logfmt" | "json"
  readonly exitWithParent: boolean
}

const flag = oneOf("0", "1")

/** MySQL where a host is named, and else a file. */
const database = ({ read, secret }: Reading): Effect.Effect<Database.Options, Config.ConfigError> =>
  Effect.gen(function* () {
    const path = yield* read("DATABASE_PATH", text(1), "fir.sqlite")
    const host = yield* read("MYSQL_HOST", text(1), undefined)
    const mysql = {
      port: yield* read("MYSQL_PORT", whole(1, 65_535), 3306),
      user: yield* read("MYSQL_USER", text(1), "root"),
      password: Redacted.make((yield* secret("MYSQL_PASSWORD", text(1))) ?? ""),
      database: yield* read("MYSQL_DB", text(1), "fir_db"),
      poolSize: yield* read("MYSQL_POOL_SIZE", whole(1, 1000), 15),
      tls: (yield* read("MYSQL_TLS", flag, "0")) === "1"
    }
    return host === undefined ? { kind: "sqlite", path } : { kind: "mysql", host, ...mysql }
  })

const models = ({ read, secret }: Reading): Effect.Effect<ModelSettings, Config.ConfigError> =>
  Effect.gen(function* () {
    const api = oneOf("guide", "openai")
    const key = (value: string | undefined) => (value === undefined ? undefined : Redacted.make(value))
    return {
      modelServer: {
        url: yield* read("MODEL_SERVER_URL", httpUrl, undefined),
        api: yield* read("MODEL_SERVER_API", api, "guide"),
        model: yield* read("MODEL_NAME", text(1), "default"),
        key: key(yield* secret("MODEL_SERVER_KEY", text(1)))
      },
      asrOcrServer: {
        url: yield* read("ASR_OCR_SERVER_URL", httpUrl, undefined),
        api: yield* read("ASR_OCR_SERVER_API", api, "guide"),
        model: yield* read("ASR_MODEL_NAME", text(1), "whisper-1"),
        ocrModel: yield* read("OCR_MODEL_NAME", text(1), "default"),
        key: key(yield* secret("ASR_OCR_SERVER_KEY", text(1)))
      },
      ocrEngine: yield* read("OCR_ENGINE", oneOf("server", "tesseract"), "server"),
      ocrLanguages: yield* read("OCR_LANGUAGES", words, ["eng", "hin"]),
      asrTimeoutSeconds: yield* read("ASR_TIMEOUT_SECONDS", whole(1, 3600), 180),
      ocrTimeoutSeconds: yield* read("OCR_TIMEOUT_SECONDS", whole(1, 3600), 120),
      hedgeSeconds: yield* read("HEDGE_AFTER_SECONDS", whole(0, 3600), 0)
    }
  })

const proxy = ({ read }: Reading): Effect.Effect<ProxySettings, Config.ConfigError> =>
  Effect.gen(function* () {
    return {
      trusted: yield* read("TRUSTED_PROXY_IPS", networks, []),
      believesForwarded: (yield* read("TRUST_FORWARDED_HEADERS", flag, "0")) === "1",
      userHeader: yield* read("USER_HEADER", headerName, undefined),
      roleHeader: yield* read("ROLE_HEADER", headerName, "x-remote-role")
    }
  })

const users = (reading: Reading): Effect.Effect<ReadonlyArray<User>, Config.ConfigError> =>
  Effect.map(reading.read("USERS_FILE", text(1), undefined), (path) => {
    if (path === undefined) return []
    const found = readUsers(path)
    if (typeof found !== "string") return found
    reading.refuse({ name: "USERS_FILE", value: JSON.stringify(path), allowed: `${USERS_ALLOWED} (${found})` })
    return []
  })

/** Reads the settings from the environment, or from whatever `ConfigProvider` is in place. */
export const load: Effect.Effect<Settings, BadSettings | Config.ConfigError> = Effect.gen(function* () {
  const reading = makeReading()
  const { bad, read, secret } = reading
  const settings: Settings = {
    host: yield* read("HOST", text(1), "127.0.0.1"),
    port: yield* read("PORT", whole(0, 65_535), 8000),
    database: yield* database(reading),
    models: yield* models(reading),
    modelLatency: yield* read("MODEL_LATENCY", oneOf("none", "fast", "guide"), "none"),
    lawTable: yield* read("LAW_TABLE", text(1), undefined),
    redisUrl: yield* read("REDIS_URL", redisUrl, undefined),
    maxConcurrentRequests: yield* read("MAX_CONCURRENT_REQUESTS", whole(1, 10_000), 15),
    maxConcurrentModelCalls: yield* read("MAX_CONCURRENT_MODEL_CALLS", whole(1, 10_000), 10),
    httpPoolSize: yield* read("HTTP_POOL_SIZE", whole(1, 10_000), 20),
    http2: (yield* read("HTTP2", flag, "1")) === "1",
    maxWaitingRequests: yield* read("MAX_WAITING_REQUESTS", whole(0, 100_000), 200),
    maxFileMegabytes: yield* read("MAX_FILE_MEGABYTES", whole(1, 100), 25),
    inferenceTimeoutSeconds: yield* read("INFERENCE_TIMEOUT_SECONDS", whole(1, 3600), 60),
    clauseCheckTimeoutSeconds: yield* read("CLAUSE_CHECK_TIMEOUT_SECONDS", whole(1, 3600), 8),
    breakerFailures: yield* read("BREAKER_FAILURES", whole(1, 10_000), 5),
    breakerOpenSeconds: yield* read("BREAKER_OPEN_SECONDS", whole(1, 86_400), 60),
    sessionTimeoutSeconds: yield* read("SESSION_TIMEOUT_SECONDS", whole(1, 31_536_000), 3600),
    duplicateWindowSeconds: yield* read("DUPLICATE_WINDOW_SECONDS", whole(0, 31_536_000), 86_400),
    drainSeconds: yield* read("DRAIN_SECONDS", whole(0, 3600), 30),
    apiKey: yield* secret("API_KEY", text(8)),
    firAuthKey: yield* secret("FIR_AUTH_KEY", text(8)),
    users: yield* users(reading),
    proxy: yield* proxy(reading),
    rateLimitRequests: yield* read("RATE_LIMIT_REQUESTS", whole(1, 1_000_000), 600),
    rateLimitWindowSeconds: yield* read("RATE_LIMIT_WINDOW", whole(1, 86_400), 60),
    corsOrigins: yield* read("CORS_ORIGINS", origins, []),
    otlpUrl: yield* read("OTEL_EXPORTER_OTLP_ENDPOINT", httpUrl, undefined),
    logLevel: yield* read("LOG_LEVEL", oneOf("Debug", "Info", "Warn", "Error", "None"), "Info"),
    logFormat: yield* read("LOG_FORMAT", oneOf("logfmt", "json"), "logfmt"),
    exitWithParent: (yield* read("EXIT_WITH_PARENT", flag, "0")) === "1"
  }
  const { trusted, userHeader } = settings.proxy
  if (userHeader !== undefined && trusted.length === 0) {
    reading.refuse({
      name: "USER_HEADER",
      value: JSON.stringify(userHeader),
      allowed: "a header only together with TRUSTED_PROXY_IPS, as anyone else could name himself"
    })
  }
  if (bad.length > 0) return yield* new BadSettings({ variables: bad })
  return settings
})
