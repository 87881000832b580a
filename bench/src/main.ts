// `npm run bench` runs every suite, `npm run bench -- semaphore metrics` those
// named. `--json` prints a line a row for programs; `--record` keeps the figures
// for docs/performance.md.

import { globSync } from "node:fs"
import { basename, join } from "node:path"
import { parseArgs } from "node:util"
import { type Row, run, type Suite } from "./harness.ts"
import { figure, record } from "./record.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean", default: false }, record: { type: "boolean", default: false } }
})

const files = globSync("suites/*.ts", { cwd: import.meta.dirname }).sort()
const known = files.map((file) => basename(file, ".ts"))
const unknown = positionals.filter((name) => !known.includes(name))
if (unknown.length > 0) {
  console.error(`Cannot bench ${unknown.join(", ")}: the suites are ${known.join(", ")}`)
  process.exit(1)
}

const print = (row: Row): void => {
  if (values.json) {
    console.log(JSON.stringify(row))
    return
  }
  const verdict =
    row.bar === undefined ? "" : row.ratio >= row.bar ? `bar ${row.bar}: reached` : `bar ${row.bar}: missed`
  console.log(
    `${row.bench.padEnd(64)} ${figure(row.ours).padStart(9)} ${figure(row.peer).padStart(9)} ${row.unit.padEnd(6)} ${row.ratio.toFixed(2).padStart(8)}x ${row.against.padEnd(26)} ${verdict}`
  )
}

if (!values.json) {
  console.log(`Node ${process.versions.node}; medians of rounds in which ours and the peer take turns`)
  console.log(
    `${"".padEnd(64)} ${"ours".padStart(9)} ${"peer".padStart(9)} ${"".padEnd(6)} ${"ratio".padStart(9)} against`
  )
}
for (const name of positionals.length > 0 ? positionals : known) {
  const { default: suite }: { readonly default: Suite } = await import(
    join(import.meta.dirname, "suites", `${name}.ts`)
  )
  const rows: Array<Row> = []
  for (const comparison of suite.comparisons) {
    const row = await run(suite.name, comparison)
    rows.push(row)
    print(row)
  }
  if (values.record) record(suite.name, rows)
}
