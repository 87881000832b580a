// The recorded run of a million items, with fewer: an AsyncIterable through the
// whole client to the local API, in a process of its own with its collector in
// hand.

import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { expect, it } from "vitest"
import { finish } from "./support/command.ts"

const script = fileURLToPath(new URL("../docs/million.ts", import.meta.url))
const items = 15_000
const runtimeArguments =
  "Deno" in globalThis ? ["run", "-A", "--quiet", "--v8-flags=--expose-gc", script] : ["--expose-gc", script]

it("the memory of a bulk create does not grow with its input", async () => {
  const { code, stderr, stdout } = await finish(
    spawn(process.execPath, [...runtimeArguments, String(items)], { stdio: ["ignore", "pipe", "pipe"] })
  )
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  const rows = stdout
    .trim()
    .split("\n")
    .slice(2)
    .map((row) => row.split("|").slice(1, -1).map(Number))
  expect(rows.map(([created]) => created)).toEqual(Array.from({ length: 10 }, (_, step) => ((step + 1) * items) / 10))
  const heap = rows.map((row) => row[1] ?? Number.NaN)
  // Two hundred bytes kept of each item would be more than this.
  expect((heap.at(-1) ?? Number.NaN) - (heap[2] ?? Number.NaN)).toBeLessThan(2)
  for (const row of rows) expect(row[3]).toBeLessThanOrEqual(2 * 16 + 2)
}, 60_000)
