// The pool beside the fetch of each runtime: clients and server in processes of
// their own, fifty requests at once, a body of two bytes.
import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { promisify } from "node:util"
import type { Comparison, Suite } from "../harness.ts"

const execute = promisify(execFile)
const requests = 20_000
const tools = join(import.meta.dirname, "../../../node_modules/.bin")
const client = join(import.meta.dirname, "../clients/http.ts")

const serverSource = `
  const server = require("node:http").createServer((_, response) => response.end("ok"))
  server.keepAliveTimeout = 60_000
  server.listen(0, "127.0.0.1", () => process.stdout.write(String(server.address().port)))
  process.stdin.on("end", () => process.exit()).resume()
`

const runtimes = [
  { name: "Node", command: "node", args: [] },
  { name: "Bun", command: "bun", args: [] },
  { name: "Deno", command: "deno", args: ["run", "-A"] }
]

/** Requests a second of a client that was just started, against a server that was just started. */
const measure = async (command: string, args: ReadonlyArray<string>, through: "pool" | "fetch"): Promise<number> => {
  const server = spawn(process.execPath, ["-e", serverSource], { stdio: ["pipe", "pipe", "inherit"] })
  const [port] = await once(server.stdout, "data")
  const { stdout } = await execute(join(tools, command), [
    ...args,
    client,
    through,
    `http://127.0.0.1:${String(port)}/`,
    String(requests)
  ])
  server.stdin.end()
  return Number(stdout)
}

const suite: Suite = {
  name: "http-pool-runtimes",
  comparisons: runtimes.map(
    ({ args, command, name }): Comparison => ({
      name: `GET, 50 connections, on ${name}`,
      unit: "req/s",
      against: `${name}'s fetch`,
      ours: () => measure(command, args, "pool"),
      peer: () => measure(command, args, "fetch"),
      rounds: 5
    })
  )
}

export default suite
