/**
 * Who may see what a server tells of itself: one guard for the metrics, the dashboard
 * and whatever else is not for everybody.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Redacted from "effect/Redacted"
import type { Policy } from "./Admission.ts"
import * as Problem from "./Problem.ts"

export type { Policy } from "./Admission.ts"

/** The two in the time that their lengths take, wherever they differ. */
const isSame = (a: string, b: string): boolean => {
  const encoder = new TextEncoder()
  const [x, y] = [encoder.encode(a), encoder.encode(b)]
  let difference = x.length ^ y.length
  for (let index = 0; index < x.length; index++) difference |= (x[index] ?? 0) ^ (y[index] ?? 0)
  return difference === 0
}

/** What follows the colon of `Basic` credentials, which browsers ask for. */
const passwordOf = (credentials: string): string | undefined => {
  try {
    const text = new TextDecoder().decode(Uint8Array.from(atob(credentials), (char) => char.charCodeAt(0)))
    const colon = text.indexOf(":")
    return colon === -1 ? undefined : text.slice(colon + 1)
  } catch {
    return undefined
  }
}

const offeredBy = (authorization: string | undefined): string | undefined => {
  const [, scheme = "", credentials = ""] = /^(\S+) +(\S+) *$/.exec(authorization ?? "") ?? []
  switch (scheme.toLowerCase()) {
    case "bearer":
      return credentials
    case "basic":
      return passwordOf(credentials)
    default:
      return undefined
  }
}

/**
 * Lets requests through that have a token: as `Authorization: Bearer`, which scrapers send, or as the password of `Basic`,
 * which browsers ask for (any name will do). Others are answered with 401. Throws a `RangeError` for an empty token.
 *
 * @example
 * ```ts
 * import { Guard } from "@sluice/server"
 * import { Effect } from "effect"
 * import { HttpServerRequest, HttpServerResponse } from "effect/http"
 *
 * const guarded = Guard.token("a-long-secret")(Effect.succeed(HttpServerResponse.text("figures")))
 * const ask = (headers: Record<string, string>) =>
 *   Effect.runPromise(
 *     Effect.provideService(
 *       guarded,
 *       HttpServerRequest.HttpServerRequest,
 *       HttpServerRequest.fromWeb(new Request("http://localhost/metrics", { headers }))
 *     )
 *   )
 *
 * console.log((await ask({})).status) // => 401
 * console.log((await ask({ authorization: "Bearer a-long-secret" })).status) // => 200
 * ```
 */
export const token = (secret: string | Redacted.Redacted<string>): Policy => {
  const expected = typeof secret === "string" ? secret : Redacted.value(secret)
  if (expected === "") throw new RangeError("Cannot guard with an empty token: nobody would be kept out")
  const refused: HttpServerResponse.HttpServerResponse = Problem.response({
    status: 401,
    title: "Unauthorized",
    detail: "A token is needed.",
    headers: { "www-authenticate": 'Basic realm="server", charset="UTF-8"' }
  })
  return (handler) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
      const offered = offeredBy(headers["authorization"])
      return offered !== undefined && isSame(offered, expected) ? handler : Effect.succeed(refused)
    })
}
