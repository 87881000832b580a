// Who comes in: how often, as whom, and what browsers are told beside.
import { ClientKey } from "@sluice/server"
import { Clock, Effect, Layer, Option, Redacted } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse, HttpTraceContext } from "effect/http"
import { Authorization, Caller, RateLimited } from "../Api.ts"
import * as Problems from "../Problems.ts"
import { RateLimit } from "../RateLimit.ts"
import type { Settings } from "../Settings.ts"
import { Telemetry } from "../Telemetry.ts"
import { identifier } from "../Users.ts"
import { setRetryAfter } from "./answers.ts"

export const authorization = (settings: Settings) => {
  const identify = identifier({ ...settings.proxy, apiKey: settings.apiKey, users: settings.users })
  const admit = <A, E, R>(effect: Effect.Effect<A, E, R>, key: Redacted.Redacted<string>) =>
    Effect.gen(function* () {
      const { headers, remoteAddress } = yield* HttpServerRequest.HttpServerRequest
      const person = identify({ key: Redacted.value(key), peer: Option.getOrUndefined(remoteAddress), headers })
      if (person !== undefined) return yield* Effect.provideService(effect, Caller, person)
      return yield* new Problems.Unauthorized({ detail: "Give the key as X-API-Key or as Authorization: Bearer" })
    })
  return Layer.succeed(Authorization, {
    apiKey: (effect, { credential }) => admit(effect, credential),
    bearer: (effect, { credential }) => admit(effect, credential)
  })
}

export const rateLimited = (settings: Settings) =>
  Layer.effect(
    RateLimited,
    Effect.gen(function* () {
      const rateLimit = yield* RateLimit
      const telemetry = yield* Telemetry
      const clientOf = ClientKey.make({
        trustedProxies: settings.proxy.believesForwarded ? settings.proxy.trusted : []
      })
      return (effect) =>
        Effect.gen(function* () {
          const { headers, remoteAddress } = yield* HttpServerRequest.HttpServerRequest
          const client = clientOf({ remoteAddress: Option.getOrUndefined(remoteAddress), headers })
          const wait = yield* rateLimit.admit(client)
          if (wait === 0) return yield* effect
          yield* telemetry.limited
          yield* setRetryAfter(wait)
          return yield* new Problems.TooManyRequests({ detail: `Try again in ${wait} seconds`, retry_after: wait })
        })
    })
  )

const NAMES = new Set(
  "process validate session status events versions regenerate authenticate fir content pdf list_firs law metrics reliability reset prometheus health live ready web docs openapi.json".split(
    " "
  )
)

/** A path without what was asked for: sessions and reports are somebody's, and what is not here may be anything. */
export const routeOf = (url: string): string => {
  const [path = ""] = url.split("?")
  const [, first = "", ...rest] = path.split("/", 5)
  if (first !== "" && !NAMES.has(first)) return "(none)"
  return `/${[first, ...rest.map((name) => (NAMES.has(name) ? name : ":id"))].join("/")}`
}

/** One line and one span a request, of how it went and how long it took, and nothing of what was said. */
export const observed = HttpRouter.middleware(
  (effect) =>
    Effect.gen(function* () {
      const { headers, method, url } = yield* HttpServerRequest.HttpServerRequest
      const route = routeOf(url)
      const began = yield* Clock.currentTimeMillis
      const response = yield* Effect.tap(effect, ({ status }) =>
        Effect.annotateCurrentSpan("http.response.status_code", status)
      ).pipe(
        Effect.withSpan(`${method} ${route}`, {
          kind: "server",
          parent: Option.getOrUndefined(HttpTraceContext.fromHeaders(headers)),
          attributes: { "http.request.method": method, "http.route": route }
        })
      )
      const millis = (yield* Clock.currentTimeMillis) - began
      const log = response.status >= 500 ? Effect.logWarning : Effect.logDebug
      yield* log("request").pipe(Effect.annotateLogs({ method, route, status: response.status, millis }))
      return response
    }),
  { global: true }
)

/** What browsers need to be told about answers that hold personal data. */
export const guarded = HttpRouter.middleware(
  (effect) =>
    Effect.map(effect, (response) =>
      HttpServerResponse.setHeaders(response, {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store"
      })
    ),
  { global: true }
)
