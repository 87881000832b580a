/**
 * One report from complaint to number, the way an officer approves it: POST
 * /process, then POST /validate until it is complete, then a look at what it says.
 *
 * @module
 */
import { Data, Effect, Schema } from "effect"
import { type HttpClient, HttpClientRequest } from "effect/http"
import type { Complaint } from "./Complaints.ts"

/** The steps under the names of the FIR testing guide. */
export const steps = [
  "process",
  "transcript_validation",
  "summary_validation",
  "violations_validation",
  "narrative_validation",
  "final_review"
] as const
export type Step = (typeof steps)[number]

export class StepFailed extends Data.TaggedError("@sluice/load-tester/StepFailed")<{
  readonly step: string
  readonly problem: string
}> {
  override get message(): string {
    return `${this.step}: ${this.problem}`
  }
}

const Started = Schema.Struct({ session_id: Schema.String })
const Validated = Schema.Struct({
  completed: Schema.Boolean,
  content: Schema.Record(Schema.String, Schema.Unknown)
})
const Report = Schema.Struct({ fir_number: Schema.String, fir_content: Schema.String })

const HealthSection = Schema.Union([Schema.String, Schema.Record(Schema.String, Schema.Unknown)])

export const Health = Schema.Struct({
  status: Schema.String,
  model_server: Schema.optionalKey(HealthSection),
  asr_ocr_server: Schema.optionalKey(HealthSection),
  database: Schema.optionalKey(HealthSection),
  concurrency: Schema.optionalKey(
    Schema.Struct({
      max_concurrent_requests: Schema.optionalKey(Schema.Finite),
      max_concurrent_model_calls: Schema.optionalKey(Schema.Finite),
      http_pool_size: Schema.optionalKey(Schema.Finite)
    })
  )
})
export type Health = typeof Health.Type

/** What is known of a session while it runs, so that a failure leaves what was reached. */
export interface Journal {
  sessionId: string | undefined
  firNumber: string | undefined
  readonly secondsByStep: Map<Step, number>
}

export const journal = (): Journal => ({ sessionId: undefined, firNumber: undefined, secondsByStep: new Map() })

export interface Target {
  readonly client: HttpClient.HttpClient
  readonly url: string
  readonly apiKey: string | undefined
}

const call = <A>(
  target: Target,
  step: string,
  request: HttpClientRequest.HttpClientRequest,
  answer: Schema.Codec<A, unknown>
): Effect.Effect<A, StepFailed> => {
  const authorised =
    target.apiKey === undefined ? request : HttpClientRequest.setHeader(request, "x-api-key", target.apiKey)
  return Effect.gen(function* () {
    const response = yield* target.client.execute(authorised)
    const text = yield* response.text
    if (response.status < 200 || response.status > 299) {
      return yield* new StepFailed({ step, problem: `answered ${response.status}: ${text.slice(0, 300)}` })
    }
    return yield* Schema.decodeUnknownEffect(Schema.fromJsonString(answer))(text)
  }).pipe(
    Effect.mapError((error) => (error instanceof StepFailed ? error : new StepFailed({ step, problem: error.message })))
  )
}

const get = (target: Target, path: string) => HttpClientRequest.get(`${target.url}${path}`)
const post = (target: Target, path: string, body: unknown) =>
  HttpClientRequest.post(`${target.url}${path}`).pipe(HttpClientRequest.bodyJsonUnsafe(body))

/** What the server says of itself. */
export const health = (target: Target): Effect.Effect<Health, StepFailed> =>
  call(target, "health", get(target, "/health"), Health)

/** White space is laid out anew in a report; the words are what counts. */
const words = (text: string): string => text.replaceAll(/\s+/g, " ")

/** Whether the section stands in the report by itself, and not as a part of another number. */
const cites = (said: string, section: string): boolean =>
  new RegExp(`(?<![\\w.])${section.replaceAll(/[^\w\s]/g, "\\$&")}(?!\\w)`).test(said)

/** What the report should say and does not. */
export const missing = (complaint: Complaint, report: string): ReadonlyArray<string> => {
  const said = words(report)
  const { complainant, place, sections } = complaint.expect
  return [
    ...(said.includes(words(complainant)) ? [] : [`the complainant ${complainant}`]),
    ...(said.includes(words(place)) ? [] : [`the place ${place}`]),
    ...sections.filter((section) => !cites(said, section)).map((section) => `section ${section}`)
  ]
}

/** Who is told of each step as it begins and ends. */
export interface Watcher {
  readonly begins: (step: Step) => Effect.Effect<void>
  readonly ended: (step: Step, seconds: number) => Effect.Effect<void>
}

const nobody: Watcher = { begins: () => Effect.void, ended: () => Effect.void }

const timed = <A>(
  record: Journal,
  watcher: Watcher,
  step: Step,
  work: Effect.Effect<A, StepFailed>
): Effect.Effect<A, StepFailed> =>
  Effect.gen(function* () {
    yield* watcher.begins(step)
    const start = performance.now()
    const answer = yield* work
    const seconds = (performance.now() - start) / 1000
    record.secondsByStep.set(step, seconds)
    yield* watcher.ended(step, seconds)
    return answer
  })

/** Takes one complaint through every step and checks what its report says. Writes into `record` as it goes. */
export const run = (
  target: Target,
  complaint: Complaint,
  record: Journal,
  watcher: Watcher = nobody
): Effect.Effect<void, StepFailed> =>
  Effect.gen(function* () {
    const started = yield* timed(
      record,
      watcher,
      "process",
      call(target, "process", post(target, "/process", { text: complaint.text }), Started)
    )
    record.sessionId = started.session_id
    const body = { session_id: started.session_id, approved: true }
    let completed = false
    for (const step of steps.slice(1)) {
      const answer = yield* timed(record, watcher, step, call(target, step, post(target, "/validate", body), Validated))
      if (typeof answer.content["fir_number"] === "string") record.firNumber = answer.content["fir_number"]
      completed = answer.completed
    }
    const number = record.firNumber
    if (!completed || number === undefined) {
      return yield* new StepFailed({ step: "final_review", problem: "the last approval did not complete the report" })
    }
    const report = yield* call(target, "content", get(target, `/fir/${encodeURIComponent(number)}`), Report)
    const lacking = missing(complaint, report.fir_content)
    if (lacking.length > 0) {
      return yield* new StepFailed({ step: "content", problem: `the report ${number} lacks ${lacking.join(", ")}` })
    }
  })
