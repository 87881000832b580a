// Who comes in: how often, as whom, and what browsers are told beside.
import { ClientKey } from "@sluice/server"
import { Effect, Layer, Option, Redacted } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
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
