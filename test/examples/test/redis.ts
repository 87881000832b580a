import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { createServer, type Server } from "node:net"

/** Whether this machine has the server; .ci/run installs it. */
export const isInstalled: boolean = spawnSync("redis-server", ["--version"]).status === 0

export interface Redis {
  /** The address of a database that nobody else was given. */
  readonly url: () => string
  readonly stop: () => Promise<void>
}

const databases = 256

const portOf = (server: Server): number => {
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("A TCP server has a port")
  return address.port
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once("error", reject)
    probe.listen(0, "127.0.0.1", () => {
      const port = portOf(probe)
      probe.close(() => resolve(port))
    })
  })

const ready = (server: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    let log = ""
    server.once("error", reject)
    server.once("exit", (code) => reject(new Error(`redis-server ended with ${code}: ${log}`)))
    server.stdout?.on("data", (chunk) => {
      log += String(chunk)
      if (log.includes("Ready to accept connections")) resolve()
    })
  })

/** A server of the tests' own, in memory alone, on a port that was free. */
export const startRedis = async (): Promise<Redis> => {
  const port = await freePort()
  const server = spawn(
    "redis-server",
    ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--databases", String(databases), "--dir", "/tmp"],
    { stdio: ["ignore", "pipe", "ignore"] }
  )
  await ready(server)
  let given = 0
  return {
    url: () => {
      if (given === databases) throw new Error(`More than ${databases} examples ask for Redis`)
      return `redis://127.0.0.1:${port}/${given++}`
    },
    stop: () =>
      new Promise((resolve) => {
        server.once("exit", () => resolve())
        server.kill()
      })
  }
}
