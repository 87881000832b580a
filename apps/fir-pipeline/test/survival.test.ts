import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Complaints from "../src/Complaints.ts"
import {
  finish,
  get,
  launch,
  post,
  type Reply,
  type Running,
  start,
  stop,
  temporaryFolder,
  working
} from "./support/server.ts"

const [complaint] = Complaints.load()
const folder = temporaryFolder()
let models: Running

beforeAll(async () => {
  models = await start("model-server")
})
afterAll(async () => {
  await stop(models)
  folder.remove()
})

const serve = (name: string, environment: Readonly<Record<string, string>> = {}) =>
  start("serve", {
    DATABASE_PATH: `${folder.path}/${name}.sqlite`,
    MODEL_SERVER_URL: models.url,
    ...environment
  })

describe("a server killed between two steps", () => {
  it("goes on after its restart where the officer had come, to the same report", async () => {
    let server = await serve("killed")
    const opened = await post(`${server.url}/process`, { text: complaint?.text })
    const session_id = opened.body.session_id
    const seen: Array<string> = []
    for (let step = 0; step < 5; step++) {
      const { body } = await post(`${server.url}/validate`, { session_id, approved: true })
      seen.push(body.current_step)
      await stop(server, "SIGKILL")
      server = await serve("killed")
      const status = await get(`${server.url}/session/${session_id}/status`)
      expect(status.body.current_step).toBe(body.current_step)
      expect(status.body.content).toEqual(body.content)
    }
    expect(seen).toEqual(["summary_review", "violations_review", "fir_narrative_review", "final_review", "completed"])
    const { body } = await get(`${server.url}/list_firs`)
    expect(body.total_count).toBe(1)
    await stop(server)
  })

  it("keeps nothing of a step that was not answered, and the answer can be given again", async () => {
    let server = await serve("mid-step", { MODEL_SERVER_URL: "", MODEL_LATENCY: "guide" })
    const opened = await post(`${server.url}/process`, { text: complaint?.text })
    const session_id = opened.body.session_id
    const unanswered = post(`${server.url}/validate`, { session_id, approved: true }).then(
      () => "answered",
      () => "cut off"
    )
    await working(server.url, session_id, unanswered)
    await stop(server, "SIGKILL")
    expect(await unanswered).toBe("cut off")
    server = await serve("mid-step")
    const status = await get(`${server.url}/session/${session_id}/status`)
    expect(status.body).toMatchObject({ status: "awaiting_validation", current_step: "transcript_review" })
    const { body } = await post(`${server.url}/validate`, { session_id, approved: true })
    expect(body.current_step).toBe("summary_review")
    await stop(server)
  })
})

describe("a server that is told to end", () => {
  it("answers what it has admitted, then ends well", async () => {
    const server = await serve("drained", { MODEL_SERVER_URL: "", MODEL_LATENCY: "fast" })
    const opened = await post(`${server.url}/process`, { text: complaint?.text })
    const session_id = opened.body.session_id
    const answer = post(`${server.url}/validate`, { session_id, approved: true })
    await working(server.url, session_id, answer)
    const code = stop(server)
    expect((await answer).status).toBe(200)
    // Deno tells the parent of a signal that the child has handled; the log says how it ended.
    expect([0, null]).toContain(await code)
    expect(server.log()).toContain("stopped")
  })
})

describe("a model server that cannot be reached", () => {
  it("is a 503 that says so and leaves the session as it was", async () => {
    const server = await serve("no-models", { MODEL_SERVER_URL: "http://127.0.0.1:9" })
    const health = await get(`${server.url}/health`)
    expect(health.body).toMatchObject({ status: "degraded", database: "connected" })
    const opened = await post(`${server.url}/process`, { text: complaint?.text })
    const session_id = opened.body.session_id
    const failed = await post(`${server.url}/validate`, { session_id, approved: true })
    expect(failed).toMatchObject({ status: 503, body: { type: "urn:fir:problem:unavailable" } })
    expect(Number(failed.headers.get("retry-after"))).toBeGreaterThan(0)
    const status = await get(`${server.url}/session/${session_id}/status`)
    expect(status.body).toMatchObject({ status: "awaiting_validation", current_step: "transcript_review" })
    await stop(server)
  })

  it("is left to recover, which is shown and can be ended", async () => {
    const server = await serve("resting", { MODEL_SERVER_URL: "http://127.0.0.1:9", BREAKER_FAILURES: "1" })
    const opened = await post(`${server.url}/process`, { text: complaint?.text })
    const failed = await post(`${server.url}/validate`, { session_id: opened.body.session_id, approved: true })
    expect(failed.status).toBe(503)
    expect((await get(`${server.url}/reliability`)).body.model_server.breaker).not.toBe("closed")
    expect((await post(`${server.url}/reliability/reset`, {})).body.model_server.breaker).toBe("closed")
    await stop(server)
  })

  it("and comes back loses nothing: ten reports under way are all completed, each with its number", async () => {
    const first = await start("model-server", { MODEL_LATENCY: "fast" })
    const server = await serve("model-killed", { MODEL_SERVER_URL: first.url })
    const insist = async (session_id: string): Promise<Reply> => {
      for (;;) {
        const reply = await post(`${server.url}/validate`, { session_id, approved: true })
        if (reply.status !== 503) return reply
      }
    }
    const complaints = Complaints.load().slice(0, 10)
    const sessions = await Promise.all(complaints.map(({ text }) => post(`${server.url}/process`, { text })))
    const reports = Promise.all(
      sessions.map(async ({ body }) => {
        let last = await insist(body.session_id)
        for (let step = 1; step < 5; step++) last = await insist(body.session_id)
        return last.body
      })
    )
    await stop(first, "SIGKILL")
    const second = await start("model-server", { PORT: new URL(first.url).port })
    const done = await reports
    expect(done.every(({ completed }) => completed)).toBe(true)
    expect(new Set(done.map(({ content }) => content.fir_number)).size).toBe(10)
    await Promise.all([stop(server), stop(second)])
  })
})

describe("the start", () => {
  it("is refused with the name, the value and what is allowed, for every bad variable at once", async () => {
    const { code, stderr, stdout } = await finish(
      launch("serve", { PORT: "eighty", MAX_CONCURRENT_REQUESTS: "0", API_KEY: "short", MODEL_LATENCY: "slow" })
    )
    expect(code).toBe(1)
    expect(stdout).toBe("")
    expect(stderr).toContain('Cannot use PORT="eighty": allowed is a whole number from 0 to 65535')
    expect(stderr).toContain('Cannot use MAX_CONCURRENT_REQUESTS="0": allowed is a whole number from 1 to 10000')
    expect(stderr).toContain('Cannot use MODEL_LATENCY="slow": allowed is one of none, fast, guide')
    expect(stderr).toContain("Cannot use API_KEY=(secret): allowed is at least 8 characters")
    expect(stderr).not.toContain("short")
  })

  it("is refused for a command that there is not", async () => {
    const { code, stderr } = await finish(launch("sing"))
    expect(code).toBe(1)
    expect(stderr).toContain("Usage:")
  })
})
