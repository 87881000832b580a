/**
 * What the FIR tests print: the blocks of the FIR testing guide.
 *
 * @module
 */
import { quantile, type RequestDetail, type Results } from "./Concurrency.ts"
import type { Health, Step } from "./Session.ts"

export const rule: string = "=".repeat(62)

const seconds = (value: number): string => `${value.toFixed(2)}s`

export const heading = (title: string): string => [rule, title, rule].join("\n")

const named = (section: Health["database"]): string => {
  if (section === undefined) return "unknown"
  if (typeof section === "string") return section
  return typeof section["status"] === "string" ? section["status"] : "unknown"
}

export const health = (report: Health): string => {
  const limits = report.concurrency
  return [
    "System Health Check",
    rule,
    `Overall Status: ${report.status}`,
    `Model Server: ${named(report.model_server)}`,
    `ASR/OCR Server: ${named(report.asr_ocr_server)}`,
    `Database: ${named(report.database)}`,
    "",
    "Concurrency Configuration:",
    `  Max Concurrent Requests: ${limits?.max_concurrent_requests ?? "unknown"}`,
    `  Max Concurrent Model Calls: ${limits?.max_concurrent_model_calls ?? "unknown"}`,
    `  HTTP Pool Size: ${limits?.http_pool_size ?? "unknown"}`,
    rule
  ].join("\n")
}

export const finished = (detail: RequestDetail): string =>
  detail.success
    ? `✅ Request ${detail.request_id} completed in ${seconds(detail.duration)}`
    : `❌ Request ${detail.request_id} failed after ${seconds(detail.duration)}: ${detail.error ?? "interrupted"}`

const durations = (results: Results): ReadonlyArray<string> => {
  const sorted = results.request_details
    .filter((detail) => detail.success)
    .map((detail) => detail.duration)
    .sort((a, b) => a - b)
  const [least] = sorted
  const most = sorted.at(-1)
  if (least === undefined || most === undefined) return []
  return [
    "",
    "Request Duration Statistics:",
    `  Average: ${seconds(sorted.reduce((sum, value) => sum + value, 0) / sorted.length)}`,
    `  Min: ${seconds(least)}`,
    `  Max: ${seconds(most)}`,
    `  Median: ${seconds(quantile(sorted, 0.5))}`,
    `  p95: ${seconds(quantile(sorted, 0.95))}`,
    `  p99: ${seconds(quantile(sorted, 0.99))}`
  ]
}

const verdict = (results: Results): string => {
  if (results.interrupted) return "⚠️ TEST INTERRUPTED"
  return results.failed === 0
    ? `✅ TEST PASSED - System handled ${results.num_requests} concurrent requests`
    : `❌ TEST FAILED - ${results.failed} of ${results.num_requests} requests failed`
}

export const summary = (results: Results): string =>
  [
    rule,
    "Concurrency Test Results",
    rule,
    `Total Duration: ${seconds(results.total_duration)}`,
    `Requests: ${results.num_requests}`,
    `Successful: ${results.successful}`,
    `Failed: ${results.failed}`,
    `Success Rate: ${((100 * results.successful) / results.num_requests).toFixed(1)}%`,
    ...durations(results),
    "",
    verdict(results),
    rule
  ].join("\n")

/** What each step is announced as while the performance test runs. */
const announcements: Readonly<Record<Step, string>> = {
  process: "2. Starting FIR processing...",
  transcript_validation: "3. Validating transcript...",
  summary_validation: "4. Validating summary...",
  violations_validation: "5. Validating violations...",
  narrative_validation: "6. Validating FIR narrative...",
  final_review: "7. Final review..."
}

export const stepBegins = (name: Step): string => announcements[name]

export const stepEnded = (name: Step, took: number): string =>
  `✅ ${name === "process" ? "Process step" : name} completed in ${seconds(took)}\n`

/** Health as the performance test tells it. */
export const briefHealth = (report: Health): string =>
  [
    `Health Status: ${report.status}`,
    `  Model Server: ${named(report.model_server)}`,
    `  ASR/OCR Server: ${named(report.asr_ocr_server)}`
  ].join("\n")

export interface Breakdown {
  readonly total: number
  readonly target: number
  readonly steps: ReadonlyMap<Step, number>
  readonly firNumber: string | undefined
  readonly error: string | undefined
}

export const isPassed = ({ error, target, total }: Breakdown): boolean => error === undefined && total <= target

export const breakdown = (result: Breakdown): string => {
  const passed = isPassed(result)
  return [
    rule,
    "Performance Test Results",
    rule,
    `Total Time: ${seconds(result.total)}`,
    `Target: ${seconds(result.target)}`,
    `Status: ${passed ? "✅ PASS" : "❌ FAIL"}`,
    "",
    "Step Breakdown:",
    ...[...result.steps].map(([name, took]) => `  ${name.padEnd(25)}: ${seconds(took).padStart(7)}`),
    rule,
    "",
    ...(result.firNumber === undefined ? [] : [`✅ FIR Generated: ${result.firNumber}`, ""]),
    ...(result.error === undefined ? [] : [`❌ ${result.error}`, ""]),
    passed
      ? `✅ Performance test PASSED - FIR generation under ${result.target} seconds`
      : `❌ Performance test FAILED - FIR generation not complete and right within ${result.target} seconds`
  ].join("\n")
}
