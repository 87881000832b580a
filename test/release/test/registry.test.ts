// A whole release, on a copy of the repository and a registry of the test's own:
// versions and changelogs from the pending changesets, JSR manifests in step with
// them, all packages published, and a fresh project that installs one and runs it.

import { type ChildProcess, execFile, spawn } from "node:child_process"
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

const execute = promisify(execFile)
const root = join(import.meta.dirname, "../../..")
const tool = (name: string): string => join(root, "node_modules/.bin", name)
const verdaccio = join(import.meta.dirname, "../node_modules/verdaccio/bin/verdaccio")

interface Manifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly imports?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

const read = (file: string): Manifest => JSON.parse(readFileSync(file, "utf8"))

const home = mkdtempSync(join(tmpdir(), "sluice-registry-"))
const copy = join(home, "repository")
const fresh = join(home, "fresh")
let registry: ChildProcess | undefined
let url = ""

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const probe = createServer()
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => resolve(address !== null && typeof address === "object" ? address.port : 0))
    })
  })

const answers = (): Promise<boolean> =>
  fetch(`${url}-/ping`).then(
    ({ ok }) => ok,
    () => false
  )

const startRegistry = async (): Promise<void> => {
  url = `http://127.0.0.1:${await freePort()}/`
  const config = `storage: ${join(home, "storage")}
web: { enable: false }
auth: { htpasswd: { file: ${join(home, "users")} } }
packages: { "@sluice/*": { access: $all, publish: $all } }
log: { type: stdout, level: fatal }
`
  writeFileSync(join(home, "registry.yaml"), config)
  registry = spawn(tool("node"), [verdaccio, "--config", join(home, "registry.yaml"), "--listen", url], {
    stdio: "ignore"
  })
  while (!(await answers())) await new Promise((resolve) => setTimeout(resolve, 50))
  // Only what is ours is asked of it.
  writeFileSync(join(home, "npmrc"), `@sluice:registry=${url}\n${url.slice("http:".length)}:_authToken=anybody\n`)
}

/** What git would bring to a clone. */
const copyRepository = async (): Promise<void> => {
  const { stdout } = await execute("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    maxBuffer: 2 ** 26
  })
  for (const file of stdout.split("\0")) {
    // What was removed and is not committed yet is listed too.
    if (file === "" || !existsSync(join(root, file))) continue
    mkdirSync(dirname(join(copy, file)), { recursive: true })
    cpSync(join(root, file), join(copy, file))
  }
  await execute("git", ["init", "--quiet"], { cwd: copy })
}

// Whoever runs the tests by npm has its settings in the environment, before those of the file.
const environment = (): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name))),
  npm_config_userconfig: join(home, "npmrc")
})

const inCopy = (program: string, ...args: ReadonlyArray<string>) =>
  execute(program, args, { cwd: copy, env: environment() })

const changeset = (...args: ReadonlyArray<string>) =>
  inCopy(tool("node"), join(root, "node_modules/@changesets/cli/bin.js"), ...args)

/** The folders of all that is published. */
const published = (): ReadonlyArray<string> =>
  globSync(["packages/*/package.json", "apps/*/package.json"], { cwd: copy })
    .filter((path) => read(join(copy, path)).private !== true)
    .map(dirname)
    .sort()

beforeAll(async () => {
  await Promise.all([startRegistry(), copyRepository()])
  await inCopy(
    tool("pnpm"),
    "install",
    "--filter",
    "./packages/*",
    "--filter",
    "./apps/*",
    "--prefer-offline",
    "--ignore-scripts",
    "--no-frozen-lockfile"
  )
  await changeset("version")
  await inCopy(tool("node"), "scripts/jsr.ts")
  // What the compiler has made is the same whatever the version.
  for (const folder of published()) {
    if (existsSync(join(root, folder, "dist"))) {
      cpSync(join(root, folder, "dist"), join(copy, folder, "dist"), { recursive: true })
    }
  }
  await changeset("publish", "--no-git-tag")
}, 180_000)

afterAll(() => {
  registry?.kill()
  rmSync(home, { recursive: true, force: true })
})

describe("a release", () => {
  it("gives every package with a changeset a version and a changelog, and none is pending any more", () => {
    const pending = globSync(".changeset/*.md", { cwd: root }).length
    expect(globSync(".changeset/*.md", { cwd: copy })).toEqual([])
    for (const folder of published()) {
      const { version } = read(join(copy, folder, "package.json"))
      if (pending > 0) expect(version).not.toBe("0.0.0")
      expect(readFileSync(join(copy, folder, "CHANGELOG.md"), "utf8")).toContain(`## ${version}`)
    }
  })

  it("keeps the manifests for JSR in step with it", () => {
    for (const folder of published()) {
      const file = join(copy, folder, "jsr.json")
      if (!existsSync(file)) continue
      const { imports = {}, version } = read(file)
      expect(version).toBe(read(join(copy, folder, "package.json")).version)
      for (const specifier of Object.values(imports)) expect(specifier).not.toContain("@^0.0.0")
    }
  })

  it("puts everything that is ours into the registry", async () => {
    for (const folder of published()) {
      const { name, version } = read(join(copy, folder, "package.json"))
      const response = await fetch(url + name.replace("/", "%2f"))
      expect(response.status, name).toBe(200)
      const { "dist-tags": tags, versions }: Told = await response.json()
      expect(tags.latest).toBe(version)
      const ours = Object.entries(versions[version]?.dependencies ?? {}).filter(([other]) =>
        other.startsWith("@sluice/")
      )
      for (const [other, range] of ours) expect(range, `${name} on ${other}`).toMatch(/^\^?\d+\.\d+\.\d+$/)
    }
  })

  it("can be installed into a fresh project, which runs on Node, Bun and Deno", async () => {
    const effect = read(join(root, "package.json")).devDependencies?.["effect"]
    mkdirSync(fresh)
    writeFileSync(join(fresh, "package.json"), JSON.stringify({ name: "fresh", private: true, type: "module" }))
    writeFileSync(join(fresh, ".npmrc"), `@sluice:registry=${url}\n`)
    await execute(tool("pnpm"), ["add", "@sluice/semaphore", `effect@${effect}`, "--prefer-offline"], {
      cwd: fresh,
      env: environment()
    })
    const program = `import { Semaphore } from "@sluice/semaphore"
import { Effect } from "effect"
const once = Effect.gen(function*() {
  const semaphore = yield* Semaphore.make(1)
  return yield* semaphore.withPermit(Effect.succeed("ran"))
})
console.log(await Effect.runPromise(once))
`
    writeFileSync(join(fresh, "main.mjs"), program)
    for (const [runtime, ...args] of [["node"], ["bun"], ["deno", "run", "-A"]] as const) {
      const { stdout } = await execute(tool(runtime), [...args, "main.mjs"], { cwd: fresh })
      expect(stdout).toBe("ran\n")
    }
  }, 120_000)
})

interface Told {
  readonly "dist-tags": { readonly latest: string }
  readonly versions: Readonly<Record<string, { readonly dependencies?: Readonly<Record<string, string>> }>>
}
