// Real processes on a real port, as the runtime at hand has them.

import { type ChildProcess, spawn } from "node:child_process"
import { Agent, get } from "node:http"
import { createServer } from "node:net"
import { createInterface } from "node:readline"
import type { Health } from "@sluice/server"
import type { Workers } from "@sluice/server/workers"
import { afterEach, describe, expect, it } from "vitest"

const program = new URL("support/workersServer.ts", import.meta.url).pathname
const flags = "Deno" in globalThis ? ["run", "-A"] : []
// The kernel hands connections out there, and one that comes while a listener closes is reset.
const mayResetFresh = "Bun" in globalThis

type Event = Workers.Event | { readonly _tag: "Ended"; readonly because: string }

interface Server {
  readonly port: number
  readonly child: ChildProcess
  readonly events: ReadonlyArray<Event>
  /** Waits until what has happened is as it should be. */
  readonly until: (holds: (events: ReadonlyArray<Event>) => boolean) => Promise<void>
  readonly exited: Promise<void>
}

const servers: Array<Server> = []

afterEach(async () => {
  for (const { child, exited } of servers.splice(0)) {
    child.stdin?.end()
    await exited
  }
})

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const probe = createServer()
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => resolve(address !== null && typeof address === "object" ? address.port : 0))
    })
  })

const count = (events: ReadonlyArray<Event>, tag: Event["_tag"]): number =>
  events.filter(({ _tag }) => _tag === tag).length

const start = async (environment: Readonly<Record<string, string>> = {}, ready = 2): Promise<Server> => {
  const port = await freePort()
  const child = spawn(process.execPath, [...flags, program], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, PORT: String(port), ...environment }
  })
  const events: Array<Event> = []
  const watchers = new Set<() => void>()
  createInterface({ input: child.stdout }).on("line", (line) => {
    events.push(JSON.parse(line))
    for (const watcher of watchers) watcher()
  })
  const until: Server["until"] = (holds) =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!holds(events)) return
        watchers.delete(look)
        resolve()
      }
      watchers.add(look)
      look()
    })
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  const server = { port, child, events, until, exited }
  servers.push(server)
  await until((all) => count(all, "Ready") >= ready)
  return server
}

interface Answer {
  readonly status: number
  readonly body: string
}

const request = (port: number, path: string, options: { agent?: Agent; key?: string } = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const headers = options.key === undefined ? {} : { "x-api-key": options.key }
    get({ host: "127.0.0.1", port, path, headers, agent: options.agent ?? false }, (response) => {
      let body = ""
      response.on("data", (chunk) => (body += chunk))
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }))
      response.on("error", reject)
    }).on("error", reject)
  })

const isReset = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "ECONNRESET"

/** Asks on and on, each time over a new connection and over one that is kept, until told to stop. Answers what went wrong. */
const load = (port: number): (() => Promise<{ readonly done: number; readonly wrong: ReadonlyArray<string> }>) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 })
  const wrong: Array<string> = []
  let done = 0
  let isOn = true
  const client = async (options: { agent?: Agent }): Promise<void> => {
    while (isOn) {
      try {
        const { status } = await request(port, "/slow?millis=2", options)
        if (status !== 200) wrong.push(String(status))
      } catch (error) {
        if (!(mayResetFresh && options.agent === undefined && isReset(error))) wrong.push(String(error))
      }
      done++
    }
  }
  const clients = Array.from({ length: 8 }, (_, index) => client(index % 2 === 0 ? {} : { agent }))
  return async () => {
    isOn = false
    await Promise.all(clients)
    agent.destroy()
    return { done, wrong }
  }
}

/** Waits until so many requests are being answered. */
const busy = async (port: number, requests: number): Promise<void> => {
  let report: Health.Report | undefined
  while (report?.concurrency.active_tasks !== requests) {
    report = JSON.parse((await request(port, "/health/concurrency")).body)
  }
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const exits = (events: ReadonlyArray<Event>): ReadonlyArray<string> =>
  events.flatMap((event) => (event._tag === "Exited" ? [event.reason] : []))

describe("workers", { timeout: 60_000 }, () => {
  it("share one port, and any of them tells of all", async () => {
    const { port } = await start({ WORKERS: "3" }, 3)
    const pids = new Set<string>()
    for (let n = 0; n < 200 && pids.size < 3; n++) pids.add((await request(port, "/")).body)
    expect(pids.size).toBeGreaterThan(1)
    const report: Health.Report = JSON.parse((await request(port, "/health/concurrency")).body)
    expect(report.workers.map(({ worker }) => worker.split(".")[0])).toEqual(["1", "2", "3"])
    expect(report.concurrency["high"]).toEqual({ available: 300, total: 300, utilization: "0.0%" })
  })

  it("are replaced after so many requests, and no request is lost", async () => {
    const { events, port, until } = await start({ MAX_REQUESTS_PER_WORKER: "100" })
    const stop = load(port)
    await until((all) => count(all, "Exited") >= 3)
    const { done, wrong } = await stop()
    expect(wrong).toEqual([])
    expect(done).toBeGreaterThan(200)
    expect(exits(events).every((reason) => reason === "drained")).toBe(true)
  })

  it("are started again when they are killed, while the others go on", async () => {
    const { events, port, until } = await start()
    const victim = events.find((event) => event._tag === "Ready")
    if (victim === undefined || !("pid" in victim)) throw new Error("no worker is there")
    process.kill(victim.pid, "SIGKILL")
    await until((all) => count(all, "Ready") === 3)
    expect(exits(events)).toEqual(["crashed"])
    expect((await request(port, "/")).status).toBe(200)
  })

  it("come back from a storm of crashes, all of them again and again", async () => {
    const { events, port, until } = await start()
    const killed = new Set<number>()
    for (const storm of [1, 2, 3]) {
      for (const event of events) {
        if (event._tag !== "Ready" || killed.has(event.pid)) continue
        killed.add(event.pid)
        process.kill(event.pid, "SIGKILL")
      }
      await until((all) => count(all, "Ready") === 2 * (storm + 1))
    }
    expect(exits(events)).toEqual(Array(6).fill("crashed"))
    const report: Health.Report = JSON.parse((await request(port, "/health/concurrency")).body)
    expect(report.workers.map(({ pid }) => pid).some((pid) => killed.has(pid))).toBe(false)
  })

  it.runIf(process.platform !== "win32")("are all replaced on SIGHUP, and no request is lost", async () => {
    const { child, events, port, until } = await start()
    const before = new Set(events.flatMap((event) => (event._tag === "Ready" ? [event.pid] : [])))
    const stop = load(port)
    // Deno's `child.kill` ends the child's input too.
    process.kill(child.pid ?? 0, "SIGHUP")
    await until((all) => count(all, "Exited") === 2)
    const { wrong } = await stop()
    expect(wrong).toEqual([])
    expect(exits(events)).toEqual(["drained", "drained"])
    const report: Health.Report = JSON.parse((await request(port, "/health/concurrency")).body)
    expect(report.workers.some(({ pid }) => before.has(pid))).toBe(false)
  })

  it("end what they have begun on SIGTERM", async () => {
    const { child, events, exited, port } = await start()
    const begun = Array.from({ length: 20 }, () => request(port, "/slow?millis=1500"))
    await busy(port, 20)
    child.kill("SIGTERM")
    expect((await Promise.all(begun)).map(({ status }) => status)).toEqual(Array(20).fill(200))
    await exited
    expect(exits(events)).toEqual(["drained", "drained"])
  })

  it("end within the time for it, whatever they do", async () => {
    const { child, exited, port } = await start({ DRAIN_MILLIS: "300" })
    const endless = request(port, "/slow?millis=600000").then(
      () => "answered",
      () => "cut"
    )
    await busy(port, 1)
    child.kill("SIGTERM")
    expect(await endless).toBe("cut")
    await exited
  })

  it("end with their primary when it is killed", async () => {
    const { child, events } = await start()
    const pids = events.flatMap((event) => (event._tag === "Ready" ? [event.pid] : []))
    process.kill(child.pid ?? 0, "SIGKILL")
    while (pids.some(isAlive)) await new Promise((resolve) => setImmediate(resolve))
  })

  it("share a limit exactly, whichever of them is asked", async () => {
    const { port } = await start({ WORKERS: "4", LIMIT: "50" }, 4)
    const ask = (key: string) => Promise.all(Array.from({ length: 80 }, () => request(port, "/", { key })))
    const [ann, bob] = await Promise.all([ask("ann"), ask("bob")])
    for (const answers of [ann, bob]) {
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(50)
      expect(answers.filter(({ status }) => status === 429)).toHaveLength(30)
    }
  })

  it("are given up when none can start", async () => {
    const { events, exited } = await start({ FAILS: "1" }, 0)
    await exited
    expect(events.at(-1)).toMatchObject({ _tag: "Ended" })
    expect(JSON.stringify(events.at(-1))).toContain("No worker could be started: 3 in a row")
    expect(exits(events).slice(0, 3)).toEqual(["failed", "failed", "failed"])
  })
})
