// A small answer from a server with all of its admission on, beside a server that has
// nothing before its answer and beside FastAPI: one process each, fifty connections of
// wrk. What of these is not installed is left out, and said so.

import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process"
import { createServer } from "node:net"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { promisify } from "node:util"
import type { Comparison, Suite } from "../harness.ts"

const execute = promisify(execFile)
const servers = join(import.meta.dirname, "../servers")

const isThere = (command: string, ...args: ReadonlyArray<string>): boolean =>
  spawnSync(command, args, { stdio: "ignore" }).error === undefined

// Debian's packages are those of Debian's Python, whatever other there is.
const python = "/usr/bin/python3"
const hasWrk = isThere("wrk", "-v")
const hasFastApi = spawnSync(python, ["-c", "import fastapi, uvicorn"], { stdio: "ignore" }).status === 0
if (!hasWrk) console.error("server: wrk is not installed; there is nothing to measure with")
if (!hasFastApi) console.error("server: python3-fastapi and python3-uvicorn are not installed; FastAPI is left out")

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const probe = createServer()
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => resolve(address !== null && typeof address === "object" ? address.port : 0))
    })
  })

const running = new Map<string, Promise<number>>()

/** Ends with this process, and does not keep it. */
const started = (command: string, args: ReadonlyArray<string>, stdout: "pipe" | "ignore"): ChildProcess => {
  const server = spawn(command, args, { stdio: ["ignore", stdout, "ignore"] })
  process.once("exit", () => server.kill("SIGKILL"))
  server.unref()
  return server
}

const startNode = async (...args: ReadonlyArray<string>): Promise<number> => {
  const { stdout } = started(process.execPath, args, "pipe")
  if (stdout === null) throw new Error("The server has no output")
  for await (const line of createInterface({ input: stdout })) {
    const port = /listening on (\d+)/.exec(line)?.[1]
    if (port === undefined) continue
    // An open pipe would keep this process for as long as the server has it.
    stdout.destroy()
    return Number(port)
  }
  throw new Error(`${args.join(" ")} did not start`)
}

const startFastApi = async (): Promise<number> => {
  const port = await freePort()
  const options = ["--app-dir", servers, "--host", "127.0.0.1", "--port", String(port), "--log-level", "critical"]
  started(python, ["-m", "uvicorn", "fastapi_health:app", "--no-access-log", ...options], "ignore")
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined)
    if (response?.ok === true) return port
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Requests a second that a server answers, which is started when it is first asked for. */
const measure = (name: string, start: () => Promise<number>) => async (): Promise<number> => {
  const port = running.get(name) ?? start()
  running.set(name, port)
  const { stdout } = await execute("wrk", ["-t1", "-c50", "-d2s", `http://127.0.0.1:${await port}/health`])
  if (stdout.includes("Non-2xx")) throw new Error(`${name} refused some: ${stdout}`)
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1])
}

const admitted = measure("admitted", () => startNode(join(servers, "admitted.ts")))
const unit = "req/s"

const comparisons: ReadonlyArray<Comparison> = [
  {
    name: "GET /health with rate limit, admission, metrics and request id",
    unit,
    against: "node:http, bare",
    ours: admitted,
    peer: measure("plain", () => startNode(join(servers, "plain.ts"))),
    bar: 0.7,
    rounds: 9
  },
  {
    name: "the same",
    unit,
    against: "Effect's router, bare",
    ours: admitted,
    peer: measure("router", () => startNode(join(servers, "admitted.ts"), "--bare"))
  },
  ...(hasFastApi
    ? [
        {
          name: "the same",
          unit,
          against: "FastAPI on uvicorn",
          ours: admitted,
          peer: measure("fastapi", startFastApi),
          bar: 6,
          rounds: 5
        } as const
      ]
    : [])
]

const suite: Suite = { name: "server", comparisons: hasWrk ? comparisons : [] }

export default suite
