import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { collect, generatedProject } from "./collect.ts"
import { isInstalled, type Redis, startRedis } from "./redis.ts"

const execute = promisify(execFile)
const tools = join(import.meta.dirname, "../../../node_modules/.bin")
const examples = collect()

describe("documentation examples", () => {
  it("are found", () => {
    expect(examples.length).toBeGreaterThan(0)
  })

  it("compile under the repository's strict settings", async () => {
    const compiled = execute(join(tools, "tsc"), ["-p", generatedProject, "--pretty", "false"])
    const errors = await compiled.then(
      () => "",
      (failure: { readonly stdout: string }) => failure.stdout
    )
    expect(errors).toBe("")
  }, 120_000)

  describe("run and print what they say", { concurrent: true, timeout: 60_000 }, () => {
    let redis: Redis | undefined
    beforeAll(async () => {
      if (isInstalled) redis = await startRedis()
    })
    afterAll(() => redis?.stop())

    for (const example of examples) {
      it.skipIf(example.needsRedis && !isInstalled)(example.name, async ({ expect }) => {
        const env = example.needsRedis ? { ...process.env, REDIS_URL: redis?.url() } : process.env
        const { stdout } = await execute(join(tools, "node"), [example.file], { timeout: 50_000, env })
        if (example.expected.length > 0) expect(stdout.trimEnd().split("\n")).toEqual(example.expected)
      })
    }
  })
})
