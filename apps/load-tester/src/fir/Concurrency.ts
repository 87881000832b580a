/**
 * The concurrency test of the FIR testing guide: many reports at once, each
 * complete and right, with the guide's output and its JSON.
 *
 * @module
 */
import { Data, Effect } from "effect"
import type { Complaint } from "./Complaints.ts"
import * as Session from "./Session.ts"

/** One report, under the names of the guide's JSON. */
export interface RequestDetail {
  readonly request_id: number
  readonly complaint: string
  readonly start_time: string
  readonly end_time: string
  readonly duration: number
  readonly success: boolean
  readonly session_id: string | null
  readonly fir_number: string | null
  readonly error: string | null
  readonly steps_completed: ReadonlyArray<string>
}

export interface Results {
  readonly test_start: string
  readonly test_end: string
  readonly total_duration: number
  readonly num_requests: number
  readonly successful: number
  readonly failed: number
  readonly interrupted: boolean
  readonly request_details: ReadonlyArray<RequestDetail>
  readonly errors: ReadonlyArray<string>
  readonly test_timestamp: string
  readonly test_config: {
    readonly backend_url: string
    readonly num_concurrent_requests: number
    readonly timeout: number
  }
  /** Seconds, of the reports that were right. */
  readonly duration_percentiles: Readonly<Record<string, number>>
}

export interface Options {
  readonly complaints: ReadonlyArray<Complaint>
  /** Reports in all; complaints are taken in turn. */
  readonly requests: number
  /** Reports at once. */
  readonly concurrency: number
  /** Seconds that one report may take. */
  readonly timeoutSeconds: number
}

class TooSlow extends Data.TaggedError("@sluice/load-tester/TooSlow")<{ readonly seconds: number }> {
  override get message(): string {
    return `not complete within ${this.seconds} s`
  }
}

/** A quantile by nearest rank: the least value that at least that part of the values does not exceed. */
export const quantile = (sorted: ReadonlyArray<number>, q: number): number =>
  sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN

const percentiles = (durations: ReadonlyArray<number>): Readonly<Record<string, number>> => {
  const sorted = [...durations].sort((a, b) => a - b)
  if (sorted.length === 0) return {}
  return Object.fromEntries([0.5, 0.9, 0.95, 0.99, 1].map((q) => [`p${q * 100}`, quantile(sorted, q)]))
}

export interface Run {
  /** Runs every report. Never fails: a report that does is a detail. */
  readonly all: Effect.Effect<void>
  /** What there is so far, also after an interruption. */
  readonly results: (interrupted: boolean) => Results
}

/** Prepares the test. `onDone` is told of each report as it ends. */
export const prepare = (
  target: Session.Target,
  options: Options,
  onDone: (detail: RequestDetail) => Effect.Effect<void>
): Run => {
  const details: Array<RequestDetail> = []
  const start = new Date()
  const began = performance.now()

  const one = (index: number): Effect.Effect<void> => {
    const complaint = options.complaints[index % options.complaints.length]
    if (complaint === undefined) return Effect.die(new RangeError("Cannot test without complaints"))
    return Effect.gen(function* () {
      const record = Session.journal()
      const startedAt = new Date()
      const started = performance.now()
      const outcome = yield* Effect.result(
        Session.run(target, complaint, record).pipe(
          Effect.timeoutOrElse({
            duration: `${options.timeoutSeconds} seconds`,
            orElse: () => Effect.fail(new TooSlow({ seconds: options.timeoutSeconds }))
          })
        )
      )
      const detail: RequestDetail = {
        request_id: index + 1,
        complaint: complaint.id,
        start_time: startedAt.toISOString(),
        end_time: new Date().toISOString(),
        duration: (performance.now() - started) / 1000,
        success: outcome._tag === "Success",
        session_id: record.sessionId ?? null,
        fir_number: record.firNumber ?? null,
        error: outcome._tag === "Failure" ? outcome.failure.message : null,
        steps_completed: [...record.secondsByStep.keys()]
      }
      details.push(detail)
      yield* onDone(detail)
    })
  }

  return {
    all: Effect.forEach(Array(options.requests).keys(), one, { concurrency: options.concurrency, discard: true }),
    results: (interrupted) => {
      const ordered = details.toSorted((a, b) => a.request_id - b.request_id)
      const good = ordered.filter((detail) => detail.success)
      return {
        test_start: start.toISOString(),
        test_end: new Date().toISOString(),
        total_duration: (performance.now() - began) / 1000,
        num_requests: options.requests,
        successful: good.length,
        failed: options.requests - good.length,
        interrupted,
        request_details: ordered,
        errors: ordered.flatMap((detail) =>
          detail.error === null ? [] : [`Request ${detail.request_id}: ${detail.error}`]
        ),
        test_timestamp: start.toISOString(),
        test_config: {
          backend_url: target.url,
          num_concurrent_requests: options.concurrency,
          timeout: options.timeoutSeconds
        },
        duration_percentiles: percentiles(good.map((detail) => detail.duration))
      }
    }
  }
}
