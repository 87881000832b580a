#!/usr/bin/env node
/**
 * The commands of the app: `serve` and `model-server`.
 *
 * @module
 */
import "./deno.ts"
import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { HttpPool } from "@sluice/http-pool"
import { Cause, Data, Effect, Exit, Layer, Logger, References, Schedule } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import * as Breaker from "./Breaker.ts"
import { modelServer } from "./internal/child.ts"
import * as Limits from "./Limits.ts"
import * as Law from "./law/Law.ts"
import * as Models from "./Models.ts"
import * as ModelServer from "./model-server/ModelServer.ts"
import { Pipeline } from "./Pipeline.ts"
import * as PipelineLive from "./pipeline/layer.ts"
import * as RateLimit from "./RateLimit.ts"
import * as Server from "./Server.ts"
import * as Settings from "./Settings.ts"
import * as Database from "./store/Database.ts"
import * as Telemetry from "./Telemetry.ts"

const HELP = `Usage: main.ts <command>

  serve         the FIR server; starts the embedded model server unless MODEL_SERVER_URL is set
  model-server  the embedded model server alone

Settings are environment variables; the README lists them. PORT=0 takes a free port.
Each command prints one line \`listening on <url>\` when it is ready.`

class BadCommand extends Data.TaggedError("BadCommand")<{ readonly message: string }> {}

const quiet = { disableLogger: true, disableListenLog: true }

/** Only once the routes are in place: a request that came before would never be answered. */
const announce = HttpServer.addressFormattedWith((address) => Effect.sync(() => console.log(`listening on ${address}`)))

const ignore = (): void => {}

/** Bun reports a peer that broke off on the message itself, after its readers have left, and ends when none listens. */
const makeServer = () =>
  createServer().on("request", (request, response) => {
    request.on("error", ignore)
    response.on("error", ignore)
  })

const listen = (settings: Settings.Settings) =>
  NodeHttpServer.layer(makeServer, {
    host: settings.host,
    port: settings.port,
    gracefulShutdownTimeout: `${settings.drainSeconds} seconds`
  })

/** Only what is written for people and machines that watch goes to stdout; the log goes to stderr. */
const logging = (settings: Settings.Settings) =>
  Layer.mergeAll(
    Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)]),
    Layer.succeed(References.MinimumLogLevel, settings.logLevel)
  )

const law = (settings: Settings.Settings) =>
  Effect.sync(() => (settings.lawTable === undefined ? Law.builtIn() : Law.load(settings.lawTable)))

const parentGone = Effect.callback<void>((resume) => {
  process.stdin.resume()
  process.stdin.once("end", () => resume(Effect.void))
  process.stdin.once("close", () => resume(Effect.void))
})

const endWithParent = <E>(settings: Settings.Settings, run: Effect.Effect<never, E>): Effect.Effect<void, E> =>
  settings.exitWithParent ? Effect.raceFirst(run, parentGone) : run

const runModelServer = Effect.gen(function* () {
  const settings = yield* Settings.load
  const table = yield* law(settings)
  const routes = HttpRouter.serve(ModelServer.routes(table, settings.modelLatency), quiet)
  const server = Layer.effectDiscard(announce).pipe(
    Layer.provide(routes),
    Layer.provide(listen(settings)),
    Layer.provide(logging(settings))
  )
  yield* endWithParent(settings, Layer.launch(server))
})

const databaseName = (options: Database.Options): string =>
  options.kind === "sqlite"
    ? `${options.path} (SQLite)`
    : `${options.database} on ${options.host}:${options.port} (MySQL, ${options.poolSize} connections)`

const describe = (settings: Settings.Settings, modelUrl: string, table: Law.Law) => {
  const embedded = settings.modelServerUrl === undefined ? ` (embedded rules, latency ${settings.modelLatency})` : ""
  return [
    `model server ${modelUrl}${embedded}`,
    `database ${databaseName(settings.database)}`,
    `law ${table.offences.length} offences of the Bharatiya Nyaya Sanhita, 2023`,
    `limits ${settings.maxConcurrentRequests} reports, ${settings.maxConcurrentModelCalls} model calls at once`,
    settings.apiKey === undefined
      ? "open to everyone who can reach it: API_KEY is not set"
      : "requests need the API key",
    ...(settings.firAuthKey === undefined ? ["reports cannot be finalised: FIR_AUTH_KEY is not set"] : [])
  ]
}

const runServer = Effect.scoped(
  Effect.gen(function* () {
    const settings = yield* Settings.load
    // First in, last out: when this is logged, everything else has ended.
    yield* Effect.addFinalizer(() => Effect.provide(Effect.logInfo("stopped"), logging(settings)))
    const table = yield* law(settings)
    const modelUrl =
      settings.modelServerUrl ??
      (yield* modelServer({ MODEL_LATENCY: settings.modelLatency }).pipe(Effect.provide(logging(settings))))
    const services = PipelineLive.layer({
      law: table,
      inferenceTimeoutSeconds: settings.inferenceTimeoutSeconds,
      clauseCheckTimeoutSeconds: settings.clauseCheckTimeoutSeconds,
      sessionTimeoutSeconds: settings.sessionTimeoutSeconds,
      duplicateWindowSeconds: settings.duplicateWindowSeconds
    }).pipe(
      Layer.provideMerge(Models.layer(modelUrl)),
      Layer.provideMerge(
        Breaker.layer({ failures: settings.breakerFailures, longestOpenSeconds: settings.breakerOpenSeconds })
      ),
      Layer.provideMerge(Telemetry.layer),
      Layer.provideMerge(
        Limits.layer({
          reports: settings.maxConcurrentRequests,
          waitingReports: settings.maxWaitingRequests,
          modelCalls: settings.maxConcurrentModelCalls
        })
      ),
      Layer.provideMerge(
        RateLimit.layer({ requests: settings.rateLimitRequests, windowSeconds: settings.rateLimitWindowSeconds })
      ),
      Layer.provideMerge(Database.layer(settings.database)),
      Layer.provideMerge(
        HttpPool.layer({
          maxConnections: settings.httpPoolSize,
          maxKeepAliveConnections: settings.httpPoolSize,
          connectTimeout: "5 seconds"
        })
      )
    )
    const expiry = Layer.effectDiscard(
      Effect.gen(function* () {
        const pipeline = yield* Pipeline
        yield* pipeline.tidy.pipe(
          Effect.catch((error) => Effect.logWarning(error.message)),
          Effect.repeat(Schedule.spaced("30 seconds")),
          Effect.forkScoped
        )
      })
    )
    const ready = Layer.effectDiscard(
      Effect.gen(function* () {
        const pipeline = yield* Pipeline
        // Watches have no end of their own, and whoever drains the requests must not wait for one.
        yield* Effect.addFinalizer(() => pipeline.endWatches)
        for (const line of describe(settings, modelUrl, table)) yield* Effect.logInfo(line)
        yield* announce
      })
    )
    const server = ready.pipe(
      Layer.provide([HttpRouter.serve(Server.routes(settings), quiet), expiry]),
      Layer.provide(services),
      Layer.provide(listen(settings)),
      Layer.provide(logging(settings))
    )
    yield* endWithParent(settings, Layer.launch(server))
  })
)

const command = process.argv[2]
const program =
  command === "serve"
    ? runServer
    : command === "model-server"
      ? runModelServer
      : command === "help" || command === "--help"
        ? Effect.sync(() => console.log(HELP))
        : Effect.fail(new BadCommand({ message: `Cannot run ${command ?? "nothing"}\n${HELP}` }))

const report = (cause: Cause.Cause<{ readonly message: string }>) =>
  Effect.sync(() => {
    if (Cause.hasInterruptsOnly(cause)) return
    const error = Cause.squash(cause)
    console.error(Cause.hasDies(cause) || !(error instanceof Error) ? Cause.pretty(cause) : error.message)
  })

// SIGTERM and SIGINT interrupt; what was admitted has been served by then, so that is a good end.
NodeRuntime.runMain(Effect.tapCause(program, report), {
  disableErrorReporting: true,
  teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
})
