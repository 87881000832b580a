import { expect, it } from "@effect/vitest"
import { HttpPool } from "@sluice/http-pool"
import { Effect, Option, Schedule } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { chaos } from "./chaosServer.ts"
import { until } from "./servers.ts"

it.live(
  "brings every idempotent request to its end, executes no POST twice, and leaves nothing behind",
  () =>
    Effect.gen(function* () {
      const server = yield* chaos(20_261_120)
      const pool = yield* HttpPool.make({ maxConnections: 50, maxKeepAliveConnections: 20, readTimeout: "250 millis" })
      const client = pool.client.pipe(
        HttpClient.filterStatusOk,
        HttpClient.retryTransient({ schedule: Schedule.spaced("1 millis"), times: 40 })
      )
      const readAgain = Effect.retry({ times: 40, while: HttpClient.isTransientError })
      const total = Number(process.env["SLUICE_CHAOS_REQUESTS"] ?? 10_000)
      let answered = 0
      let refused = 0
      yield* Effect.forEach(
        Array.from({ length: total }, (_, key) => key),
        (key) => {
          if (key % 3 !== 0) {
            return client.get(`${server.url}/${key}`).pipe(
              Effect.flatMap((response) => response.text),
              readAgain,
              Effect.andThen((text) =>
                Effect.sync(() => {
                  expect(text.length).toBeGreaterThan(0)
                  answered++
                })
              )
            )
          }
          // A POST is tried again only if it certainly did not reach the server.
          const post = HttpClientRequest.post(`${server.url}/${key}`).pipe(
            HttpClientRequest.setHeader("idempotency-key", String(key)),
            HttpClientRequest.bodyText("x".repeat(key % 1_000))
          )
          return pool.client.execute(post).pipe(
            Effect.flatMap((response) => response.text),
            Effect.retry({
              times: 40,
              while: (error) =>
                Option.match(HttpPool.poolError(error), {
                  onNone: () => false,
                  onSome: (error) => !error.mayHaveReachedServer
                })
            }),
            Effect.match({
              onFailure: () => refused++,
              onSuccess: () => answered++
            })
          )
        },
        { concurrency: 200, discard: true }
      )
      expect(answered + refused).toBe(total)
      expect(Math.max(...server.executions.values())).toBe(1)
      yield* until(() => {
        const { idle, open } = pool.statsUnsafe()
        return open === idle && idle <= 20 && server.sockets.size === open
      })
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, waiting: 0 })
      expect(server.faults()).toBeGreaterThan(total / 10)
    }),
  600_000
)
