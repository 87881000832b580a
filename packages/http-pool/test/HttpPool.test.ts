import { expect, it } from "@effect/vitest"
import { HttpPool } from "@sluice/http-pool"
import { Effect } from "effect"
import { HttpClient } from "effect/http"
import { listen } from "./servers.ts"

it.live("answers through Effect's HttpClient", () =>
  Effect.gen(function* () {
    const server = yield* listen((request, response) => response.end(`hello ${request.url}`))
    const response = yield* HttpClient.get(`${server.url}/world`)
    expect(yield* response.text).toBe("hello /world")
    const pool = yield* HttpPool.HttpPool
    expect(pool.statsUnsafe()).toMatchObject({ capacity: 50, created: 1, idle: 1, inFlight: 0, open: 1 })
  }).pipe(Effect.provide(HttpPool.layer()), Effect.scoped)
)
