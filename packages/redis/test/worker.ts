// One of several processes that share a semaphore. It asks the resource, which
// the test is, by lines on its output, and is answered by lines on its input:
//
//   ready                          ->
//   write <number> <slot> <token>  ->  <number> yes | no
//
// Arguments: the address of Redis, the permits, the lease in milliseconds, and
// how many fibers hold. It ends when its input does.

import { createInterface } from "node:readline"
import { NodeRedis } from "@effect/platform-node"
import { LeasedSemaphore, RedisSession } from "@sluice/redis"
import { Deferred, Effect, Layer, Logger } from "effect"

const [url = "", permits = "", lease = "", holders = ""] = process.argv.slice(2)

const asked = new Map<number, Deferred.Deferred<boolean>>()
let number = 0

const write = (held: LeasedSemaphore.Lease): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const answer = Deferred.makeUnsafe<boolean>()
    asked.set(++number, answer)
    process.stdout.write(`write ${number} ${held.slots[0]} ${held.token}\n`)
    return Deferred.await(answer)
  })

const ended = Deferred.makeUnsafe<void>()
const input = createInterface({ input: process.stdin })
input.on("line", (line) => {
  const [answered = "", verdict] = line.split(" ")
  const waiting = asked.get(Number(answered))
  asked.delete(Number(answered))
  if (waiting !== undefined) Effect.runSync(Deferred.succeed(waiting, verdict === "yes"))
})
input.on("close", () => Effect.runSync(Deferred.succeed(ended, undefined)))

const program = Effect.gen(function* () {
  const semaphore = yield* LeasedSemaphore.make({ name: "work", permits: Number(permits), lease: Number(lease) })
  process.stdout.write("ready\n")
  const once = semaphore.withLease(1)((held) =>
    Effect.gen(function* () {
      for (let time = 0; time < 3; time++) {
        // Whoever is refused is stale, and is about to hear so.
        if (!(yield* write(held))) return yield* held.lost
        yield* Effect.sleep(2)
      }
    })
  )
  // A lost lease and Redis away are what is expected here; anything else ends the process.
  const again = Effect.catchTags(once, {
    "@sluice/redis/LeaseLost": () => Effect.void,
    "@sluice/redis/RedisAway": () => Effect.sleep(20)
  })
  yield* Effect.forEach(Array(Number(holders)).keys(), () => Effect.forkScoped(Effect.forever(again)), {
    discard: true
  })
  yield* Deferred.await(ended)
})

const redis = NodeRedis.layer({ url })
const session = RedisSession.layer({ commandTimeout: 200, retryBase: 10, retryCap: 100 }).pipe(Layer.provide(redis))
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(session), Effect.provide(Logger.layer([]))))
process.exit(0)
