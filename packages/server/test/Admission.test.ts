import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Admission, Health } from "@sluice/server"
import { Deferred, Effect, Exit, Fiber, Layer } from "effect"
import { HttpClient, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"

const request = (headers: Record<string, string> = {}) =>
  HttpServerRequest.fromWeb(new Request("http://localhost/", { headers }))

const send = <E>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, HttpServerRequest.HttpServerRequest>,
  headers?: Record<string, string>
) => Effect.provideService(handler, HttpServerRequest.HttpServerRequest, request(headers))

const bodyOf = (response: HttpServerResponse.HttpServerResponse) =>
  Effect.promise(() => HttpServerResponse.toWeb(response).json())

const ok = Effect.succeed(HttpServerResponse.text("ok"))

describe("a client's rate", () => {
  it.effect("is kept for each client by itself, and told in every response", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({
        classes: { high: { permits: 10 } },
        rateLimit: { limit: 2, interval: "1 minute" },
        client: { apiKeyHeader: "x-api-key" }
      })
      const handler = admission.admit("high")(ok)
      const ask = (key: string) => send(handler, { "x-api-key": key })
      const first = yield* ask("a")
      expect(first.status).toBe(200)
      expect(first.headers["ratelimit"]).toBe('"default";r=1;t=30')
      expect(first.headers["ratelimit-policy"]).toBe('"default";q=2;w=60')
      yield* ask("a")
      const refused = yield* ask("a")
      expect(refused.status).toBe(429)
      expect(refused.headers).toMatchObject({
        "retry-after": "30",
        ratelimit: '"default";r=0;t=60',
        "content-type": "application/problem+json"
      })
      expect(yield* bodyOf(refused)).toEqual({
        type: "about:blank",
        title: "Too Many Requests",
        status: 429,
        detail: "Too many requests. Please try again later."
      })
      expect((yield* ask("b")).status).toBe(200)
      yield* TestClock.adjust("30 seconds")
      expect((yield* ask("a")).status).toBe(200)
      expect(admission.statsUnsafe()).toMatchObject({ limited: 1, active: 0 })
    })
  )
})

describe("a class", () => {
  it.effect("runs so many at once, lets so many wait, and refuses the rest with when to come back", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({
        classes: { controlled: { permits: 1, maxWaiting: 1, maxWait: "2 seconds" }, high: { permits: 5 } },
        retryAfter: "3 seconds"
      })
      const gate = yield* Deferred.make<void>()
      const slow = admission.admit("controlled")(Effect.as(Deferred.await(gate), HttpServerResponse.text("slow")))
      const running = yield* Effect.forkChild(send(slow), { startImmediately: true })
      const waiting = yield* Effect.forkChild(send(slow), { startImmediately: true })
      const refused = yield* send(slow)
      expect(refused.status).toBe(503)
      expect(refused.headers["retry-after"]).toBe("3")
      expect(yield* bodyOf(refused)).toMatchObject({ detail: "The server is busy. Please try again later." })
      expect((yield* send(admission.admit("high")(ok))).status).toBe(200)
      expect(admission.statsUnsafe()).toMatchObject({ active: 2, classes: { controlled: { held: 1, waiting: 1 } } })
      yield* TestClock.adjust("2 seconds")
      expect((yield* Fiber.join(waiting)).status).toBe(503)
      yield* Deferred.succeed(gate, undefined)
      expect((yield* Fiber.join(running)).status).toBe(200)
      expect(admission.statsUnsafe()).toMatchObject({ active: 0, classes: { controlled: { held: 0, rejected: 2 } } })
    })
  )

  it.effect("lets the handler's own failures through, and gives its permit back", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({ classes: { high: { permits: 1 } } })
      const failing = admission.admit("high")(Effect.fail("no"))
      expect(yield* Effect.flip(send(failing))).toBe("no")
      const stuck = yield* Effect.forkChild(send(admission.admit("high")(Effect.never)), { startImmediately: true })
      yield* Fiber.interrupt(stuck)
      expect(admission.statsUnsafe()).toMatchObject({ active: 0, classes: { high: { held: 0 } } })
    })
  )

  it.effect("must be known, and make sense", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({ classes: { high: { permits: 1 } } })
      const other: string = "low"
      expect(() => admission.admit(other as "high")).toThrow("Cannot admit to class low: the classes are high")
      const exit = yield* Effect.exit(Admission.make({ classes: { high: { permits: -1 } } }))
      expect(Exit.isFailure(exit) && String(exit.cause)).toContain("-1 permits")
    })
  )
})

describe("a server that drains", () => {
  it.effect("lets those finish that were let in, and turns the others away", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({ classes: { high: { permits: 5 } } })
      const gate = yield* Deferred.make<void>()
      const handler = admission.admit("high")(Effect.as(Deferred.await(gate), HttpServerResponse.text("done")))
      const running = yield* Effect.forkChild(send(handler), { startImmediately: true })
      const drained = yield* Effect.forkChild(admission.drain, { startImmediately: true })
      const turned = yield* send(handler)
      expect(turned.status).toBe(503)
      expect(turned.headers).toMatchObject({ connection: "close", "retry-after": "1" })
      expect(drained.pollUnsafe()).toBeUndefined()
      yield* Deferred.succeed(gate, undefined)
      expect((yield* Fiber.join(running)).status).toBe(200)
      yield* Fiber.join(drained)
      yield* admission.drain
      expect(admission.statsUnsafe()).toMatchObject({ isDraining: true, turnedAway: 1, active: 0 })
    })
  )
})

describe("on a real server", () => {
  it.live("the peer's address is the client, and liveness is never shed", () =>
    Effect.gen(function* () {
      const admission = yield* Admission.make({
        classes: { high: { permits: 1 } },
        rateLimit: { limit: 3, interval: "1 hour" }
      })
      const health = yield* Health.make()
      const routes = Layer.mergeAll(
        HttpRouter.add("GET", "/", admission.admit("high")(ok)),
        HttpRouter.add("GET", "/health/live", health.liveness)
      )
      yield* Layer.build(HttpRouter.serve(routes, { disableLogger: true }))
      const statuses = yield* Effect.forEach(Array(5).keys(), () =>
        Effect.map(
          HttpClient.get("/", { headers: { "x-forwarded-for": String(Math.random()) } }),
          ({ status }) => status
        )
      )
      expect(statuses).toEqual([200, 200, 200, 429, 429])
      expect((yield* HttpClient.get("/health/live")).status).toBe(200)
    }).pipe(Effect.provide(NodeHttpServer.layerTest), Effect.scoped)
  )
})
