// The scenarios that come with the tester, against servers that answer as theirs do.
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import * as Result from "../src/results/Result.ts"
import { drive } from "../src/run/Drive.ts"
import * as ModuleFile from "../src/scenarios/ModuleFile.ts"
import { planOf, users } from "./plans.ts"
import { httpServer } from "./servers.ts"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))
const runtimeArguments = "Deno" in globalThis ? ["run", "-A"] : []

const run = async (...args: ReadonlyArray<string>) => {
  const child = spawn(process.execPath, [...runtimeArguments, main, "run", ...args], {
    stdio: ["ignore", "pipe", "pipe"]
  })
  let stdout = ""
  let stderr = ""
  child.stdout.on("data", (chunk) => {
    stdout += String(chunk)
  })
  child.stderr.on("data", (chunk) => {
    stderr += String(chunk)
  })
  const [code] = await once(child, "close")
  return { code, stdout, stderr }
}

it("tells what there is", async () => {
  const { code, stdout } = await run("--list")
  expect(code).toBe(0)
  for (const name of ["t2e", "credential", "fir", "perf", "grpc", "spike", "soak", "replay"]) {
    expect(stdout).toMatch(new RegExp(`^${name} `, "m"))
  }
}, 30_000)

it("loads the Text2Everything API on a server that it starts itself", async () => {
  const { code, stdout } = await run("t2e", "-c", "4", "-n", "40", "--quiet", "--summary", "json")
  const report = JSON.parse(stdout)
  expect(code).toBe(0)
  expect(report.total.failed).toBe(0)
  expect(Object.keys(report.total.statuses).sort()).toEqual(["200", "201"])
  expect(
    report.scenarios.map(({ iterations, name }: { iterations: number; name: string }) => [name, iterations])
  ).toEqual([
    ["high_concurrency_contexts", 8],
    ["high_concurrency_golden_examples", 8],
    ["high_concurrency_schema_metadata", 8],
    ["read", 16]
  ])
  expect(report.checks.every(({ failed }: { failed: number }) => failed === 0)).toBe(true)
}, 60_000)

describe("the concurrent request server", () => {
  it("is loaded in the proportions of its classes, and a refusal that says when to come again is fair", async () => {
    const seen = new Map<string, number>()
    const server = await httpServer((request, response) => {
      request.resume().on("end", () => {
        const path = `${request.method} ${(request.url ?? "").replace(/provider_\d+/, "{id}")}`
        seen.set(path, (seen.get(path) ?? 0) + 1)
        if (path === "GET /providers") response.end(JSON.stringify({ providers: [{ provider_id: "provider_007" }] }))
        else if (path === "POST /chat") response.writeHead(429, { "retry-after": "1" }).end()
        else if (path === "POST /batch-credential") response.writeHead(503).end()
        else response.end("{}")
      })
    })
    try {
      const { test } = await Effect.runPromise(ModuleFile.load("builtin:credential"))
      const plan = planOf(
        [
          {
            name: "credential",
            startAfterSeconds: 0,
            load: users(3, 52),
            source: { kind: "module", path: "builtin:credential", names: Object.keys(test.scenarios) }
          }
        ],
        { baseUrl: `http://127.0.0.1:${server.port}` }
      )
      const { result } = await Effect.runPromise(drive(plan))
      expect(Result.total(result.steps).requests).toBe(52)
      expect(Object.fromEntries(seen)).toEqual({
        "GET /health": 20,
        "GET /health/concurrency": 4,
        // The set-up asks for them too.
        "GET /providers": 17,
        "POST /credential/{id}": 8,
        "POST /batch-credential": 2,
        "POST /chat": 2
      })
      expect(result.checks.find(({ name }) => name.includes("refused with the time"))).toMatchObject({
        passed: 26,
        failed: 2
      })
    } finally {
      await server.close()
    }
  })
})
