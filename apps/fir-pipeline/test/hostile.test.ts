// A thousand requests that no client of ours would send, as bytes on a socket.
// Whatever comes, the answer is a refusal or the connection ends; the server is
// well afterwards.
import { connect } from "node:net"
import * as fc from "fast-check"
import { afterAll, beforeAll, expect, it } from "vitest"
import { get, post, type Running, start, stop } from "./support/server.ts"

const REQUESTS = 1000
const AT_ONCE = 20
let server: Running

beforeAll(async () => {
  server = await start("serve", { DATABASE_PATH: ":memory:", RATE_LIMIT_REQUESTS: "1000000" })
})
afterAll(() => stop(server))

const value = fc.constantFrom(null, true, -1, 1e308, "", [], {}, "x".repeat(20_000), "\u0000", "\ud800", "' or 1=1 --")
const body = fc.oneof(
  fc
    .dictionary(
      fc.constantFrom("text", "session_id", "approved", "regenerate", "user_input", "step", "auth_key", "__proto__"),
      value
    )
    .map((fields) => Buffer.from(JSON.stringify(fields))),
  fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes)),
  fc
    .constantFrom(
      "[".repeat(50_000),
      "%%%=%%%&text=%C3%28",
      '{"text":"\\ud800 lone surrogate"}',
      '--x\r\nContent-Disposition: form-data; name="text"\r\n\r\nunended'
    )
    .map((text) => Buffer.from(text))
)
const wellFormed = fc
  .record({
    method: fc.constantFrom("POST", "POST", "GET", "PUT", "DELETE", "HEAD", "OPTIONS"),
    path: fc.constantFrom(
      "/process",
      "/validate",
      "/authenticate",
      "/regenerate/x",
      "/session/%00/status",
      "/session/%ff/status",
      "/fir/%E0%A4",
      "/list_firs?limit=%zz",
      "/list_firs?cursor=9999999999999999999999",
      "/../../etc/passwd",
      "//",
      "/%",
      `/session/${"a".repeat(5000)}/status`
    ),
    contentType: fc.constantFrom(
      "application/json",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "multipart/form-data; boundary=",
      "text/xml",
      ""
    ),
    body
  })
  .map(({ body, contentType, method, path }) =>
    Buffer.concat([
      Buffer.from(
        `${method} ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: ${contentType}\r\ncontent-length: ${body.length}\r\n\r\n`
      ),
      body
    ])
  )
const hostile = fc.oneof(
  { weight: 6, arbitrary: wellFormed },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 1000 }).map((bytes) => Buffer.from(bytes)) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(
        "GET / HTTP/9.9\r\n\r\n",
        "POST /process HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n{",
        "POST /process HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-type: application/json\r\n\r\nzz\r\n",
        `GET /health HTTP/1.1\r\nhost: x\r\nx: ${"a".repeat(100_000)}\r\n\r\n`
      )
      .map((text) => Buffer.from(text))
  }
)

/** The status of the answer, if there is one before the connection ends. */
const exchange = (bytes: Buffer): Promise<number | undefined> =>
  new Promise((resolve) => {
    const { hostname, port } = new URL(server.url)
    let answer = ""
    const socket = connect(Number(port), hostname, () => socket.end(bytes))
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1")
    })
    socket.on("error", () => undefined)
    socket.on("close", () => {
      const status = /^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]
      resolve(status === undefined ? undefined : Number(status))
    })
  })

it("refuses a thousand hostile requests and is well afterwards", async () => {
  const requests = fc.sample(hostile, { numRuns: REQUESTS, seed: 20_240_701 })
  const failures: Array<string> = []
  const worker = async (): Promise<void> => {
    for (let bytes = requests.pop(); bytes !== undefined; bytes = requests.pop()) {
      const status = await exchange(bytes)
      if (status !== undefined && status >= 500) failures.push(`${status}: ${bytes.subarray(0, 200)}`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  expect(failures).toEqual([])
  expect((await get(`${server.url}/health`)).body.status).toBe("healthy")
  expect((await post(`${server.url}/process`, { text: "My bicycle was stolen yesterday." })).status).toBe(200)
})
