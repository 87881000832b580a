// What a user installs: every package packed as it would be published, looked
// at by publint and arethetypeswrong, and imported in a fresh folder on each runtime.

import { execFile } from "node:child_process"
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { promisify } from "node:util"
import { publint } from "publint"
import { formatMessage } from "publint/utils"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

const execute = promisify(execFile)
const root = join(import.meta.dirname, "../../..")
const tool = (name: string): string => join(root, "node_modules/.bin", name)
const attw = join(import.meta.dirname, "../node_modules/.bin/attw")

interface Manifest {
  readonly name: string
  readonly version: string
  readonly exports: Readonly<Record<string, string>>
}

const packages = globSync("packages/*/package.json", { cwd: root })
  .sort()
  .map((path) => {
    const manifest: Manifest = JSON.parse(readFileSync(join(root, path), "utf8"))
    return { manifest, folder: join(root, path, ".."), short: basename(join(path, "..")) }
  })

const runtimes = {
  node: (file: string) => execute(tool("node"), [file]),
  bun: (file: string) => execute(tool("bun"), [file]),
  deno: (file: string) => execute(tool("deno"), ["run", "-A", file])
}

let workspace = ""
const tarball = (name: string, version: string): string =>
  join(workspace, "tarballs", `${name.replace("@", "").replace("/", "-")}-${version}.tgz`)

beforeAll(async () => {
  workspace = mkdtempSync(join(tmpdir(), "sluice-release-"))
  mkdirSync(join(workspace, "tarballs"))
  for (const { folder } of packages) {
    await execute(tool("pnpm"), ["pack", "--pack-destination", join(workspace, "tarballs")], { cwd: folder })
  }
  const tarballs = Object.fromEntries(
    packages.map(({ manifest }) => [manifest.name, `file:${tarball(manifest.name, manifest.version)}`])
  )
  const rootManifest: { readonly devDependencies: Readonly<Record<string, string>> } = JSON.parse(
    readFileSync(join(root, "package.json"), "utf8")
  )
  const peers = Object.fromEntries(["effect", "fast-check"].map((name) => [name, rootManifest.devDependencies[name]]))
  writeFileSync(
    join(workspace, "package.json"),
    JSON.stringify({ name: "fresh", private: true, type: "module", dependencies: { ...tarballs, ...peers } })
  )
  writeFileSync(
    join(workspace, "pnpm-workspace.yaml"),
    `packages: ["."]\noverrides:\n${Object.entries(tarballs)
      .map(([name, file]) => `  "${name}": "${file}"\n`)
      .join("")}`
  )
  await execute(tool("pnpm"), ["install", "--prefer-offline", "--no-frozen-lockfile"], { cwd: workspace })
}, 180_000)

afterAll(() => {
  rmSync(workspace, { recursive: true, force: true })
})

describe.each(packages)("$manifest.name, packed", ({ manifest, short }) => {
  const file = (): string => tarball(manifest.name, manifest.version)

  it("satisfies publint", async () => {
    const packed = readFileSync(file())
    const { messages, pkg } = await publint({
      pack: { tarball: packed.buffer.slice(packed.byteOffset, packed.byteOffset + packed.byteLength) },
      strict: true
    })
    expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([])
  })

  it("has types that resolve", async () => {
    await execute(attw, [file(), "--profile", "esm-only", "--no-color"])
  }, 60_000)

  for (const [runtime, run] of Object.entries(runtimes)) {
    it(`imports in a fresh folder on ${runtime}`, async () => {
      const modules = Object.keys(manifest.exports)
        // The entry for a test runner can be loaded by that alone.
        .filter((path) => path !== "./vitest")
        .map((path) => join(manifest.name, path))
      const script = join(workspace, `${short}-${runtime}.mjs`)
      writeFileSync(
        script,
        `for (const name of ${JSON.stringify(modules)}) {
  const names = Object.keys(await import(name))
  if (names.length === 0) throw new Error(name + " exports nothing")
  console.log(names.sort().join(" "))
}\n`
      )
      const { stdout } = await run(script)
      const source: Readonly<Record<string, unknown>> = await import(join(root, "packages", short, "src/index.ts"))
      expect(stdout.split("\n")[0]).toBe(Object.keys(source).sort().join(" "))
    }, 60_000)
  }
})
