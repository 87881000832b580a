// The command line, from load to report, against a server in this process; as a process of its own where that is the matter.

import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer, type Server } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { NodeServices } from "@effect/platform-node"
import { Console, Effect, Exit, Option } from "effect"
import { Command } from "effect/cli"
import { afterAll, beforeAll, expect, it } from "vitest"
import { capacity } from "../src/capacity/commands.ts"
import { compare } from "../src/compare/commands.ts"
import { write } from "../src/output/Files.ts"
import { merge, report } from "../src/report/commands.ts"
import * as Codec from "../src/results/Codec.ts"
import { run } from "../src/run/commands.ts"
import { isThresholdsCrossed } from "../src/run/reporting.ts"
import { make } from "./output/sample.ts"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))
const runtimeArguments = "Deno" in globalThis ? ["run", "-A"] : []
const folder = mkdtempSync(join(tmpdir(), "sluice-load-"))
const file = (name: string): string => join(folder, name)

let server: Server | undefined
let url = ""

beforeAll(async () => {
  const started = createServer((request, response) => {
    response.writeHead(request.url === "/broken" ? 503 : 200).end("hello")
  })
  server = started
  await new Promise<void>((resolve) => started.listen(0, "127.0.0.1", () => resolve()))
  const address = started.address()
  url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  const minute = { seconds: 60, perSecond: 50, slowSecond: -1 }
  for (const [name, result] of [
    ["before.slr", make(minute)],
    ["same.slr", make({ ...minute, seed: 8 })],
    ["slower.slr", make({ ...minute, seed: 9, slowness: 1.5 })]
  ] as const) {
    await Effect.runPromise(write(file(name), Codec.encode(result)))
  }
})

afterAll(() => {
  server?.closeAllConnections()
  server?.close()
  rmSync(folder, { recursive: true })
})

const program = Command.make("sluice-load").pipe(Command.withSubcommands([run, report, merge, compare, capacity]))

/** Runs a command here. Answers what it printed, and the failure that it ended with. */
const here = async (...args: ReadonlyArray<string>) => {
  const printed: Array<string> = []
  const exit = await Command.runWith(program, { version: "0.0.0" })(args).pipe(
    Effect.provideService(Console.Console, { ...console, log: (text: string) => printed.push(text) }),
    Effect.provide(NodeServices.layer),
    Effect.runPromiseExit
  )
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  return { stdout: printed.join("\n"), message: error?.message, isCrossed: isThresholdsCrossed(error) }
}

const start = (...args: ReadonlyArray<string>) => {
  const child = spawn(process.execPath, [...runtimeArguments, main, ...args], { stdio: ["ignore", "pipe", "pipe"] })
  let stdout = ""
  let stderr = ""
  child.stdout.on("data", (chunk) => {
    stdout += String(chunk)
  })
  child.stderr.on("data", (chunk) => {
    stderr += String(chunk)
  })
  const ended = once(child, "close").then(([code]) => ({ code, stdout, stderr }))
  return { child, ended }
}

it("keeps what a run came to in every form that is asked for", async () => {
  const outs = ["run.slr", "run.html", "run.json", "run.csv", "run.txt", "run.prom", "junit=run.xml"]
  const { message, stdout } = await here(
    "run",
    `${url}/`,
    ...["--rate", "100", "--duration", "1s", "--quiet", "--threshold", "http_req_failed: rate<0.01"],
    ...outs.flatMap((out) => ["--out", out.includes("=") ? `junit=${file("run.xml")}` : file(out)])
  )
  expect(message).toBeUndefined()
  expect(stdout).toContain("✓ http_req_failed: rate<0.01   rate=0.00%")
  expect(stdout).toMatch(/http_reqs\.+: 100 /)
  for (const out of outs) expect(existsSync(file(out.replace("junit=", "")))).toBe(true)
  expect(JSON.parse(readFileSync(file("run.json"), "utf8"))).toMatchObject({ version: 1, total: { requests: 100 } })
  expect(readFileSync(file("run.xml"), "utf8")).toContain('tests="1" failures="0"')
}, 60_000)

it("ends with 99 when a threshold is crossed, with a line on what", async () => {
  const { code, stderr, stdout } = await start(
    "run",
    `${url}/broken`,
    ...["-c", "2", "-n", "20", "--quiet", "--summary", "json", "--threshold", "http_req_failed: rate<0.01"]
  ).ended
  expect(code).toBe(99)
  expect(stderr).toContain("sluice-load: thresholds were crossed: http_req_failed: rate<0.01\n")
  expect(JSON.parse(stdout)).toMatchObject({ passed: false, total: { requests: 20, errors: { status_5xx: 20 } } })
}, 60_000)

it("ends a run as soon as it may not go on", async () => {
  const { isCrossed, stdout } = await here(
    "run",
    `${url}/broken`,
    ...["--rate", "50", "-d", "1m", "--quiet", "--summary", "json", "--abort-on", "http_req_failed: rate<0.5"]
  )
  expect(isCrossed).toBe(true)
  expect(JSON.parse(stdout).durationSeconds).toBeLessThan(30)
}, 60_000)

it("tells what an interrupted run came to", async () => {
  const { child, ended } = start("run", `${url}/`, ...["-c", "1", "-d", "1m", "--summary", "json"])
  if (server !== undefined) await once(server, "request")
  child.kill("SIGINT")
  const { code, stdout } = await ended
  // Deno tells the signal that it has sent, whatever the process ended with.
  expect(code).toBe("Deno" in globalThis ? null : 2)
  expect(JSON.parse(stdout)).toMatchObject({ version: 1, names: [`${url}/`] })
}, 60_000)

it("refuses what it cannot do, before it puts load on anything", async () => {
  const wrong = async (...args: ReadonlyArray<string>) => {
    const { message, stdout } = await here("run", `${url}/`, ...args)
    expect(stdout).toBe("")
    return message
  }
  expect(await wrong("--threshold", "nonsense")).toContain("Cannot read the threshold nonsense: ")
  expect(await wrong("--out", "run.doc")).toContain("Cannot write to run.doc: a kind and a place are needed")
  expect(await wrong("--out", "/nonexistent/run.slr")).toContain("Cannot write /nonexistent/run.slr: ")
  expect(await wrong("--thresholds", "/nonexistent")).toContain("Cannot read thresholds from /nonexistent: ")
}, 60_000)

it("merges results, and reports on what was merged", async () => {
  const merged = await here("merge", file("before.slr"), file("same.slr"), "-o", file("merged.slr"))
  expect(merged.stdout).toBe(`2 results, 6,000 requests, 2 recorders: ${file("merged.slr")}`)
  const told = await here("report", file("merged.slr"), "--threshold", "reqs: count<6000", "-o", file("merged.html"))
  expect(told.isCrossed).toBe(true)
  expect(told.stdout).toContain("6,000 requests in 1m0s by 2 recorders")
  expect(readFileSync(file("merged.html"), "utf8")).toContain("1 of 1 thresholds crossed")
  const broken = await here("report", main)
  expect(broken.message).toBe(`Cannot read ${main} as a result: it does not begin as a result does`)
}, 60_000)

it("compares two runs, and fails if the second is worse", async () => {
  const same = await here("compare", file("before.slr"), file("same.slr"))
  expect(same.message).toBeUndefined()
  const slower = await here("compare", file("before.slr"), file("slower.slr"), "-o", file("compare.json"))
  expect(slower).toMatchObject({ isCrossed: true, message: "slower.slr is worse than before.slr" })
  expect(slower.stdout).toMatch(/^p50 +\S+ +\S+ +\+\d+\.\d % +\[.*\] +✗ worse$/m)
  expect(JSON.parse(readFileSync(file("compare.json"), "utf8"))).toMatchObject({ verdict: "worse", confidence: 0.99 })
  const several = [file("before.slr"), file("same.slr")].join(",")
  expect((await here("compare", file("slower.slr"), several)).stdout).toContain("✓ The second run is better")
}, 60_000)

it("finds the capacity of a server, up to the rate that is allowed", async () => {
  const { message, stdout } = await here(
    "capacity",
    `${url}/`,
    ...["--slo", "p(50)<10s", "--start", "20", "--max", "40", "--each", "500ms", "--warm-up", "0s", "--confirm", "1"],
    ...["-o", file("capacity.html"), "-o", file("capacity.json")]
  )
  expect(message).toBeUndefined()
  expect(stdout).toContain("The objective held at 40/s, the greatest rate that was allowed.")
  expect(JSON.parse(readFileSync(file("capacity.json"), "utf8"))).toMatchObject({ rate: 40, confirmed: true })
  expect(readFileSync(file("capacity.html"), "utf8")).toContain('aria-label="Latency against load"')
}, 60_000)
