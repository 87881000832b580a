// The figures that the Text2Everything guide publishes for its Python SDK, beside
// those of a run.

import type { SuiteRun } from "./output.ts"

interface Published {
  readonly suite: string
  readonly name: string
  readonly averageSeconds: number
  readonly throughput: number
}

const figures: ReadonlyArray<Published> = [
  { suite: "high_concurrency_contexts", name: "Contexts", averageSeconds: 1.2, throughput: 0.8 },
  { suite: "high_concurrency_schema_metadata", name: "Schema metadata", averageSeconds: 6.9, throughput: 0.1 },
  { suite: "high_concurrency_golden_examples", name: "Golden examples", averageSeconds: 1.2, throughput: 0.9 }
]

/** Item 0 alone, then 31 at 8 at once: 1 + 4 times the time of a request. */
const bound = (requests: number, averageSeconds: number): number =>
  requests / (averageSeconds * (1 + Math.ceil((requests - 1) / 8)))

/** Rates may be compared where a request takes as long as it did there. */
const isComparable = (here: number, there: number): boolean => Math.abs(here / there - 1) <= 0.1

const columns = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  const line = (row: ReadonlyArray<string>) => `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |`
  const [head = [], ...body] = rows
  return [line(head), `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`, ...body.map(line)].join("\n")
}

/** A Markdown table of what was run of the three suites; `undefined` where none was. */
export const published = (runs: ReadonlyArray<SuiteRun>): string | undefined => {
  const rows = figures.flatMap((figure) => {
    const result = runs.find((run) => run.suite === figure.suite)?.results[0]
    if (result === undefined) return []
    const comparable = isComparable(result.averageSeconds, figure.averageSeconds)
    const most = bound(result.requests, figure.averageSeconds)
    return [
      [
        figure.name,
        `32/32, ${figure.averageSeconds} s, ${figure.throughput} req/s`,
        `${result.succeeded}/${result.requests}, ${result.averageSeconds.toFixed(2)} s, ${result.throughput.toFixed(2)} req/s`,
        comparable ? `${(result.throughput / figure.throughput).toFixed(1)}×` : "another latency",
        comparable ? `${((100 * result.throughput) / most).toFixed(1)}% of ${most.toFixed(2)} req/s` : ""
      ]
    ]
  })
  return rows.length === 0
    ? undefined
    : columns([["32 at 8 at once", "published (Python SDK)", "here", "ratio", "of what 8 at once allow"], ...rows])
}
