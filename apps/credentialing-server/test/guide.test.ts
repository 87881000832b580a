// The concurrent request guide, line by line: its manual tests, its endpoints,
// its variables with their defaults, its examples of answers.
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { ConfigProvider, Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Settings from "../src/Settings.ts"
import { get, post, type Running, serve, start, stop, temporaryFolder } from "./support/server.ts"

const run = promisify(execFile)
const folder = temporaryFolder()
const other = temporaryFolder()
let server: Running
/** Of all defaults but where it keeps what it keeps. */
let usual: Running

beforeAll(async () => {
  server = await serve(folder.path, { LOG_FILE: join(folder.path, "logs/app.log") })
  usual = await start("serve", {
    DATABASE_PATH: join(other.path, "credentialing.sqlite"),
    DOCUMENTS_FOLDER: join(other.path, "documents")
  })
}, 60_000)
afterAll(async () => {
  await Promise.all([stop(server), stop(usual)])
  folder.remove()
  other.remove()
})

const curl = async (...args: ReadonlyArray<string>): Promise<string> => (await run("curl", ["-s", ...args])).stdout

describe("the manual tests", () => {
  it("ten curls at once are all answered", async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => curl("-w", " %{http_code}", `${usual.url}/health`))
    )
    expect(answers).toHaveLength(10)
    for (const answer of answers) {
      expect(answer.endsWith(" 200")).toBe(true)
      expect(JSON.parse(answer.slice(0, -4)).status).toBe("healthy")
    }
  })

  it("a batch of three is credentialed", async () => {
    const answer = JSON.parse(
      await curl(
        "-X",
        "POST",
        `${usual.url}/batch-credential`,
        "-H",
        "Content-Type: application/json",
        "-d",
        '{"provider_ids": ["provider_001", "provider_002", "provider_003"]}'
      )
    )
    expect(answer).toMatchObject({ status: "completed", total: 3, completed: 3, failed: 0, pending: 0 })
    expect(answer.results.map(({ provider_id }: { provider_id: string }) => provider_id)).toEqual([
      "provider_001",
      "provider_002",
      "provider_003"
    ])
  })

  it("a client beyond 200 requests in a minute gets the 429 with its text, and is told when to come back", async () => {
    const replies = await Promise.all(Array.from({ length: 220 }, () => get(`${usual.url}/providers?limit=1`)))
    const refused = replies.filter(({ status }) => status === 429)
    const served = replies.filter(({ status }) => status === 200)
    expect(served.length + refused.length).toBe(220)
    // What came back of the rate while the test ran is let in too.
    expect(served.length).toBeGreaterThanOrEqual(190)
    expect(refused.length).toBeGreaterThan(0)
    expect(refused[0]?.body).toMatchObject({ detail: "Too many requests. Please try again later.", status: 429 })
    expect(refused[0]?.type).toContain("application/problem+json")
    expect(Number(refused[0]?.headers.get("retry-after"))).toBeGreaterThan(0)
    expect(refused[0]?.headers.get("ratelimit-policy")).toContain("q=200;w=60")
    // Whoever asks whether the server lives is never refused.
    expect((await get(`${usual.url}/health`)).status).toBe(200)
  })

  it("the report of concurrency can be asked for with curl", async () => {
    expect(JSON.parse(await curl(`${server.url}/health/concurrency`)).status).toBe("healthy")
  })
})

describe("the report of concurrency", () => {
  it("has the shape of the guide's example, and the configuration", async () => {
    const { body } = await get(`${server.url}/health/concurrency`)
    expect(body).toMatchObject({
      status: "healthy",
      concurrency: {
        active_tasks: expect.any(Number),
        llm_semaphore: { available: 5, total: 5, utilization: "0.0%" },
        file_semaphore: { available: 50, total: 50, utilization: "0.0%" },
        batch_semaphore: { available: 10, total: 10, utilization: "0.0%" }
      },
      system: {
        cpu_percent: expect.any(Number),
        memory_percent: expect.any(Number),
        memory_available_gb: expect.any(Number)
      }
    })
  })

  it("shows the variables, each with the guide's default", async () => {
    const settings = await Effect.runPromise(
      Effect.provideService(Settings.load, ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({}))
    )
    expect(Settings.shown(settings)).toEqual({
      workers: availableParallelism(),
      max_concurrent_connections: 1000,
      max_requests_per_worker: 1000,
      rate_limit_requests_per_minute: 200,
      max_concurrent_batch_requests: 10,
      max_concurrent_llm_requests: 5,
      max_concurrent_file_operations: 50
    })
    const { body } = await get(`${server.url}/health/concurrency`)
    expect(Object.keys(body.configuration)).toEqual(Object.keys(Settings.shown(settings)))
  })
})

describe("every endpoint of the guide", () => {
  it.each([
    ["/health", "status"],
    ["/health/concurrency", "concurrency"],
    ["/health/live", "status"],
    ["/health/ready", "status"],
    ["/providers", "providers"],
    ["/providers/provider_001", "npi"],
    ["/stats", "results"],
    ["/stats/summary", "results"],
    ["/stats/providers", "by_specialty"],
    ["/stats/checks", "checks"],
    ["/stats/registries", "registries"],
    ["/stats/requests", "classes"],
    ["/results", "results"],
    ["/results/provider_010", "results"],
    ["/logs", "entries"],
    ["/logs/audit", "entries"],
    ["/logs/audit/provider_010", "entries"],
    ["/logs/app", "lines"],
    ["/batch-credential", "batches"]
  ])("GET %s answers with its %s", async (path, field) => {
    const { body, headers, status } = await get(`${server.url}${path}`)
    expect(status).toBe(200)
    expect(body).toHaveProperty(field)
    expect(headers.get("x-request-id")).toMatch(/\S/)
    expect(headers.get("x-content-type-options")).toBe("nosniff")
  })

  it("POST /credential/{provider_id} decides, and keeps the result with what was done", async () => {
    const { body, status } = await post(`${server.url}/credential/provider_010`, {})
    expect(status).toBe(200)
    expect(body).toMatchObject({ provider_id: "provider_010", requested_by: "anyone", batch_id: null })
    expect(body.findings.map(({ check }: { check: string }) => check)).toEqual([
      "licence",
      "sanctions",
      "education",
      "work_history"
    ])
    const kept = await get(`${server.url}/results/provider_010`)
    expect(kept.body.results[0]).toEqual(body)
    const listed = await get(`${server.url}/providers/provider_010`)
    expect(listed.body).toMatchObject({ status: body.decision, latest_result: body })
    const audit = await get(`${server.url}/logs/audit/provider_010`)
    expect(audit.body.entries[0]).toMatchObject({ action: "credentialed", result_id: body.result_id })
    expect(audit.body.entries).toHaveLength(5)
    const document = await get(`${server.url}/results/provider_010/document`)
    expect(document.body).toContain(`**${body.decision}**`)
    expect(readFileSync(join(folder.path, "documents", `${body.result_id}.md`), "utf8")).toBe(document.body)
  })

  it("POST /credential repeated with its key gets the first answer", async () => {
    const key = { "idempotency-key": "the first of them" }
    const once = await post(`${server.url}/credential/provider_011`, {}, key)
    const again = await post(`${server.url}/credential/provider_011`, {}, key)
    expect(again.body).toEqual(once.body)
    expect((await get(`${server.url}/results/provider_011`)).body.total).toBe(1)
    expect((await post(`${server.url}/credential/provider_012`, {}, key)).status).toBe(409)
  })

  it("writes logs/app.log, and tells its last lines", async () => {
    await post(`${server.url}/credential/provider_013`, {})
    const seen = async (): Promise<string> => {
      for (;;) {
        const { body } = await get(`${server.url}/logs/app?lines=50`)
        const line = body.lines.find((text: string) => text.includes("credentialed provider_013"))
        if (line !== undefined) return line
      }
    }
    expect(await seen()).toContain("level=INFO")
  })

  it("tells Prometheus of permits, requests and decisions", async () => {
    for (const path of ["/metrics", "/prometheus/metrics"]) {
      const { body } = await get(`${server.url}${path}`)
      expect(body).toContain('credentialing_permits_capacity{of="llm_semaphore"} 5')
      expect(body).toMatch(/credentialing_decisions_total\{decision="\w+"\} \d/)
    }
  })
})

describe("providers", () => {
  it("are listed in pages, by specialty, state, status and part of a name", async () => {
    const first = await get(`${server.url}/providers?limit=3`)
    expect(first.body).toMatchObject({ total: 200, offset: 0, limit: 3, has_more: true })
    const second = await get(`${server.url}/providers?limit=3&offset=3`)
    expect(second.body.providers[0].provider_id).toBe("provider_004")
    const [{ name, specialty, state }] = first.body.providers
    for (const [filter, value] of Object.entries({ specialty, state, search: name })) {
      const { body } = await get(`${server.url}/providers?${new URLSearchParams({ [filter]: String(value) })}`)
      expect(body.providers.map((row: { provider_id: string }) => row.provider_id)).toContain("provider_001")
      expect(body.total).toBeLessThan(200)
    }
    const none = await get(`${server.url}/providers?search=${encodeURIComponent("%")}`)
    expect(none.body.total).toBe(0)
  })
})
