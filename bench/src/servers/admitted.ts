// A server of Effect with all of the admission on: a rate for each client, permits,
// request ids, metrics, and the bounds of the listener. With `--bare`, one with nothing
// of it.
import { createServer } from "node:http"
import { NodeHttpServer } from "@effect/platform-node"
import { Registry } from "@sluice/metrics"
import { Admission, Health, Listener } from "@sluice/server"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"

const isBare = process.argv.includes("--bare")

const app = Layer.unwrap(
  Effect.gen(function* () {
    const registry = yield* Registry.make()
    const health = yield* Health.make()
    const admission = yield* Admission.make({
      registry,
      rateLimit: { limit: 100_000_000, interval: "1 minute" },
      classes: { high: { permits: 1000 } }
    })
    return HttpRouter.add("GET", "/health", isBare ? health.liveness : admission.admit("high")(health.liveness))
  })
)

const told = Layer.effectDiscard(
  Effect.gen(function* () {
    const { address } = yield* HttpServer.HttpServer
    if (address._tag !== "UnixPathAddress") console.log(`listening on ${address.port}`)
  })
)

const server = NodeHttpServer.layer(() => (isBare ? createServer() : Listener.make()), {
  port: 0,
  host: "127.0.0.1"
})
Effect.runFork(
  Layer.launch(
    Layer.mergeAll(HttpRouter.serve(app, { disableLogger: true, disableListenLog: true }), told).pipe(
      Layer.provide(server)
    )
  )
)
