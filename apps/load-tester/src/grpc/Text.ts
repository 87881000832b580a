/** What `sluice-load grpc` prints. */
import type { Patterns } from "@sluice/grpc-pool/patterns"

const columns = ["requests", "failed", "req/s", "min", "mean", "p50", "p99", "max ms"]
const nameWidth = Math.max(
  ...["connection_pool_add_remove_concurrent", "gradual_ramp_up_pattern"].map(({ length }) => length)
)

const row = (name: string, cells: ReadonlyArray<string>): string =>
  `${name.padEnd(nameWidth)} ${cells.map((cell) => cell.padStart(9)).join("")}`

export const header: string = row("pattern", columns)

const millis = (value: number): string => (Number.isFinite(value) ? value.toFixed(1) : "-")

/** A pattern as a line of the table. */
export const line = ({ failed, latency, name, requests, requestsPerSecond }: Patterns.Report): string =>
  row(name, [
    String(requests),
    String(failed),
    requestsPerSecond.toFixed(0),
    ...[latency.min, latency.mean, latency.p50, latency.p99, latency.max].map(millis)
  ])

/** The patterns that there are, with what they do. */
export const list = (patterns: ReadonlyArray<Patterns.Pattern>): string =>
  patterns.map(({ name, summary }) => `${name.padEnd(nameWidth)}  ${summary}`).join("\n")
