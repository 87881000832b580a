// What a user installs: the packed package, run as one command by the runtime that runs this.
import { execFile } from "node:child_process"
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { httpServer, type Running } from "./servers.ts"

const execute = promisify(execFile)
const root = join(import.meta.dirname, "../../..")
const tool = (name: string): string => join(root, "node_modules/.bin", name)

/** What it stands on, of ours. */
const needed = new Set(
  ["grpc-pool", "http-pool", "metrics", "rate-limiter", "redis", "retry", "semaphore"].map((name) => `@sluice/${name}`)
)

const [runner, ...args]: readonly [string, ...ReadonlyArray<string>] =
  "Deno" in globalThis
    ? [tool("deno"), "run", "-A", "npm:@sluice/load-tester"]
    : process.versions["bun"] !== undefined
      ? [tool("bun"), "x", "--bun", "sluice-load"]
      : ["npx", "--no-install", "@sluice/load-tester"]

describe("the package, installed in a fresh folder", () => {
  let folder = ""
  let server: Running
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "sluice-load-"))
    mkdirSync(join(folder, "tarballs"))
    const app = join(root, "apps/load-tester")
    await execute(tool("tsc"), ["-b", app])
    for (const path of [app, ...globSync(join(root, "packages/*"))]) {
      const { name }: { readonly name: string } = JSON.parse(readFileSync(join(path, "package.json"), "utf8"))
      if (path !== app && !needed.has(name)) continue
      await execute(tool("pnpm"), ["pack", "--pack-destination", join(folder, "tarballs")], { cwd: path })
    }
    const files = [...needed, "@sluice/load-tester"].map((name) => {
      const [file] = globSync(`${name.replace("@", "").replace("/", "-")}-[0-9]*.tgz`, {
        cwd: join(folder, "tarballs")
      })
      return [name, `file:${join(folder, "tarballs", file ?? "")}`] as const
    })
    const overrides = files.map(([name, file]) => `  "${name}": "${file}"\n`).join("")
    writeFileSync(join(folder, "pnpm-workspace.yaml"), `packages: ["."]\noverrides:\n${overrides}`)
    const dependencies = { "@sluice/load-tester": Object.fromEntries(files)["@sluice/load-tester"] }
    writeFileSync(
      join(folder, "package.json"),
      JSON.stringify({ name: "fresh", private: true, type: "module", dependencies })
    )
    await execute(tool("pnpm"), ["install", "--prefer-offline", "--no-frozen-lockfile"], { cwd: folder })
    writeFileSync(
      join(folder, "scenario.ts"),
      'import { Scenario } from "@sluice/load-tester"\nexport default Scenario.define({ scenarios: { one: { run: (user) => user.http.get("/") } } })\n'
    )
    server = await httpServer((_, response) => response.end("hello"))
  }, 120_000)
  afterAll(async () => {
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it("runs as one command", async () => {
    const target = ["run", "scenario.ts", "--url", `http://127.0.0.1:${server.port}`, "-c", "2", "-n", "20", "-w", "2"]
    const { stdout } = await execute(runner, [...args, ...target, "--quiet", "--summary", "json"], { cwd: folder })
    expect(JSON.parse(stdout)).toMatchObject({ recorders: 2, total: { requests: 20, failed: 0 } })
  }, 60_000)
})
