import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, it } from "vitest"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))
const runtimeArguments = "Deno" in globalThis ? ["run", "-A"] : []

const run = async (...args: ReadonlyArray<string>) => {
  const child = spawn(process.execPath, [...runtimeArguments, main, ...args], { stdio: ["ignore", "pipe", "pipe"] })
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

it("runs the patterns of gRPC clients on servers of its own, and keeps what came of them", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-load-"))
  const out = join(folder, "results.json")
  try {
    const { code, stdout } = await run("grpc", "10_concurrent_clients", "burst_traffic_pattern", "--out", out)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^10_concurrent_clients +50 +0 /m)
    expect(stdout).toMatch(/^burst_traffic_pattern +150 +0 /m)
    expect(JSON.parse(readFileSync(out, "utf8"))).toMatchObject([
      { name: "10_concurrent_clients", succeeded: 50, failed: 0 },
      { name: "burst_traffic_pattern", succeeded: 150, failed: 0 }
    ])
  } finally {
    rmSync(folder, { recursive: true })
  }
}, 60_000)

it("tells the patterns that there are, and refuses others by name", async () => {
  const { stdout } = await run("grpc", "--list")
  expect(stdout.trim().split("\n")).toHaveLength(16)
  const { code, stderr } = await run("grpc", "nonsense")
  expect(code).toBe(1)
  expect(stderr).toContain("Cannot run the pattern nonsense: the patterns are 10_concurrent_clients")
})

it("says that calls failed where nobody listens", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-load-"))
  try {
    const { code, stderr } = await run(
      "grpc",
      "10_concurrent_clients",
      "--address",
      "http://127.0.0.1:1",
      "--out",
      join(folder, "results.json")
    )
    expect(code).toBe(1)
    expect(stderr).toContain("50 calls failed")
  } finally {
    rmSync(folder, { recursive: true })
  }
}, 60_000)

it("ends in silence when nobody reads what it writes", async () => {
  const child = spawn(process.execPath, [...runtimeArguments, main, "fir", "--help"], {
    stdio: ["ignore", "pipe", "pipe"]
  })
  child.stdout.destroy()
  let stderr = ""
  child.stderr.on("data", (chunk) => {
    stderr += String(chunk)
  })
  const [code] = await once(child, "close")
  expect(stderr).not.toContain("EPIPE")
  expect(code).toBe(0)
})
