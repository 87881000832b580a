import { afterAll, describe, expect, it } from "vitest"
import { events, get, idsTo, post, type Running, serve, start, stop, temporaryFolder } from "./support/server.ts"

const folder = temporaryFolder()
afterAll(() => folder.remove())

/** Several servers begin one after the other, on whatever the machine has left. */
const PATIENT = { timeout: 120_000 }

/** Slow enough that a batch is not done before it is killed; a lease that soon runs out. */
const SLOW = { REGISTRY_LATENCY: "realistic", BATCH_LEASE_SECONDS: "1" }

const open = (server: Running, ids: ReadonlyArray<string>, headers: Record<string, string> = {}) =>
  fetch(`${server.url}/batch-credential`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream", ...headers },
    body: JSON.stringify({ provider_ids: ids })
  })

/** What is told of a batch after an event, to its end. */
const rest = async (server: Running, batchId: string, after: number) => {
  const seen = []
  const response = await fetch(`${server.url}/batch-credential/${batchId}/events`, {
    headers: { "last-event-id": String(after) }
  })
  for await (const event of events(response)) seen.push(event)
  return seen
}

/** Reads until so many items are told, and then no more. */
const until = async (response: Response, items: number) => {
  const seen = []
  try {
    for await (const event of events(response)) {
      seen.push(event)
      if (seen.filter(({ event }) => event === "item").length === items) break
    }
  } catch {
    // The server was killed: what came before counts.
  }
  return seen
}

describe("a server killed in the middle of a batch", PATIENT, () => {
  it("loses nothing that it told, does each item once, and completes the batch after its restart", async () => {
    const path = folder.path
    const ids = idsTo(120)
    let server = await serve(path, SLOW)
    const response = await open(server, ids, { "idempotency-key": "a batch" })
    const seen = await until(response, 15)
    await stop(server, "SIGKILL")
    const [first] = seen
    const batchId = first?.data.batch_id
    const told = seen.filter(({ event }) => event === "item")
    expect(told.map(({ id }) => Number(id))).toEqual(told.map((_, index) => index + 1))

    server = await serve(path, SLOW)
    // Killed again, as it goes on.
    await until(await fetch(`${server.url}/batch-credential/${batchId}/events?after=${told.length}`), 10)
    await stop(server, "SIGKILL")

    server = await serve(path, { ...SLOW, REGISTRY_LATENCY: "none" })
    const later = await rest(server, batchId, told.length)
    expect(later.at(-1)).toMatchObject({ event: "completed", data: { total: 120, completed: 120, failed: 0 } })
    const all = [...told, ...later.filter(({ event }) => event === "item")]
    expect(all.map(({ id }) => Number(id))).toEqual(ids.map((_, index) => index + 1))
    expect(new Set(all.map(({ data }) => data.provider_id))).toEqual(new Set(ids))

    const { body } = await get(`${server.url}/batch-credential/${batchId}`)
    expect(body.resumed).toBeGreaterThanOrEqual(1)
    // What was told before the crash is what is kept: the same results, not new ones.
    const kept = new Map(body.results.map((item: { provider_id: string }) => [item.provider_id, item]))
    for (const { data } of told) expect(kept.get(data.provider_id)).toMatchObject({ result_id: data.result_id })
    const results = await get(`${server.url}/results?limit=200`)
    expect(results.body.total).toBe(120)
    expect(new Set(results.body.results.map(({ provider_id }: { provider_id: string }) => provider_id)).size).toBe(120)
    const audit = await get(`${server.url}/logs/batch/${batchId}?limit=500`)
    const actions = audit.body.entries.map(({ action }: { action: string }) => action)
    expect(actions.filter((action: string) => action === "batch_completed")).toHaveLength(1)

    // The client that was cut off sends it again with its key, and gets the same batch.
    const again = await post(`${server.url}/batch-credential`, { provider_ids: ids }, { "idempotency-key": "a batch" })
    expect(again.body).toMatchObject({ batch_id: batchId, status: "completed" })
    const other = await post(
      `${server.url}/batch-credential`,
      { provider_ids: ["x"] },
      { "idempotency-key": "a batch" }
    )
    expect(other.status).toBe(409)
    await stop(server)
  })

  it("has kept every result that it answered with", async () => {
    const path = `${folder.path}`
    let server = await serve(path, { DATABASE_PATH: `${path}/answered.sqlite` })
    const answered = await Promise.all(idsTo(20).map((id) => post(`${server.url}/credential/${id}`, {})))
    await stop(server, "SIGKILL")
    server = await serve(path, { DATABASE_PATH: `${path}/answered.sqlite` })
    for (const { body } of answered) {
      const { body: kept } = await get(`${server.url}/results/${body.provider_id}`)
      expect(kept.results).toEqual([body])
      const document = await get(`${server.url}/results/${body.provider_id}/document`)
      expect(document.body).toContain(body.result_id)
    }
    await stop(server)
  })
})

describe("a server that is told to end", PATIENT, () => {
  it("answers what it has admitted, tells watchers how far their batch is, and ends well", async () => {
    const path = `${folder.path}/drained.sqlite`
    const server = await serve(folder.path, { ...SLOW, DATABASE_PATH: path, DRAIN_SECONDS: "1" })
    const response = await open(server, idsTo(200))
    const reading = events(response)
    const first = await reading.next()
    // Waits for its end, which does not come here.
    const whole = post(`${server.url}/batch-credential`, { provider_ids: idsTo(150) })
    const single = post(`${server.url}/credential/provider_001`, {})
    while ((await get(`${server.url}/batch-credential`)).body.total < 2) {
      // Both batches are kept once both are listed.
    }
    const code = stop(server)
    let last = first.value
    for await (const event of reading) last = event
    expect(last).toMatchObject({ event: "paused", data: { status: "running" } })
    expect(await whole).toMatchObject({ status: 202, body: { status: "running", total: 150 } })
    expect((await single).status).toBe(200)
    // Deno tells the parent of a signal that the child has handled; the log says how it ended.
    expect([0, null]).toContain(await code)
    expect(server.log()).toContain("stopped")

    // The next one takes both up at once, without waiting for a lease to run out.
    const next = await serve(folder.path, { DATABASE_PATH: path, BATCH_LEASE_SECONDS: "3600" })
    const { body } = await get(`${next.url}/batch-credential`)
    for (const { batch_id, total } of body.batches) {
      const seen = await rest(next, batch_id, 0)
      expect(seen.at(-1)).toMatchObject({ event: "completed", data: { completed: total } })
    }
    await stop(next)
  })
})

describe("registries", PATIENT, () => {
  it("that fail and stall keep no provider from a decision", async () => {
    const server = await serve(folder.path, {
      DATABASE_PATH: ":memory:",
      REGISTRY_FAULT_PERCENT: "10",
      REGISTRY_TIMEOUT_SECONDS: "25",
      BATCH_LEASE_SECONDS: "60"
    })
    const { body } = await post(`${server.url}/batch-credential`, { provider_ids: idsTo(60) })
    expect(body).toMatchObject({ status: "completed", completed: 60, failed: 0 })
    const { body: stats } = await get(`${server.url}/stats/registries`)
    const retries = stats.registries.reduce((sum: number, { retries }: { retries: number }) => sum + retries, 0)
    expect(retries).toBeGreaterThan(0)
    expect(body.decisions.incomplete).toBe(0)
    await stop(server)
  })

  it("that cannot be reached leave results incomplete, and say so; once back, they are asked again", async () => {
    const path = `${folder.path}/away.sqlite`
    const server = await serve(folder.path, {
      DATABASE_PATH: path,
      REGISTRY_URL: "http://127.0.0.1:9",
      REGISTRY_TIMEOUT_SECONDS: "1"
    })
    const { body, status } = await post(`${server.url}/credential/provider_001`, {})
    expect(status).toBe(200)
    expect(body.decision).toBe("incomplete")
    expect(body.findings.every((finding: { status: string }) => finding.status === "unavailable")).toBe(true)
    await stop(server)
    const registries = await start("registry-server", { REGISTRY_LATENCY: "none", REGISTRY_FAULT_PERCENT: "0" })
    const back = await serve(folder.path, { DATABASE_PATH: path, REGISTRY_URL: registries.url })
    const again = await post(`${back.url}/credential/provider_001`, {})
    expect(again.body.decision).not.toBe("incomplete")
    await Promise.all([stop(back), stop(registries)])
  })
})
