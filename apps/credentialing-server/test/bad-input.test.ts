import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { finish, get, launch, post, type Running, send, serve, stop, temporaryFolder } from "./support/server.ts"

const folder = temporaryFolder()
const key = "a-key-for-the-tests"
let server: Running
let locked: Running

beforeAll(async () => {
  server = await serve(folder.path, { MAX_BATCH_SIZE: "5" })
  locked = await serve(folder.path, { DATABASE_PATH: ":memory:", API_KEY: key })
}, 60_000)
afterAll(async () => {
  await Promise.all([stop(server), stop(locked)])
  folder.remove()
})

const json = (body: string | Uint8Array<ArrayBuffer>, type = "application/json"): RequestInit => ({
  method: "POST",
  headers: { "content-type": type },
  body
})
const batch = (ids: unknown): RequestInit => json(JSON.stringify({ provider_ids: ids }))

describe("a request that cannot be served", () => {
  it.each<[string, string, RequestInit, number, RegExp]>([
    ["a batch that is no JSON", "/batch-credential", json("{"), 400, /not valid JSON/],
    ["a batch that is no UTF-8", "/batch-credential", json(new Uint8Array([0x22, 0xc3, 0x28, 0x22])), 400, /UTF-8/],
    [
      "a batch as a form",
      "/batch-credential",
      json("provider_ids=1", "application/x-www-form-urlencoded"),
      415,
      /json/
    ],
    ["a batch of no type", "/batch-credential", { method: "POST" }, 415, /application\/json/],
    ["a batch without ids", "/batch-credential", json("{}"), 422, /provider_ids/],
    ["a batch of null", "/batch-credential", json("null"), 422, /./],
    ["a batch of no items", "/batch-credential", batch([]), 422, /provider_ids/],
    ["a batch of too many items", "/batch-credential", batch(["a", "b", "c", "d", "e", "f"]), 422, /provider_ids/],
    ["a batch of numbers", "/batch-credential", batch([1, 2]), 422, /provider_ids\.0/],
    ["a batch of endless ids", "/batch-credential", batch(["x".repeat(101)]), 422, /provider_ids\.0/],
    ["a body that is too large", "/batch-credential", batch(["x".repeat(2 ** 21)]), 413, /large/],
    ["an unknown provider", "/credential/provider_999", { method: "POST" }, 404, /no provider provider_999/],
    ["a provider of no name", "/credential/", { method: "POST" }, 404, /There is no POST/],
    ["a chat without a message", "/chat", json("{}"), 422, /message/],
    ["a chat of an empty message", "/chat", json('{"message":""}'), 422, /message/],
    ["a chat of an endless message", "/chat", json(JSON.stringify({ message: "x".repeat(4001) })), 422, /message/],
    ["a limit that is a word", "/providers?limit=ten", {}, 422, /limit is a whole number from 1 to 200/],
    ["a limit that is too large", "/providers?limit=100000", {}, 422, /limit/],
    ["an offset below nothing", "/results?offset=-1", {}, 422, /offset/],
    ["a status that there is not", "/providers?status=lost", {}, 422, /status is one of/],
    ["an endless search", `/providers?search=${"x".repeat(101)}`, {}, 422, /search/],
    ["a result of an unknown provider", "/results/provider_999", {}, 404, /provider_999/],
    ["a document of no result", "/results/provider_150/document", {}, 404, /no result yet/],
    ["an unknown batch", "/batch-credential/none", {}, 404, /no batch none/],
    ["events of an unknown batch", "/batch-credential/none/events", {}, 404, /no batch none/],
    ["a path that there is not", "/nothing/here", {}, 404, /There is no GET \/nothing\/here/],
    ["a method that there is not", "/providers", { method: "DELETE" }, 404, /There is no DELETE/],
    ["a log that is not kept", "/logs/app", {}, 404, /keeps no log file/]
  ])("%s is told what is wrong", async (_, path, init, status, detail) => {
    const reply = await send(`${server.url}${path}`, init)
    expect(reply.status).toBe(status)
    expect(reply.type).toContain("application/problem+json")
    expect(reply.body).toMatchObject({ status, title: expect.any(String), detail: expect.stringMatching(detail) })
    expect(reply.headers.get("x-request-id")).toMatch(/\S/)
  })

  it("is told of a place in the stream that there is not", async () => {
    const made = await post(`${server.url}/batch-credential`, { provider_ids: ["provider_001"] })
    const path = `${server.url}/batch-credential/${made.body.batch_id}/events`
    expect((await get(path, { "last-event-id": "first" })).status).toBe(422)
    expect(
      (await post(`${server.url}/batch-credential`, { provider_ids: ["x"] }, { "idempotency-key": "k".repeat(201) }))
        .status
    ).toBe(422)
  })
})

describe("a server with a key", () => {
  it.each([["/providers"], ["/results"], ["/logs"], ["/stats"], ["/metrics"], ["/batch-credential"], ["/dashboard"]])(
    "shows %s to those who have it, and to no one else",
    async (path) => {
      expect((await get(`${locked.url}${path}`)).status).toBe(401)
      expect((await get(`${locked.url}${path}`, { "x-api-key": `${key}x` })).status).toBe(401)
      expect((await get(`${locked.url}${path}`, { "x-api-key": key })).status).toBe(200)
      expect((await get(`${locked.url}${path}`, { authorization: `Bearer ${key}` })).status).toBe(200)
      const basic = Buffer.from(`anyone:${key}`).toString("base64")
      expect((await get(`${locked.url}${path}`, { authorization: `Basic ${basic}` })).status).toBe(200)
    }
  )

  it("tells anyone that it lives, and notes who asked for a result", async () => {
    expect((await get(`${locked.url}/health`)).status).toBe(200)
    const { body } = await post(`${locked.url}/credential/provider_001`, {}, { "x-api-key": key })
    expect(body.requested_by).toBe("api-key")
    const audit = await get(`${locked.url}/logs/audit/provider_001`, { "x-api-key": key })
    expect(audit.body.entries[0].actor).toBe("api-key")
  })
})

describe("the start", () => {
  it("is refused with the name, the value and what is allowed, for every bad variable at once", async () => {
    const { code, stderr, stdout } = await finish(
      launch("serve", {
        PORT: "eighty",
        WORKERS: "0",
        MAX_CONCURRENT_CONNECTIONS: "many",
        MAX_REQUESTS_PER_WORKER: "-1",
        RATE_LIMIT_REQUESTS_PER_MINUTE: "0",
        MAX_CONCURRENT_BATCH_REQUESTS: "1.5",
        MAX_CONCURRENT_LLM_REQUESTS: "0",
        MAX_CONCURRENT_FILE_OPERATIONS: "x",
        LLM_BASE_URL: "ftp://x",
        REGISTRY_LATENCY: "slow",
        TRUSTED_PROXIES: "10.0.0.0/33",
        API_KEY: "short"
      })
    )
    expect(code).toBe(1)
    expect(stdout).toBe("")
    for (const line of [
      'PORT="eighty": allowed is a whole number from 0 to 65535',
      'WORKERS="0": allowed is a whole number from 1 to 256',
      'MAX_CONCURRENT_CONNECTIONS="many": allowed is a whole number from 1 to 1000000',
      'MAX_REQUESTS_PER_WORKER="-1": allowed is a whole number from 0 to 1000000000',
      'RATE_LIMIT_REQUESTS_PER_MINUTE="0": allowed is a whole number from 1 to 1000000000',
      'MAX_CONCURRENT_BATCH_REQUESTS="1.5": allowed is a whole number from 1 to 10000',
      'MAX_CONCURRENT_LLM_REQUESTS="0": allowed is a whole number from 1 to 10000',
      'MAX_CONCURRENT_FILE_OPERATIONS="x": allowed is a whole number from 1 to 100000',
      'LLM_BASE_URL="ftp://x": allowed is an http or https URL',
      'REGISTRY_LATENCY="slow": allowed is one of none, fast, realistic',
      'TRUSTED_PROXIES="10.0.0.0/33": allowed is addresses and networks',
      "API_KEY=(secret): allowed is at least 8 characters"
    ]) {
      expect(stderr).toContain(`Cannot use ${line}`)
    }
    expect(stderr).not.toContain("short")
  })

  it("is refused for a command that there is not", async () => {
    const { code, stderr } = await finish(launch("sing"))
    expect(code).toBe(1)
    expect(stderr).toContain("Usage:")
  })
})
