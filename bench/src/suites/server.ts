// A small answer from a server with all of its admission on, beside a server that has
// nothing before its answer and beside FastAPI: one process each, fifty connections of
// wrk. What of these is not installed is left out, and said so.

import { spawnSync } from "node:child_process"
import { createServer } from "node:net"
import { join } from "node:path"
import type { Comparison, Suite } from "../harness.ts"
import { isThere, measure, started, startNode } from "../servers/start.ts"

const servers = join(import.meta.dirname, "../servers")

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
