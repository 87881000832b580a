/**
 * The server as a whole: its services over the settings, from the first log line to
 * the last.
 *
 * @module
 */
import { HttpPool } from "@sluice/http-pool"
import { RedisSession } from "@sluice/redis"
import { Effect, Layer, Schedule } from "effect"
import { FetchHttpClient, HttpMiddleware, HttpRouter } from "effect/http"
import { OtlpSerialization, OtlpTracer } from "effect/observability"
import * as Breaker from "./Breaker.ts"
import { modelServer as embeddedServer } from "./internal/child.ts"
import { announce, endWithParent, law, listen, logging, quiet } from "./internal/listening.ts"
import * as Limits from "./Limits.ts"
import type * as Law from "./law/Law.ts"
import * as Models from "./models/layer.ts"
import { Pipeline } from "./Pipeline.ts"
import * as PipelineLive from "./pipeline/layer.ts"
import * as RateLimit from "./RateLimit.ts"
import * as Server from "./Server.ts"
import * as Settings from "./Settings.ts"
import * as Database from "./store/Database.ts"
import * as Telemetry from "./Telemetry.ts"

const databaseName = (options: Database.Options): string =>
  options.kind === "sqlite"
    ? `${options.path} (SQLite)`
    : `${options.database} on ${options.host}:${options.port} (MySQL, ${options.poolSize} connections)`

const whoIsLetIn = ({ apiKey, proxy, users }: Settings.Settings): string => {
  const keys = [
    ...(users.length === 0 ? [] : [`the key of one of ${users.length} users`]),
    ...(proxy.userHeader === undefined ? [] : [`a user named by a trusted proxy in ${proxy.userHeader}`]),
    ...(apiKey === undefined ? [] : ["the API key"])
  ]
  return keys.length === 0
    ? "open to everyone who can reach it: API_KEY is not set"
    : `requests need ${keys.join(" or ")}`
}

const describe = (settings: Settings.Settings, { asrOcrServer, modelServer }: Servers, table: Law.Law) => {
  const embedded =
    settings.models.modelServer.url === undefined ? ` (embedded rules, latency ${settings.modelLatency})` : ""
  return [
    `model server ${modelServer.url}${embedded}${modelServer.api === "openai" ? ` (OpenAI-compatible, ${modelServer.model})` : ""}`,
    ...(asrOcrServer.url === modelServer.url ? [] : [`speech and images ${asrOcrServer.url} (${asrOcrServer.api})`]),
    ...(settings.models.ocrEngine === "tesseract" ? ["images are read by tesseract"] : []),
    `database ${databaseName(settings.database)}`,
    `law ${table.offences.length} offences of the Bharatiya Nyaya Sanhita, 2023`,
    `limits ${settings.maxConcurrentRequests} reports, ${settings.maxConcurrentModelCalls} model calls at once`,
    ...(settings.redisUrl === undefined ? [] : [`limits are shared through ${new URL(settings.redisUrl).host}`]),
    ...(settings.otlpUrl === undefined ? [] : [`traces go to ${settings.otlpUrl}`]),
    whoIsLetIn(settings),
    ...(settings.firAuthKey === undefined ? ["reports cannot be finalised: FIR_AUTH_KEY is not set"] : [])
  ]
}

/** The server's own spans tell of routes and times; those that would tell of whole addresses are left out. */
const tracing = ({ otlpUrl }: Settings.Settings) =>
  otlpUrl === undefined
    ? Layer.empty
    : Layer.mergeAll(
        OtlpTracer.layer({ url: `${otlpUrl}/v1/traces`, resource: { serviceName: "fir-pipeline" } }).pipe(
          Layer.provide([OtlpSerialization.layerJson, FetchHttpClient.layer])
        ),
        Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true)
      )

/** Read only where it is asked for: every process that starts would pay for it. */
const redis = (url: string) =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("@effect/platform-node/NodeRedis")),
      (NodeRedis) => NodeRedis.layer({ url })
    )
  )

/** The limits of this server alone, or those that it shares with others. */
const limits = (settings: Settings.Settings) => {
  const permits = {
    reports: settings.maxConcurrentRequests,
    waitingReports: settings.maxWaitingRequests,
    modelCalls: settings.maxConcurrentModelCalls
  }
  const rate = { requests: settings.rateLimitRequests, windowSeconds: settings.rateLimitWindowSeconds }
  if (settings.redisUrl === undefined) return Layer.mergeAll(Limits.layer(permits), RateLimit.layer(rate))
  return Layer.mergeAll(Limits.shared(permits), RateLimit.shared(rate)).pipe(
    Layer.provide(RedisSession.layer({ prefix: "fir" })),
    Layer.provide(redis(settings.redisUrl))
  )
}

const pool = (settings: Settings.Settings) => {
  const { asrTimeoutSeconds, ocrTimeoutSeconds } = settings.models
  const longest = Math.max(settings.inferenceTimeoutSeconds, asrTimeoutSeconds, ocrTimeoutSeconds)
  return HttpPool.layer({
    maxConnections: settings.httpPoolSize,
    maxKeepAliveConnections: settings.httpPoolSize,
    connectTimeout: "5 seconds",
    // A call has a time of its own; the connection must not give up before it.
    readTimeout: `${longest + 5} seconds`,
    http2: settings.http2
  })
}

interface Servers {
  readonly modelServer: Models.Options["modelServer"]
  readonly asrOcrServer: Models.Options["asrOcrServer"]
}

/** The servers that are named; for what no server is named the embedded one is started. */
const modelServers = (settings: Settings.Settings) =>
  Effect.gen(function* () {
    const { asrOcrServer, modelServer } = settings.models
    // One server may do all, where both are spoken to in the same way.
    const asrOcrUrl = asrOcrServer.url ?? (asrOcrServer.api === modelServer.api ? modelServer.url : undefined)
    const isNeeded = modelServer.url === undefined || asrOcrUrl === undefined
    const url = isNeeded
      ? yield* embeddedServer({ MODEL_LATENCY: settings.modelLatency }).pipe(Effect.provide(logging(settings)))
      : ""
    return {
      modelServer:
        modelServer.url === undefined
          ? { ...modelServer, url, api: "guide" }
          : { ...modelServer, url: modelServer.url },
      asrOcrServer:
        asrOcrUrl === undefined ? { ...asrOcrServer, url, api: "guide" } : { ...asrOcrServer, url: asrOcrUrl }
    } satisfies Servers
  })

const services = (settings: Settings.Settings, table: Law.Law, servers: Servers) =>
  PipelineLive.layer({ ...settings, law: table }).pipe(
    Layer.provideMerge(Models.layer({ ...settings.models, ...servers })),
    Layer.provideMerge(
      Breaker.layer({ failures: settings.breakerFailures, longestOpenSeconds: settings.breakerOpenSeconds })
    ),
    Layer.provideMerge(Telemetry.layer),
    Layer.provideMerge(limits(settings)),
    Layer.provideMerge(Database.layer(settings.database)),
    Layer.provideMerge(pool(settings))
  )

const tidying = Layer.effectDiscard(
  Effect.gen(function* () {
    const pipeline = yield* Pipeline
    yield* pipeline.tidy.pipe(
      Effect.catch((error) => Effect.logWarning(error.message)),
      Effect.repeat(Schedule.spaced("30 seconds")),
      Effect.forkScoped
    )
  })
)

export const runServer = Effect.scoped(
  Effect.gen(function* () {
    const settings = yield* Settings.load
    // First in, last out: when this is logged, everything else has ended.
    yield* Effect.addFinalizer(() => Effect.provide(Effect.logInfo("stopped"), logging(settings)))
    const table = yield* law(settings)
    const servers = yield* modelServers(settings)
    const ready = Layer.effectDiscard(
      Effect.gen(function* () {
        const pipeline = yield* Pipeline
        // Watches have no end of their own, and whoever drains the requests must not wait for one.
        yield* Effect.addFinalizer(() => pipeline.endWatches)
        for (const line of describe(settings, servers, table)) yield* Effect.logInfo(line)
        yield* announce
      })
    )
    const server = ready.pipe(
      Layer.provide([HttpRouter.serve(Server.routes(settings, table), quiet), tidying]),
      Layer.provide(services(settings, table, servers)),
      Layer.provide(listen(settings)),
      Layer.provide(tracing(settings)),
      Layer.provide(logging(settings))
    )
    yield* endWithParent(settings, Layer.launch(server))
  })
)
