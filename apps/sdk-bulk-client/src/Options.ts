/**
 * What a client is made with: every option of the Text2Everything guide, under
 * its name in camelCase, with its default.
 *
 * @module
 */
import { Config, Duration, Effect, Option, Redacted } from "effect"
import { InvalidConfiguration } from "./Errors.ts"

/** A credential, wrapped so that no log shows it. A plain string is wrapped by the client. */
export type Secret = string | Redacted.Redacted

export interface ClientOptions {
  /** `base_url`: where the API is. Paths are added to it as `/api/…`. */
  readonly baseUrl: string
  /** `access_token`: sent as `Authorization: Bearer`. Either this or `apiKey`. */
  readonly accessToken?: Secret | undefined
  /** `api_key`: sent as `X-API-Key`. */
  readonly apiKey?: Secret | undefined
  /** `workspace_name`: `workspaces/` and a name, sent as `X-Workspace-Name`. */
  readonly workspaceName?: string | undefined
  /** `timeout`: for a connection to be ready. Default 30 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** `read_timeout`: longest time without a byte. Default 180 seconds. */
  readonly readTimeout?: Duration.Input | undefined
  /** `pool_timeout`: longest wait for a free connection. Default 300 seconds. */
  readonly poolTimeout?: Duration.Input | undefined
  /** `max_connections`: connections at once. Default 50. */
  readonly maxConnections?: number | undefined
  /** `max_keepalive_connections`: idle connections kept. Default 10. */
  readonly maxKeepaliveConnections?: number | undefined
  /** `keepalive_expiry`: how long an idle connection is kept. Default 300 seconds. */
  readonly keepaliveExpiry?: Duration.Input | undefined
  /**
   * `http2`: whether to offer HTTP/2 to an API with TLS. Default false. `"prior-knowledge"` speaks it to any API without
   * asking.
   */
  readonly http2?: boolean | "prior-knowledge" | undefined
  /** `max_retries`: attempts after the first. Default 3. */
  readonly maxRetries?: number | undefined
  /** `retry_delay`: the first delay, doubled each time, with full jitter. Default 1 second. */
  readonly retryDelay?: Duration.Input | undefined
  /** `max_concurrent`: items of a bulk operation in flight, unless the operation says otherwise. Default 8. */
  readonly maxConcurrent?: number | undefined
  /** `use_connection_isolation`: a fresh connection for each item of a bulk operation. Default true. */
  readonly useConnectionIsolation?: boolean | undefined
  /**
   * Whether the API honours `Idempotency-Key`. Default true: a create carries a key, so that it is sent again even where
   * it may have been executed. With false it carries none, and is sent again only where the API surely did nothing.
   */
  readonly idempotencyKeys?: boolean | undefined
  /**
   * Whether the requests in flight, all together, adapt to how the API takes them: fewer when it says 429 or 503, stops
   * answering in time or grows slow, more again while all goes well. Never more than `maxConnections`. Default true.
   */
  readonly adaptive?: boolean | undefined
  /** Further headers of every request. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** {@link ClientOptions} with every default filled in, checked. */
export interface Settings {
  readonly baseUrl: string
  readonly credential: { readonly header: string; readonly value: Redacted.Redacted }
  readonly workspaceName: string | undefined
  readonly timeout: Duration.Duration
  readonly readTimeout: Duration.Duration
  readonly poolTimeout: Duration.Duration
  readonly maxConnections: number
  readonly maxKeepaliveConnections: number
  readonly keepaliveExpiry: Duration.Duration
  readonly http2: boolean | "prior-knowledge"
  readonly maxRetries: number
  readonly retryDelay: Duration.Duration
  readonly maxConcurrent: number
  readonly useConnectionIsolation: boolean
  readonly idempotencyKeys: boolean
  readonly adaptive: boolean
  readonly headers: Readonly<Record<string, string>>
}

/** 200 connections, 16 items at once, HTTP/2 where the API speaks it: for many short requests to an API that can take them. */
export const highThroughput = {
  maxConnections: 200,
  maxKeepaliveConnections: 50,
  maxConcurrent: 16,
  http2: true
} as const

/** Ten minutes to read and fifteen to wait for a connection: for requests that take minutes. */
export const longRunning = {
  readTimeout: "10 minutes",
  poolTimeout: "15 minutes",
  keepaliveExpiry: "10 minutes"
} as const

/** 25 connections, 4 items at once, each on a connection of its own: for an API that is easily upset. */
export const conservative = {
  maxConnections: 25,
  maxKeepaliveConnections: 5,
  maxConcurrent: 4,
  useConnectionIsolation: true
} as const

const refuse = (field: string, value: unknown, allowed: string) => new InvalidConfiguration({ field, value, allowed })

const wholeNumber = (field: string, value: number, minimum: number) =>
  Number.isInteger(value) && value >= minimum
    ? Effect.succeed(value)
    : Effect.fail(refuse(field, value, `a whole number, ${minimum} or more`))

const positiveDuration = (field: string, input: Duration.Input) =>
  Option.match(Duration.fromInput(input), {
    onSome: (duration) =>
      Duration.toMillis(duration) > 0
        ? Effect.succeed(duration)
        : Effect.fail(refuse(field, input, "a duration longer than nothing")),
    onNone: () => Effect.fail(refuse(field, input, "a duration, such as 30 seconds"))
  })

const validUrl = (baseUrl: string) => {
  const url = URL.parse(baseUrl)
  return url !== null && (url.protocol === "http:" || url.protocol === "https:")
    ? Effect.succeed(baseUrl.replace(/\/+$/, ""))
    : Effect.fail(refuse("baseUrl", baseUrl, "an http or https URL"))
}

const validWorkspace = (name: string | undefined) =>
  name === undefined || /^workspaces\/[^/\s]+$/.test(name)
    ? Effect.succeed(name)
    : Effect.fail(refuse("workspaceName", name, "workspaces/ followed by a name"))

const validCredential = ({ accessToken, apiKey }: ClientOptions) => {
  const secret = accessToken ?? apiKey
  if (secret === undefined) return Effect.fail(refuse("accessToken", undefined, "an access token or an API key"))
  const plain = Redacted.isRedacted(secret) ? Redacted.value(secret) : secret
  if (plain.trim() === "" || /[\r\n]/.test(plain)) {
    return Effect.fail(
      refuse(accessToken === undefined ? "apiKey" : "accessToken", "(redacted)", "one line that is not blank")
    )
  }
  return Effect.succeed(
    accessToken === undefined
      ? { header: "x-api-key", value: Redacted.make(plain) }
      : { header: "authorization", value: Redacted.make(`Bearer ${plain}`) }
  )
}

/** Fills in the defaults, and fails with the first option that cannot be. */
export const settings = (options: ClientOptions): Effect.Effect<Settings, InvalidConfiguration> =>
  Effect.all({
    baseUrl: validUrl(options.baseUrl),
    credential: validCredential(options),
    workspaceName: validWorkspace(options.workspaceName),
    timeout: positiveDuration("timeout", options.timeout ?? "30 seconds"),
    readTimeout: positiveDuration("readTimeout", options.readTimeout ?? "180 seconds"),
    poolTimeout: positiveDuration("poolTimeout", options.poolTimeout ?? "300 seconds"),
    maxConnections: wholeNumber("maxConnections", options.maxConnections ?? 50, 1),
    maxKeepaliveConnections: wholeNumber("maxKeepaliveConnections", options.maxKeepaliveConnections ?? 10, 0),
    keepaliveExpiry: positiveDuration("keepaliveExpiry", options.keepaliveExpiry ?? "300 seconds"),
    http2: Effect.succeed(options.http2 ?? false),
    maxRetries: wholeNumber("maxRetries", options.maxRetries ?? 3, 0),
    retryDelay: positiveDuration("retryDelay", options.retryDelay ?? "1 second"),
    maxConcurrent: wholeNumber("maxConcurrent", options.maxConcurrent ?? 8, 1),
    useConnectionIsolation: Effect.succeed(options.useConnectionIsolation ?? true),
    idempotencyKeys: Effect.succeed(options.idempotencyKeys ?? true),
    adaptive: Effect.succeed(options.adaptive ?? true),
    headers: Effect.succeed(options.headers ?? {})
  })

/** The connection from the environment: `T2E_BASE_URL`, `T2E_ACCESS_TOKEN` or `T2E_API_KEY`, `T2E_WORKSPACE_NAME`. */
export const fromEnvironment: Config.Config<
  Pick<ClientOptions, "baseUrl" | "accessToken" | "apiKey" | "workspaceName">
> = Config.unwrap({
  baseUrl: Config.map(Config.URL("T2E_BASE_URL"), String),
  accessToken: Config.map(Config.option(Config.Redacted("T2E_ACCESS_TOKEN")), Option.getOrUndefined),
  apiKey: Config.map(Config.option(Config.Redacted("T2E_API_KEY")), Option.getOrUndefined),
  workspaceName: Config.map(Config.option(Config.String("T2E_WORKSPACE_NAME")), Option.getOrUndefined)
})
