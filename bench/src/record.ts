// Keeps the last figures of every suite in results.json and writes them into
// docs/performance.md, so that the page never says what nobody measured.

import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import type { Row } from "./harness.ts"

interface SuiteRecord {
  readonly measured: string
  readonly node: string
  readonly cores: number
  readonly rows: ReadonlyArray<Row>
}

const results = join(import.meta.dirname, "../results.json")
const page = join(import.meta.dirname, "../../docs/performance.md")
const begin = "<!-- figures: written by npm run bench -- --record -->"
const end = "<!-- /figures -->"

export const figure = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString("en") : value.toPrecision(value >= 100 ? 4 : 3)

const verdict = (row: Row): string =>
  row.bar === undefined ? "" : `${row.bar}×, ${row.ratio >= row.bar ? "reached" : "missed"}`

const section = ([suite, record]: readonly [string, SuiteRecord]): string =>
  [
    `### ${suite}`,
    "",
    `Measured ${record.measured} on Node ${record.node}, ${record.cores} cores.`,
    "",
    "| What | Ours | Peer | Unit | Ours is | Bar |",
    "|---|---:|---:|---|---:|---|",
    ...record.rows.map(
      (row) =>
        `| ${row.bench.replace(`${suite}: `, "")} | ${figure(row.ours)} | ${figure(row.peer)} (${row.against}) | ${row.unit} | ${row.ratio.toFixed(2)}× as good | ${verdict(row)} |`
    )
  ].join("\n")

/** Replaces the figures of one suite. */
export const record = (suite: string, rows: ReadonlyArray<Row>): void => {
  const before: Readonly<Record<string, SuiteRecord>> = existsSync(results)
    ? JSON.parse(readFileSync(results, "utf8"))
    : {}
  const all: Readonly<Record<string, SuiteRecord>> = {
    ...before,
    [suite]: {
      measured: new Date().toISOString().slice(0, 10),
      node: process.versions.node,
      cores: availableParallelism(),
      rows
    }
  }
  writeFileSync(results, `${JSON.stringify(all, null, 2)}\n`)
  const text = readFileSync(page, "utf8")
  const sections = Object.entries(all)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(section)
  const head = text.slice(0, text.indexOf(begin) + begin.length)
  const tail = text.slice(text.indexOf(end))
  writeFileSync(page, `${head}\n\n${sections.join("\n\n")}\n\n${tail}`)
}
