// `npm start`: the model server, the FIR pipeline and the load tester, each a
// process of its own on a free port, as they would be deployed. Ends with the
// load tester's verdict.

import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { createInterface } from "node:readline"
import { parseArgs } from "node:util"

const root = join(import.meta.dirname, "..")
const runtimes = { node: ["node"], bun: ["bun"], deno: ["deno", "run", "-A"] } as const
type Runtime = keyof typeof runtimes
const isRuntime = (name: string): name is Runtime => Object.hasOwn(runtimes, name)

const { values } = parseArgs({
  options: {
    runtime: { type: "string", default: "node" },
    requests: { type: "string", default: "24" },
    concurrency: { type: "string", default: "10" },
    latency: { type: "string", default: "fast" }
  }
})
if (!isRuntime(values.runtime)) {
  console.error(`Cannot start on ${values.runtime}: --runtime is one of ${Object.keys(runtimes).join(", ")}`)
  process.exit(1)
}
const [binary, ...flags] = runtimes[values.runtime]

const pipeline = "apps/fir-pipeline/src/main.ts"
const children = new Set<ChildProcess>()
const launch = (app: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>>): ChildProcess => {
  const isServer = app === pipeline
  const child = spawn(join(root, "node_modules/.bin", binary), [...flags, join(root, app), ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    // A server ends with its input: a signal would reach the script in node_modules/.bin, and not on every runtime what it runs.
    stdio: isServer ? ["pipe", "pipe", "inherit"] : ["ignore", "inherit", "inherit"]
  })
  children.add(child)
  child.once("exit", () => children.delete(child))
  return child
}

const exited = (child: ChildProcess): Promise<number> =>
  new Promise((resolve) => child.once("exit", (code) => resolve(code ?? 1)))

/** The address that a server prints once it listens. */
const listening = (name: string, child: ChildProcess): Promise<string> =>
  new Promise((resolve, reject) => {
    if (child.stdout === null) return reject(new Error(`${name} has no output to read`))
    const timer = setTimeout(() => reject(new Error(`${name} did not listen within 30 seconds`)), 30_000)
    const lines = createInterface({ input: child.stdout })
    lines.on("line", (line) => {
      const address = /listening on (http:\/\/\S+)/.exec(line)?.[1]
      if (address === undefined) return
      clearTimeout(timer)
      console.log(`${name.padEnd(13)} ${address}`)
      resolve(address)
    })
    child.once("exit", (code) => reject(new Error(`${name} ended with code ${code} before it listened`)))
  })

const stopAll = async (): Promise<void> => {
  const ending = [...children].map((child) => {
    const done = exited(child)
    child.stdin?.end()
    const timer = setTimeout(() => child.kill("SIGKILL"), 10_000)
    return done.finally(() => clearTimeout(timer))
  })
  await Promise.all(ending)
}

const data = mkdtempSync(join(tmpdir(), "sluice-demo-"))
const results = join(root, "concurrency_test_results.json")
process.once("SIGINT", () => void stopAll().then(() => process.exit(2)))

let code = 1
try {
  console.log(`Starting the FIR pipeline on ${values.runtime}, with its embedded rule-based model server\n`)
  const models = launch(pipeline, ["model-server"], {
    PORT: "0",
    MODEL_LATENCY: values.latency,
    EXIT_WITH_PARENT: "1"
  })
  const modelServer = await listening("Model server", models)
  const server = launch(pipeline, ["serve"], {
    PORT: "0",
    EXIT_WITH_PARENT: "1",
    MODEL_SERVER_URL: modelServer,
    DATABASE_PATH: join(data, "fir.sqlite")
  })
  const url = await listening("FIR pipeline", server)
  console.log("")
  const load = launch(
    "apps/load-tester/src/main.ts",
    [
      "fir",
      ...["--url", url],
      ...["--requests", values.requests],
      ...["--concurrency", values.concurrency],
      ...["--complaints", join(root, "apps/fir-pipeline/complaints.jsonl")],
      ...["--out", results]
    ],
    {}
  )
  code = await exited(load)
  console.log(`\nResults: ${relative(process.cwd(), results)}`)
  console.log("To keep the server running: npm run serve, then open http://127.0.0.1:8000/docs for the API")
} catch (error) {
  console.error(`Cannot run the demonstration: ${error instanceof Error ? error.message : String(error)}`)
} finally {
  await stopAll()
  rmSync(data, { recursive: true, force: true })
}
process.exitCode = code
