import { connect } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { get, post, type Running, send, start, stop } from "./support/server.ts"

const key = "a-key-for-the-tests"
let server: Running
let open: Running

beforeAll(async () => {
  server = await start("serve", { DATABASE_PATH: ":memory:", API_KEY: key })
  open = await start("serve", { DATABASE_PATH: ":memory:", MODEL_SERVER_URL: "http://127.0.0.1:9" })
})
afterAll(async () => {
  await Promise.all([stop(server), stop(open)])
})

const text = "My bicycle was stolen from the market yesterday."
const form = (fields: Record<string, string | Blob>): FormData => {
  const data = new FormData()
  for (const [name, value] of Object.entries(fields)) data.set(name, value)
  return data
}
const json = (body: string | Uint8Array<ArrayBuffer>): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body
})
const unknown = "00000000-0000-4000-8000-000000000000"

describe("complaints", () => {
  it.each([
    ["JSON", json(JSON.stringify({ text }))],
    ["a urlencoded form", { method: "POST", body: new URLSearchParams({ text }) }],
    ["a multipart form", { method: "POST", body: form({ text }) }]
  ])("are taken as %s", async (_, init) => {
    const { body, status } = await send(`${open.url}/process`, init)
    expect(status).toBe(200)
    expect(body.content_for_validation.transcript).toBe(text)
  })

  it.each([
    ["Hindi", "मेरी साइकिल कल शाम बाज़ार से चोरी हो गई। दुकानदार ने देखा।"],
    ["Tamil", "நேற்று மாலை சந்தையில் என் மிதிவண்டி திருடப்பட்டது."],
    ["marks and emoji", 'A man said "<script>alert(1)</script>" & left \u{1F6B2} + 100% gone; naïve café\u0301']
  ])("in %s come back as they were written, in every form", async (_, complaint) => {
    const replies = [
      await post(`${open.url}/process`, { text: complaint }),
      await send(`${open.url}/process`, { method: "POST", body: new URLSearchParams({ text: complaint }) }),
      await send(`${open.url}/process`, { method: "POST", body: form({ text: complaint }) })
    ]
    for (const { body } of replies) expect(body.content_for_validation.transcript).toBe(complaint)
  })

  it("may have 50,000 characters, in any script", async () => {
    const { status } = await post(`${open.url}/process`, { text: "क".repeat(50_000) })
    expect(status).toBe(200)
  })

  it.each([" ", "A", "क, ", "near Aa ", "I, A", "\n \t"])(
    "of 50,000 signs of %j is read as quickly as any other",
    async (sign) => {
      // One that were read anew from each of its signs would take longer than the test may.
      const text = `stolen${sign.repeat(50_000 / sign.length)}`.slice(0, 49_000)
      expect((await post(`${open.url}/process`, { text })).status).toBe(200)
    }
  )
})

const cases: ReadonlyArray<readonly [string, string, RequestInit, number]> = [
  ["no text", "/process", json("{}"), 422],
  ["a text that is too short", "/process", json(JSON.stringify({ text: "stolen" })), 422],
  ["a text that is too long", "/process", json(JSON.stringify({ text: "x".repeat(50_001) })), 422],
  ["a text that is a number", "/process", json(JSON.stringify({ text: 12 })), 422],
  ["null", "/process", json("null"), 422],
  ["no JSON", "/process", json('{"text": '), 400],
  ["an empty body", "/process", json(""), 400],
  ["bytes that are no UTF-8", "/process", json(Uint8Array.from([123, 34, 0xff, 0xfe, 34, 125])), 400],
  ["a body over the limit", "/process", json(JSON.stringify({ text: "x".repeat(2_000_000) })), 413],
  [
    "a form that is no UTF-8",
    "/process",
    {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: "text=%ff%fe%fd%fc%fb%fa"
    },
    400
  ],
  [
    "a form with half an escape",
    "/process",
    { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" }, body: "text=abcdefghijk%4" },
    400
  ],
  [
    "a multipart form without its boundary",
    "/process",
    { method: "POST", headers: { "content-type": "multipart/form-data" }, body: text },
    400
  ],
  [
    "a multipart form that breaks off",
    "/process",
    { method: "POST", headers: { "content-type": "multipart/form-data; boundary=x" }, body: "--x\r\nContent-Dis" },
    400
  ],
  [
    "a file in place of the text",
    "/process",
    { method: "POST", body: form({ text: new Blob(["a file, and no text"]) }) },
    422
  ],
  ["plain text", "/process", { method: "POST", headers: { "content-type": "text/plain" }, body: text }, 415],
  ["no content type", "/process", { method: "POST", headers: { "content-type": "" }, body: text }, 415],
  [
    "a form where JSON is needed",
    "/validate",
    { method: "POST", body: new URLSearchParams({ session_id: unknown }) },
    415
  ],
  ["an answer without a session", "/validate", json(JSON.stringify({ approved: true })), 422],
  ["an answer that is no yes or no", "/validate", json(JSON.stringify({ session_id: unknown, approved: "yes" })), 422],
  [
    "both approved and made again",
    "/validate",
    json(JSON.stringify({ session_id: unknown, approved: true, regenerate: true })),
    422
  ],
  [
    "an input that is too long",
    "/validate",
    json(JSON.stringify({ session_id: unknown, approved: true, user_input: "x".repeat(10_001) })),
    422
  ],
  ["a session that there is not", "/validate", json(JSON.stringify({ session_id: unknown, approved: true })), 404],
  [
    "a session id that is none",
    "/validate",
    json(JSON.stringify({ session_id: "'; drop table sessions; --", approved: true })),
    404
  ],
  ["a step that there is not", `/regenerate/${unknown}`, json(JSON.stringify({ step: "verdict_review" })), 422],
  ["a step of no session", `/regenerate/${unknown}`, json(JSON.stringify({ step: "final_review" })), 404],
  ["a short key", "/authenticate", json(JSON.stringify({ fir_number: "FIR-1", auth_key: "short" })), 422],
  [
    "a key where none is set",
    "/authenticate",
    json(JSON.stringify({ fir_number: "FIR-1", auth_key: "long enough" })),
    403
  ],
  ["the status of no session", `/session/${unknown}/status`, {}, 404],
  ["a report that there is not", "/fir/FIR-00000000-20250101000000", {}, 404],
  ["a report number that is none", "/fir/..%2f..%2fetc%2fpasswd", {}, 404],
  ["a limit of 0", "/list_firs?limit=0", {}, 422],
  ["a limit of 101", "/list_firs?limit=101", {}, 422],
  ["a limit that is no number", "/list_firs?limit=many", {}, 422],
  ["a cursor that is none", "/list_firs?cursor=abc", {}, 422],
  ["a path that there is not", "/reports", {}, 404],
  ["a method that there is not", "/process", { method: "DELETE" }, 404]
]

describe("what cannot be taken", () => {
  it.each(cases)("%s is told as a problem", async (_, path, init, expected) => {
    const { body, status, type } = await send(`${open.url}${path}`, init)
    expect({ status, type }).toEqual({ status: expected, type: "application/problem+json" })
    expect(body).toMatchObject({ status: expected })
    expect(body.type).toMatch(/^urn:fir:problem:/)
    expect(body.title.length).toBeGreaterThan(5)
  })

  it("names the field and what is wrong with it", async () => {
    const { body } = await post(`${open.url}/validate`, { approved: "yes" })
    expect(body.errors.map(({ path }: { path: Array<string> }) => path[0]).sort()).toEqual(["approved", "session_id"])
  })

  it("leaves the server well", async () => {
    expect((await get(`${open.url}/health`)).status).toBe(200)
  })

  it("includes a body that is never finished", async () => {
    const { hostname, port } = new URL(open.url)
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), hostname, () => {
        socket.write(
          "POST /process HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
        )
        socket.end()
      })
      socket.resume()
      socket.once("close", () => resolve())
    })
    expect((await get(`${open.url}/health`)).status).toBe(200)
  })
})

describe("keys", () => {
  it.each([
    ["none", {}],
    ["a wrong one", { "x-api-key": "a-key-for-the-testz" }],
    ["an empty one", { "x-api-key": "" }],
    ["one that is longer", { authorization: `Bearer ${key}${key}` }],
    ["the right one in a wrong scheme", { authorization: `Basic ${key}` }]
  ])("%s is refused", async (_, headers) => {
    const { body, status, type } = await post(`${server.url}/process`, { text }, headers)
    expect({ status, type }).toEqual({ status: 401, type: "application/problem+json" })
    expect(body.type).toBe("urn:fir:problem:unauthorized")
  })

  it.each([
    ["X-API-Key", { "x-api-key": key }],
    ["Authorization: Bearer", { authorization: `Bearer ${key}` }]
  ])("the right one opens as %s", async (_, headers) => {
    expect((await post(`${server.url}/process`, { text }, headers)).status).toBe(200)
    expect((await get(`${server.url}/list_firs`, headers)).status).toBe(200)
  })

  it("are needed for neither health nor the documentation, and for everything else", async () => {
    expect((await get(`${server.url}/health`)).status).toBe(200)
    expect((await get(`${server.url}/docs`)).status).toBe(200)
    expect((await get(`${server.url}/openapi.json`)).status).toBe(200)
    for (const path of ["/metrics", "/prometheus/metrics", "/list_firs", "/fir/FIR-1", `/session/${unknown}/status`]) {
      expect((await get(`${server.url}${path}`)).status).toBe(401)
    }
  })

  it("missing at the server are said at its start", () => {
    expect(open.log()).toContain("API_KEY is not set")
    expect(server.log()).toContain("requests need the API key")
    expect(server.log()).not.toContain(key)
  })
})
