// The HttpClient over a pool.
//
// Effect's own `HttpClient.make` gives every request a span, an abort controller
// and a parsed URL, which together cost more than the request itself. They are
// made only for who can see them: a request with a parent span or a tracer goes
// by `make` and is traced; one in a scope goes by it too, but without the span,
// since the scope may have been asked (`HttpClient.withScope`) to end the request.
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import { HttpClientError, InvalidUrlError } from "effect/http/HttpClientError"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Url from "effect/http/Url"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as PoolErrors from "../PoolError.ts"
import { Exchange } from "./exchange.ts"
import type { Pool } from "./pool.ts"

// What the URL parser would leave as it is: no dot segments, no empty query, nothing to encode.
const plainPath = /^(?!.*\?$)\/(?:[A-Za-z0-9_~!$&()*+,;=:@%/?-]|(?<!\/)\.)*$/

const toExchange = (pool: Pool, request: HttpClientRequest, isIsolated: boolean): Exchange | HttpClientError => {
  const { url } = request
  if (request.urlParams.params.length === 0) {
    const slash = url.indexOf("/", 8)
    const origin = pool.origins.get(slash === -1 ? url : url.slice(0, slash))
    const path = slash === -1 ? "/" : url.slice(slash)
    if (origin !== undefined && plainPath.test(path)) return new Exchange(pool, origin, request, path, isIsolated)
  }
  const parsed = Url.make(url, request.urlParams, undefined)
  if (parsed._tag === "Failure") {
    return new HttpClientError({ reason: new InvalidUrlError({ request, cause: parsed.failure }) })
  }
  return fromUrl(pool, request, parsed.success, isIsolated)
}

const fromUrl = (pool: Pool, request: HttpClientRequest, url: URL, isIsolated: boolean): Exchange | HttpClientError =>
  url.protocol === "http:" || url.protocol === "https:"
    ? new Exchange(pool, pool.originOf(url.origin), request, url.pathname + url.search, isIsolated)
    : new HttpClientError({
        reason: new InvalidUrlError({
          request,
          description: `the scheme must be http or https, received ${url.protocol}`
        })
      })

const send = (pool: Pool, exchange: Exchange): Effect.Effect<HttpClientResponse, HttpClientError> =>
  Effect.callback<HttpClientResponse, HttpClientError>((resume) => {
    if (pool.isClosing) exchange.fail(PoolErrors.PoolClosed, undefined)
    if (exchange.failure !== undefined) {
      resume(Effect.fail(exchange.failure))
      return
    }
    exchange.resume = resume
    pool.send(exchange)
    return Effect.sync(() => exchange.abort(PoolErrors.BodyCancelled, "interrupted"))
  })

const untraced = Effect.provideService(Tracer.DisablePropagation, true)

export const makeClient = (pool: Pool, isIsolated: boolean): HttpClient.HttpClient => {
  const full = HttpClient.make((request, url, signal) => {
    const exchange = fromUrl(pool, request, url, isIsolated)
    if (!(exchange instanceof Exchange)) return Effect.fail(exchange)
    const abort = () => exchange.abort(PoolErrors.BodyCancelled, "interrupted")
    if (signal.aborted) abort()
    signal.addEventListener("abort", abort)
    return send(pool, exchange)
  })
  return HttpClient.makeWith<never, never, HttpClientError, never>(
    Effect.flatMap((request) =>
      Effect.withFiber((fiber) => {
        const { cache, context } = fiber
        if (cache.span !== undefined || cache.tracer !== undefined) return full.execute(request)
        if (context.mapUnsafe.has(Scope.Scope.key)) return untraced(full.execute(request))
        const exchange = toExchange(pool, request, isIsolated)
        return exchange instanceof Exchange ? send(pool, exchange) : Effect.fail(exchange)
      })
    ),
    Effect.succeed
  )
}
