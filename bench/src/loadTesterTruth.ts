// Truth first: what load testers say of servers whose delays are known.
//
//   node bench/src/loadTesterTruth.ts [truth] [gaps] [closed]
//
// The truth is what the server itself has measured of arrivals on the plan, which
// an open loop makes: how long each answer was held. Beside it stand the quantiles
// of ours and of autocannon at the same rate. A second table tells how evenly ours
// sends; a third, if programs are installed, how much each sends in a closed loop.

import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { autocannonReport, closedLoop, sluiceReport } from "./clients/loadTesters.ts"
import { median } from "./harness.ts"
import { isInstalled, nginx, pinned } from "./servers/nginx.ts"

const rate = 200
const rounds = 3

/** A stall of a second in every ten has to come twice; what is always the same need not last. */
const schedules = [
  ["fixed", 10],
  ["bimodal", 10],
  ["stalls", 20]
] as const

const startKnown = async (schedule: string) => {
  const program = fileURLToPath(new URL("servers/known.ts", import.meta.url))
  const child = spawn(...pinned(1, process.execPath, [program, schedule]), { stdio: ["pipe", "pipe", "inherit"] })
  const [port] = await once(child.stdout, "data")
  const url = `http://127.0.0.1:${String(port).trim()}/`
  return {
    url,
    truth: async (): Promise<ReadonlyArray<number>> => {
      const held: ReadonlyArray<number> = JSON.parse(await (await fetch(`${url}truth`)).text())
      return held.toSorted((a, b) => a - b)
    },
    end: async () => {
      child.stdin.end()
      await once(child, "exit")
    }
  }
}

const quantile = (sorted: ReadonlyArray<number>, q: number): number =>
  sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN

const quantiles = [
  ["p50", 0.5, "p50", "p50"],
  ["p75", 0.75, "p75", "p75"],
  ["p90", 0.9, "p90", "p90"],
  ["p99", 0.99, "p99", "p99"]
] as const

const off = (value: number, truth: number): string => `${(((value - truth) / truth) * 100).toFixed(1)} %`
const millis = (value: number): string => `${value.toFixed(1)} ms`

const row = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`
const table = (heads: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): void => {
  console.log([row(heads), row(heads.map(() => "---")), ...rows.map(row), ""].join("\n"))
}

const measure = async (schedule: string, seconds: number) => {
  const server = await startKnown(schedule)
  try {
    const ours = await sluiceReport(server.url, "--rate", String(rate), "-d", `${seconds}s`)
    const held = await server.truth()
    const theirs = await autocannonReport(server.url, "-R", String(rate), "-c", "100", "-d", String(seconds))
    return quantiles.map(([, q, ourKey, theirKey]) => ({
      truth: quantile(held, q),
      ours: ours.total.latency[ourKey] / 1000,
      theirs: theirs.latency[theirKey]
    }))
  } finally {
    await server.end()
  }
}

/** Where a schedule goes from one delay to another, a single answer decides: a tenth of all come into a stall. */
const isCliff = (schedule: string, q: number): boolean => schedule === "stalls" && q === 0.9

const truth = async (): Promise<void> => {
  const truths: Array<ReadonlyArray<string>> = []
  for (const [schedule, seconds] of schedules) {
    const all: Array<Awaited<ReturnType<typeof measure>>> = []
    for (let round = 0; round < rounds; round++) all.push(await measure(schedule, seconds))
    quantiles.forEach(([name, q], at) => {
      if (isCliff(schedule, q)) return
      const of = (pick: (one: { truth: number; ours: number; theirs: number }) => number): number =>
        median(all.flatMap((figures) => figures[at] ?? []).map(pick))
      truths.push([
        schedule,
        name,
        millis(of(({ truth }) => truth)),
        millis(of(({ ours }) => ours)),
        `${of(({ ours, truth }) => Math.abs(ours / truth - 1) * 100).toFixed(1)} %`,
        millis(of(({ theirs }) => theirs)),
        `${of(({ theirs, truth }) => Math.abs(theirs / truth - 1) * 100).toFixed(1)} %`
      ])
    })
  }
  console.log(`${rate} arrivals a second; medians of ${rounds} rounds\n`)
  table(["Server", "", "Truth", "sluice-load", "off by", "autocannon", "off by"], truths)
}

const gaps = async (): Promise<void> => {
  const url = await nginx()
  const rows: Array<ReadonlyArray<string>> = []
  for (const planned of [1000, 5000, 20_000]) {
    const { client, total } = await sluiceReport(url, "--rate", String(planned), "-d", "10s")
    const { gaps: between, sendDelay } = client
    const micros = (value: number): string => `${value.toFixed(0)} µs`
    rows.push([
      `${planned}/s`,
      `${total.requestsPerSecond.toFixed(0)}/s (${off(total.requestsPerSecond, planned)})`,
      micros(1e6 / planned),
      ...[between.p50, between.p90, between.p99].map(micros),
      ...[sendDelay.p50, sendDelay.p99].map(micros)
    ])
  }
  console.log("Arrivals, as they were sent: gaps between one and the next, and how late each was\n")
  table(["Plan", "Sent", "Even gap", "Gap p50", "p90", "p99", "Late p50", "p99"], rows)
}

const closed = async (): Promise<void> => {
  const url = await nginx()
  const testers = (["sluice", "autocannon", "wrk", "hey"] as const).filter(
    (name) => name === "sluice" || name === "autocannon" || isInstalled(name)
  )
  const rates = new Map(testers.map((name) => [name, [] as Array<number>]))
  for (let round = 0; round < 5; round++) {
    for (const name of testers) rates.get(name)?.push(await closedLoop[name](url, { connections: 64, seconds: 3 }))
  }
  const ours = median(rates.get("sluice") ?? [])
  console.log("A closed loop of 64 connections against nginx, one core each, medians of five\n")
  table(
    ["Tester", "Requests a second", "Ours is"],
    testers.map((name) => {
      const theirs = median(rates.get(name) ?? [])
      return [name === "sluice" ? "sluice-load" : name, theirs.toFixed(0), `${(ours / theirs).toFixed(2)}×`]
    })
  )
}

const parts = new Map([
  ["truth", truth],
  ["gaps", gaps],
  ["closed", closed]
])
const asked = process.argv.slice(2)
const unknown = asked.find((name) => !parts.has(name))
if (unknown !== undefined) throw new Error(`Cannot measure ${unknown}: there are ${[...parts.keys()].join(", ")}`)
if (!isInstalled("nginx")) console.log("nginx is not installed: without it there is the truth alone\n")
for (const [name, part] of parts) {
  if ((asked.length === 0 || asked.includes(name)) && (name === "truth" || isInstalled("nginx"))) await part()
}
process.exit()
