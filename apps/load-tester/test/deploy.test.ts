// The commands of the Kubernetes manifests, run here as their pods would run them.
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Codec from "../src/results/Codec.ts"
import * as Result from "../src/results/Result.ts"
import { httpServer, type Running } from "./servers.ts"

const execute = promisify(execFile)
const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))
const runtime = [process.execPath, ...("Deno" in globalThis ? ["run", "-A"] : []), main]
const deploy = fileURLToPath(new URL("../deploy/kubernetes", import.meta.url))

/** The scripts of a manifest's containers, in order: what stands under `args`, as a block. */
const scriptsOf = (manifest: string): ReadonlyArray<string> =>
  readFileSync(join(deploy, manifest), "utf8")
    .split(/^ +- \|\n/m)
    .slice(1)
    .map((text) => {
      const indent = /^ */.exec(text)?.[0] ?? ""
      const lines = text.split("\n")
      const end = lines.findIndex((line) => !line.startsWith(indent))
      return lines
        .slice(0, end)
        .map((line) => line.slice(indent.length))
        .join("\n")
    })

let folder: string
let server: Running
let asked = 0

/** As a container would run it, with `sluice-load` on its path. */
const pod = (script: string | undefined, env: Readonly<Record<string, string>>) =>
  execute("sh", ["-ec", script ?? "exit 1"], {
    env: {
      ...process.env,
      PATH: `${folder}${delimiter}${process.env["PATH"]}`,
      TARGET: `http://127.0.0.1:${server.port}/`,
      RESULTS: folder,
      ...env
    }
  })

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "sluice-load-"))
  const command = join(folder, "sluice-load")
  writeFileSync(command, `#!/bin/sh\nexec ${runtime.map((part) => `'${part}'`).join(" ")} "$@"\n`)
  chmodSync(command, 0o755)
  server = await httpServer((_, response) => {
    asked++
    response.end("hello")
  })
})
afterAll(async () => {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

describe("the manifests", () => {
  it("have pods that each do a share, and one that merges what they came to", async () => {
    asked = 0
    const [share] = scriptsOf("shares.yaml")
    const [merge] = scriptsOf("merge.yaml")
    const startAt = String(Date.now() / 1000 + 1)
    await Promise.all(
      [0, 1].map((index) =>
        pod(share, {
          LOAD: "--rate 150 --duration 1s",
          PODS: "2",
          START_AT: startAt,
          JOB_COMPLETION_INDEX: String(index)
        })
      )
    )
    expect(asked).toBe(150)
    await pod(merge, {})
    const merged = await Effect.runPromise(Codec.load(join(folder, "all.slr")))
    expect(Result.total(merged.steps).requests).toBe(150)
    expect(merged.client.recorders).toBe(2)
    expect(existsSync(join(folder, "all.html"))).toBe(true)
  }, 60_000)

  it.skipIf(spawnSync("redis-server", ["--version"]).status !== 0)(
    "have agents that agree through Redis, and a coordinator that tells of all",
    async () => {
      const probe = createServer().listen(0, "127.0.0.1")
      await once(probe, "listening")
      const address = probe.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      probe.close()
      await once(probe, "close")
      const redis: ChildProcess = spawn(
        "redis-server",
        ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
        { stdio: ["ignore", "pipe", "ignore"] }
      )
      try {
        await new Promise<void>((resolve) => {
          redis.stdout?.on("data", (chunk) => {
            if (String(chunk).includes("Ready to accept connections")) resolve()
          })
        })
        asked = 0
        const [agent, coordinator] = scriptsOf("agents.yaml")
        const env = { REDIS: `redis://127.0.0.1:${port}`, AGENTS: "1", LOAD: "--rate 150 --duration 1s" }
        const [told] = await Promise.all([pod(coordinator, env), pod(agent, env)])
        expect(asked).toBe(150)
        expect(told.stdout).toMatch(/http_reqs\.+: 150 /)
      } finally {
        const exited = once(redis, "exit")
        redis.kill()
        await exited
      }
    },
    90_000
  )
})
