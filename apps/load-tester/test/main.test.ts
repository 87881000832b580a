import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { expect, it } from "vitest"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))
const runtimeArguments = "Deno" in globalThis ? ["run", "-A"] : []

it("ends in silence when nobody reads what it writes", async () => {
  const child = spawn(process.execPath, [...runtimeArguments, main, "fir", "--help"], {
    stdio: ["ignore", "pipe", "pipe"]
  })
  child.stdout.destroy()
  let stderr = ""
  child.stderr.on("data", (chunk) => {
    stderr += String(chunk)
  })
  const [code] = await once(child, "close")
  expect(stderr).not.toContain("EPIPE")
  expect(code).toBe(0)
})
