import { afterAll, describe, expect, it } from "vitest"
import {
  events,
  get,
  idsTo,
  post,
  type Reply,
  type Running,
  send,
  serve,
  stop,
  temporaryFolder
} from "./support/server.ts"

const folder = temporaryFolder()
afterAll(() => folder.remove())

const workers = (name: string, environment: Readonly<Record<string, string>>): Promise<Running> =>
  serve(folder.path, {
    WORKERS: "2",
    DATABASE_PATH: `${folder.path}/${name}.sqlite`,
    BATCH_LEASE_SECONDS: "1",
    KEEP_ALIVE_SECONDS: "1",
    ...environment
  })

const report = async ({ url }: Running) => (await get(`${url}/health/concurrency`)).body

const pids = async (server: Running): Promise<ReadonlyArray<number>> =>
  (await report(server)).workers.map(({ pid }: { pid: number }) => pid)

/**
 * The workers, as one asks who has met with a crash: a connection that the primary had handed to the worker that was
 * killed, and that it had not taken yet, is in nobody's hands on Node, and is given up by who made it.
 */
const patiently = async (url: string): Promise<ReadonlyArray<number>> => {
  try {
    const { body } = await send(url, { signal: AbortSignal.timeout(1000) })
    return body.workers.map(({ pid }: { pid: number }) => pid)
  } catch {
    return []
  }
}

/** Waits until all workers are there. */
const both = async (server: Running): Promise<ReadonlyArray<number>> => {
  for (;;) {
    const found = await pids(server)
    if (found.length === 2) return found
  }
}

// Three processes begin with each test, on whatever the machine has left.
describe("two workers", { timeout: 120_000 }, () => {
  it("tell of themselves as of one server", async () => {
    const server = await workers("report", {})
    await both(server)
    const { concurrency, status } = await report(server)
    expect(status).toBe("healthy")
    expect(concurrency.llm_semaphore).toEqual({ available: 10, total: 10, utilization: "0.0%" })
    expect(concurrency.batch_semaphore.total).toBe(20)
    await stop(server)
  })

  it("count a client's requests together", async () => {
    const server = await workers("limited", { RATE_LIMIT_REQUESTS_PER_MINUTE: "50" })
    const begun = performance.now()
    const replies = await Promise.all(Array.from({ length: 80 }, () => get(`${server.url}/providers?limit=1`)))
    const served = replies.filter(({ status }) => status === 200).length
    const seconds = (performance.now() - begun) / 1000
    // Two that count apart would let 80 in. What came back of the rate meanwhile is let in.
    expect(served).toBeGreaterThanOrEqual(50)
    expect(served).toBeLessThanOrEqual(51 + Math.ceil((seconds * 50) / 60))
    expect(replies.find(({ status }) => status === 429)?.body.detail).toBe("Too many requests. Please try again later.")
    await stop(server)
  })

  it("are replaced after so many requests, and no request is dropped", async () => {
    const server = await workers("recycled", { MAX_REQUESTS_PER_WORKER: "100" })
    const first = await both(server)
    const replies: Array<Reply> = []
    let failures = 0
    let isReplaced = false
    const client = async (): Promise<void> => {
      while (!isReplaced) {
        await get(`${server.url}/providers?limit=1`).then(
          (reply) => replies.push(reply),
          // Bun's kernel resets a connection that comes as a worker closes, before a byte of it was read.
          () => failures++
        )
      }
    }
    const clients = Array.from({ length: 8 }, client)
    while (!isReplaced) {
      const found = await pids(server).catch(() => first)
      isReplaced = found.length > 0 && !found.some((pid) => first.includes(pid))
    }
    await Promise.all(clients)
    expect(replies.filter(({ status }) => status !== 200)).toEqual([])
    expect(replies.length).toBeGreaterThan(200)
    if (!("Bun" in globalThis)) expect(failures).toBe(0)
    await stop(server)
  })

  it("lose nothing of a batch when the one that works on it is killed", async () => {
    const server = await workers("killed", { REGISTRY_LATENCY: "realistic" })
    const first = await both(server)
    const ids = idsTo(100)
    const response = await fetch(`${server.url}/batch-credential`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify({ provider_ids: ids })
    })
    const reading = events(response)
    const opened = (await reading.next()).value
    for (let item = 0; item < 5; item++) await reading.next()
    // One of the two works on it: each is killed in its turn.
    for (const pid of first) {
      process.kill(pid, "SIGKILL")
      for (;;) {
        const left = await patiently(`${server.url}/health/concurrency`)
        if (left.length === 2 && !left.includes(pid)) break
      }
    }
    await reading.return(undefined).catch(() => undefined)
    const seen = []
    const rest = await fetch(`${server.url}/batch-credential/${opened?.data.batch_id}/events`)
    for await (const event of events(rest)) seen.push(event)
    expect(seen.at(-1)).toMatchObject({ event: "completed", data: { total: 100, completed: 100, failed: 0 } })
    const items = seen.filter(({ event }) => event === "item")
    expect(items.map(({ id }) => Number(id))).toEqual(ids.map((_, index) => index + 1))
    const { body } = await get(`${server.url}/results?limit=200`)
    expect(body.total).toBe(100)
    await stop(server)
  })

  it("serve what they have admitted when they are told to end", async () => {
    const server = await workers("drained", { REGISTRY_LATENCY: "realistic" })
    await both(server)
    const answers = idsTo(20).map((id) =>
      post(`${server.url}/credential/${id}`, {}).then(
        ({ status }) => status,
        // A connection that nobody had accepted yet is refused.
        () => undefined
      )
    )
    let held = 0
    let kept = 0
    while (held === 0 && kept < 20) {
      const { concurrency } = await report(server)
      held = concurrency.controlled.total - concurrency.controlled.available
      kept = (await get(`${server.url}/results`)).body.total
    }
    const ended = stop(server)
    const statuses = await Promise.all(answers)
    // What was admitted is answered.
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(held)
    expect(statuses.filter((status) => status !== 200 && status !== undefined)).toEqual([])
    expect([0, null]).toContain(await ended)
    expect(server.log()).toContain("stopped")
  })
})
