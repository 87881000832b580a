// A machine of two workers, whose clients have a limit that Redis decides on.
// Says `ready` for each worker, and ends when its input does.

import { NodeHttpServer, NodeRedis } from "@effect/platform-node"
import { RedisRateLimiter, RedisSession } from "@sluice/redis"
import { Admission, Listener } from "@sluice/server"
import { Workers } from "@sluice/server/workers"
import { Effect, Fiber, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"

const url = process.env["REDIS_URL"] ?? "redis://localhost"
const rate = { limit: Number(process.env["LIMIT"]), interval: "1 hour" } as const
const port = Number(process.env["PORT"])

const worker = Effect.gen(function* () {
  const self = yield* Workers.Worker
  const shared = yield* RedisRateLimiter.make({ ...rate, name: "clients" })
  const limiter = { tryTake: (client: string) => Effect.orDie(shared.tryTake(client)) }
  const admission = yield* Admission.make({
    classes: { high: { permits: 100 } },
    client: { apiKeyHeader: "x-api-key" },
    rateLimit: { ...rate, limiter }
  })
  const server = Listener.make()
  const hello = HttpRouter.add("GET", "/", admission.admit("high")(Effect.succeed(HttpServerResponse.text("hello"))))
  yield* Layer.build(
    HttpRouter.serve(hello, { disableListenLog: true, disableLogger: true }).pipe(
      Layer.provide(NodeHttpServer.layer(() => server, { host: "127.0.0.1", port }))
    )
  )
  yield* self.serve({ server })
}).pipe(Effect.provide(RedisSession.layer().pipe(Layer.provide(NodeRedis.layer({ url })))))

const running = Effect.runFork(
  Workers.launch(worker, {
    workers: 2,
    drainTimeout: "10 seconds",
    onEvent: (event) => Effect.sync(() => event._tag === "Ready" && console.log("ready"))
  })
)
if (process.send === undefined) {
  running.addObserver(() => process.exit(0))
  process.stdin.on("end", () => Effect.runFork(Fiber.interrupt(running))).resume()
}
