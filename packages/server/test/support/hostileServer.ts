// A server with all that there is before its handlers, for the hostile to try: run as
// a process of its own, it prints its port, and tells of its memory when it is asked.

import { NodeHttpServer } from "@effect/platform-node"
import { AdaptiveLimit } from "@sluice/semaphore"
import { Admission, Health, Listener } from "@sluice/server"
import { Effect, Layer, Schema, Stream } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"

const Order = Schema.Struct({ name: Schema.String, count: Schema.Number })

const listener = Listener.make({
  maxConnections: 1000,
  maxRequestsPerConnection: 100,
  headersTimeout: "1 second",
  requestTimeout: "2 seconds"
})

const collect = (): void => {
  const bun: { gc?(isSynchronous: boolean): void } | undefined = Reflect.get(globalThis, "Bun")
  if (bun?.gc !== undefined) bun.gc(true)
  else globalThis.gc?.()
}

const memory = Effect.sync(() => {
  collect()
  const { heapUsed, rss } = process.memoryUsage()
  return HttpServerResponse.jsonUnsafe({ heapUsed, rss, connections: listener.statsUnsafe().connections })
})

const routes = Layer.unwrap(
  Effect.gen(function* () {
    const health = yield* Health.make()
    yield* health.ready
    const admission = yield* Admission.make({
      classes: { high: { permits: 100, timeout: "2 seconds" }, controlled: { permits: 5, maxWaiting: 5, priority: 1 } },
      adaptive: { algorithm: AdaptiveLimit.vegas({ initial: 50 }), maxWaiting: 20, maxWait: "1 second" },
      rateLimit: { limit: 3000, interval: "1 second", maxClients: 1000 },
      client: { trustedProxies: ["127.0.0.0/8"], apiKeyHeader: "x-api-key" },
      body: { maxSize: 64 * 1024, timeout: "1 second" }
    })
    const order = Effect.map(HttpServerRequest.schemaBodyJson(Order), (order) => HttpServerResponse.jsonUnsafe(order))
    const upload = Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const size = yield* Stream.runFold(
        request.stream,
        () => 0,
        (sum, chunk) => sum + chunk.length
      )
      return HttpServerResponse.text(String(size))
    })
    const search = Effect.gen(function* () {
      const { url } = yield* HttpServerRequest.HttpServerRequest
      return HttpServerResponse.text(`${url.length}`)
    })
    const stuck = Effect.as(Effect.sleep("1 minute"), HttpServerResponse.empty())
    const streamed = HttpServerResponse.stream(Stream.encodeText(Stream.make("one ", "two ", "three")))
    return Layer.mergeAll(
      HttpRouter.add("GET", "/health/live", admission.exempt(health.liveness)),
      HttpRouter.add("GET", "/memory", admission.exempt(memory)),
      HttpRouter.add("GET", "/search", admission.admit("high")(search)),
      HttpRouter.add("GET", "/items/:id", admission.admit("high")(search)),
      HttpRouter.add("GET", "/stream", admission.admit("high")(Effect.succeed(streamed))),
      HttpRouter.add("GET", "/stuck", admission.admit("controlled")(stuck)),
      HttpRouter.add("POST", "/orders", admission.admit("high")(order)),
      HttpRouter.add("POST", "/uploads", admission.admit("high")(upload))
    )
  })
)

listener.once("listening", () => {
  const address = listener.address()
  if (address !== null && typeof address === "object") console.log(`listening on ${address.port}`)
})
process.stdin.resume()
process.stdin.once("end", () => process.exit(0))

Effect.runFork(
  HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(NodeHttpServer.layer(() => listener, { host: "127.0.0.1", port: 0 })),
    Layer.launch
  )
)
