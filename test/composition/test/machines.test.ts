// Two machines of two workers each, with one Redis between them.

import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { get } from "node:http"
import { createServer } from "node:net"
import { createInterface } from "node:readline"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

const isInstalled = spawnSync("redis-server", ["--version"]).status === 0
const program = new URL("support/machine.ts", import.meta.url).pathname

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const probe = createServer()
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => resolve(address !== null && typeof address === "object" ? address.port : 0))
    })
  })

/** Waits until it has said so often what it says when it is there. */
const said = (child: ChildProcess, what: string, times: number): Promise<void> =>
  new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`It ended with ${code} before it said ${what}`)))
    if (child.stdout === null) return
    let heard = 0
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line.includes(what) && ++heard === times) resolve()
    })
  })

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    child.once("exit", () => resolve())
  })

const statusOf = (port: number, key: string): Promise<number> =>
  new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, agent: false, headers: { "x-api-key": key } }, (response) => {
      response.resume().on("end", () => resolve(response.statusCode ?? 0))
    }).on("error", reject)
  })

describe.skipIf(!isInstalled)("two machines of two workers", { timeout: 120_000 }, () => {
  let redis: ChildProcess
  const machines: Array<{ readonly port: number; readonly child: ChildProcess }> = []

  beforeAll(async () => {
    const redisPort = await freePort()
    redis = spawn("redis-server", ["--port", String(redisPort), "--bind", "127.0.0.1", "--save", "", "--dir", "/tmp"], {
      stdio: ["ignore", "pipe", "ignore"]
    })
    await said(redis, "Ready to accept connections", 1)
    for (const port of [await freePort(), await freePort()]) {
      const child = spawn(process.execPath, [program], {
        stdio: ["pipe", "pipe", "inherit"],
        env: {
          ...process.env,
          PORT: String(port),
          LIMIT: "40",
          REDIS_URL: `redis://127.0.0.1:${redisPort}`
        }
      })
      machines.push({ port, child })
    }
    await Promise.all(machines.map(({ child }) => said(child, "ready", 2)))
  }, 120_000)

  afterAll(async () => {
    for (const { child } of machines) {
      const gone = ended(child)
      child.stdin?.end()
      await gone
    }
    const gone = ended(redis)
    redis.kill()
    await gone
  }, 60_000)

  it("let in exactly as many of a client's requests as one limit allows", async () => {
    const ask = (key: string): Promise<ReadonlyArray<number>> =>
      Promise.all(machines.flatMap(({ port }) => Array.from({ length: 35 }, () => statusOf(port, key))))
    for (const statuses of await Promise.all([ask("ann"), ask("bob")])) {
      expect(statuses.filter((status) => status === 200)).toHaveLength(40)
      expect(statuses.filter((status) => status === 429)).toHaveLength(30)
    }
  })
})
