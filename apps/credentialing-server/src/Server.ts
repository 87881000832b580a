/**
 * Every route of the server, over the services that do the work.
 *
 * @module
 */
import { Exposition } from "@sluice/metrics"
import { Problem } from "@sluice/server"
import { Dashboard } from "@sluice/server/dashboard"
import { Clock, Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Front } from "./Front.ts"
import { keyed } from "./http/guard.ts"
import * as Reading from "./http/reading.ts"
import * as Working from "./http/working.ts"
import type { Settings } from "./Settings.ts"
import { Store } from "./Store.ts"
import { Telemetry } from "./Telemetry.ts"

/** What else tells figures of itself, for the dashboard. */
export type Sources = Readonly<Record<string, Dashboard.Source>>

const health = (settings: Settings, sources: Sources) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const store = yield* Store
      const { registry } = yield* Telemetry
      const { admission, health, workers } = yield* Front
      const startedAt = yield* Clock.currentTimeMillis

      // Asked by load balancers and by people: never refused, and it costs next to nothing.
      const basic = Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        return HttpServerResponse.jsonUnsafe({
          status: "healthy",
          service: "credentialing-server",
          timestamp: new Date(now).toISOString(),
          uptime_seconds: Math.floor((now - startedAt) / 1000)
        })
      })
      const readiness = Effect.matchEffect(store.ping, {
        onFailure: () =>
          Effect.succeed(Problem.response({ status: 503, title: "Service Unavailable", detail: "No database" })),
        onSuccess: () => health.readiness
      })
      const metrics = Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const { body, contentType } = Exposition.negotiate(registry, request.headers["accept"])
        return typeof body === "string"
          ? HttpServerResponse.text(body, { contentType })
          : HttpServerResponse.uint8Array(body, { contentType })
      })
      const guard = keyed(settings.apiKey)
      const scrape = admission.admit("medium")(guard(metrics))
      return Layer.mergeAll(
        HttpRouter.add("GET", "/health", admission.exempt(basic)),
        HttpRouter.add("GET", "/health/live", admission.exempt(health.liveness)),
        HttpRouter.add("GET", "/health/ready", admission.exempt(readiness)),
        HttpRouter.add("GET", "/health/concurrency", admission.admit("high")(health.concurrency)),
        HttpRouter.add("GET", "/prometheus/metrics", scrape),
        HttpRouter.add("GET", "/metrics", scrape),
        Dashboard.layer({ title: "Credentialing", health, workers, registry, sources, guard }),
        HttpRouter.add("*", "/*", admission.admit("high")(nothingHere))
      )
    })
  )

const nothingHere = Effect.map(HttpServerRequest.HttpServerRequest, ({ method, url }) =>
  Problem.response({
    status: 404,
    title: "Not Found",
    detail: `There is no ${method} ${url.split("?")[0]?.slice(0, 200)}`
  })
)

/** What browsers need to be told about answers that hold personal data. */
const guarded = HttpRouter.middleware(
  (effect) =>
    Effect.map(effect, (response) =>
      HttpServerResponse.setHeaders(response, {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "content-security-policy":
          response.headers["content-security-policy"] ?? "default-src 'none'; frame-ancestors 'none'",
        "cache-control": "no-store"
      })
    ),
  { global: true }
)

export const routes = (settings: Settings, sources: Sources) =>
  Layer.mergeAll(health(settings, sources), Reading.routes(settings), Working.routes(settings), guarded)
