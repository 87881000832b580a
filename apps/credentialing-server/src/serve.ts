/**
 * A process that serves: everything of the app, put together over its settings.
 *
 * @module
 */
import { mkdirSync } from "node:fs"
import { dirname } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { HttpPool } from "@sluice/http-pool"
import { Listener } from "@sluice/server"
import { Workers } from "@sluice/server/workers"
import { Context, Duration, Effect, Layer, Logger, References } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import * as Batches from "./Batches.ts"
import * as Chat from "./Chat.ts"
import * as Credentialing from "./Credentialing.ts"
import * as Documents from "./Documents.ts"
import * as FrontLive from "./Front.ts"
import { Front } from "./Front.ts"
import * as Limits from "./Limits.ts"
import * as Server from "./Server.ts"
import type { Settings } from "./Settings.ts"
import * as Sqlite from "./store/sqlite.ts"
import * as Telemetry from "./Telemetry.ts"
import * as Registries from "./workflow/Registries.ts"

const quiet = { disableLogger: true, disableListenLog: true }

/** The log goes to stderr, and into a file that `tail -f` can follow; only what a program waits for goes to stdout. */
export const logging = (settings: Settings) => {
  const { logFile } = settings
  const toStderr = Logger.withConsoleError(Logger.formatLogFmt)
  const toFile =
    logFile === undefined
      ? []
      : [
          Effect.suspend(() => {
            mkdirSync(dirname(logFile), { recursive: true })
            return Logger.toFile(Logger.formatLogFmt, logFile, { flag: "a", batchWindow: "200 millis" })
          })
        ]
  return Layer.mergeAll(
    Logger.layer([toStderr, ...toFile]).pipe(Layer.provide(NodeFileSystem.layer)),
    Layer.succeed(References.MinimumLogLevel, settings.logLevel)
  )
}

/** Everything that works, over the registry service at `registryUrl`. */
const services = (settings: Settings, registryUrl: string, shared: FrontLive.Shared) =>
  FrontLive.layer(settings, shared).pipe(
    Layer.provideMerge(Batches.layer({ lease: Duration.seconds(settings.batchLeaseSeconds) })),
    Layer.provideMerge(Credentialing.layer),
    Layer.provideMerge(
      Chat.layer(
        settings.llmUrl === undefined
          ? undefined
          : { url: settings.llmUrl, model: settings.llmModel, key: settings.llmKey }
      )
    ),
    Layer.provideMerge(
      Registries.layer({
        url: registryUrl,
        permits: 50,
        attempts: 6,
        attemptTimeout: "1 second",
        timeout: Duration.seconds(settings.registryTimeoutSeconds),
        breakerFailures: 10
      })
    ),
    Layer.provideMerge(Documents.layer(settings.documentsFolder)),
    Layer.provideMerge(Telemetry.layer),
    Layer.provideMerge(
      Limits.layer({
        llmRequests: settings.maxConcurrentLlmRequests,
        batchItems: settings.maxConcurrentBatchRequests,
        fileOperations: settings.maxConcurrentFileOperations
      })
    ),
    Layer.provideMerge(
      Sqlite.layer({ path: settings.databasePath, providers: settings.providers, seed: settings.seed })
    ),
    Layer.provideMerge(
      HttpPool.layer({ maxConnections: 250, maxKeepAliveConnections: 100, connectTimeout: "5 seconds" })
    )
  )

const poolFigures = (pool: HttpPool.HttpPool) => {
  const { capacity, created, idle, inFlight, open, rejected, reused, waiting } = pool.statsUnsafe()
  return { capacity, open, idle, held: inFlight, waiting, created, reused, rejected }
}

/** The whole of a process: what listens, and what it serves. */
const application = (settings: Settings, registryUrl: string, shared: FrontLive.Shared) => {
  const listener = Listener.make({
    maxConnections: settings.maxConcurrentConnections,
    // A worker that drains waits for the connections that are idle: whoever sends on one must not find it closed.
    keepAliveTimeout: Duration.seconds(settings.keepAliveSeconds)
  })
  const server = NodeHttpServer.layer(
    () => listener,
    // By then what was admitted has its answer, of which the last bytes may be under way.
    { host: settings.host, port: settings.port, gracefulShutdownTimeout: "2 seconds" }
  )
  const routes = Layer.unwrap(
    Effect.map(HttpPool.HttpPool, (pool) =>
      Server.routes(settings, {
        connections: { statsUnsafe: () => ({ ...listener.statsUnsafe() }) },
        http_pool: { statsUnsafe: () => poolFigures(pool) }
      })
    )
  )
  const layer = HttpRouter.serve(routes, quiet).pipe(
    // What serves is there before the port is, and is there until the last answer is out.
    Layer.provideMerge(server),
    Layer.provideMerge(services(settings, registryUrl, shared))
  )
  return { listener, layer }
}

/** The last second of a drain is for those who wait for a batch to be told how far it has come. */
const drainMillis = (settings: Settings): number => Math.max(0, settings.drainSeconds * 1000 - 1000)

/**
 * Serves alone until it is interrupted; then what was admitted is served to its end, within the time there is. `onReady`
 * is told the address once the routes are in place: a request that came before would never be answered.
 */
export const alone = (settings: Settings, registryUrl: string, onReady: (url: string) => Effect.Effect<void>) => {
  const { layer } = application(settings, registryUrl, {})
  const ready = Layer.effectDiscard(
    Effect.gen(function* () {
      const { admission, health } = yield* Front
      const batches = yield* Batches.Batches
      yield* Effect.addFinalizer(() =>
        Effect.gen(function* () {
          yield* health.drain
          yield* batches.drain
          yield* Effect.timeoutOption(admission.drain, drainMillis(settings))
          yield* batches.pause
          yield* Effect.timeoutOption(admission.drain, "1 second")
        })
      )
      yield* health.ready
      yield* HttpServer.addressFormattedWith(onReady)
    })
  )
  return Layer.launch(Layer.provide(ready, layer))
}

/** Serves as one of several workers until it is told to drain. */
export const asWorker = (settings: Settings, registryUrl: string) =>
  Effect.gen(function* () {
    const self = yield* Workers.Worker
    const { layer, listener } = application(settings, registryUrl, {
      name: self.name,
      workers: self.others,
      limiter: yield* self.limiter({ limit: settings.rateLimitRequestsPerMinute, interval: "1 minute" })
    })
    const context = yield* Layer.build(layer)
    const batches = Context.get(context, Batches.Batches)
    yield* self.draining.pipe(
      Effect.andThen(batches.drain),
      Effect.andThen(Effect.sleep(drainMillis(settings))),
      Effect.andThen(batches.pause),
      Effect.forkScoped
    )
    yield* self.serve({ server: listener, health: Context.get(context, Front).health })
  })
