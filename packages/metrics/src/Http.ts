/**
 * Serves a scrape, in the format that the scraper asks for.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import * as Exposition from "./Exposition.ts"
import { Registry } from "./Registry.ts"

/**
 * Answers scrapes in any server that speaks `Request` and `Response`: `Deno.serve`, `Bun.serve`, a worker. Anything but GET
 * and HEAD is refused with 405.
 *
 * @example
 * ```ts
 * import { Registry } from "@sluice/metrics"
 * import { Http } from "@sluice/metrics/http"
 *
 * const registry = Registry.makeUnsafe()
 * registry.gauge({ name: "temperature", help: "Degrees." }).bind().setUnsafe(21)
 *
 * const answer = Http.handler(registry)
 * const response = answer(new Request("http://localhost/metrics"))
 * console.log((await response.text()).split("\n")[2]) // => temperature 21
 * ```
 */
export const handler =
  (registry: Registry): ((request: Request) => Response) =>
  (request) => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response("Only GET is allowed", { status: 405, headers: { allow: "GET, HEAD" } })
    }
    const { body, contentType } = Exposition.negotiate(registry, request.headers.get("accept") ?? undefined)
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body
    return new Response(request.method === "HEAD" ? null : new Blob([Uint8Array.from(bytes)]), {
      headers: { "content-type": contentType, vary: "accept" }
    })
  }

/** A route of Effect's `HttpRouter` that answers scrapes. Default path `/metrics`. */
export const route = (
  path: HttpRouter.PathInput = "/metrics"
): Layer.Layer<never, never, HttpRouter.HttpRouter | HttpRouter.Request.From<"Requires", Registry>> =>
  HttpRouter.add(
    "GET",
    path,
    Effect.gen(function* () {
      const registry = yield* Registry
      const { headers } = yield* HttpServerRequest.HttpServerRequest
      const { body, contentType } = Exposition.negotiate(registry, headers["accept"])
      const vary = { vary: "accept" }
      return typeof body === "string"
        ? HttpServerResponse.text(body, { contentType, headers: vary })
        : HttpServerResponse.uint8Array(body, { contentType, headers: vary })
    })
  )
