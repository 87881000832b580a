// Who may ask, where a key is set.
import { Context, Effect } from "effect"
import { HttpServerRequest, type HttpServerResponse } from "effect/http"
import { sameKey } from "../internal/keys.ts"
import { Refusal } from "./refusal.ts"

/** Who asks, for the audit log. */
export const Actor: Context.Reference<string> = Context.Reference<string>("credentialing/Actor", {
  defaultValue: () => "anyone"
})

const given = (headers: Readonly<Record<string, string | undefined>>): string | undefined =>
  headers["x-api-key"] ?? /^bearer (.+)$/i.exec(headers["authorization"] ?? "")?.[1]

export const authorized =
  (apiKey: string | undefined) =>
  <E, R>(
    handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, E | Refusal, R | HttpServerRequest.HttpServerRequest> => {
    if (apiKey === undefined) return handler
    const unauthorized = new Refusal({ status: 401, detail: "Give the key as X-API-Key or as Authorization: Bearer" })
    return Effect.flatMap(
      HttpServerRequest.HttpServerRequest,
      ({ headers }): Effect.Effect<HttpServerResponse.HttpServerResponse, E | Refusal, R> => {
        const key = given(headers)
        return key !== undefined && sameKey(key, apiKey)
          ? Effect.provideService(handler, Actor, "api-key")
          : Effect.fail(unauthorized)
      }
    )
  }
