// Where a program's time goes: `node bench/src/profile.ts PROGRAM ARGUMENTS…` runs
// it under the sampling profiler and prints the share of each part (a package, a
// folder of it, Node's own modules) and the functions that take the most.
import { spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

interface Profile {
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }>
  readonly samples: ReadonlyArray<number>
  readonly timeDeltas: ReadonlyArray<number>
}

const partOf = (url: string, functionName: string): string => {
  if (url === "") return functionName.startsWith("(") ? functionName : "native"
  if (url.startsWith("node:")) return url
  const installed = /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(url)?.[1]
  return installed ?? /\/((?:packages|apps)\/[^/]+)\//.exec(url)?.[1] ?? "the program"
}

const folder = mkdtempSync(join(tmpdir(), "profile-"))
const program = process.argv.slice(2)
spawnSync(process.execPath, ["--cpu-prof", `--cpu-prof-dir=${folder}`, ...program], { stdio: "inherit" })
const [file] = readdirSync(folder)
if (file === undefined) throw new Error(`No profile was written by ${program.join(" ")}`)
const { nodes, samples, timeDeltas }: Profile = JSON.parse(readFileSync(join(folder, file), "utf8"))
rmSync(folder, { recursive: true })

const byId = new Map(nodes.map((node) => [node.id, node.callFrame]))
const parts = new Map<string, number>()
const functions = new Map<string, number>()
let busy = 0
samples.forEach((id, index) => {
  const frame = byId.get(id)
  const micros = timeDeltas[index] ?? 0
  if (frame === undefined || frame.functionName === "(idle)") return
  busy += micros
  const part = partOf(frame.url, frame.functionName)
  parts.set(part, (parts.get(part) ?? 0) + micros)
  const name = `${frame.functionName || "(anonymous)"} in ${part}:${frame.lineNumber + 1}`
  functions.set(name, (functions.get(name) ?? 0) + micros)
})

const print = (title: string, shares: ReadonlyMap<string, number>, rows: number): void => {
  console.log(`\n${title}`)
  const largest = [...shares].sort(([, a], [, b]) => b - a).slice(0, rows)
  for (const [name, micros] of largest) console.log(`${((100 * micros) / busy).toFixed(1).padStart(5)} %  ${name}`)
}
print("By part", parts, 16)
print("By function", functions, 24)
