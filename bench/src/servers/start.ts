// Servers as processes of their own, and wrk, which asks them. A server is started
// when it is first asked for, and ends with the process that measures.

import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process"
import { createInterface } from "node:readline"
import { promisify } from "node:util"

const execute = promisify(execFile)

export const isThere = (command: string, ...args: ReadonlyArray<string>): boolean =>
  spawnSync(command, args, { stdio: "ignore" }).error === undefined

/** Ends with this process, and does not keep it. */
export const started = (command: string, args: ReadonlyArray<string>, stdout: "pipe" | "ignore"): ChildProcess => {
  const server = spawn(command, args, { stdio: ["ignore", stdout, "ignore"] })
  process.once("exit", () => server.kill("SIGKILL"))
  server.unref()
  return server
}

/** Answers the port on which it says that it listens. */
export const startNode = async (...args: ReadonlyArray<string>): Promise<number> => {
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

const running = new Map<string, Promise<number>>()

/** Requests a second that a server answers over so many connections. */
export const measure =
  (name: string, start: () => Promise<number>, connections = 50) =>
  async (): Promise<number> => {
    const port = running.get(name) ?? start()
    running.set(name, port)
    const url = `http://127.0.0.1:${await port}/health`
    const { stdout } = await execute("wrk", ["-t1", `-c${connections}`, "-d2s", url])
    if (stdout.includes("Non-2xx")) throw new Error(`${name} refused some: ${stdout}`)
    if (/Socket errors: connect [1-9]|Socket errors:.* read [1-9]/.test(stdout)) {
      throw new Error(`${name} lost some: ${stdout}`)
    }
    return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1])
  }
