import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { explore } from "@sluice/schedule-explorer/vitest"
import { Effect, Semaphore } from "effect"
import { expect, it } from "vitest"

explore(
  "a program that holds is a test that passes",
  Effect.gen(function* () {
    const semaphore = yield* Semaphore.make(1)
    yield* Effect.all([semaphore.withPermit(Effect.void), semaphore.withPermit(Effect.void)], {
      concurrency: "unbounded"
    })
  })
)

const root = join(import.meta.dirname, "..")
const vitest = join(root, "node_modules/vitest/vitest.mjs")

/** The command of the runtime that this runs on. */
const command = (): ReadonlyArray<string> => {
  if ("Bun" in globalThis) return ["--bun", vitest, "run", "--pool=threads"]
  return "Deno" in globalThis ? ["run", "-A", vitest, "run"] : [vitest, "run"]
}

it("a program that does not fails with the timeline, the token, the line of the test and a page", () => {
  const folder = mkdtempSync(join(tmpdir(), "explored-"))
  const page = join(folder, "pages/lost.html")
  try {
    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      [...command(), "--config", "test/fixtures/vitest.config.ts", "--reporter=verbose"],
      { cwd: root, encoding: "utf8", env: { ...process.env, EXPLORED_PAGE: page, NO_COLOR: "1" } }
    )
    const output = stdout + stderr
    expect(status).toBe(1)
    expect(output).toContain("1 failed | 1 passed | 1 skipped")
    expect(output).toContain("an update was lost")
    expect(output).toMatch(/⤳ preempted[\s\S]*● adds/)
    expect(output).toMatch(/To repeat it: Explorer\.replay\("s1-1-0:[\d.]+"\)/)
    expect(output).toMatch(/explored\.ts:\d+:\d+/)
    expect(readFileSync(page, "utf8")).toContain("<title>loses an update</title>")
  } finally {
    rmSync(folder, { recursive: true })
  }
}, 60_000)
