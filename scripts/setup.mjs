// Brings the tools that the repository pins. Runs on whatever Node the machine
// has (20 or later), before the pinned one is there, so it is plain JavaScript
// and uses nothing but Node itself.

import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const stamp = join(root, "node_modules", ".sluice-setup")

const [major = 0] = process.versions.node.split(".").map(Number)
if (major < 20) {
  console.error(`Cannot set up: Node ${process.versions.node} is too old, 20 or later is needed to start`)
  process.exit(1)
}

const manifests = () => {
  const folders = ["packages", "apps", "test"].flatMap((parent) => {
    const path = join(root, parent)
    return existsSync(path) ? readdirSync(path).map((name) => join(parent, name)) : []
  })
  return [".", "bench", ...folders]
    .map((folder) => join(root, folder, "package.json"))
    .filter((path) => existsSync(path))
    .sort()
}

const fingerprint = () => {
  const hash = createHash("sha256")
  for (const path of [...manifests(), join(root, "pnpm-lock.yaml"), join(root, "pnpm-workspace.yaml")]) {
    hash.update(path.slice(root.length)).update("\0").update(readFileSync(path)).update("\0")
  }
  return hash.digest("hex")
}

const expected = fingerprint()
const tools = ["node", "bun", "deno", "pnpm", "turbo", "tsc"]
const missing = tools.filter((tool) => !existsSync(join(root, "node_modules", ".bin", tool)))
if (missing.length === 0 && existsSync(stamp) && readFileSync(stamp, "utf8") === expected) {
  process.exit(0)
}

const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
console.log(
  `Setting up: installing the pinned tools and dependencies with ${packageManager} (about a minute the first time)`
)
const install = spawnSync("npx", ["--yes", packageManager, "install", "--frozen-lockfile", "--reporter=append-only"], {
  cwd: root,
  stdio: ["ignore", "pipe", "pipe"],
  encoding: "utf8",
  shell: process.platform === "win32"
})
if (install.status !== 0) {
  console.error(install.stdout, install.stderr)
  console.error("Cannot set up: the install above failed")
  process.exit(install.status ?? 1)
}
mkdirSync(dirname(stamp), { recursive: true })
writeFileSync(stamp, expected)
console.log("Set up: node, bun, deno, pnpm, turbo and typescript are in node_modules/.bin")
