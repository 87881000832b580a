import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Result from "../src/results/Result.ts"
import * as Agents from "../src/run/Agents.ts"
import type { Plan } from "../src/run/Plan.ts"
import { arrivals, planOf, targeting, users } from "./plans.ts"
import { httpServer, type Running } from "./servers.ts"

const isInstalled = spawnSync("redis-server", ["--version"]).status === 0
if (!isInstalled) console.warn("redis-server is not installed: agents are not tested")

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))
const runtimeArguments = "Deno" in globalThis ? ["run", "-A"] : []

const freePort = async (): Promise<number> => {
  const probe = createServer().listen(0, "127.0.0.1")
  await once(probe, "listening")
  const address = probe.address()
  probe.close()
  await once(probe, "close")
  return typeof address === "object" && address !== null ? address.port : 0
}

const end = async (child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> => {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, "exit")
  process.kill(child.pid, signal)
  await closed
}

describe.skipIf(!isInstalled)("agents", () => {
  let redis: ChildProcess
  let folder: string
  let url: string
  let server: Running
  let asked = 0

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "sluice-load-"))
    const port = await freePort()
    url = `redis://127.0.0.1:${port}`
    redis = spawn("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder], {
      stdio: ["ignore", "pipe", "ignore"]
    })
    await new Promise<void>((resolve) => {
      redis.stdout?.on("data", (chunk) => {
        if (String(chunk).includes("Ready to accept connections")) resolve()
      })
    })
    server = await httpServer((_, response) => {
      asked++
      response.end("hello")
    })
  }, 30_000)
  afterAll(async () => {
    await server.close()
    await end(redis)
    rmSync(folder, { recursive: true, force: true })
  }, 30_000)

  const startAgents = (count: number, meeting: string): ReadonlyArray<ChildProcess> =>
    Array.from({ length: count }, () =>
      spawn(process.execPath, [...runtimeArguments, main, "agent", "--redis", url, "--meeting", meeting], {
        stdio: "ignore"
      })
    )

  const coordinate = (plan: Plan, name: string, lostSeconds?: number) =>
    Effect.runPromise(
      Agents.coordinate(plan, {
        name,
        agents: 3,
        patienceSeconds: 60,
        ...(lostSeconds === undefined ? {} : { lostSeconds })
      }).pipe(Agents.through(url))
    )

  it("do together what one would do alone, and their results are one", async () => {
    asked = 0
    const agents = startAgents(3, "together")
    try {
      const exits = agents.map((agent) => once(agent, "exit"))
      const target = { url: `http://127.0.0.1:${server.port}/` }
      const plan = planOf(
        [users(7, 400), arrivals(100, 2)].flatMap((load, index) =>
          targeting(target, load).scenarios.map((scenario) => ({ ...scenario, name: `load ${index}` }))
        )
      )
      const { ending, result } = await coordinate(plan, "together")
      expect(ending).toEqual({ kind: "completed" })
      expect(asked).toBe(600)
      expect(Result.total(result.steps).requests).toBe(600)
      expect(result.scenarios.map(({ iterations, name }) => [name, iterations])).toEqual([
        ["load 0", 400],
        ["load 1", 200]
      ])
      expect(result.client.recorders).toBe(3)
      expect((await Promise.all(exits)).map(([code]) => code)).toEqual([0, 0, 0])
    } finally {
      await Promise.all(agents.map((agent) => end(agent)))
    }
  }, 90_000)

  it("end when one of them is lost, with what is known of it", async () => {
    const agents = startAgents(3, "lost")
    const [victim] = agents
    try {
      asked = 0
      const running = coordinate(targeting({ url: `http://127.0.0.1:${server.port}/` }, arrivals(30, 600)), "lost", 3)
      const watch = setInterval(() => {
        if (asked > 30 && victim !== undefined) void end(victim, "SIGKILL")
      }, 50)
      const { ending, result } = await running
      clearInterval(watch)
      expect(ending).toMatchObject({ kind: "stopped", reason: expect.stringMatching(/^lost agent [123] of 3$/) })
      expect(Result.total(result.steps).requests).toBeGreaterThan(30)
    } finally {
      await Promise.all(agents.map((agent) => end(agent)))
    }
  }, 90_000)

  it("tell the coordinator why they cannot", async () => {
    const agents = startAgents(3, "failing")
    try {
      const plan = planOf([
        {
          name: "missing",
          startAfterSeconds: 0,
          load: users(1, 1),
          source: { kind: "module", path: "/nowhere/scenario.ts", names: ["missing"] }
        }
      ])
      await expect(coordinate(plan, "failing")).rejects.toThrow("Cannot run /nowhere/scenario.ts")
    } finally {
      await Promise.all(agents.map((agent) => end(agent)))
    }
  }, 90_000)
})
