// Starts the app's own commands as processes, on free ports, on the runtime that
// runs the tests.
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { vi } from "vitest"

// A server is a process, and on a busy machine a process takes its time to come up.
vi.setConfig({ hookTimeout: 60_000, testTimeout: 60_000 })

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url))
const runtimeArguments = "Deno" in globalThis ? ["run", "-A"] : []

export interface Running {
  readonly url: string
  readonly child: ChildProcess
  /** The code that it ends with, known however long ago it ended. */
  readonly ended: Promise<number | null>
  readonly log: () => string
}

/** Settings of the one who runs the tests must not reach the app that is tested. */
const bare = Object.fromEntries(
  ["PATH", "HOME", "TMPDIR", "DENO_DIR", "XDG_CACHE_HOME"].flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]]
  )
)

export const launch = (command: string, environment: Readonly<Record<string, string>> = {}): ChildProcess =>
  spawn(process.execPath, [...runtimeArguments, main, command], {
    // What a test leaves behind when it fails ends with the tests.
    env: { ...bare, PORT: "0", EXIT_WITH_PARENT: "1", ...environment },
    stdio: ["pipe", "pipe", "pipe"]
  })

/** Everything that the process writes, and the code it ends with. */
export const finish = async (
  child: ChildProcess
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> => {
  let stdout = ""
  let stderr = ""
  child.stdout?.on("data", (chunk) => {
    stdout += chunk
  })
  child.stderr?.on("data", (chunk) => {
    stderr += chunk
  })
  const [code] = await once(child, "close")
  return { code, stdout, stderr }
}

export const start = async (command: string, environment: Readonly<Record<string, string>> = {}): Promise<Running> => {
  const child = launch(command, environment)
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve))
  let output = ""
  let log = ""
  child.stderr?.on("data", (chunk) => {
    log += chunk
  })
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout?.on("data", (chunk) => {
      output += chunk
      const found = /^listening on (\S+)$/m.exec(output)?.[1]
      if (found !== undefined) resolve(found)
    })
    child.once("exit", (code) => reject(new Error(`The app ended with code ${code}: ${log}`)))
  })
  return { url, child, ended, log: () => log }
}

export const stop = async ({ child, ended }: Running, signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> => {
  child.kill(signal)
  return ended
}

export const temporaryFolder = (): { readonly path: string; readonly remove: () => void } => {
  const path = mkdtempSync(join(tmpdir(), "fir-"))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

export interface Reply {
  readonly status: number
  readonly type: string
  readonly headers: Headers
  // The tests look into what the server says; what it says is what they test.
  // biome-ignore lint/suspicious/noExplicitAny: the shape is asserted, not assumed
  readonly body: any
}

export const send = async (url: string, init: RequestInit): Promise<Reply> => {
  const response = await fetch(url, init)
  const text = await response.text()
  const type = response.headers.get("content-type") ?? ""
  return {
    status: response.status,
    type,
    headers: response.headers,
    body: type.includes("json") ? JSON.parse(text) : text
  }
}

export const get = (url: string, headers: Record<string, string> = {}): Promise<Reply> => send(url, { headers })

export const post = (url: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply> =>
  send(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body)
  })

/** Waits until the server works on the session; fails when it has answered before anyone could see that. */
export const working = async (url: string, sessionId: string, answer: Promise<unknown>): Promise<void> => {
  let answered = false
  const done = () => {
    answered = true
  }
  answer.then(done, done)
  while (!answered) {
    const { body } = await get(`${url}/session/${sessionId}/status`)
    if (body.status === "processing") return
  }
  throw new Error("The server answered before it was seen at work")
}
