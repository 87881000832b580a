// Load testers, each in a process of its own on one core, against the same address.

import { spawn } from "node:child_process"
import { once } from "node:events"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import { pinned } from "../servers/nginx.ts"

const sluice = fileURLToPath(new URL("../../../apps/load-tester/src/main.ts", import.meta.url))
const autocannon = createRequire(import.meta.url).resolve("autocannon/autocannon.js")

export const output = async (command: string, args: ReadonlyArray<string>): Promise<string> => {
  const child = spawn(...pinned(0, command, args), { stdio: ["ignore", "pipe", "pipe"] })
  let stdout = ""
  let stderr = ""
  child.stdout.on("data", (chunk) => {
    stdout += String(chunk)
  })
  child.stderr.on("data", (chunk) => {
    stderr += String(chunk)
  })
  const [code] = await once(child, "close")
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}: ${stderr}`)
  return stdout
}

/** The JSON report of a run of ours. */
export const sluiceReport = async (url: string, ...args: ReadonlyArray<string>) =>
  JSON.parse(await output(process.execPath, [sluice, "run", url, "--summary", "json", "--quiet", ...args]))

export const autocannonReport = async (url: string, ...args: ReadonlyArray<string>) =>
  JSON.parse(await output(process.execPath, [autocannon, "--json", ...args, url]))

const numberIn = (text: string, expression: RegExp): number => {
  const found = expression.exec(text)?.[1]
  if (found === undefined) throw new Error(`There is no figure in ${text}`)
  return Number(found)
}

export interface ClosedLoop {
  readonly connections: number
  readonly seconds: number
}

/** Requests a second of each, in a closed loop. */
export const closedLoop = {
  sluice: async (url: string, { connections, seconds }: ClosedLoop): Promise<number> => {
    const report = await sluiceReport(url, "-c", String(connections), "-d", `${seconds}s`)
    return report.total.requestsPerSecond
  },
  autocannon: async (url: string, { connections, seconds }: ClosedLoop): Promise<number> => {
    const report = await autocannonReport(url, "-c", String(connections), "-d", String(seconds))
    return report.requests.total / report.duration
  },
  wrk: async (url: string, { connections, seconds }: ClosedLoop): Promise<number> =>
    numberIn(await output("wrk", ["-t1", `-c${connections}`, `-d${seconds}`, url]), /Requests\/sec:\s*([\d.]+)/),
  hey: async (url: string, { connections, seconds }: ClosedLoop): Promise<number> =>
    numberIn(
      await output("hey", ["-c", String(connections), "-cpus", "1", "-z", `${seconds}s`, url]),
      /Requests\/sec:\s*([\d.]+)/
    )
}
