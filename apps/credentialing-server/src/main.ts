#!/usr/bin/env node
/**
 * The commands of the app: `serve` and `registry-server`.
 *
 * @module
 */
import "./deno.ts"
import cluster from "node:cluster"
import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Workers } from "@sluice/server/workers"
import { Cause, Data, Effect, Exit, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { registryServer } from "./internal/child.ts"
import { freePort } from "./internal/freePort.ts"
import * as RegistryServer from "./registry-server/RegistryServer.ts"
import * as Settings from "./Settings.ts"
import { alone, asWorker, logging } from "./serve.ts"
import * as Sqlite from "./store/sqlite.ts"

const HELP = `Usage: main.ts <command>

  serve             the credentialing server; starts the bundled registry service unless REGISTRY_URL is set
  registry-server   the bundled registry service alone

Settings are environment variables; the README lists them. PORT=0 takes a free port.
Each command prints one line \`listening on <url>\` when it is ready.`

class BadCommand extends Data.TaggedError("BadCommand")<{ readonly message: string }> {}

const announce = (url: string) => Effect.sync(() => console.log(`listening on ${url}`))

const parentGone = Effect.callback<void>((resume) => {
  process.stdin.resume()
  process.stdin.once("end", () => resume(Effect.void))
  process.stdin.once("close", () => resume(Effect.void))
})

const endWithParent = <E>(settings: Settings.Settings, run: Effect.Effect<never, E>): Effect.Effect<void, E> =>
  settings.exitWithParent ? Effect.raceFirst(run, parentGone) : run

const ignore = (): void => {}

/** Bun reports a peer that broke off on the message itself, after its readers have left, and ends when none listens. */
const makeServer = () =>
  createServer().on("request", (request, response) => {
    request.on("error", ignore)
    response.on("error", ignore)
  })

const runRegistryServer = Effect.gen(function* () {
  const settings = yield* Settings.load
  const routes = RegistryServer.routes({
    providers: settings.providers,
    seed: settings.seed,
    latency: settings.registryLatency,
    faultPercent: settings.registryFaultPercent
  })
  const server = Layer.effectDiscard(HttpServer.addressFormattedWith(announce)).pipe(
    Layer.provide(HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true })),
    Layer.provide(
      NodeHttpServer.layer(makeServer, { host: settings.host, port: settings.port, gracefulShutdownTimeout: 0 })
    )
  )
  yield* endWithParent(settings, Layer.launch(server))
})

const describe = (settings: Settings.Settings, registryUrl: string): ReadonlyArray<string> => {
  const embedded =
    settings.registryUrl === undefined
      ? ` (bundled, latency ${settings.registryLatency}, ${settings.registryFaultPercent} % faults)`
      : ""
  return [
    `registries ${registryUrl}${embedded}`,
    `database ${settings.databasePath}, ${settings.providers} generated providers of seed ${settings.seed}`,
    `limits ${settings.maxConcurrentConnections} connections, ${settings.maxConcurrentBatchRequests} batch items, ${settings.maxConcurrentLlmRequests} language model calls, ${settings.maxConcurrentFileOperations} files at once, ${settings.rateLimitRequestsPerMinute} requests a minute of each client`,
    settings.llmUrl === undefined
      ? "the chat answers by rules: LLM_BASE_URL is not set"
      : `the chat answers by ${settings.llmModel} at ${settings.llmUrl}`,
    settings.apiKey === undefined
      ? "open to everyone who can reach it: API_KEY is not set"
      : "requests need the API key"
  ]
}

const runAlone = (settings: Settings.Settings) =>
  Effect.gen(function* () {
    const registryUrl = settings.registryUrl ?? (yield* registryServer({}))
    for (const line of describe(settings, registryUrl)) yield* Effect.logInfo(line)
    yield* endWithParent(settings, alone(settings, registryUrl, announce))
  })

const told = (event: Workers.Event, url: string): Effect.Effect<void> => {
  switch (event._tag) {
    case "Started":
      return Effect.logDebug(`worker ${event.worker} started as process ${event.pid}`)
    case "Ready":
      return Effect.logInfo(`worker ${event.worker} takes requests at ${url}`)
    case "Replacing":
      return Effect.logInfo(
        `worker ${event.worker} is replaced: ${event.reason === "requests" ? "it has had its requests" : "all are"}`
      )
    case "Exited":
      return event.reason === "drained"
        ? Effect.logInfo(`worker ${event.worker} has drained`)
        : Effect.logWarning(`worker ${event.worker} ${event.reason}: ${event.signal ?? `code ${event.code}`}`)
  }
}

/** What all workers need is made ready by the primary, and handed on as settings. */
const prepare = (settings: Settings.Settings) =>
  Effect.gen(function* () {
    const registryUrl = settings.registryUrl ?? (yield* registryServer({}))
    const port = settings.port === 0 ? yield* freePort(settings.host) : settings.port
    yield* Effect.scoped(Sqlite.prepare(settings))
    process.env["REGISTRY_URL"] = registryUrl
    process.env["PORT"] = String(port)
    for (const line of describe(settings, registryUrl)) yield* Effect.logInfo(line)
    yield* Effect.logInfo(`workers ${settings.workers}, each replaced after ${settings.maxRequestsPerWorker} requests`)
    return `http://${settings.host.includes(":") ? `[${settings.host}]` : settings.host}:${port}`
  })

const runWorkers = (settings: Settings.Settings) =>
  Effect.gen(function* () {
    if (!cluster.isPrimary) {
      // The primary has set it.
      return yield* Workers.launch(asWorker(settings, settings.registryUrl ?? ""), workersOf(settings))
    }
    const url = yield* prepare(settings)
    let isAnnounced = false
    const launched = Workers.launch(Effect.never, {
      ...workersOf(settings),
      onEvent: (event) => {
        const isFirst = event._tag === "Ready" && !isAnnounced
        isAnnounced ||= isFirst
        return Effect.andThen(told(event, url), isFirst ? announce(url) : Effect.void)
      }
    })
    yield* endWithParent(settings, Effect.andThen(launched, Effect.never))
  })

const workersOf = (settings: Settings.Settings): Workers.Options => ({
  workers: settings.workers,
  maxRequestsPerWorker: settings.maxRequestsPerWorker,
  drainTimeout: `${Math.max(1, settings.drainSeconds)} seconds`
})

const runServer = Effect.gen(function* () {
  const settings = yield* Settings.load
  yield* Effect.scoped(
    Effect.gen(function* () {
      // First in, last out: when this is logged, everything else has ended.
      if (cluster.isPrimary) yield* Effect.addFinalizer(() => Effect.logInfo("stopped"))
      yield* Settings.isAlone(settings) ? runAlone(settings) : runWorkers(settings)
    })
  ).pipe(Effect.provide(logging(settings)))
})

const command = process.argv[2]
const program =
  command === "serve"
    ? runServer
    : command === "registry-server"
      ? runRegistryServer
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
