import { assert, describe, expect, it } from "@effect/vitest"
import { HttpPool } from "@sluice/http-pool"
import { Config, ConfigProvider, Effect, Layer, Stream, Tracer } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { listen, unscoped, until } from "./servers.ts"

const echo = listen((request, response) => {
  const chunks: Array<Buffer> = []
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.on("end", () => {
    response.setHeader("content-type", "application/json")
    response.setHeader("set-cookie", ["a=1", "b=2"])
    response.end(
      JSON.stringify({
        method: request.method,
        url: request.url,
        type: request.headers["content-type"] ?? null,
        length: request.headers["content-length"] ?? null,
        trace: request.headers["traceparent"] !== undefined,
        body: Buffer.concat(chunks).toString()
      })
    )
  })
})

describe("the client", () => {
  it.effect("answers through Effect's HttpClient", () =>
    Effect.gen(function* () {
      const server = yield* listen((request, response) => response.end(`hello ${request.url}`))
      const response = yield* HttpClient.get(`${server.url}/world`)
      expect(response.status).toBe(200)
      expect(yield* response.text).toBe("hello /world")
      const pool = yield* HttpPool.HttpPool
      expect(pool.statsUnsafe()).toMatchObject({ capacity: 50, created: 1, idle: 1, inFlight: 0, open: 1 })
    }).pipe(Effect.provide(HttpPool.layer()))
  )

  it.effect("sends methods, parameters, headers and every kind of body", () =>
    Effect.gen(function* () {
      const { url } = yield* echo
      const { client } = yield* HttpPool.make()
      const form = new FormData()
      form.append("field", "value")
      const encoder = new TextEncoder()
      const ask = (request: HttpClientRequest.HttpClientRequest) =>
        unscoped(Effect.flatMap(client.execute(request), (response) => response.json))

      expect(yield* ask(HttpClientRequest.get(`${url}/a?b=c`, { urlParams: { d: "e f" } }))).toMatchObject({
        method: "GET",
        url: "/a?b=c&d=e+f",
        body: ""
      })
      expect(yield* ask(HttpClientRequest.post(url).pipe(HttpClientRequest.bodyText("text")))).toMatchObject({
        method: "POST",
        url: "/",
        type: "text/plain",
        length: "4",
        body: "text"
      })
      expect(
        yield* ask(
          HttpClientRequest.put(`${url}/stream`).pipe(
            HttpClientRequest.bodyStream(Stream.make("one ", "two").pipe(Stream.map((text) => encoder.encode(text))))
          )
        )
      ).toMatchObject({ method: "PUT", url: "/stream", length: null, body: "one two" })
      const answer = yield* ask(HttpClientRequest.patch(url).pipe(HttpClientRequest.bodyFormData(form)))
      expect(answer).toMatchObject({
        method: "PATCH",
        type: expect.stringContaining("multipart/form-data; boundary="),
        body: expect.stringContaining('name="field"\r\n\r\nvalue')
      })
      expect(yield* ask(HttpClientRequest.delete(`${url}/gone`))).toMatchObject({ method: "DELETE", url: "/gone" })
    })
  )

  it.effect("reads status, headers, cookies and the body more than once", () =>
    Effect.gen(function* () {
      const { url } = yield* echo
      const { client } = yield* HttpPool.make()
      const response = yield* client.get(`${url}/x#fragment`)
      expect(response.headers["content-type"]).toBe("application/json")
      expect(Object.keys(response.cookies.cookies)).toEqual(["a", "b"])
      expect(response.url).toBe(`${url}/x`)
      const text = yield* response.text
      expect(JSON.parse(text)).toEqual(yield* response.json)
      expect(new TextDecoder().decode(yield* response.arrayBuffer)).toBe(text)
    })
  )

  it.effect("refuses a URL that is none, and a scheme that it does not speak", () =>
    Effect.gen(function* () {
      const { client } = yield* HttpPool.make()
      for (const url of ["not a url", "ftp://127.0.0.1/", "/relative"]) {
        const error = yield* Effect.flip(unscoped(client.get(url)))
        expect(error.reason._tag).toBe("InvalidUrlError")
      }
    })
  )

  it.effect("refuses a header that cannot be sent, and keeps the permit", () =>
    Effect.gen(function* () {
      const { url } = yield* echo
      const pool = yield* HttpPool.make()
      const error = yield* Effect.flip(unscoped(pool.client.get(url, { headers: { "x-bad": "a\nb" } })))
      expect(error.reason._tag).toBe("EncodeError")
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0 })
    })
  )

  it.effect("is traced where there is a span, and says nothing of traces where there is none", () =>
    Effect.gen(function* () {
      const { url } = yield* echo
      const { client } = yield* HttpPool.make()
      const ask = Effect.flatMap(client.get(url), (response) => response.json)
      expect(yield* unscoped(ask)).toMatchObject({ trace: false })
      expect(yield* unscoped(Effect.withSpan(ask, "outer"))).toMatchObject({ trace: true })
      const spans: Array<string> = []
      const tracer = Tracer.make({
        span: (options) => {
          spans.push(options.name)
          return new Tracer.NativeSpan(options)
        }
      })
      expect(yield* unscoped(Effect.provideService(ask, Tracer.Tracer, tracer))).toMatchObject({ trace: true })
      expect(spans).toEqual(["GET"])
      const quiet = Effect.provideService(Effect.withSpan(ask, "outer"), Tracer.DisablePropagation, true)
      expect(yield* unscoped(quiet)).toMatchObject({ trace: false })
    })
  )

  it.effect("ends the request with the scope, when asked to", () =>
    Effect.gen(function* () {
      const server = yield* listen((_, response) => response.write(Buffer.alloc(1024)))
      const pool = yield* HttpPool.make()
      const client = HttpClient.withScope(pool.client)
      const response = yield* Effect.scoped(client.get(server.url))
      expect(response.status).toBe(200)
      expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, closedBy: { interrupted: expect.any(Number) } })
      yield* until(() => server.sockets.size === 0)
    })
  )
})

describe("options", () => {
  it.effect("die with the name, the value and what is allowed", () =>
    Effect.gen(function* () {
      const defect = (options: HttpPool.Options) =>
        Effect.map(Effect.exit(Effect.scoped(HttpPool.make(options))), (exit) => String(exit))
      expect(yield* defect({ maxConnections: 0 })).toContain(
        "Cannot make an HTTP pool: maxConnections must be a whole number of at least 1 or Infinity, received 0"
      )
      expect(yield* defect({ readTimeout: 0 })).toContain(
        "readTimeout must be a duration longer than nothing, received 0"
      )
      expect(yield* defect({ maxKeepAliveConnections: 1.5 })).toContain("received 1.5")
    })
  )

  it.effect("come from configuration", () =>
    Effect.gen(function* () {
      const pool = yield* HttpPool.HttpPool
      assert.strictEqual(pool.statsUnsafe().capacity, 7)
    }).pipe(
      Effect.provide(
        HttpPool.layerConfig({ maxConnections: Config.Number("MAX_CONNECTIONS") }).pipe(
          Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ MAX_CONNECTIONS: 7 })))
        )
      )
    )
  )
})
