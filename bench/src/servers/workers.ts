// The server with all of its admission on, as `--workers` processes on one port; with
// `--apart` each of them has a limit of its own, in place of one that they share.
import { parseArgs } from "node:util"
import { NodeHttpServer } from "@effect/platform-node"
import { Admission, Health, Listener } from "@sluice/server"
import { Workers } from "@sluice/server/workers"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"

const { values } = parseArgs({
  options: { workers: { type: "string", default: "1" }, apart: { type: "boolean", default: false } }
})
const workers = Number(values.workers)
const rate = { limit: 100_000_000, interval: "1 minute" } as const

const worker = Effect.gen(function* () {
  const self = yield* Workers.Worker
  const health = yield* Health.make({ worker: self.name, workers: self.others })
  const admission = yield* Admission.make({
    rateLimit: values.apart ? rate : { ...rate, limiter: yield* self.limiter(rate) },
    classes: { high: { permits: 2000 } }
  })
  const server = Listener.make({ maxConnections: 2000 })
  const listening = Layer.effectDiscard(
    Effect.gen(function* () {
      const { address } = yield* HttpServer.HttpServer
      if (address._tag !== "UnixPathAddress" && self.place === workers) console.log(`listening on ${address.port}`)
    })
  )
  yield* Layer.build(
    Layer.mergeAll(
      HttpRouter.serve(HttpRouter.add("GET", "/health", admission.admit("high")(health.liveness)), {
        disableLogger: true,
        disableListenLog: true
      }),
      listening
    ).pipe(Layer.provide(NodeHttpServer.layer(() => server, { port: 0, host: "127.0.0.1" })))
  )
  yield* self.serve({ server, health })
})

Effect.runFork(Workers.launch(worker, { workers }))
