/**
 * The Text2Everything API on this machine: the same paths, shapes and habits as
 * the real one, over SQLite, for tests, demonstrations and trying things out.
 *
 * @module
 */
import { createServer } from "node:http"
import { NodeHttpServer } from "@effect/platform-node"
import { Duration, Effect, Layer, type Scope } from "effect"
import { HttpRouter, HttpServer, type HttpServerError } from "effect/http"
import { chatRoutes } from "./chat.ts"
import * as Engine from "./engine.ts"
import { resourceRoutes } from "./resources.ts"

export { type Behaviour, calm, type FaultRates, type LatencyProfile, noFaults } from "./Behaviour.ts"
export type { Counts } from "./engine.ts"

export interface ServerOptions extends Engine.EngineOptions {
  /** Default 0: any free port. */
  readonly port?: number
}

export interface RunningServer {
  readonly url: string
  readonly counts: () => Engine.Counts
}

/** Runs the server for as long as the scope is open. */
export const run = (options: ServerOptions): Effect.Effect<RunningServer, HttpServerError.ServeError, Scope.Scope> =>
  Effect.gen(function* () {
    const engine = yield* Engine.make(options)
    const routes = HttpRouter.addAll([...chatRoutes(engine), ...resourceRoutes(engine)])
    const context = yield* Layer.build(
      HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
        Layer.provideMerge(
          NodeHttpServer.layer(createServer, {
            port: options.port ?? 0,
            host: "127.0.0.1",
            gracefulShutdownTimeout: Duration.seconds(1)
          })
        )
      )
    )
    const { address } = yield* Effect.provide(HttpServer.HttpServer, context)
    const url = `http://127.0.0.1:${"port" in address ? address.port : 0}`
    return { url, counts: engine.counts }
  })
