// Ten thousand requests that no client of ours would send, as bytes on a socket.
// Whatever comes, the answer is a refusal or the connection ends; the server is
// well afterwards, and no larger than it was.
import { connect } from "node:net"
import * as fc from "fast-check"
import { afterAll, beforeAll, expect, it } from "vitest"
import { get, post, type Running, serve, stop, temporaryFolder } from "./support/server.ts"

const REQUESTS = 10_000
const AT_ONCE = 20
const folder = temporaryFolder()
let server: Running

beforeAll(async () => {
  server = await serve(folder.path, { DATABASE_PATH: ":memory:", LOG_LEVEL: "Error" })
}, 60_000)
afterAll(async () => {
  await stop(server)
  folder.remove()
})

const value = fc.constantFrom(null, true, -1, 1e308, "", [], {}, "x".repeat(5000), "\u0000", "\ud800", "' or 1=1 --")
const body = fc.oneof(
  fc
    .dictionary(
      fc.constantFrom("provider_ids", "message", "provider_id", "stream", "__proto__"),
      fc.oneof(value, fc.array(value, { maxLength: 3 }))
    )
    .map((fields) => Buffer.from(JSON.stringify(fields))),
  fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes)),
  fc
    .constantFrom(
      "[".repeat(50_000),
      '{"message":"\\ud800 lone surrogate"}',
      `{"provider_ids":[${'"x",'.repeat(3000)}`,
      "{}"
    )
    .map((text) => Buffer.from(text))
)
const wellFormed = fc
  .record({
    method: fc.constantFrom("POST", "POST", "GET", "PUT", "DELETE", "HEAD", "OPTIONS"),
    path: fc.constantFrom(
      "/batch-credential",
      "/batch-credential/%00/events",
      "/batch-credential?limit=%zz",
      "/credential/%ff",
      "/credential/..%2f..%2fetc%2fpasswd",
      "/results/%E0%A4",
      "/results/../../etc/passwd/document",
      "/providers?limit=9999999999999999999999",
      "/providers?search=%25%00&status=__proto__",
      "/logs/app?lines=-1",
      "/logs/audit/%27%20or%201%3D1?before=1e9",
      "/chat",
      "/health/concurrency",
      "//",
      "/%",
      `/providers/${"a".repeat(3000)}`
    ),
    contentType: fc.constantFrom(
      "application/json",
      "application/json; charset=x",
      "text/xml",
      "multipart/form-data; boundary=",
      ""
    ),
    accept: fc.constantFrom("text/event-stream", "application/x-ndjson", "*/*", ",;,", ""),
    header: fc.constantFrom(
      "x: y",
      "x-request-id: \u0001",
      "x-request-deadline: never",
      "grpc-timeout: 1n",
      "idempotency-key: ",
      "last-event-id: -1",
      'forwarded: for="[::1',
      `x-forwarded-for: ${"1.1.1.1,".repeat(500)}`,
      "authorization: Bearer",
      "expect: 100-continue",
      "prefer: respond-async"
    ),
    body
  })
  .map(({ accept, body, contentType, header, method, path }) =>
    Buffer.concat([
      Buffer.from(
        `${method} ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: ${contentType}\r\naccept: ${accept}\r\n${header}\r\ncontent-length: ${body.length}\r\n\r\n`
      ),
      body
    ])
  )
const hostile = fc.oneof(
  { weight: 6, arbitrary: wellFormed },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(
        "GET / HTTP/9.9\r\n\r\n",
        "GET /providers HTTP/1.1\r\n\r\n",
        "POST /chat HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n{",
        "POST /chat HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-type: application/json\r\n\r\nzz\r\n",
        "POST /chat HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        `GET /health HTTP/1.1\r\nhost: x\r\nx: ${"a".repeat(50_000)}\r\n\r\n`
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
      if (answer.length < 100) answer += chunk.toString("latin1")
    })
    socket.on("error", () => undefined)
    socket.on("close", () => {
      const status = /^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]
      resolve(status === undefined ? undefined : Number(status))
    })
  })

const memory = async (): Promise<number> =>
  (await get(`${server.url}/health/concurrency`)).body.system.process_memory_mb

it("refuses ten thousand hostile requests, and is well afterwards", { timeout: 120_000 }, async () => {
  const samples = fc.sample(hostile, { numRuns: REQUESTS / 10, seed: 20_240_701 })
  const counts = new Map<string, number>()
  const failures: Array<string> = []
  const send = async (rounds: number): Promise<void> => {
    let left = rounds * samples.length
    const worker = async (): Promise<void> => {
      while (left > 0) {
        const bytes = samples[--left % samples.length]
        if (bytes === undefined) return
        const status = await exchange(bytes)
        counts.set(String(status), (counts.get(String(status)) ?? 0) + 1)
        if (status !== undefined && status >= 500 && status !== 503)
          failures.push(`${status}: ${bytes.subarray(0, 300)}`)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
  }
  // A server that has just begun grows for a while by what it learns of its work.
  await send(3)
  const before = await memory()
  await send(7)
  const after = await memory()
  expect(failures).toEqual([])
  expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBe(REQUESTS)
  expect(counts.get("400")).toBeGreaterThan(0)
  expect(after).toBeLessThan(before * 1.5 + 50)
  const { body } = await get(`${server.url}/health/concurrency`)
  expect(body.status).toBe("healthy")
  expect(body.concurrency.llm_semaphore.available).toBe(5)
  expect(body.concurrency.file_semaphore.available).toBe(50)
  expect((await post(`${server.url}/credential/provider_001`, {})).status).toBe(200)
})
