/**
 * The HTTP interface as data: handlers, the OpenAPI document and clients are made
 * from it.
 *
 * @module
 */
import { Context, Schema } from "effect"
import {
  HttpApi,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity,
  OpenApi
} from "effect/http-api"
import { STEPS } from "./Machine.ts"
import { TEXT_LEAST, TEXT_MOST } from "./Pipeline.ts"
import * as Problems from "./Problems.ts"
import type { Person } from "./Users.ts"

export const INPUT_MOST = 10_000

/** Who asks, and what he may do. */
export class Caller extends Context.Service<Caller, Person>()("fir-pipeline/Caller") {}

export class Authorization extends HttpApiMiddleware.Service<Authorization, { provides: Caller }>()(
  "fir-pipeline/Authorization",
  {
    security: {
      apiKey: HttpApiSecurity.apiKey({ key: "X-API-Key", in: "header" }),
      bearer: HttpApiSecurity.bearer
    },
    error: Problems.Unauthorized
  }
) {}

/** Refuses an address that asks too often, before its key is looked at. */
export class RateLimited extends HttpApiMiddleware.Service<RateLimited>()("fir-pipeline/RateLimited", {
  error: Problems.TooManyRequests
}) {}

const Content = Schema.Record(Schema.String, Schema.Unknown)
const StepName = Schema.Literals(STEPS)
const SessionId = Schema.String.annotate({ description: "The session, as /process named it" })

export const ComplaintText = Schema.String.check(Schema.isMinLength(TEXT_LEAST), Schema.isMaxLength(TEXT_MOST))
const UserInput = Schema.String.check(Schema.isMaxLength(INPUT_MOST))

const Urgent = Schema.optionalKey(
  Schema.Union([Schema.Boolean, Schema.Literals(["true", "false", "1", "0", "on", "off", ""])]).annotate({
    description: "Whether it goes before what is not urgent"
  })
)

export const ProcessPayload = Schema.Struct({
  text: ComplaintText.annotate({ description: "The complaint, in any language" }),
  urgent: Urgent
})

/** What comes with a file instead of a text. */
export const FilePayload = Schema.Struct({ urgent: Urgent })

export const ProcessResult = Schema.Struct({
  success: Schema.Boolean,
  session_id: Schema.String,
  steps: Schema.Array(Schema.String),
  requires_validation: Schema.Boolean,
  current_step: Schema.String,
  content_for_validation: Content,
  duplicate_of: Schema.optionalKey(
    Schema.Struct({
      session_id: Schema.String,
      created_at: Schema.String,
      fir_number: Schema.NullOr(Schema.String)
    }).annotate({ description: "The same complaint, submitted before" })
  )
})

export const ValidatePayload = Schema.Struct({
  session_id: SessionId,
  approved: Schema.Boolean,
  user_input: Schema.optionalKey(Schema.NullOr(UserInput)),
  regenerate: Schema.optionalKey(Schema.Boolean),
  current_step: Schema.optionalKey(
    StepName.annotate({ description: "The step that was reviewed; 409 when the session is at another" })
  )
})

export const ValidateResult = Schema.Struct({
  success: Schema.Boolean,
  session_id: Schema.String,
  current_step: Schema.String,
  content: Content,
  message: Schema.String,
  requires_validation: Schema.Boolean,
  completed: Schema.Boolean
})

export const RegeneratePayload = Schema.Struct({
  step: StepName,
  user_input: Schema.optionalKey(Schema.NullOr(UserInput))
})

export const RegenerateResult = Schema.Struct({
  success: Schema.Boolean,
  session_id: Schema.String,
  step: Schema.String,
  content: Content,
  message: Schema.String
})

export const StatusResult = Schema.Struct({
  session_id: Schema.String,
  status: Schema.Literals(["processing", "awaiting_validation", "completed", "expired"]),
  current_step: Schema.String,
  awaiting_validation: Schema.Boolean,
  urgent: Schema.Boolean,
  place: Schema.NullOr(Schema.Number).annotate({ description: "Its place in the line, while it waits for one" }),
  content: Content,
  validation_history: Schema.Array(
    Schema.Struct({
      step: Schema.String,
      action: Schema.String,
      by: Schema.String,
      at: Schema.String,
      version: Schema.Number,
      user_input: Schema.NullOr(Schema.String)
    })
  ),
  created_at: Schema.String,
  last_activity: Schema.String
})

export const VersionsResult = Schema.Struct({
  session_id: Schema.String,
  versions: Schema.Array(
    Schema.Struct({ version: Schema.Number, step: Schema.String, at: Schema.String, content: Content })
  )
})

export const AuthenticatePayload = Schema.Struct({
  fir_number: Schema.NonEmptyString,
  auth_key: Schema.String.check(Schema.isMinLength(8))
})

export const AuthenticateResult = Schema.Struct({
  success: Schema.Boolean,
  message: Schema.String,
  fir_number: Schema.String
})

const FirStatus = Schema.Literals(["pending", "finalized"])

export const FirResult = Schema.Struct({
  fir_number: Schema.String,
  status: FirStatus,
  created_at: Schema.String,
  finalized_at: Schema.NullOr(Schema.String),
  fir_content: Schema.String
})

export const OffenceResult = Schema.Struct({
  section: Schema.String,
  title: Schema.String,
  punishment: Schema.String,
  cognizable: Schema.String,
  bailable: Schema.String,
  court: Schema.String,
  citation: Schema.String,
  elements: Schema.Array(Schema.Array(Schema.String)),
  unless: Schema.Array(Schema.String)
})

export const ListResult = Schema.Struct({
  items: Schema.Array(
    Schema.Struct({
      fir_number: Schema.String,
      session_id: Schema.String,
      status: FirStatus,
      created_at: Schema.String,
      finalized_at: Schema.NullOr(Schema.String)
    })
  ),
  total_count: Schema.Number,
  next_cursor: Schema.NullOr(Schema.String),
  has_more: Schema.Boolean
})

export const HealthResult = Schema.Struct({
  status: Schema.Literals(["healthy", "degraded", "unhealthy"]),
  model_server: Content,
  asr_ocr_server: Content,
  database: Schema.String,
  concurrency: Content,
  reliability: Content
})

export const MetricsResult = Schema.Struct({
  timestamp: Schema.String,
  sessions: Schema.Struct({
    recent_hour: Schema.Array(
      Schema.Struct({ status: Schema.String, count: Schema.Number, avg_duration: Schema.Number })
    ),
    cache_size: Schema.Number
  }),
  firs: Schema.Struct({
    recent_hour: Schema.Array(Schema.Struct({ status: Schema.String, count: Schema.Number }))
  }),
  rate_limiter: Schema.Struct({ active_clients: Schema.Number })
})

const ServerReliability = Schema.Struct({
  breaker: Schema.Literals(["closed", "open", "half_open"]),
  retry_after: Schema.Number,
  failures_to_open: Schema.Number,
  open_seconds: Schema.Number,
  attempts: Schema.Number
})

export const ReliabilityResult = Schema.Struct({
  model_server: ServerReliability,
  asr_ocr_server: ServerReliability,
  timeouts: Schema.Struct({
    inference_seconds: Schema.Number,
    clause_check_seconds: Schema.Number,
    asr_seconds: Schema.Number,
    ocr_seconds: Schema.Number
  })
})

const ProcessForm = ProcessPayload.pipe(HttpApiSchema.asFormUrlEncoded())
const File = Schema.optionalKey(Schema.Unknown.annotate({ description: "Instead of a text" }))
const ProcessMultipart = Schema.Struct({
  text: Schema.optionalKey(Schema.String),
  image: File,
  audio: File,
  urgent: Schema.optionalKey(Schema.String)
}).pipe(HttpApiSchema.asMultipart())
const step = [
  Problems.NotFound,
  Problems.ConflictProblem,
  Problems.NotAwaitingValidation,
  Problems.ModelTimedOut
] as const

const bytes = (contentType: string) => Schema.Uint8Array.pipe(HttpApiSchema.asUint8Array({ contentType }))

export const Sessions = HttpApiGroup.make("sessions")
  .add(
    HttpApiEndpoint.post("process", "/process", {
      payload: [ProcessPayload, ProcessForm, ProcessMultipart],
      success: ProcessResult,
      error: [...Problems.refusals, ...Problems.bodyRefusals, Problems.ConflictProblem, Problems.ModelTimedOut]
    }).annotate(
      OpenApi.Description,
      "Takes a complaint and opens a session for it: exactly one of a text, an image (PNG, JPEG) or a recording (WAV, MP3)."
    ),
    HttpApiEndpoint.post("validate", "/validate", {
      payload: ValidatePayload,
      success: ValidateResult,
      error: [...Problems.refusals, ...Problems.bodyRefusals, ...step]
    }).annotate(
      OpenApi.Description,
      "The officer's answer to a step: approved, rejected, or to be made again. An `Idempotency-Key` header makes a repeated answer safe."
    ),
    HttpApiEndpoint.get("status", "/session/:id/status", {
      params: { id: SessionId },
      success: StatusResult,
      error: [...Problems.refusals, Problems.NotFound]
    }).annotate(OpenApi.Description, "Where a session stands, and every answer that was given."),
    HttpApiEndpoint.get("events", "/session/:id/events", {
      params: { id: SessionId },
      success: bytes("text/event-stream"),
      error: [...Problems.refusals, Problems.NotFound]
    }).annotate(OpenApi.Description, "What becomes of a session, as server-sent events, until it is complete."),
    HttpApiEndpoint.get("versions", "/session/:id/versions", {
      params: { id: SessionId },
      success: VersionsResult,
      error: [...Problems.refusals, Problems.NotFound]
    }).annotate(OpenApi.Description, "What a session held after each of its changes."),
    HttpApiEndpoint.post("regenerate", "/regenerate/:id", {
      params: { id: SessionId },
      payload: RegeneratePayload,
      success: RegenerateResult,
      error: [...Problems.refusals, ...Problems.bodyRefusals, ...step]
    }).annotate(OpenApi.Description, "Makes the current step again, with what the officer adds.")
  )
  .middleware(Authorization)
  .middleware(RateLimited)

export const Records = HttpApiGroup.make("records")
  .add(
    HttpApiEndpoint.post("authenticate", "/authenticate", {
      payload: AuthenticatePayload,
      success: AuthenticateResult,
      error: [
        ...Problems.refusals,
        ...Problems.bodyRefusals,
        Problems.NotFound,
        Problems.ConflictProblem,
        Problems.Forbidden
      ]
    }).annotate(OpenApi.Description, "Finalises a report, which a station head may do."),
    HttpApiEndpoint.get("fir", "/fir/:number", {
      params: { number: Schema.String },
      success: FirResult,
      error: [...Problems.refusals, Problems.NotFound]
    }).annotate(OpenApi.Description, "A report."),
    HttpApiEndpoint.get("firContent", "/fir/:number/content", {
      params: { number: Schema.String },
      success: FirResult,
      error: [...Problems.refusals, Problems.NotFound]
    }).annotate(OpenApi.Description, "A report with its text."),
    HttpApiEndpoint.get("firPdf", "/fir/:number/pdf", {
      params: { number: Schema.String },
      success: bytes("application/pdf"),
      error: [...Problems.refusals, Problems.NotFound]
    }).annotate(OpenApi.Description, "A report as a PDF file, with fonts of its own."),
    HttpApiEndpoint.get("law", "/law/:section", {
      params: { section: Schema.String },
      success: OffenceResult,
      error: [...Problems.refusals, Problems.NotFound]
    }).annotate(OpenApi.Description, "The entry of the table of offences that a citation names."),
    HttpApiEndpoint.get("listFirs", "/list_firs", {
      query: {
        cursor: Schema.optionalKey(Schema.String),
        limit: Schema.optionalKey(Schema.String),
        search: Schema.optionalKey(Schema.String)
      },
      success: ListResult,
      error: [...Problems.refusals, Problems.Invalid]
    }).annotate(OpenApi.Description, "The reports, newest first; those that hold every word of `search`.")
  )
  .middleware(Authorization)
  .middleware(RateLimited)

export const Operations = HttpApiGroup.make("operations")
  .add(
    HttpApiEndpoint.get("metrics", "/metrics", {
      success: MetricsResult,
      error: [...Problems.refusals]
    }).annotate(OpenApi.Description, "What the last hour brought."),
    HttpApiEndpoint.get("reliability", "/reliability", { success: ReliabilityResult }).annotate(
      OpenApi.Description,
      "Whether the model servers are asked, and how often and how long."
    ),
    HttpApiEndpoint.post("resetBreaker", "/reliability/reset", {
      success: ReliabilityResult,
      error: [Problems.Forbidden]
    }).annotate(OpenApi.Description, "Asks the model servers again at once, whatever has failed before."),
    HttpApiEndpoint.get("prometheus", "/prometheus/metrics", {
      success: Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/plain; version=0.0.4; charset=utf-8" })),
      error: [...Problems.refusals]
    }).annotate(OpenApi.Description, "The same and more, for Prometheus.")
  )
  .middleware(Authorization)
  .middleware(RateLimited)

export const System = HttpApiGroup.make("system").add(
  HttpApiEndpoint.get("health", "/health", { success: HealthResult }).annotate(
    OpenApi.Description,
    "Whether the server and what it needs are well. Needs no key."
  ),
  HttpApiEndpoint.get("live", "/live", { success: Schema.Struct({ status: Schema.Literal("alive") }) }).annotate(
    OpenApi.Description,
    "Answers as long as the process does. Needs no key."
  ),
  HttpApiEndpoint.get("ready", "/ready", {
    success: Schema.Struct({ status: Schema.Literal("ready") }),
    error: [...Problems.refusals]
  }).annotate(OpenApi.Description, "Whether requests may be sent here: the database answers. Needs no key.")
)

export const Api = HttpApi.make("fir-pipeline")
  .add(Sessions)
  .add(Records)
  .add(Operations)
  .add(System)
  .annotateMerge(
    OpenApi.annotations({
      title: "FIR pipeline",
      version: "1.0.0",
      description: "Generates First Information Reports from complaints; an officer approves each step."
    })
  )
