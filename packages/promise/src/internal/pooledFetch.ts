// `fetch` over a pool: a request in web terms becomes one of Effect's, and its
// response becomes a web response whose body is read piece by piece as it is asked
// for, so that back-pressure reaches the socket and the permit is held until the last
// byte. What `fetch` does beside sending is done here: redirects by the rules of the
// Fetch standard, and a signal that ends the body too.

import { HttpPool } from "@sluice/http-pool"
import * as Cookies from "effect/http/Cookies"
import * as HttpBody from "effect/http/HttpBody"
import type * as HttpClient from "effect/http/HttpClient"
import { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Stream from "effect/Stream"
import { PoolError, type PoolErrorName } from "../PoolError.ts"
import { type Abortable, forget, onAbort } from "./abort.ts"
import { run } from "./running.ts"

type Fetch = typeof globalThis.fetch

interface Plan {
  method: string
  url: URL
  headers: Headers
  body: HttpBody.HttpBody
  readonly redirect: RequestRedirect
  readonly signal: AbortSignal | undefined
}

const maxRedirects = 20

const names: ReadonlySet<string> = new Set<PoolErrorName>([
  "PoolTimeout",
  "PoolClosed",
  "ConnectTimeout",
  "ConnectFailed",
  "TlsError",
  "ReadTimeout",
  "ConnectionReset",
  "ResponseTooLarge",
  "ProtocolError",
  "BodyCancelled"
])

const isName = (name: string | undefined): name is PoolErrorName => name !== undefined && names.has(name)

/** The pool's own error in plain words; what else a request may fail with is a `TypeError`, as with `fetch`. */
export const toError = (error: unknown): unknown => {
  const found = HttpPool.poolError(error)
  if (found._tag === "Some") {
    const { _tag, cause, elapsedMillis, mayHaveReachedServer, message, origin, phase } = found.value
    const name = _tag.split("/").at(-1)
    if (isName(name)) return new PoolError(message, { name, origin, phase, elapsedMillis, mayHaveReachedServer, cause })
  }
  return error instanceof HttpClientError ? new TypeError(error.message, { cause: error.reason.cause }) : error
}

const isPlain = (body: unknown): body is string | Uint8Array | null | undefined =>
  body === undefined || body === null || typeof body === "string" || body instanceof Uint8Array

const bodyOf = (body: string | Uint8Array | null | undefined, contentType: string | null): HttpBody.HttpBody => {
  if (body === undefined || body === null) return HttpBody.empty
  if (typeof body !== "string") return HttpBody.uint8Array(body, contentType ?? undefined)
  return HttpBody.text(body, contentType ?? "text/plain;charset=UTF-8")
}

/** The parts of a request. Those that need no `Request` to be understood do without its cost. */
const planOf = (input: Parameters<Fetch>[0], init: Parameters<Fetch>[1] = {}): Plan => {
  const { body } = init
  if (!(input instanceof Request) && isPlain(body)) {
    const headers = new Headers(init.headers)
    return {
      method: init.method?.toUpperCase() ?? "GET",
      url: new URL(input),
      headers,
      body: bodyOf(body, headers.get("content-type")),
      redirect: init.redirect ?? "follow",
      signal: init.signal ?? undefined
    }
  }
  const request = new Request(input, init)
  const contentType = request.headers.get("content-type") ?? undefined
  return {
    method: request.method,
    url: new URL(request.url),
    headers: request.headers,
    body: request.body === null ? HttpBody.empty : HttpBody.raw(request.body, { contentType }),
    redirect: request.redirect,
    signal: init.signal ?? (input instanceof Request ? input.signal : undefined)
  }
}

const methodOf = (method: string): HttpClientRequest.HttpClientRequest => {
  switch (method) {
    case "GET":
    case "HEAD":
    case "POST":
    case "PUT":
    case "PATCH":
    case "DELETE":
    case "OPTIONS":
    case "TRACE":
      return HttpClientRequest.make(method)("")
    default:
      throw new TypeError(
        `Cannot fetch with method ${method}: one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE is needed`
      )
  }
}

const toRequest = ({ body, headers, method, url }: Plan): HttpClientRequest.HttpClientRequest =>
  HttpClientRequest.modify(methodOf(method), { url: url.href, headers, body })

/** Where a redirect leads, by the rules of the Fetch standard; `undefined` where it leads nowhere. */
const redirected = (plan: Plan, response: HttpClientResponse.HttpClientResponse): Plan | undefined => {
  const { status } = response
  const location = response.headers["location"]
  if (location === undefined || ![301, 302, 303, 307, 308].includes(status)) return undefined
  const url = new URL(location, plan.url)
  const headers = new Headers(plan.headers)
  const dropsBody = status === 303 ? plan.method !== "HEAD" : status < 303 && plan.method === "POST"
  if (dropsBody) for (const name of ["content-type", "content-length", "content-encoding"]) headers.delete(name)
  if (url.origin !== plan.url.origin) for (const name of ["authorization", "cookie"]) headers.delete(name)
  if (!dropsBody && plan.body._tag === "Raw")
    throw new TypeError("Cannot follow a redirect with a body that is a stream")
  return {
    ...plan,
    url,
    headers,
    ...(dropsBody ? { method: plan.method === "HEAD" ? "HEAD" : "GET", body: HttpBody.empty } : undefined)
  }
}

/** A body that is read as it is asked for, and that the signal ends. */
const bodyStream = (
  response: HttpClientResponse.HttpClientResponse,
  signal: AbortSignal | undefined
): ReadableStream<Uint8Array<ArrayBuffer>> => {
  const reader = Stream.toReadableStream(response.stream).getReader()
  let watcher: Abortable | undefined
  const end = (): void => {
    if (signal !== undefined && watcher !== undefined) forget(signal, watcher)
  }
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      start: (controller) => {
        if (signal === undefined) return
        watcher = {
          abort: (reason) => {
            controller.error(reason)
            void reader.cancel(reason).catch(() => {})
          }
        }
        if (signal.aborted) watcher.abort(signal.reason)
        else onAbort(signal, watcher)
      },
      pull: async (controller) => {
        try {
          const { done, value } = await reader.read()
          if (done) {
            end()
            controller.close()
          } else controller.enqueue(new Uint8Array(value))
        } catch (error) {
          end()
          controller.error(toError(error))
        }
      },
      cancel: (reason) => {
        end()
        return reader.cancel(reason)
      }
    },
    { highWaterMark: 0 }
  )
}

const hasNoBody = (method: string, status: number): boolean =>
  method === "HEAD" || status === 204 || status === 205 || status === 304

const toResponse = async (
  { method, signal, url }: Plan,
  response: HttpClientResponse.HttpClientResponse,
  isRedirected: boolean
): Promise<Response> => {
  const { status } = response
  const body = bodyStream(response, signal)
  // A body that there cannot be is read to its end, so that the connection is free again.
  if (hasNoBody(method, status)) for await (const _ of body);
  const headers = new Headers()
  for (const [name, value] of Object.entries(response.headers)) if (name !== "set-cookie") headers.set(name, value)
  // Of all fields this one alone may come several times and must not be joined.
  for (const cookie of Cookies.toSetCookieHeaders(response.cookies)) headers.append("set-cookie", cookie)
  const passed = new Response(hasNoBody(method, status) ? null : body, { status, headers })
  Object.defineProperty(passed, "url", { value: url.href })
  if (isRedirected) Object.defineProperty(passed, "redirected", { value: true })
  return passed
}

/** A `fetch` that sends with a client. */
export const makeFetch =
  (client: HttpClient.HttpClient): Fetch =>
  async (input, init) => {
    let plan = planOf(input, init)
    for (let redirects = 0; ; redirects++) {
      const response = await run(client.execute(toRequest(plan)), plan.signal, toError)
      const next = plan.redirect === "manual" ? undefined : redirected(plan, response)
      if (next === undefined) return toResponse(plan, response, redirects > 0)
      await bodyStream(response, undefined).cancel()
      if (plan.redirect === "error")
        throw new TypeError(`Cannot follow the redirect of ${plan.url.href}: redirect is "error"`)
      if (redirects === maxRedirects) throw new TypeError(`Cannot follow more than ${maxRedirects} redirects`)
      plan = next
    }
  }
