import { Code } from "@connectrpc/connect"
import { GrpcPool } from "@sluice/grpc-pool"
import { EchoServer, EchoService } from "@sluice/grpc-pool/testing"
import { Effect, Fiber, Stream } from "effect"
import * as fc from "fast-check"
import { expect, it } from "vitest"
import { until } from "./until.ts"

interface Call {
  readonly kind: "unary" | "stream"
  readonly delayMillis: number
  readonly ends: "well" | "failed" | "interrupted" | "late"
  readonly goesAwayAfter: boolean
}

const call: fc.Arbitrary<Call> = fc.record({
  kind: fc.constantFrom("unary", "stream"),
  delayMillis: fc.integer({ min: 0, max: 5 }),
  ends: fc.constantFrom("well", "well", "failed", "interrupted", "late"),
  goesAwayAfter: fc.integer({ min: 0, max: 9 }).map((chance) => chance === 0)
})

// The model is a count for each way in which calls can end, and the server's limit.
it("gives every stream back, has no more at once than there may be, and tells each call its own end", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(call, { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom<GrpcPool.Protocol>("grpc", "grpc-web", "connect"),
      async (given, maxConcurrentStreams, maxSessionsPerAddress, protocol) => {
        // Deno loses what has come and was not yet read when a GOAWAY does, where the stream is not read at once.
        const hasGoAway = !("Deno" in globalThis) || protocol === "grpc"
        const calls = hasGoAway ? given : given.map((each): Call => ({ ...each, goesAwayAfter: false }))
        const program = Effect.gen(function* () {
          const server = yield* EchoServer.make({ maxConcurrentStreams })
          const pool = yield* GrpcPool.make({ addresses: [server.address], maxSessionsPerAddress, protocol })
          const echo = pool.client(EchoService)
          const isGoAway = calls.some(({ goesAwayAfter }) => goesAwayAfter)
          let most = 0
          const run = ({ delayMillis, ends, goesAwayAfter, kind }: Call) =>
            Effect.gen(function* () {
              const isEndless = ends === "interrupted" || ends === "late"
              const wait = isEndless ? 60_000 : delayMillis
              const options = ends === "late" ? { timeout: 20 } : {}
              const request = { message: "x", delayMillis: wait, failWith: ends === "failed" ? Code.DataLoss : 0 }
              const made =
                kind === "unary"
                  ? echo.echo(request, options)
                  : Stream.runDrain(echo.chat(Stream.succeed(request), options))
              const fiber = yield* Effect.forkChild(Effect.exit(Effect.asVoid(made)))
              most = Math.max(most, pool.statsUnsafe().streamsInUse)
              if (ends === "interrupted") {
                yield* Effect.sleep(delayMillis)
                yield* Fiber.interrupt(fiber)
                return
              }
              const exit = yield* Fiber.join(fiber)
              if (goesAwayAfter) server.goAway()
              const error = exit._tag === "Failure" ? yield* Effect.flip(exit) : undefined
              if (ends === "well") expect(error).toBeUndefined()
              if (ends === "failed") expect(error?.code).toBe(Code.DataLoss)
              if (ends === "late") expect(error?.code).toBe(Code.DeadlineExceeded)
            })
          yield* Effect.forEach(
            // Streams are not sent again, so that a GOAWAY may cost them what the server has not seen.
            calls.map((each): Call => (isGoAway ? { ...each, kind: "unary" } : each)),
            run,
            { concurrency: 8, discard: true }
          )
          const isSettled = ({ connecting, streamsInUse }: GrpcPool.Stats): boolean => connecting + streamsInUse === 0
          yield* until(() => isSettled(pool.statsUnsafe()) && server.statsUnsafe().running === 0)
          const stats = pool.statsUnsafe()
          expect(stats.waiting).toBe(0)
          expect(stats.closed).toBe(stats.created - stats.open)
          expect(stats.succeeded).toBe(calls.filter(({ ends }) => ends === "well").length)
          expect(stats.failures).toBeGreaterThanOrEqual(calls.filter(({ ends }) => ends === "failed").length)
          if (!isGoAway) {
            expect(most).toBeLessThanOrEqual(maxConcurrentStreams * maxSessionsPerAddress)
            expect(stats.created).toBeLessThanOrEqual(maxSessionsPerAddress)
          }
        })
        await Effect.runPromise(Effect.scoped(program))
      }
    ),
    { numRuns: 20 }
  )
}, 60_000)
