import { describe, expect, it } from "@effect/vitest"
import { Registry } from "@sluice/metrics"
import { KeyedRateLimiter } from "@sluice/rate-limiter"
import { Semaphore } from "@sluice/semaphore"
import { Admission, Guard, Health } from "@sluice/server"
import { Dashboard } from "@sluice/server/dashboard"
import { Effect, Exit, Fiber, Redacted, Scope, Stream } from "effect"
import { HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { parts } from "../scripts/page.ts"
import * as written from "../src/internal/dashboardPage.ts"
import { bodyOf, ok, send } from "./support/requests.ts"

const textOf = (response: HttpServerResponse.HttpServerResponse) =>
  Effect.promise(() => HttpServerResponse.toWeb(response).text())

/** The next event of a stream, by its name. */
const eventsOf = (response: HttpServerResponse.HttpServerResponse) => {
  const { body } = response
  if (body._tag !== "Stream") throw new Error(`The body is ${body._tag}`)
  return Stream.map(Stream.decodeText(body.stream), (text) => {
    const [, name, data] = /^event: (\w+)\ndata: (.*)\n\n$/.exec(text) ?? []
    return { name, data: JSON.parse(data ?? "null") }
  })
}

describe("a dashboard", () => {
  it.effect("samples resources, sources, rates and quantiles, and remembers so many", () =>
    Effect.gen(function* () {
      const registry = yield* Registry.make()
      const llm = yield* Semaphore.make(5)
      const limiter = yield* KeyedRateLimiter.make({ limit: 5, interval: "1 minute" })
      const admission = yield* Admission.make({ classes: { high: { permits: 9 } }, registry })
      const health = yield* Health.make({ worker: "a", resources: { llm, ...admission.resources } })
      yield* health.ready
      const dashboard = yield* Dashboard.make({
        health,
        registry,
        sources: { "clients <b>": limiter },
        interval: "2 seconds",
        history: "6 seconds"
      })
      yield* llm.take(2)
      yield* limiter.tryTake("ann")
      for (let count = 0; count < 10; count++) yield* send(admission.admit("high")(ok))
      yield* Effect.exit(send(admission.admit("high")(Effect.fail("no"))))
      const slow = yield* Effect.forkChild(send(admission.admit("high")(Effect.delay(ok, "1 second"))))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(slow)
      const samples = JSON.parse(yield* textOf(yield* send(Effect.scoped(dashboard.samples))))
      expect(samples).toHaveLength(2)
      expect(samples[1]).toMatchObject({
        at: 2000,
        status: "healthy",
        activeTasks: 2,
        resources: { llm: { capacity: 5, held: 2, waiting: 0 }, high: { capacity: 9, held: 0 } },
        sources: { "clients <b>": { admitted: 1, keys: 1 } },
        requests: { answered: 5.5, refused: 0, failed: 0.5 },
        rates: { 'server_requests_total{class="high",outcome="2xx"}': 5.5 },
        gauges: { server_requests_active: 0, 'server_permits{class="high"}': 9 },
        workers: [{ worker: "a", status: "healthy" }]
      })
      const { p50, p99 } = samples[1].quantiles['server_request_seconds{class="high"}']
      expect(p50).toBeLessThan(0.001)
      expect(p99).toBeGreaterThan(0.9)
      yield* TestClock.adjust("20 seconds")
      expect(dashboard.statsUnsafe()).toEqual({ clients: 0, maxClients: 16, samples: 3 })
      const [{ quantiles, requests }] = JSON.parse(yield* textOf(yield* send(dashboard.samples)))
      expect(requests).toEqual({ answered: 0, refused: 0, failed: 0 })
      expect(quantiles['server_request_seconds{class="high"}']).toEqual({ p50: null, p90: null, p99: null })
    })
  )

  it.effect("sends the past and then what comes, to so many pages and no more, until the server drains", () =>
    Effect.gen(function* () {
      const health = yield* Health.make()
      yield* health.ready
      const dashboard = yield* Dashboard.make({ health, maxClients: 1 })
      const scope = yield* Scope.make()
      const response = yield* Scope.provide(send(dashboard.events), scope)
      expect(response.headers).toMatchObject({ "content-type": "text/event-stream", "cache-control": "no-store" })
      const events = yield* Effect.forkChild(Stream.runCollect(eventsOf(response)), { startImmediately: true })
      const refused = yield* Effect.scoped(send(dashboard.events))
      expect([refused.status, refused.headers["retry-after"]]).toEqual([503, "5"])
      expect(yield* bodyOf(refused)).toMatchObject({ detail: expect.stringContaining("1 pages are live already") })
      expect(dashboard.statsUnsafe().clients).toBe(1)
      yield* TestClock.adjust("2 seconds")
      yield* health.drain
      yield* TestClock.adjust("1 second")
      const heard = yield* Fiber.join(events)
      expect(heard.map(({ data, name }) => [name, name === "history" ? data.length : data.status])).toEqual([
        ["history", 1],
        ["sample", "healthy"],
        ["sample", "healthy"],
        ["sample", "draining"]
      ])
      yield* Scope.close(scope, Exit.void)
      expect(dashboard.statsUnsafe().clients).toBe(0)
    })
  )

  it.effect("shows all workers as one, and each by itself", () =>
    Effect.gen(function* () {
      const workerOf = (worker: string) =>
        Effect.gen(function* () {
          const llm = yield* Semaphore.make(5)
          yield* llm.take(1)
          const health = yield* Health.make({ worker, resources: { llm } })
          yield* health.ready
          return health
        })
      const health = yield* workerOf("a")
      const other = yield* workerOf("b")
      const dashboard = yield* Dashboard.make({ health, workers: Effect.map(other.snapshot, (one) => [one, one]) })
      const [sample] = JSON.parse(yield* textOf(yield* send(dashboard.samples)))
      expect(sample.resources.llm).toMatchObject({ capacity: 10, held: 2 })
      expect(sample.workers.map(({ worker }: { worker: string }) => worker)).toEqual(["a", "b"])
    })
  )

  it.effect("shows so many series of a kind, whatever there is", () =>
    Effect.gen(function* () {
      const registry = yield* Registry.make()
      const counter = registry.counter({ name: "keys_total", help: "Keys.", labels: ["key"] })
      for (let key = 0; key < 50; key++) counter.bind({ key: String(key) }).incrementUnsafe()
      const dashboard = yield* Dashboard.make({ registry, maxSeries: 7 })
      const [sample] = JSON.parse(yield* textOf(yield* send(dashboard.samples)))
      expect(Object.keys(sample.rates)).toHaveLength(7)
      expect(sample.status).toBe("unknown")
    })
  )

  it.effect("goes on where a source fails", () =>
    Effect.gen(function* () {
      let isBroken = true
      const source = {
        statsUnsafe: () => {
          if (isBroken) throw new Error("broken")
          return { size: 1, isOpen: true, name: "x", share: Number.NaN }
        }
      }
      const dashboard = yield* Dashboard.make({ sources: { source } })
      yield* TestClock.adjust("1 second")
      expect(dashboard.statsUnsafe().samples).toBe(0)
      isBroken = false
      yield* TestClock.adjust("1 second")
      const [sample] = JSON.parse(yield* textOf(yield* send(dashboard.samples)))
      expect(sample.sources).toEqual({ source: { size: 1, isOpen: 1 } })
    })
  )

  it.effect("is behind its guard, with the page, its events and its samples", () =>
    Effect.gen(function* () {
      const { events, page, samples } = yield* Dashboard.make({
        title: "<script>alert(1)</script>",
        guard: Guard.token(Redacted.make("a-long-secret"))
      })
      const basic = (text: string) => `Basic ${btoa(text)}`
      for (const handler of [page, events, samples]) {
        const status = (authorization?: string) =>
          Effect.map(
            Effect.scoped(send(handler, authorization === undefined ? {} : { headers: { authorization } })),
            (response) => response.status
          )
        const refused = [undefined, "Bearer", "Bearer a-long-secre", "Bearer a-long-secret2", "Basic %%%", "Digest x"]
        for (const authorization of [...refused, basic("a-long-secret"), basic("me:no")]) {
          expect(yield* status(authorization)).toBe(401)
        }
        expect(yield* status("Bearer a-long-secret")).toBe(200)
        expect(yield* status("bearer  a-long-secret")).toBe(200)
        expect(yield* status(basic("me:a-long-secret"))).toBe(200)
      }
      const shown = yield* send(page, { headers: { authorization: "Bearer a-long-secret" } })
      const html = yield* textOf(shown)
      expect(html).not.toContain("<script>alert")
      expect(html.match(/<script/g)).toHaveLength(1)
      const nonce = /nonce="([^"]+)"/.exec(html)?.[1]
      expect(shown.headers["content-security-policy"]).toContain(`script-src 'nonce-${nonce}'`)
      expect(html).not.toMatch(/(src|href)="(https?:)?\/\//)
      expect(() => Guard.token("")).toThrow("empty token")
    })
  )

  it.effect("is made only with options that make sense", () =>
    Effect.gen(function* () {
      for (const options of [
        { maxClients: 0 },
        { maxSeries: 0.5 },
        { history: "1 second", interval: "2 seconds" }
      ] as const) {
        expect(Exit.isFailure(yield* Effect.exit(Dashboard.make(options)))).toBe(true)
      }
    })
  )

  it("is the page that stands in its files", () => {
    expect({ template: written.template, style: written.style, script: written.script }).toEqual(parts())
  })
})
