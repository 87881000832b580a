// The figures that the concurrent request guide expects of its server, measured of
// ours and of FastAPI on uvicorn with the same endpoints, one worker each:
//
//   node bench/src/credentialing.ts [--seconds 5] [--runtime node] [--readme]
//
// Prints one table; with `--readme` it goes into the app's README. The load comes
// from wrk. FastAPI is Debian's (python3-fastapi, python3-uvicorn); where one of
// them is absent, its column says so.
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs, promisify } from "node:util"
import { median } from "./harness.ts"

const run = promisify(execFile)
const root = join(import.meta.dirname, "../..")
const readme = join(root, "apps/credentialing-server/README.md")
const PYTHON = "/usr/bin/python3"
const runtimes = { node: ["node"], bun: ["bun"], deno: ["deno", "run", "-A"] } as const
type Runtime = keyof typeof runtimes
const isRuntime = (name: string): name is Runtime => Object.hasOwn(runtimes, name)

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    rounds: { type: "string", default: "5" },
    runtime: { type: "string", default: "node" },
    readme: { type: "boolean", default: false }
  }
})
const seconds = Number(values.seconds)
const rounds = Number(values.rounds)
if (!isRuntime(values.runtime) || !(seconds >= 1) || !(rounds >= 1)) {
  console.error("Cannot measure: --seconds and --rounds are 1 or more, --runtime is node, bun or deno")
  process.exit(1)
}
const [binary, ...flags] = runtimes[values.runtime]

/** Connections at once, where the guide expects a thousand and more. */
const MANY = 1500
const FEW = 50

interface Server {
  readonly url: string
  /** Resident bytes right now. */
  readonly memory: () => number
  readonly stop: () => Promise<void>
}

interface Load {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly errors: number
}

const works = async (command: string, ...args: ReadonlyArray<string>): Promise<boolean> =>
  run(command, args).then(
    () => true,
    // wrk says what it is with code 1.
    (error: { readonly code?: unknown }) => error.code === 1 && command === "wrk"
  )

const freePort = async (): Promise<number> => {
  const holder = createServer()
  holder.listen(0, "127.0.0.1")
  await once(holder, "listening")
  const address = holder.address()
  holder.close()
  await once(holder, "close")
  if (address === null || typeof address === "string") throw new Error("No port is free")
  return address.port
}

/** Until the server answers, or has ended. */
const answering = async (url: string, child: ChildProcess): Promise<void> => {
  while (child.exitCode === null) {
    const isThere = await fetch(url).then(
      async (response) => {
        await response.arrayBuffer()
        return response.ok
      },
      () => false
    )
    if (isThere) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`The server at ${url} ended with code ${child.exitCode}`)
}

const residentBytes = (pid: number | undefined): number => {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
  return Number(kilobytes) * 1024
}

const started = async (
  command: string,
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>>,
  port: number
): Promise<Server> => {
  const child = spawn(command, args, { env: { ...process.env, ...environment }, stdio: ["pipe", "ignore", "inherit"] })
  const url = `http://127.0.0.1:${port}`
  await answering(`${url}/health`, child)
  return {
    url,
    memory: () => residentBytes(child.pid),
    stop: async () => {
      const ended = once(child, "exit")
      child.stdin?.end()
      child.kill("SIGTERM")
      await ended
    }
  }
}

const limits = {
  RATE_LIMIT_REQUESTS_PER_MINUTE: "100000000",
  MAX_CONCURRENT_CONNECTIONS: "5000"
}

const ours = async (folder: string): Promise<Server> => {
  const port = await freePort()
  // What node_modules/.bin has is a script; the binary is what the process is to be.
  const { stdout } = await run(join(root, "node_modules/.bin", binary), [
    ...(binary === "deno" ? ["eval", "console.log(Deno.execPath())"] : ["-e", "console.log(process.execPath)"])
  ])
  return started(
    stdout.trim(),
    [...flags, join(root, "apps/credentialing-server/src/main.ts"), "serve"],
    {
      ...limits,
      PORT: String(port),
      WORKERS: "1",
      MAX_REQUESTS_PER_WORKER: "0",
      DATABASE_PATH: join(folder, "credentialing.sqlite"),
      DOCUMENTS_FOLDER: join(folder, "documents"),
      LOG_FILE: "none",
      LOG_LEVEL: "Error",
      REGISTRY_LATENCY: "fast",
      EXIT_WITH_PARENT: "1"
    },
    port
  )
}

const fastapi = async (folder: string): Promise<Server> => {
  const port = await freePort()
  return started(
    PYTHON,
    ["-m", "uvicorn", "fastapi_guide:app", "--port", String(port), "--log-level", "error", "--no-access-log"],
    {
      ...limits,
      DATABASE_PATH: join(folder, "credentialing.sqlite"),
      PYTHONPATH: join(import.meta.dirname, "servers")
    },
    port
  )
}

const millis = (text: string): number => {
  const [, value = "", unit = ""] = /^([\d.]+)(us|ms|s)$/.exec(text) ?? []
  return Number(value) * ({ us: 0.001, ms: 1, s: 1000 }[unit] ?? Number.NaN)
}

/** One run of wrk; a script makes of a GET a POST. */
const load = async (url: string, connections: number, script?: string): Promise<Load> => {
  const { stdout } = await run("wrk", [
    "-t1",
    `-c${connections}`,
    `-d${seconds}s`,
    "--timeout",
    "10s",
    "--latency",
    ...(script === undefined ? [] : ["-s", script]),
    url
  ])
  const figure = (pattern: RegExp): string => pattern.exec(stdout)?.[1] ?? ""
  const socketErrors = [...stdout.matchAll(/(?:connect|read|write|timeout) (\d+)/g)].map(([, count]) => Number(count))
  return {
    perSecond: Number(figure(/Requests\/sec:\s+([\d.]+)/)),
    p50: millis(figure(/50%\s+(\S+)/)),
    p99: millis(figure(/99%\s+(\S+)/)),
    errors: socketErrors.reduce((sum, count) => sum + count, 0) + Number(figure(/Non-2xx.*: (\d+)/) || 0)
  }
}

interface Measured {
  readonly health: Load
  readonly providers: Load
  readonly many: Load
  readonly credential: Load | undefined
  readonly megabytes: number
}

const middle = (loads: ReadonlyArray<Load>): Load => ({
  perSecond: median(loads.map(({ perSecond }) => perSecond)),
  p50: median(loads.map(({ p50 }) => p50)),
  p99: median(loads.map(({ p99 }) => p99)),
  errors: loads.reduce((sum, { errors }) => sum + errors, 0)
})

interface Contender {
  readonly server: Server
  readonly credentials: boolean
  readonly runs: { health: Array<Load>; providers: Array<Load>; many: Array<Load>; credential: Array<Load> }
  megabytes: number
}

const contender = (server: Server, credentials: boolean): Contender => ({
  server,
  credentials,
  runs: { health: [], providers: [], many: [], credential: [] },
  megabytes: 0
})

/** One round of one server: its memory is read while it holds the many connections. */
const round = async (of: Contender, script: string, isCounted: boolean): Promise<void> => {
  const { credentials, runs, server } = of
  const health = await load(`${server.url}/health`, FEW)
  const providers = await load(`${server.url}/providers`, FEW)
  const many = load(`${server.url}/health`, MANY)
  const watch = setInterval(() => {
    of.megabytes = Math.max(of.megabytes, server.memory() / 1e6)
  }, 100)
  const atOnce = await many
  clearInterval(watch)
  const credential = credentials ? await load(`${server.url}/credential/provider_001`, FEW, script) : undefined
  if (!isCounted) return
  runs.health.push(health)
  runs.providers.push(providers)
  runs.many.push(atOnce)
  if (credential !== undefined) runs.credential.push(credential)
}

const result = ({ credentials, megabytes, runs }: Contender): Measured => ({
  health: middle(runs.health),
  providers: middle(runs.providers),
  many: middle(runs.many),
  credential: credentials ? middle(runs.credential) : undefined,
  megabytes
})

const perSecond = ({ errors, perSecond }: Load): string =>
  `${Math.round(perSecond).toLocaleString("en-US")}${errors === 0 ? "" : ` (${errors} errors)`}`
const times = ({ p50, p99 }: Load): string => `${p50.toFixed(1)} and ${p99.toFixed(1)} ms`

const rows = (us: Measured, peer: Measured | undefined): ReadonlyArray<ReadonlyArray<string>> => {
  const of = (figure: (measured: Measured) => string): ReadonlyArray<string> => [
    figure(us),
    peer === undefined ? "not installed" : figure(peer)
  ]
  return [
    ["Requests a second, `GET /health`", "100–500", ...of(({ health }) => perSecond(health))],
    [
      "Requests a second, `GET /providers`, 50 rows of SQLite",
      "100–500",
      ...of(({ providers }) => perSecond(providers))
    ],
    [
      "Requests a second, `POST /credential/…`, four registries and what is kept",
      "100–500",
      ...of(({ credential }) => (credential === undefined ? "–" : perSecond(credential)))
    ],
    [
      "Connections at once, all served",
      "1,000+ a worker",
      ...of(({ many }) => `${MANY.toLocaleString("en-US")}, ${many.errors} errors`)
    ],
    ["Requests a second over them", "–", ...of(({ many }) => perSecond(many))],
    [`Response time, \`/health\`, ${FEW} connections, p50 and p99`, "50–200 ms", ...of(({ health }) => times(health))],
    [
      `Response time, \`/providers\`, ${FEW} connections, p50 and p99`,
      "50–200 ms",
      ...of(({ providers }) => times(providers))
    ],
    [
      `Memory of the worker, with ${MANY.toLocaleString("en-US")} connections`,
      "100–500 MB",
      ...of(({ megabytes }) => `${Math.round(megabytes)} MB`)
    ]
  ]
}

const table = (lines: ReadonlyArray<ReadonlyArray<string>>): string => {
  const header = ["One worker", "The guide expects", `Sluice on ${values.runtime}`, "FastAPI on uvicorn"]
  const all = [header, ...lines]
  const widths = header.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0)))
  const line = (cells: ReadonlyArray<string>): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`
  return [line(header), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...lines.map(line)].join("\n")
}

if (!(await works("wrk", "-v"))) {
  console.error("Cannot measure: wrk is not installed (apt-get install wrk)")
  process.exit(1)
}
const hasFastapi = existsSync(PYTHON) && (await works(PYTHON, "-c", "import fastapi, uvicorn"))
if (!hasFastapi)
  console.error("FastAPI is not installed (apt-get install python3-fastapi python3-uvicorn): ours alone is measured")

const folder = mkdtempSync(join(tmpdir(), "sluice-guide-"))
const script = join(folder, "post.lua")
writeFileSync(
  script,
  'local n = 0\nrequest = function()\n  n = n % 500 + 1\n  return wrk.format("POST", string.format("/credential/provider_%03d", n))\nend\n'
)
const contenders: Array<Contender> = []
try {
  contenders.push(contender(await ours(folder), true))
  if (hasFastapi) contenders.push(contender(await fastapi(folder), false))
  for (let index = 0; index <= rounds; index++) {
    // They take turns, so that a drift of the machine's speed meets both; the first round warms up.
    for (const of of contenders) await round(of, script, index > 0)
  }
  const [us, peer] = contenders.map(result)
  if (us === undefined) throw new Error("Nothing was measured")
  const text = [
    table(rows(us, peer)),
    "",
    `Medians of ${rounds} rounds of ${seconds} s in turns, server and wrk on the same ${availableParallelism()} cores.`
  ].join("\n")
  console.log(text)
  if (values.readme) {
    const begin = "<!-- measured -->\n"
    const end = "\n<!-- /measured -->"
    const [before, rest] = readFileSync(readme, "utf8").split(begin)
    const after = rest?.split(end)[1]
    if (before === undefined || after === undefined) throw new Error(`${readme} has no place for the table`)
    writeFileSync(readme, `${before}${begin}${text}${end}${after}`)
  }
} finally {
  await Promise.all(contenders.map(({ server }) => server.stop()))
  rmSync(folder, { recursive: true, force: true })
}
