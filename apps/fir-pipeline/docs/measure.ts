// Measures the table of the README: so many reports at once at the guide's step times,
// then ten at once five times over, with the memory and the CPU that the server takes.
//
//   node apps/fir-pipeline/docs/measure.ts
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Complaints from "../src/Complaints.ts"

const PERMITS = 10
const TABLE = [1, 5, 10, 15, 20]
/** What one report asks of the models: the longest way through it, and the work that holds a permit. */
const PATH_SECONDS = 3.45 + 4.23 / 8 + 5.67 + 3.89 / 3
const WORK_SECONDS = 3.45 + 4.23 + 5.67 + 3.89

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))
const child = spawn(process.execPath, [main, "serve"], {
  env: {
    ...process.env,
    DATABASE_PATH: ":memory:",
    PORT: "0",
    MODEL_LATENCY: "guide",
    RATE_LIMIT_REQUESTS: "1000000",
    LOG_LEVEL: "None",
    EXIT_WITH_PARENT: "1"
  },
  stdio: ["pipe", "pipe", "inherit"]
})
const url = await new Promise<string>((resolve) => {
  child.stdout.on("data", (chunk) => {
    const found = /^listening on (\S+)$/m.exec(String(chunk))?.[1]
    if (found !== undefined) resolve(found)
  })
})

const post = async (path: string, body: unknown) => {
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body)
  })
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`)
  return response.json()
}

const report = async (text: string): Promise<number> => {
  const began = performance.now()
  const { session_id } = await post("/process", { text })
  for (let step = 0; step < 5; step++) await post("/validate", { session_id, approved: true })
  return (performance.now() - began) / 1000
}

const megabytes = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024

/** Seconds of CPU that the server has used; a hundred ticks a second. */
const cpu = (): number => {
  const fields = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}

const texts = Complaints.load().map(({ text }) => text)

const run = async (reports: number) => {
  const before = { cpu: cpu(), memory: megabytes() }
  let most = before.memory
  const sampler = setInterval(() => {
    most = Math.max(most, megabytes())
  }, 50)
  const began = performance.now()
  const durations = await Promise.all(
    Array.from({ length: reports }, (_, index) => report(texts[index % texts.length] ?? ""))
  )
  clearInterval(sampler)
  const makespan = (performance.now() - began) / 1000
  const bound = Math.max(PATH_SECONDS, (reports * WORK_SECONDS) / PERMITS)
  return {
    reports,
    makespan,
    bound,
    mean: durations.reduce((sum, seconds) => sum + seconds, 0) / reports,
    cpu: (cpu() - before.cpu) / makespan,
    memory: (most - before.memory) / reports,
    most
  }
}

await report(texts[0] ?? "")
console.log("| Reports at once | Makespan | Bound | Ratio | Mean of a report | CPU of a core | Memory a report |")
console.log("| --- | --- | --- | --- | --- | --- | --- |")
const row = ({ bound, cpu, makespan, mean, memory, reports }: Awaited<ReturnType<typeof run>>): string =>
  `| ${reports} | ${makespan.toFixed(1)} s | ${bound.toFixed(1)} s | ${(makespan / bound).toFixed(3)} | ${mean.toFixed(1)} s | ${(cpu * 100).toFixed(0)} % | ${memory.toFixed(1)} MB |`
for (const reports of TABLE) console.log(row(await run(reports)))
console.log("\nTen at once, five times over:")
for (let turn = 0; turn < 5; turn++) {
  const figures = await run(10)
  console.log(`${row(figures)} ${figures.most.toFixed(0)} MB at most`)
}
child.stdin.end()
