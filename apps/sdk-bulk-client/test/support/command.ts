// Runs the `t2e` command as a process, on the runtime that runs the tests.

import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url))
const runtimeArguments = "Deno" in globalThis ? ["run", "-A", "--quiet"] : []

/** Settings of the one who runs the tests must not reach the command. */
const bare = Object.fromEntries(
  ["PATH", "HOME", "TMPDIR", "DENO_DIR", "XDG_CACHE_HOME"].flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]]
  )
)

export const launch = (
  words: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>> = {}
): ChildProcess =>
  spawn(process.execPath, [...runtimeArguments, main, ...words], {
    env: { ...bare, ...environment },
    stdio: ["ignore", "pipe", "pipe"]
  })

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Everything that the process writes, and the code it ends with. */
export const finish = async (child: ChildProcess): Promise<Ended> => {
  let stdout = ""
  let stderr = ""
  child.stdout?.on("data", (chunk) => {
    stdout += chunk
  })
  child.stderr?.on("data", (chunk) => {
    stderr += chunk
  })
  const [code, signal] = await once(child, "close")
  // Deno tells a process that ended with 130 as one that SIGINT ended.
  return { code: signal === "SIGINT" ? 130 : code, stdout, stderr }
}
