// One of the processes whose fibers wait for the same permits. Starts when a
// line comes, stops when the next does, and says how often it was handed one.
// Arguments: the address of Redis, the permits, and how many fibers wait.

import { createInterface } from "node:readline"
import { NodeRedis } from "@effect/platform-node"
import { LeasedSemaphore, RedisSession } from "@sluice/redis"
import { Effect, Layer } from "effect"

const [url = "", permits = "", fibers = ""] = process.argv.slice(2)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const line = Effect.promise(() => lines.next())

const program = Effect.gen(function* () {
  const semaphore = yield* LeasedSemaphore.make({ name: "hand-offs", permits: Number(permits) })
  console.log("ready")
  yield* line
  let handed = 0
  const hold = semaphore.withPermit(
    Effect.andThen(
      Effect.sync(() => handed++),
      Effect.yieldNow
    )
  )
  yield* Effect.forEach(Array(Number(fibers)).keys(), () => Effect.forkScoped(Effect.forever(hold)), { discard: true })
  yield* line
  console.log(handed)
})

const session = RedisSession.layer().pipe(Layer.provide(NodeRedis.layer({ url })))
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(session)))
process.exit(0)
