// What the commands that listen have in common.
import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer, Logger, References } from "effect"
import { HttpServer } from "effect/http"
import * as Law from "../law/Law.ts"
import type * as Settings from "../Settings.ts"

export const quiet = { disableLogger: true, disableListenLog: true }

/** Only once the routes are in place: a request that came before would never be answered. */
export const announce = HttpServer.addressFormattedWith((address) =>
  Effect.sync(() => console.log(`listening on ${address}`))
)

const ignore = (): void => {}

/** Bun reports a peer that broke off on the message itself, after its readers have left, and ends when none listens. */
const makeServer = () =>
  createServer().on("request", (request, response) => {
    request.on("error", ignore)
    response.on("error", ignore)
  })

export const listen = (settings: Settings.Settings) =>
  NodeHttpServer.layer(makeServer, {
    host: settings.host,
    port: settings.port,
    gracefulShutdownTimeout: `${settings.drainSeconds} seconds`
  })

/** Only what is written for people and machines that watch goes to stdout; the log goes to stderr. */
export const logging = (settings: Settings.Settings) =>
  Layer.mergeAll(
    Logger.layer([Logger.withConsoleError(settings.logFormat === "json" ? Logger.formatJson : Logger.formatLogFmt)]),
    Layer.succeed(References.MinimumLogLevel, settings.logLevel)
  )

export const law = (settings: Settings.Settings) =>
  Effect.sync(() => (settings.lawTable === undefined ? Law.builtIn() : Law.load(settings.lawTable)))

const parentGone = Effect.callback<void>((resume) => {
  process.stdin.resume()
  process.stdin.once("end", () => resume(Effect.void))
  process.stdin.once("close", () => resume(Effect.void))
})

export const endWithParent = <E>(settings: Settings.Settings, run: Effect.Effect<never, E>): Effect.Effect<void, E> =>
  settings.exitWithParent ? Effect.raceFirst(run, parentGone) : run
