// The two test programs of the FIR guide, request by request as they make them: a form
// with the text, five approvals, and the JSON that they write from what they are told.
import { describe, expect, it } from "vitest"
import * as Complaints from "../src/Complaints.ts"
import { type Reply, type Running, send, start, stop } from "./support/server.ts"

const REQUESTS = 10
const STEPS = [
  "process",
  "transcript_validation",
  "summary_validation",
  "violations_validation",
  "narrative_validation",
  "final_review"
]

interface Detail {
  readonly request_id: number
  readonly success: boolean
  readonly session_id: string
  readonly fir_number: string | null
  readonly error: string | null
  readonly steps_completed: ReadonlyArray<string>
}

const headersOf = (key: string | undefined): Record<string, string> => (key === undefined ? {} : { "X-API-Key": key })

const ok = (reply: Reply): Reply => {
  if (reply.status !== 200) throw new Error(`HTTP ${reply.status}: ${JSON.stringify(reply.body)}`)
  return reply
}

/** One report: `client.post("/process", data={"text": …})`, then `client.post("/validate", json={…})` five times. */
const oneReport = async (server: Running, text: string, request_id: number, key?: string): Promise<Detail> => {
  const steps_completed: Array<string> = []
  const opened = ok(
    await send(`${server.url}/process`, {
      method: "POST",
      headers: { ...headersOf(key), "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ text }).toString()
    })
  ).body
  if (!opened.success) throw new Error("process failed")
  const { session_id } = opened
  steps_completed.push("process")
  let fir_number: string | null = null
  for (const step of STEPS.slice(1)) {
    const { body } = ok(
      await send(`${server.url}/validate`, {
        method: "POST",
        headers: { ...headersOf(key), "content-type": "application/json" },
        body: JSON.stringify({ session_id, approved: true })
      })
    )
    if (!body.success) throw new Error(`${step} failed`)
    fir_number = body.content.fir_number ?? fir_number
    steps_completed.push(step)
  }
  return { request_id, success: true, session_id, fir_number, error: null, steps_completed }
}

const testConcurrency = async (server: Running, key?: string) => {
  const health = ok(await send(`${server.url}/health`, {})).body
  const details = await Promise.all(
    Complaints.load()
      .slice(0, REQUESTS)
      .map(({ text }, index) => oneReport(server, text, index + 1, key))
  )
  return { health, details }
}

describe.each([
  ["without an API key", undefined],
  ["with an API key", "a-key-of-eight-signs"]
])("the guide's programs, %s", (_, key) => {
  it("are told of health and limits, and get ten reports at once, five approvals each", async () => {
    const server = await start("serve", { DATABASE_PATH: ":memory:", ...(key === undefined ? {} : { API_KEY: key }) })
    const { details, health } = await testConcurrency(server, key)
    expect(health).toMatchObject({
      status: "healthy",
      model_server: { status: "healthy" },
      asr_ocr_server: { status: "healthy" },
      database: "connected",
      concurrency: { max_concurrent_requests: 15, max_concurrent_model_calls: 10, http_pool_size: 20 }
    })
    expect(details.map(({ success }) => success)).toEqual(Array.from({ length: REQUESTS }, () => true))
    for (const { fir_number, session_id, steps_completed } of details) {
      expect(steps_completed).toEqual(STEPS)
      expect(fir_number).toMatch(new RegExp(`^FIR-${session_id.slice(0, 8)}-\\d{14}$`))
    }
    // Five times over, as its sustained test does: the same complaints are taken again.
    const again = await testConcurrency(server, key)
    expect(new Set([...details, ...again.details].map(({ fir_number }) => fir_number)).size).toBe(2 * REQUESTS)
    // The performance test is one report, each of its steps in order.
    const [complaint] = Complaints.load()
    expect((await oneReport(server, complaint?.text ?? "", 1, key)).steps_completed).toEqual(STEPS)
    if (key !== undefined) {
      await expect(oneReport(server, complaint?.text ?? "", 1)).rejects.toThrow("HTTP 401")
    }
    await stop(server)
  })
})
