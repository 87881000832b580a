/**
 * The HTTP server: what comes in is checked here, what goes wrong gets its status
 * here; what is done is done by the pipeline.
 *
 * @module
 */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder, HttpApiSwagger } from "effect/http-api"
import { Api } from "./Api.ts"
import type { Law } from "./law/Law.ts"
import type { Settings } from "./Settings.ts"
import { authorization, guarded, observed, rateLimited } from "./server/door.ts"
import { operations, system } from "./server/operations.ts"
import { records } from "./server/records.ts"
import { sessions } from "./server/sessions.ts"
import * as Web from "./Web.ts"

const nothingHere = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  return HttpServerResponse.jsonUnsafe(
    {
      type: "urn:fir:problem:not-found",
      title: "There is no such thing",
      status: 404,
      detail: `There is no ${request.method} ${request.url.split("?")[0]?.slice(0, 200)}`
    },
    { status: 404, contentType: "application/problem+json" }
  )
})

/** Every route of the server, over the services that the pipeline is made of. */
export const routes = (settings: Settings, table: Law) =>
  Layer.mergeAll(
    HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }).pipe(
      Layer.provide([sessions(settings), records(settings, table), operations(settings), system(settings)]),
      Layer.provide([authorization(settings), rateLimited(settings)])
    ),
    guarded,
    observed,
    HttpApiSwagger.layer(Api, { path: "/docs" }),
    Web.routes,
    HttpRouter.add("*", "/*", nothingHere),
    // Without origins to allow, nothing is said about other origins, and browsers keep them out.
    settings.corsOrigins.length === 0
      ? Layer.empty
      : HttpRouter.cors({
          allowedOrigins: settings.corsOrigins.includes("*") ? [] : settings.corsOrigins,
          allowedHeaders: ["content-type", "x-api-key", "authorization", "idempotency-key"]
        })
  )
