// Who may ask, where a key is set: whoever gives it as X-API-Key, as a bearer's
// token, or as the password that a browser asks for.
import { Guard } from "@sluice/server"
import { Context, Effect } from "effect"
import { HttpServerRequest, type HttpServerResponse } from "effect/http"
import { sameKey } from "../internal/keys.ts"

/** Who asks, for the audit log. */
export const Actor: Context.Reference<string> = Context.Reference<string>("credentialing/Actor", {
  defaultValue: () => "anyone"
})

type Response = HttpServerResponse.HttpServerResponse

/** Lets everyone through where there is no key. */
export const keyed = (
  apiKey: string | undefined
): (<E, R>(
  handler: Effect.Effect<Response, E, R>
) => Effect.Effect<Response, E, R | HttpServerRequest.HttpServerRequest>) => {
  if (apiKey === undefined) return (handler) => handler
  const otherwise = Guard.token(apiKey)
  return <E, R>(handler: Effect.Effect<Response, E, R>) => {
    const admitted = Effect.provideService(handler, Actor, "api-key")
    const asked = otherwise(admitted)
    return Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
      const given = headers["x-api-key"]
      return given !== undefined && sameKey(given, apiKey) ? admitted : asked
    })
  }
}
