// Requests of scenarios: promises over the connections of the engine.

import type * as Exchange from "../protocols/Exchange.ts"
import { framed, framedContentType, unframed } from "../protocols/Http2.ts"
import type { Network } from "../protocols/Network.ts"
import { ErrorKind } from "../results/Recorder.ts"
import type * as Result from "../results/Result.ts"
import type { Answer, GrpcCall, Http, RequestOptions, WebSocketExchange } from "./Scenario.ts"

const kindNames = new Map<number, string>(Object.entries(ErrorKind).map(([name, number]) => [number, name]))

const noHeaders: ReadonlyMap<string, string> = new Map()

const valueAt = (value: unknown, path: string): unknown => {
  let found = value
  for (const key of path.split(".")) {
    if (typeof found !== "object" || found === null) return undefined
    found = Reflect.get(found, key)
  }
  return found
}

const makeAnswer = (sample: Exchange.Sample, answer: Exchange.Answer | undefined): Answer => {
  const { endedAt, error, scheduledAt, status } = sample
  const body = answer?.body ?? new Uint8Array(0)
  const text = (): string => Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8")
  const json = (): unknown => JSON.parse(text())
  return {
    status,
    ok: error === ErrorKind.none,
    error: answer === undefined ? (kindNames.get(error) ?? "other") : undefined,
    headers: answer?.headers ?? noHeaders,
    body,
    millis: (endedAt - scheduledAt) / 1000,
    text,
    json,
    at: (path) => {
      try {
        return valueAt(json(), path)
      } catch {
        return undefined
      }
    },
    find: (expression) => {
      const found = expression.exec(text())
      return found === null ? undefined : (found[1] ?? found[0])
    }
  }
}

/** What is spoken at an address. */
export const protocolOf = ({ protocol }: URL): Result.Protocol =>
  protocol.startsWith("ws") ? "ws" : protocol.startsWith("grpc") ? "grpc" : "http"

const defaultName = (method: string, url: URL): string =>
  protocolOf(url) === "http" ? `${method} ${url.pathname}` : url.pathname.slice(protocolOf(url) === "grpc" ? 1 : 0)

export interface Options {
  readonly network: Network
  readonly baseUrl: string | undefined
  /** The recorder's number for a name. */
  readonly step: (name: string, protocol: Result.Protocol) => number
  /** When a request counts as begun: the planned moment for the first of an iteration. */
  readonly scheduledAt: () => number
  readonly counts: boolean
}

const bodyOf = ({ body, json }: RequestOptions): Uint8Array | undefined => {
  if (json !== undefined) return Buffer.from(JSON.stringify(json))
  return typeof body === "string" ? Buffer.from(body) : body
}

export const make = ({ baseUrl, counts, network, scheduledAt, step }: Options): Http => {
  const request: Http["request"] = (method, address, options = {}) => {
    const url = new URL(address, baseUrl)
    const headers = Object.entries(options.headers ?? {})
    if (options.json !== undefined && !headers.some(([name]) => name.toLowerCase() === "content-type")) {
      headers.push(["content-type", "application/json"])
    }
    const isCounted = counts && options.counts !== false
    const number = isCounted ? step(options.name ?? defaultName(method, url), protocolOf(url)) : 0
    const call = network.prepare({ method, url, headers, body: bodyOf(options) }, number)
    return new Promise((resolve) => {
      call.send(scheduledAt(), {
        keepsAnswer: true,
        counts: isCounted,
        ended: (sample, answer) => resolve(makeAnswer(sample, answer))
      })
    })
  }
  const of = (method: string) => (url: string, options?: RequestOptions) => request(method, url, options)
  return { request, get: of("GET"), post: of("POST"), put: of("PUT"), patch: of("PATCH"), delete: of("DELETE") }
}

/** Calls of gRPC: a message, or several, and what comes back. */
export const makeGrpc =
  (http: Http): GrpcCall =>
  async (address, message, { headers = {}, ...options } = {}) => {
    const messages = Array.isArray(message) ? message : [message]
    const answer = await http.request("POST", address, {
      ...options,
      headers: { ...headers, "content-type": framedContentType },
      body: framed(messages)
    })
    return {
      code: answer.error === undefined ? answer.status : undefined,
      error: answer.error,
      messages: unframed(Buffer.from(answer.body)),
      millis: answer.millis
    }
  }

/** A message over a WebSocket, and the next that comes. */
export const makeWebSocket =
  (http: Http): WebSocketExchange =>
  (address, message, { headers = {}, ...options } = {}) =>
    http.request("GET", address, {
      ...options,
      body: message,
      headers: typeof message === "string" ? headers : { ...headers, "content-type": "application/octet-stream" }
    })
