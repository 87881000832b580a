/**
 * Routes with their admission in any server that speaks `Request` and `Response`:
 * `Deno.serve`, `Bun.serve`, a worker, another framework.
 *
 * @module
 */
import * as Context from "effect/Context"
import { PeerAddress } from "./internal/peer.ts"

/**
 * Who sent a request, as the runtime tells a handler beside it: Deno's `info`, Bun's `server`, or the address itself.
 */
export type Peer =
  | string
  | { readonly remoteAddr: { readonly hostname?: string; readonly transport?: string } }
  | { requestIP(request: Request): { readonly address: string } | null }

/** What `HttpRouter.toWebHandler` and `HttpEffect.toWebHandler` make. */
export type WebHandler = (request: Request, context?: Context.Context<never>) => Promise<Response>

const addressOf = (request: Request, peer: Peer): string | undefined =>
  typeof peer === "string"
    ? peer
    : "remoteAddr" in peer
      ? peer.remoteAddr.hostname
      : (peer.requestIP(request)?.address ?? undefined)

/**
 * Makes a handler that knows who its requests are from.
 *
 * **Details**
 *
 * A `Request` has no address. `Deno.serve` and `Bun.serve` tell it beside the request, and the handler made here takes it
 * from there, so that limits by client hold; elsewhere, hand it over as a text. Where none is given, all requests are
 * those of one client, `unknown`, but for those with an API key.
 *
 * Connections, slow heads and idle sockets are the runtime's: a handler sees a request when its head is there.
 *
 * @example
 * ```ts
 * import { Admission, FetchHandler } from "@sluice/server"
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 *
 * const routes = Layer.unwrap(
 *   Effect.gen(function*() {
 *     const admission = yield* Admission.make({
 *       classes: { high: { permits: 100 } },
 *       rateLimit: { limit: 1, interval: "1 minute" }
 *     })
 *     return HttpRouter.add("GET", "/", admission.admit("high")(Effect.succeed(HttpServerResponse.text("hello"))))
 *   })
 * )
 * const { dispose, handler } = HttpRouter.toWebHandler(routes, { disableLogger: true })
 * const fetch = FetchHandler.make(handler)
 * // Deno.serve(fetch), Bun.serve({ fetch }), or by hand:
 * const statuses: Array<number> = []
 * for (const peer of ["203.0.113.7", "203.0.113.7", "203.0.113.8"]) {
 *   statuses.push((await fetch(new Request("http://localhost/"), peer)).status)
 * }
 * console.log(statuses.join(" ")) // => 200 429 200
 * await dispose()
 * ```
 */
export const make =
  (handler: WebHandler): ((request: Request, peer?: Peer) => Promise<Response>) =>
  (request, peer) => {
    const address = peer === undefined ? undefined : addressOf(request, peer)
    return address === undefined ? handler(request) : handler(request, Context.make(PeerAddress, address))
  }
