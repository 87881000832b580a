/**
 * What the app is told by environment variables.
 *
 * A bad value stops the start; the message names every bad variable, its value
 * and what is allowed, so that one look suffices to put all of them right.
 *
 * @module
 */

import { isIP } from "node:net"
import { availableParallelism } from "node:os"
import { Config, Data, Effect, Option, Redacted } from "effect"
import type { LatencyProfile } from "./registry-server/RegistryServer.ts"

export interface Settings {
  readonly host: string
  readonly port: number
  readonly workers: number
  readonly maxConcurrentConnections: number
  readonly maxRequestsPerWorker: number
  readonly rateLimitRequestsPerMinute: number
  readonly maxConcurrentBatchRequests: number
  readonly maxConcurrentLlmRequests: number
  readonly maxConcurrentFileOperations: number
  readonly maxBatchSize: number
  readonly batchLeaseSeconds: number
  readonly databasePath: string
  readonly documentsFolder: string
  readonly logFile: string | undefined
  readonly logLevel: "Debug" | "Info" | "Warn" | "Error" | "None"
  readonly providers: number
  readonly seed: number
  readonly registryUrl: string | undefined
  readonly registryLatency: LatencyProfile
  readonly registryFaultPercent: number
  readonly registryTimeoutSeconds: number
  readonly llmUrl: string | undefined
  readonly llmModel: string
  readonly llmKey: Redacted.Redacted<string> | undefined
  readonly apiKey: string | undefined
  readonly trustedProxies: ReadonlyArray<string>
  readonly keepAliveSeconds: number
  readonly drainSeconds: number
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

interface Kind<A> {
  readonly allowed: string
  readonly parse: (raw: string) => A | undefined
}

const whole = (least: number, most: number): Kind<number> => ({
  allowed: `a whole number from ${least} to ${most}`,
  parse: (raw) => {
    const value = Number(raw)
    return /^\d+$/.test(raw) && value >= least && value <= most ? value : undefined
  }
})

const oneOf = <const A extends string>(...values: ReadonlyArray<A>): Kind<A> => ({
  allowed: `one of ${values.join(", ")}`,
  parse: (raw) => values.find((value) => value.toLowerCase() === raw.toLowerCase())
})

const text = (least: number): Kind<string> => ({
  allowed: least === 1 ? "any text" : `at least ${least} characters`,
  parse: (raw) => (raw.length >= least ? raw : undefined)
})

const httpUrl: Kind<string> = {
  allowed: "an http or https URL",
  parse: (raw) => (URL.canParse(raw) && /^https?:$/.test(new URL(raw).protocol) ? raw.replace(/\/+$/, "") : undefined)
}

const isNetwork = (raw: string): boolean => {
  const [address = "", bits, ...more] = raw.split("/")
  const version = isIP(address)
  if (version === 0 || more.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}

const networks: Kind<ReadonlyArray<string>> = {
  allowed: "addresses and networks such as 10.0.0.0/8, separated by commas",
  parse: (raw) => {
    const values = raw.split(",").map((network) => network.trim())
    return values.every(isNetwork) ? values : undefined
  }
}

type Read = <A, const F>(
  name: string,
  kind: Kind<A>,
  fallback: F,
  secret?: boolean
) => Effect.Effect<A | F, Config.ConfigError>

const limits = (read: Read) =>
  Effect.all({
    workers: read("WORKERS", whole(1, 256), availableParallelism()),
    maxConcurrentConnections: read("MAX_CONCURRENT_CONNECTIONS", whole(1, 1_000_000), 1000),
    maxRequestsPerWorker: read("MAX_REQUESTS_PER_WORKER", whole(0, 1_000_000_000), 1000),
    rateLimitRequestsPerMinute: read("RATE_LIMIT_REQUESTS_PER_MINUTE", whole(1, 1_000_000_000), 200),
    maxConcurrentBatchRequests: read("MAX_CONCURRENT_BATCH_REQUESTS", whole(1, 10_000), 10),
    maxConcurrentLlmRequests: read("MAX_CONCURRENT_LLM_REQUESTS", whole(1, 10_000), 5),
    maxConcurrentFileOperations: read("MAX_CONCURRENT_FILE_OPERATIONS", whole(1, 100_000), 50),
    maxBatchSize: read("MAX_BATCH_SIZE", whole(1, 10_000), 1000),
    batchLeaseSeconds: read("BATCH_LEASE_SECONDS", whole(1, 3600), 5)
  })

const services = (read: Read) =>
  Effect.all({
    providers: read("PROVIDERS", whole(1, 100_000), 500),
    seed: read("SEED", whole(0, 4_294_967_295), 1),
    registryUrl: read("REGISTRY_URL", httpUrl, undefined),
    registryLatency: read("REGISTRY_LATENCY", oneOf("none", "fast", "realistic"), "realistic"),
    registryFaultPercent: read("REGISTRY_FAULT_PERCENT", whole(0, 100), 2),
    registryTimeoutSeconds: read("REGISTRY_TIMEOUT_SECONDS", whole(1, 3600), 15),
    llmUrl: read("LLM_BASE_URL", httpUrl, undefined),
    llmModel: read("LLM_MODEL", text(1), "gpt-4o-mini"),
    llmKey: Effect.map(read("LLM_API_KEY", text(1), undefined, true), (key) =>
      key === undefined ? undefined : Redacted.make(key)
    )
  })

/** Whether one process is all there is: one worker that nothing replaces needs no other to watch over it. */
export const isAlone = ({ maxRequestsPerWorker, workers }: Settings): boolean =>
  workers === 1 && maxRequestsPerWorker === 0

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
  const logFile = yield* read("LOG_FILE", text(1), "logs/app.log")
  const settings: Settings = {
    host: yield* read("HOST", text(1), "127.0.0.1"),
    port: yield* read("PORT", whole(0, 65_535), 8000),
    ...(yield* limits(read)),
    databasePath: yield* read("DATABASE_PATH", text(1), "credentialing.sqlite"),
    documentsFolder: yield* read("DOCUMENTS_FOLDER", text(1), "documents"),
    logFile: logFile === "none" ? undefined : logFile,
    logLevel: yield* read("LOG_LEVEL", oneOf("Debug", "Info", "Warn", "Error", "None"), "Info"),
    ...(yield* services(read)),
    apiKey: yield* read("API_KEY", text(8), undefined, true),
    trustedProxies: yield* read("TRUSTED_PROXIES", networks, []),
    keepAliveSeconds: yield* read("KEEP_ALIVE_SECONDS", whole(1, 3600), 5),
    drainSeconds: yield* read("DRAIN_SECONDS", whole(0, 3600), 30),
    exitWithParent: (yield* read("EXIT_WITH_PARENT", oneOf("0", "1"), "0")) === "1"
  }
  if (settings.databasePath === ":memory:" && !isAlone(settings)) {
    bad.push({
      name: "DATABASE_PATH",
      value: '":memory:"',
      allowed: "a file, unless WORKERS is 1 and MAX_REQUESTS_PER_WORKER 0: workers share it"
    })
  }
  if (bad.length > 0) return yield* new BadSettings({ variables: bad })
  return settings
})

/** What the report of health shows of them: limits, and no secrets. */
export const shown = (settings: Settings): Readonly<Record<string, string | number | boolean>> => ({
  workers: settings.workers,
  max_concurrent_connections: settings.maxConcurrentConnections,
  max_requests_per_worker: settings.maxRequestsPerWorker,
  rate_limit_requests_per_minute: settings.rateLimitRequestsPerMinute,
  max_concurrent_batch_requests: settings.maxConcurrentBatchRequests,
  max_concurrent_llm_requests: settings.maxConcurrentLlmRequests,
  max_concurrent_file_operations: settings.maxConcurrentFileOperations
})
