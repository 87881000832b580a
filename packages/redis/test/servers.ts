// Redis servers of the tests' own: on ports that were free, in directories of
// their own, ended by their process alone.

import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createClient } from "redis"

/** Whether this machine has the server; .ci/run installs it. */
export const isInstalled: boolean = spawnSync("redis-server", ["--version"]).status === 0

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once("error", reject)
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => {
        if (address === null || typeof address === "string") reject(new Error("A TCP server has a port"))
        else resolve(address.port)
      })
    })
  })

/** Signals a process by its number: a child that was told once to stop is not told again by every runtime. */
export const signal = (child: ChildProcess, name: NodeJS.Signals): void => {
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) process.kill(child.pid, name)
}

/** Says one thing to a server, as an operator does. */
export const command = async (port: number, ...args: ReadonlyArray<string>): Promise<unknown> => {
  const client = createClient({ url: `redis://127.0.0.1:${port}` })
  await client.connect()
  try {
    return await client.sendCommand([...args])
  } finally {
    client.destroy()
  }
}

export interface RedisServer {
  readonly port: number
  readonly url: string
  /** Ends the process at once, as a crash does. */
  readonly kill: () => Promise<void>
  /** Starts it again on the same port, with what it has written to disk or with nothing. */
  readonly restart: (options: { readonly keepData: boolean }) => Promise<void>
  /** Stops it where it stands, sockets open (SIGSTOP), until `resume`. */
  readonly pause: () => void
  readonly resume: () => void
  /** Ends it and takes its directory away. */
  readonly close: () => Promise<void>
}

const launch = (port: number, directory: string, args: ReadonlyArray<string>): Promise<ChildProcess> =>
  new Promise((resolve, reject) => {
    const server = spawn(
      "redis-server",
      ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory, ...args],
      { stdio: ["ignore", "pipe", "ignore"] }
    )
    let log = ""
    server.once("error", reject)
    server.once("exit", (code) => reject(new Error(`redis-server ended with ${code}: ${log}`)))
    server.stdout?.on("data", (chunk) => {
      log += String(chunk)
      if (log.includes("Ready to accept connections")) {
        server.removeAllListeners("exit")
        resolve(server)
      }
    })
  })

const ended = (server: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (server.exitCode !== null || server.signalCode !== null) resolve()
    else server.once("exit", () => resolve())
  })

export const startRedis = async (args: ReadonlyArray<string> = []): Promise<RedisServer> => {
  const port = await freePort()
  const directory = mkdtempSync(join(tmpdir(), "sluice-redis-"))
  let server = await launch(port, directory, args)
  const kill = async () => {
    signal(server, "SIGKILL")
    await ended(server)
  }
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    kill,
    restart: async ({ keepData }) => {
      await kill()
      if (!keepData) rmSync(join(directory, "appendonlydir"), { recursive: true, force: true })
      server = await launch(port, directory, args)
    },
    pause: () => {
      signal(server, "SIGSTOP")
    },
    resume: () => {
      signal(server, "SIGCONT")
    },
    close: async () => {
      await kill()
      rmSync(directory, { recursive: true, force: true })
    }
  }
}

/** Writes of every command reach the disk before it is answered, so that a restart has them all. */
export const durable: ReadonlyArray<string> = ["--appendonly", "yes", "--appendfsync", "always"]
