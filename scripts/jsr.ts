// Writes each package's jsr.json from its package.json, or with --check says
// where they differ. package.json is the only place where facts are kept.

import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"

interface Manifest {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly exports: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

const root = join(import.meta.dirname, "..")
const manifestPaths = globSync("packages/*/package.json", { cwd: root }).sort()
const read = (path: string): Manifest => JSON.parse(readFileSync(join(root, path), "utf8"))
const versions = new Map(manifestPaths.map((path) => [read(path).name, read(path).version]))

const specifier = (name: string, range: string): string => {
  const ours = versions.get(name)
  return ours === undefined ? `npm:${name}@${range}` : `jsr:${name}@^${ours}`
}

const jsrManifest = (manifest: Manifest): string =>
  `${JSON.stringify(
    {
      $schema: "https://jsr.io/schema/config-file.v1.json",
      name: manifest.name,
      version: manifest.version,
      license: manifest.license,
      exports: manifest.exports,
      imports: Object.fromEntries(
        Object.entries({ ...manifest.peerDependencies, ...manifest.dependencies })
          .sort(([a], [b]) => a.localeCompare(b))
          .map(([name, range]) => [name, specifier(name, range)])
      ),
      publish: { include: ["src", "README.md", "LICENSE", "CHANGELOG.md", "jsr.json"] }
    },
    null,
    2
  )}\n`

const check = process.argv.includes("--check")
const stale: Array<string> = []
for (const path of manifestPaths) {
  const target = join(root, dirname(path), "jsr.json")
  const expected = jsrManifest(read(path))
  if (existsSync(target) && readFileSync(target, "utf8") === expected) continue
  if (check) stale.push(join(dirname(path), "jsr.json"))
  else writeFileSync(target, expected)
}
if (stale.length > 0) {
  console.error(`Out of step with package.json: ${stale.join(", ")}. Run: npm run jsr`)
  process.exitCode = 1
}
