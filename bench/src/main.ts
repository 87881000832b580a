// `npm run bench` runs every suite, `npm run bench -- semaphore metrics` those
// named, `--json` prints a line a row for programs.

import { globSync } from "node:fs"
import { basename, join } from "node:path"
import { parseArgs } from "node:util"
import { type Row, run, type Suite } from "./harness.ts"

const { positionals, values } = parseArgs({ allowPositionals: true, options: { json: { type: "boolean" } } })

const files = globSync("suites/*.ts", { cwd: import.meta.dirname }).sort()
const known = files.map((file) => basename(file, ".ts"))
const unknown = positionals.filter((name) => !known.includes(name))
if (unknown.length > 0) {
  console.error(`Cannot bench ${unknown.join(", ")}: the suites are ${known.join(", ")}`)
  process.exit(1)
}

const figure = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString("en") : value.toPrecision(value >= 100 ? 4 : 3)

const print = (row: Row): void => {
  if (values.json === true) {
    console.log(JSON.stringify(row))
    return
  }
  const verdict =
    row.bar === undefined ? "" : row.ratio >= row.bar ? `bar ${row.bar}: reached` : `bar ${row.bar}: missed`
  console.log(
    `${row.bench.padEnd(64)} ${figure(row.ours).padStart(9)} ${figure(row.peer).padStart(9)} ${row.unit.padEnd(6)} ${row.ratio.toFixed(2).padStart(8)}x ${row.against.padEnd(26)} ${verdict}`
  )
}

if (values.json !== true) {
  console.log(`Node ${process.versions.node}; medians of rounds in which ours and the peer take turns`)
  console.log(
    `${"".padEnd(64)} ${"ours".padStart(9)} ${"peer".padStart(9)} ${"".padEnd(6)} ${"ratio".padStart(9)} against`
  )
}
for (const name of positionals.length > 0 ? positionals : known) {
  const module: { readonly default: Suite } = await import(join(import.meta.dirname, "suites", `${name}.ts`))
  for (const comparison of module.default.comparisons) print(await run(module.default.name, comparison))
}
