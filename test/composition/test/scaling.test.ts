import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { table } from "./scaling.ts"

it("docs/scaling.md shows what the simulation says", () => {
  const page = readFileSync(join(import.meta.dirname, "../../../docs/scaling.md"), "utf8")
  expect(page).toContain(table())
})
