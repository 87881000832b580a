// A server of several workers, as its user would write it: WORKERS, PORT, and what
// else a test wants of it. Each thing that happens to a worker is a line.

import { NodeHttpServer } from "@effect/platform-node"
import { Admission, Health, Listener } from "@sluice/server"
import { Workers } from "@sluice/server/workers"
import { Effect, Fiber, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"

const numberOf = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise)

const rate = { limit: numberOf("LIMIT", 1_000_000), interval: "1 hour" } as const

const worker = Effect.gen(function* () {
  if (process.env["FAILS"] === "1") return yield* Effect.die(new Error("This worker cannot start"))
  const self = yield* Workers.Worker
  const admission = yield* Admission.make({
    classes: { high: { permits: 100 } },
    client: { apiKeyHeader: "x-api-key" },
    rateLimit: { ...rate, limiter: yield* self.limiter(rate) }
  })
  const health = yield* Health.make({ worker: self.name, workers: self.others, resources: admission.resources })
  const pid = HttpServerResponse.text(String(process.pid))
  const slow = Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    yield* Effect.sleep(Number(new URL(request.url, "http://localhost").searchParams.get("millis")))
    return pid
  })
  const routes = Layer.mergeAll(
    HttpRouter.add("GET", "/", admission.admit("high")(Effect.succeed(pid))),
    HttpRouter.add("GET", "/slow", admission.admit("high")(slow)),
    HttpRouter.add("GET", "/health/concurrency", health.concurrency)
  )
  const server = Listener.make()
  yield* Layer.build(
    HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
      Layer.provide(NodeHttpServer.layer(() => server, { host: "127.0.0.1", port: numberOf("PORT", 0) }))
    )
  )
  yield* self.serve({ server, health })
})

const tell = (event: object): void => {
  process.stdout.write(`${JSON.stringify(event)}\n`)
}

const running = Effect.runFork(
  Workers.launch(worker, {
    workers: numberOf("WORKERS", 2),
    maxRequestsPerWorker: numberOf("MAX_REQUESTS_PER_WORKER", 0),
    drainTimeout: numberOf("DRAIN_MILLIS", 20_000),
    maxFailedStarts: 3,
    restart: { base: "10 millis", cap: "100 millis", stableAfter: "1 minute" },
    onEvent: (event) => Effect.sync(() => tell(event))
  })
)
running.addObserver((exit) => {
  if (exit._tag === "Failure") tell({ _tag: "Ended", because: String(exit.cause) })
  // A worker ends with its channel.
  if (process.env["SLUICE_WORKER"] === undefined) process.exit(0)
})
const stop = (): void => {
  Effect.runFork(Fiber.interrupt(running))
}
if (process.env["SLUICE_WORKER"] === undefined) {
  process.once("SIGTERM", stop)
  // Gone with whoever started it, in whatever way.
  process.stdin.on("end", stop).resume()
}
