import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { describe, expect, it } from "vitest"
import { collect, generatedProject } from "./collect.ts"

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
    for (const example of examples) {
      it(example.name, async ({ expect }) => {
        const { stdout } = await execute(join(tools, "node"), [example.file], { timeout: 50_000 })
        if (example.expected.length > 0) expect(stdout.trimEnd().split("\n")).toEqual(example.expected)
      })
    }
  })
})
