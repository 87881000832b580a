// The whole check, as `npm test` runs it: Turbo runs every task that its inputs
// have changed for, and this adds up what the tasks report.

import { spawnSync } from "node:child_process"
import { existsSync, globSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"

interface TaskRun {
  readonly taskId: string
  readonly directory: string
  readonly task: string
  readonly cache: { readonly status: string }
  readonly execution?: { readonly exitCode: number | null }
}

interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: ReadonlyArray<{ readonly status: string; readonly assertionResults: ReadonlyArray<unknown> }>
}

interface Tally {
  passed: number
  failed: number
  skipped: number
}

const root = join(import.meta.dirname, "..")
const tasks = ["lint", "types", "imports", "manifests", "test:node", "test:bun", "test:deno"]

// A report left by an earlier run must not be counted; Turbo puts back those of the tasks it does not run again.
for (const report of globSync("{packages,apps,test}/*/.reports/*.json", { cwd: root })) rmSync(join(root, report))
rmSync(join(root, ".turbo/runs"), { recursive: true, force: true })

const turbo = spawnSync(
  join(root, "node_modules/.bin/turbo"),
  ["run", ...tasks, "--continue", "--summarize", "--concurrency=2", "--output-logs=new-only", ...process.argv.slice(2)],
  { cwd: root, stdio: "inherit", env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" } }
)

const readSummary = (): ReadonlyArray<TaskRun> => {
  const directory = join(root, ".turbo/runs")
  const [file] = existsSync(directory) ? readdirSync(directory) : []
  if (file === undefined) return []
  const summary: { readonly tasks: ReadonlyArray<TaskRun> } = JSON.parse(readFileSync(join(directory, file), "utf8"))
  return summary.tasks
}

const succeeded = (run: TaskRun): boolean => run.cache.status === "HIT" || run.execution?.exitCode === 0

const tally = (run: TaskRun): Tally => {
  const report = join(root, run.directory, ".reports", `${run.task.replace("test:", "")}.json`)
  if (!run.task.startsWith("test:") || !existsSync(report)) {
    return succeeded(run) ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 }
  }
  const tests: VitestReport = JSON.parse(readFileSync(report, "utf8"))
  // A file that fails to load reports no test of its own, and a crash can follow the last report.
  const brokenFiles = tests.testResults.filter(
    (file) => file.status === "failed" && file.assertionResults.length === 0
  ).length
  const failed = tests.numFailedTests + brokenFiles
  return {
    passed: tests.numPassedTests,
    failed: failed === 0 && !succeeded(run) ? 1 : failed,
    skipped: tests.numPendingTests + tests.numTodoTests
  }
}

const runs = readSummary().filter(
  (run) => (tasks.includes(run.task) && run.execution !== undefined) || run.cache.status === "HIT"
)
const total: Tally = { passed: 0, failed: 0, skipped: 0 }
for (const run of runs.filter((run) => run.task !== "transit")) {
  const counted = tally(run)
  total.passed += counted.passed
  total.failed += counted.failed
  total.skipped += counted.skipped
  const skipped = counted.skipped > 0 ? `, ${counted.skipped} skipped` : ""
  console.log(
    `${run.taskId.padEnd(40)} ${counted.passed} passed, ${counted.failed} failed${skipped}${run.cache.status === "HIT" ? " (unchanged)" : ""}`
  )
}
if (turbo.status !== 0 && total.failed === 0) total.failed += 1
console.log("")
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`)
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1
