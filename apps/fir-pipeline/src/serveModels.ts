/**
 * The embedded model server as a process.
 *
 * @module
 */
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { announce, endWithParent, law, listen, logging, quiet } from "./internal/listening.ts"
import * as ModelServer from "./model-server/ModelServer.ts"
import * as Settings from "./Settings.ts"

export const runModelServer = Effect.gen(function* () {
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
