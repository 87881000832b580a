// What becomes of every kind of answer: statuses, bodies, headers, none at all.

import { inspect } from "node:util"
import { describe, expect, it } from "@effect/vitest"
import { Cause, Duration, Effect, Logger, References, Stream } from "effect"
import { ApiError, Client, ConnectionError, type Options, UnexpectedResponse } from "../src/index.ts"
import { context, json, scripted } from "./support/scripted.ts"

const secret = "a-secret-that-no-log-shows"

const clientOf = (baseUrl: string, options: Partial<Options.ClientOptions> = {}) =>
  Client.make({ baseUrl, accessToken: secret, retryDelay: "1 millis", ...options })

const item = { name: "n", content: "c" }

describe("a status", () => {
  const kinds = [
    [400, "BadRequest"],
    [401, "Unauthorized"],
    [403, "Forbidden"],
    [404, "NotFound"],
    [409, "Conflict"],
    [418, "UnexpectedStatus"],
    [422, "Unprocessable"],
    [429, "RateLimited"],
    [500, "ServerError"],
    [502, "ServerError"],
    [503, "ServerError"]
  ] as const

  for (const [status, kind] of kinds) {
    it.live(`${status} is the error ${kind}, with the body's detail and the request id`, () =>
      Effect.gen(function* () {
        const server = yield* scripted((response) =>
          json(response, status, { detail: `why ${status}` }, { "x-request-id": "r-7" })
        )
        const client = yield* clientOf(server.url, { maxRetries: 0 })
        const error = yield* Effect.flip(client.contexts.get("p", "c"))
        expect(error).toBeInstanceOf(ApiError)
        expect(error).toMatchObject({ kind, status, detail: `why ${status}`, requestId: "r-7" })
      })
    )
  }

  for (const status of [200, 201, 202]) {
    it.live(`${status} with an object is that object`, () =>
      Effect.gen(function* () {
        const server = yield* scripted((response) => json(response, status, context))
        const client = yield* clientOf(server.url)
        expect(yield* client.contexts.create("p", item)).toEqual(context)
      })
    )
  }

  for (const status of [202, 204]) {
    it.live(`${status} without a body ends a delete well`, () =>
      Effect.gen(function* () {
        const server = yield* scripted((response) => response.writeHead(status).end())
        const client = yield* clientOf(server.url)
        expect(yield* client.contexts.delete("p", "c")).toBeUndefined()
      })
    )
  }
})

describe("the body of a refusal", () => {
  const bodies = [
    ["its detail", { detail: "because" }, "because"],
    ["its error", { error: "because" }, "because"],
    ["its detail as JSON where that is no text", { detail: [{ loc: ["name"] }] }, '[{"loc":["name"]}]'],
    ["all of it where it has neither", { reason: "because" }, '{"reason":"because"}']
  ] as const
  for (const [name, body, detail] of bodies) {
    it.live(`is told by ${name}`, () =>
      Effect.gen(function* () {
        const server = yield* scripted((response) => json(response, 400, body))
        const client = yield* clientOf(server.url)
        expect(yield* Effect.flip(client.contexts.get("p", "c"))).toMatchObject({ detail })
      })
    )
  }
})

describe("an answer that is not what the API promises", () => {
  it.live("is an error with its body, which may name what was created", () =>
    Effect.gen(function* () {
      const server = yield* scripted((response) => json(response, 201, { id: "made-it", nothing: "else" }))
      const client = yield* clientOf(server.url)
      const error = yield* Effect.flip(client.contexts.create("p", item))
      expect(error).toBeInstanceOf(UnexpectedResponse)
      expect(error).toMatchObject({ body: expect.stringContaining("made-it") })
      expect(server.seen).toHaveLength(1)
    })
  )
})

describe("Retry-After", () => {
  it.live("is read as seconds", () =>
    Effect.gen(function* () {
      const server = yield* scripted((response) => json(response, 429, {}, { "retry-after": "7" }))
      const client = yield* clientOf(server.url, { maxRetries: 0 })
      const error = yield* Effect.flip(client.contexts.get("p", "c"))
      expect(error instanceof ApiError && error.retryAfter && Duration.toSeconds(error.retryAfter)).toBe(7)
    })
  )

  it.live("is read as a date", () =>
    Effect.gen(function* () {
      const date = new Date(Date.now() + 3_600_000).toUTCString()
      const server = yield* scripted((response) => json(response, 429, {}, { "retry-after": date }))
      const client = yield* clientOf(server.url, { maxRetries: 0 })
      const error = yield* Effect.flip(client.contexts.get("p", "c"))
      const seconds = error instanceof ApiError && error.retryAfter ? Duration.toSeconds(error.retryAfter) : 0
      expect(seconds).toBeGreaterThan(3500)
      expect(seconds).toBeLessThanOrEqual(3600)
    })
  )

  it.live("that is neither is no error of its own", () =>
    Effect.gen(function* () {
      const server = yield* scripted((response) => json(response, 429, {}, { "retry-after": "soon" }))
      const client = yield* clientOf(server.url, { maxRetries: 0 })
      const error = yield* Effect.flip(client.contexts.get("p", "c"))
      expect(error).toMatchObject({ kind: "RateLimited", retryAfter: undefined })
    })
  )
})

describe("sending again", () => {
  it.live("a create is sent again after 429, with the same key", () =>
    Effect.gen(function* () {
      const server = yield* scripted((response, number) =>
        number < 2 ? json(response, 429, {}, { "retry-after": "0" }) : json(response, 201, context)
      )
      const client = yield* clientOf(server.url)
      expect(yield* client.contexts.create("p", item)).toEqual(context)
      const keys = server.seen.map(({ headers }) => headers["idempotency-key"])
      expect(keys).toHaveLength(3)
      expect(new Set(keys).size).toBe(1)
      expect(keys[0]).toBeDefined()
    })
  )

  it.live("a create is sent again after a connection that broke", () =>
    Effect.gen(function* () {
      const server = yield* scripted((response, number) => {
        if (number === 0) response.destroy()
        else json(response, 201, context)
      })
      const client = yield* clientOf(server.url)
      expect(yield* client.contexts.create("p", item)).toEqual(context)
    })
  )

  it.live("a create that may have been executed is not, where the API honours no keys", () =>
    Effect.gen(function* () {
      const server = yield* scripted((response, number) => {
        if (number === 0) json(response, 429, {}, { "retry-after": "0" })
        else response.destroy()
      })
      const client = yield* clientOf(server.url, { idempotencyKeys: false })
      const error = yield* Effect.flip(client.contexts.create("p", item))
      expect(error).toBeInstanceOf(ConnectionError)
      expect(error).toMatchObject({ mayHaveReachedServer: true })
      expect(server.seen).toHaveLength(2)
      expect(server.seen[0]?.headers["idempotency-key"]).toBeUndefined()
    })
  )

  it.live("what the API refuses for good is not sent again", () =>
    Effect.gen(function* () {
      const server = yield* scripted((response) => json(response, 422, { detail: "no" }))
      const client = yield* clientOf(server.url)
      yield* Effect.flip(client.contexts.create("p", item))
      expect(server.seen).toHaveLength(1)
    })
  )

  it.live("ends after maxRetries with the last error", () =>
    Effect.gen(function* () {
      const server = yield* scripted((response, number) => json(response, 500, { detail: `stumble ${number}` }))
      const client = yield* clientOf(server.url, { maxRetries: 2 })
      expect(yield* Effect.flip(client.contexts.create("p", item))).toMatchObject({ detail: "stumble 2" })
      expect(server.seen).toHaveLength(3)
    })
  )
})

describe("timeouts", () => {
  for (const useConnectionIsolation of [true, false]) {
    const name = useConnectionIsolation ? "an isolated connection" : "the shared pool"
    it.live(`readTimeout holds on ${name}`, () =>
      Effect.gen(function* () {
        const server = yield* scripted(() => undefined)
        const client = yield* clientOf(server.url, { readTimeout: "50 millis", maxRetries: 0 })
        const report = yield* client.contexts.bulkCreate("p", [item], { useConnectionIsolation })
        expect(report).toMatchObject({ created: 0, failed: 1 })
        expect(report.results[0]?.error).toMatchObject({ mayHaveReachedServer: true })
        expect(report.results[0]?.error).toBeInstanceOf(ConnectionError)
      })
    )
  }
})

describe("a list", () => {
  const page = Array.from({ length: 5 }, (_, index) => ({ ...context, id: `c${index}` }))

  it.live("asks for each page once", () =>
    Effect.gen(function* () {
      const server = yield* scripted((response, number) =>
        json(response, 200, number < 3 ? page.map(({ id, ...one }) => ({ ...one, id: `${id}-${number}` })) : [])
      )
      const client = yield* clientOf(server.url)
      expect(yield* Stream.runCount(client.contexts.list("p", { pageSize: 5 }))).toBe(15)
      expect(server.seen.map(({ path }) => new URL(path, server.url).searchParams.get("skip"))).toEqual([
        "0",
        "5",
        "10",
        "15"
      ])
    })
  )

  it.live("ends where the API knows no pages and answers with the first for ever", () =>
    Effect.gen(function* () {
      const server = yield* scripted((response) => json(response, 200, page))
      const client = yield* clientOf(server.url)
      expect(yield* Stream.runCount(client.contexts.list("p", { pageSize: 5 }))).toBe(5)
      expect(yield* Stream.runCount(client.projects.list({ pageSize: 5 }))).toBe(5)
      expect(server.seen).toHaveLength(4)
    })
  )

  it.live("is whole where the API gives smaller pages than it is asked for", () =>
    Effect.gen(function* () {
      const all = Array.from({ length: 450 }, (_, index) => ({ ...context, id: `c${index}` }))
      const server = yield* scripted((response, _, { path }) => {
        const query = new URL(path, "http://127.0.0.1").searchParams
        const skip = query.has("page") ? (Number(query.get("page")) - 1) * 200 : Number(query.get("skip"))
        json(response, 200, all.slice(skip, skip + 200))
      })
      const client = yield* clientOf(server.url)
      expect(yield* Stream.runCount(client.contexts.list("p", { pageSize: 5000 }))).toBe(450)
      expect(yield* Stream.runCount(client.projects.list({ pageSize: 5000 }))).toBe(450)
    })
  )

  it.live("refuses pages of nothing instead of going round for ever", () =>
    Effect.gen(function* () {
      const client = yield* clientOf("http://127.0.0.1:1")
      for (const options of [{ pageSize: 0 }, { pageSize: 1.5 }, { limit: -1 }, { limit: Number.NaN }]) {
        const exit = yield* Effect.exit(Stream.runCount(client.contexts.list("p", options)))
        expect(String(exit)).toContain("Cannot list")
      }
    })
  )

  it.live("asks for no page beyond its cap", () =>
    Effect.gen(function* () {
      const server = yield* scripted((response, number) =>
        json(
          response,
          200,
          page.map((one) => ({ ...one, id: `${one.id}-${number}` }))
        )
      )
      const client = yield* clientOf(server.url)
      expect(yield* Stream.runCount(client.contexts.list("p", { pageSize: 5, limit: 7 }))).toBe(7)
      expect(server.seen).toHaveLength(2)
    })
  )
})

describe("headers", () => {
  it.live("name the caller, the workspace and what the options add", () =>
    Effect.gen(function* () {
      const server = yield* scripted((response) => json(response, 200, context))
      const client = yield* clientOf(server.url, { workspaceName: "workspaces/dev", headers: { "x-team": "data" } })
      yield* client.contexts.get("p", "c")
      expect(server.seen[0]?.headers).toMatchObject({
        authorization: `Bearer ${secret}`,
        "x-workspace-name": "workspaces/dev",
        "x-team": "data",
        accept: "application/json",
        "user-agent": expect.stringContaining("sluice")
      })
    })
  )

  it.live("carry an API key in X-API-Key", () =>
    Effect.gen(function* () {
      const server = yield* scripted((response) => json(response, 200, context))
      const client = yield* Client.make({ baseUrl: server.url, apiKey: secret })
      yield* client.contexts.get("p", "c")
      expect(server.seen[0]?.headers["x-api-key"]).toBe(secret)
      expect(server.seen[0]?.headers.authorization).toBeUndefined()
    })
  )
})

describe("a credential", () => {
  const wrongs = [
    ["a refusal", (url: string) => clientOf(url, { maxRetries: 0 })],
    ["a server that is not there", () => clientOf("http://127.0.0.1:1", { maxRetries: 0 })]
  ] as const
  for (const [name, make] of wrongs) {
    it.live(`stands in no print of ${name}, however deep`, () =>
      Effect.gen(function* () {
        const server = yield* scripted((response) => json(response, 401, { detail: "no" }))
        const client = yield* make(server.url)
        const error = yield* Effect.flip(client.contexts.get("p", "c"))
        const logged: Array<string> = []
        const logger = Logger.make(({ cause, message }) => {
          logged.push(inspect(message, { depth: 30 }), Cause.pretty(cause))
        })
        yield* Effect.logError("it failed", error, Cause.fail(error)).pipe(
          Effect.provide(Logger.layer([logger])),
          Effect.provideService(References.MinimumLogLevel, "All")
        )
        const prints = [inspect(error, { depth: 30 }), JSON.stringify(error), String(error), inspect(client), ...logged]
        expect(logged.length).toBeGreaterThan(0)
        for (const print of prints) expect(print).not.toContain(secret)
      })
    )
  }
})
