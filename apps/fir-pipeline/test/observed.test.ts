// What is told of the server's work, and what is not.
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Complaints from "../src/Complaints.ts"
import { routeOf } from "../src/server/door.ts"
import { type ModelServer, startModels } from "./support/models.ts"
import { get, post, type Running, send, start, stop } from "./support/server.ts"

const [complaint] = Complaints.load()
/** What nobody who reads logs and traces is to know. */
const PERSONAL = ["Ananya", "Sharma", "Moolchand", "9876543210", "a-key-of-eight-signs", "whispered"]
let collector: ModelServer
let server: Running

beforeAll(async () => {
  collector = await startModels(() => ({ json: {} }))
  server = await start("serve", {
    DATABASE_PATH: ":memory:",
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    LOG_LEVEL: "Debug",
    LOG_FORMAT: "json",
    API_KEY: "a-key-of-eight-signs"
  })
})
afterAll(async () => {
  await stop(server)
  await collector.close()
})

const key = { "x-api-key": "a-key-of-eight-signs" }

describe("logs and traces", () => {
  it("tell of requests and of the work on them, and of nobody's name, place, number or key", async () => {
    const opened = await post(`${server.url}/process`, { text: complaint?.text }, key)
    const session_id = opened.body.session_id
    const user_input = "Contact: 9876543210\nName: whispered"
    await post(`${server.url}/validate`, { session_id, approved: true, user_input }, key)
    await post(`${server.url}/validate`, { session_id, approved: true, user_input: "Add section: Sharma" }, key)
    await get(`${server.url}/list_firs?search=Ananya`, key)
    await get(`${server.url}/people/Ananya/Sharma`, key)
    await send(`${server.url}/process`, { method: "POST", headers: key, body: "Ananya Sharma" })
    await stop(server)

    const lines = server
      .log()
      .trim()
      .split("\n")
      // A runtime may have something to say itself.
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line))
    const requests = lines.filter(({ message }) => message === "request").map(({ annotations }) => annotations)
    expect(requests).toContainEqual({ method: "POST", route: "/process", status: 200, millis: expect.any(Number) })
    expect(requests.map(({ route }) => route)).toContain("(none)")

    const traces = collector.asked.filter(({ path }) => path === "/v1/traces").map(({ body }) => JSON.parse(body))
    const spans = traces.flatMap(({ resourceSpans }) =>
      resourceSpans.flatMap(({ scopeSpans }: { scopeSpans: ReadonlyArray<{ spans: ReadonlyArray<unknown> }> }) =>
        scopeSpans.flatMap(({ spans }) => spans)
      )
    )
    const named = (name: string) => spans.filter((span) => span.name === name)
    const [answer] = named("Pipeline.answer")
    expect(answer).toBeDefined()
    // One trace from the request through the pipeline to the question that is asked.
    expect(named("Models.call").some(({ traceId }) => traceId === answer.traceId)).toBe(true)
    expect(spans.some(({ kind, spanId }) => kind === 2 && spanId === answer.parentSpanId)).toBe(true)
    const told = `${server.log()}\n${JSON.stringify(traces)}`
    expect(PERSONAL.filter((word) => told.includes(word))).toEqual([])
  })

  it("name a route and not what was asked for", () => {
    expect(routeOf("/session/0f8fad5b-d9cb-469f-a165-70867728950e/status")).toBe("/session/:id/status")
    expect(routeOf("/fir/FIR-0f8fad5b-20250101000000/pdf?x=Ananya")).toBe("/fir/:id/pdf")
    expect(routeOf("/Ananya/Sharma")).toBe("(none)")
    expect(routeOf("/processes")).toBe("(none)")
  })
})

describe("every answer", () => {
  it("carries the headers by which browsers keep to themselves what they are told", async () => {
    const open = await start("serve", { DATABASE_PATH: ":memory:" })
    for (const path of ["/", "/health", "/list_firs", "/nothing/here"]) {
      const { headers } = await get(`${open.url}${path}`)
      expect(Object.fromEntries(headers)).toMatchObject({
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cache-control": "no-store"
      })
    }
    expect((await get(`${open.url}/`)).headers.get("content-security-policy")).toContain("default-src 'none'")
    await stop(open)
  })
})
