import { Admission, FetchHandler, Health } from "@sluice/server"
import { Effect, Layer, Stream } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { describe, expect, it } from "vitest"
import { serveFetch } from "./support/serveFetch.ts"

const routes = Layer.unwrap(
  Effect.gen(function* () {
    const health = yield* Health.make()
    const admission = yield* Admission.make({
      classes: { high: { permits: 2 } },
      rateLimit: { limit: 4, interval: "1 hour" },
      body: { maxSize: 100 }
    })
    const streamed = HttpServerResponse.stream(Stream.encodeText(Stream.make("one ", "two")))
    const echo = Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      return HttpServerResponse.text(yield* request.text)
    })
    return Layer.mergeAll(
      HttpRouter.add("GET", "/health/live", admission.exempt(health.liveness)),
      HttpRouter.add("GET", "/stream", admission.admit("high")(Effect.succeed(streamed))),
      HttpRouter.add("POST", "/echo", admission.admit("high")(echo))
    )
  })
)

describe("a fetch handler", () => {
  it("has the whole of the admission, in what this runtime serves with", async () => {
    const { dispose, handler } = HttpRouter.toWebHandler(routes, { disableLogger: true })
    const served = await serveFetch(FetchHandler.make(handler))
    const ask = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${served.port}${path}`, init)
    const first = await ask("/stream")
    expect([first.status, await first.text()]).toEqual([200, "one two"])
    expect(first.headers.get("ratelimit")).toBe('"default";r=3;t=900')
    expect(first.headers.get("x-request-id")).toMatch(/^[0-9a-f]{16}-/)
    const statuses: Array<number> = []
    for (let count = 0; count < 4; count++) {
      const response = await ask("/stream")
      statuses.push(response.status)
      await response.text()
    }
    expect(statuses).toEqual([200, 200, 200, 429])
    const refused = await ask("/stream")
    expect(refused.headers.get("retry-after")).toBe("900")
    expect(await refused.json()).toMatchObject({ detail: "Too many requests. Please try again later." })
    const alive = await ask("/health/live")
    expect(await alive.json()).toEqual({ status: "alive" })
    await served.close()
    await dispose()
  })

  it("takes a client's address as each runtime tells it", async () => {
    const { dispose, handler } = HttpRouter.toWebHandler(routes, { disableLogger: true })
    const handle = FetchHandler.make(handler)
    const peers: ReadonlyArray<FetchHandler.Peer | undefined> = [
      "203.0.113.1",
      { remoteAddr: { hostname: "203.0.113.2", transport: "tcp" } },
      { requestIP: () => ({ address: "203.0.113.3" }) },
      { requestIP: () => null },
      undefined
    ]
    const remaining: Array<string | undefined> = []
    for (const peer of peers) {
      const response = await handle(new Request("http://localhost/echo", { method: "POST", body: "x" }), peer)
      remaining.push(/r=(\d)/.exec(response.headers.get("ratelimit") ?? "")?.[1])
    }
    // The last two are of one client, of whom nothing is known.
    expect(remaining).toEqual(["3", "3", "3", "3", "2"])
    const large = await handle(new Request("http://localhost/echo", { method: "POST", body: "x".repeat(101) }), "::1")
    expect(large.status).toBe(413)
    await dispose()
  })
})
