import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "../../..")
const deno = join(root, "node_modules/.bin/deno")

describe("deno publish", () => {
  it("accepts every package, with no slow types", () => {
    const dryRun = spawnSync(deno, ["publish", "--dry-run", "--allow-dirty", "--no-provenance"], {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: "1" }
    })
    expect(dryRun.stderr).toContain("Success Dry run complete")
    expect(dryRun.status).toBe(0)
  }, 180_000)
})
