/**
 * The embedded model server: the HTTP interface of a real one, over rules.
 *
 * It holds no neural model and reaches no network, and says so in `/health`. It
 * is there so that the pipeline runs, is tested and is measured with nothing to
 * download; a latency profile makes it as slow as the models it stands for.
 *
 * @module
 */
import { type Duration, Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import type * as Law from "../law/Law.ts"
import { type Task, taskOf } from "../Prompt.ts"
import type { LatencyProfile } from "../Settings.ts"
import { answer } from "./rules.ts"

const MODELS = ["summariser", "bns_check", "fir_summariser"] as const

const InferenceRequest = Schema.Struct({
  model_name: Schema.Literals(MODELS),
  prompt: Schema.String,
  max_tokens: Schema.optionalKey(Schema.Number),
  temperature: Schema.optionalKey(Schema.Number),
  stop: Schema.optionalKey(Schema.Array(Schema.String))
})
const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(InferenceRequest))

// The step times of the FIR guide. Its steps of many calls are shared out over
// the calls that the pipeline makes: eight clauses, three statements.
const GUIDE_MILLIS: Readonly<Record<Task, number>> = {
  summary: 3450,
  "clause check": 4230 / 8,
  narrative: 5670,
  "statement check": 3890 / 3
}
const SLOWNESS: Readonly<Record<LatencyProfile, number>> = { none: 0, fast: 1 / 20, guide: 1 }

/** How long the profile takes for a task. */
export const latency = (profile: LatencyProfile, task: Task): Duration.Input => GUIDE_MILLIS[task] * SLOWNESS[profile]

const problem = (status: number, detail: string) => HttpServerResponse.jsonUnsafe({ detail }, { status })

/** The routes of the server. */
export const routes = (law: Law.Law, profile: LatencyProfile) => {
  const inference = Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const body = yield* Effect.flatMap(request.text, decode)
    const task = taskOf(body.prompt)
    if (task === undefined) {
      return problem(422, "Cannot answer: the embedded rules know summary, clause check, narrative and statement check")
    }
    const result = answer(law, task, body.prompt)
    yield* Effect.sleep(latency(profile, task))
    return HttpServerResponse.jsonUnsafe({ result })
  }).pipe(
    Effect.catchTag("SchemaError", ({ message }) => Effect.succeed(problem(422, message))),
    Effect.catchTag("HttpServerError", () => Effect.succeed(problem(400, "Cannot read the request")))
  )
  const health = HttpServerResponse.jsonUnsafe({
    status: "healthy",
    models: MODELS,
    models_loaded: { llm: "rules", asr: false, ocr: false },
    latency_profile: profile,
    message:
      "A rule-based extractor that picks sentences and compares wordings. No neural model is loaded and no network is used; speech and images cannot be read."
  })
  const unloaded = (what: string) =>
    HttpServerResponse.jsonUnsafe(
      { success: false, detail: `Cannot read ${what}: the embedded model server has no model for it` },
      { status: 503 }
    )
  return Layer.mergeAll(
    HttpRouter.add("POST", "/inference", inference),
    HttpRouter.add("GET", "/health", Effect.succeed(health)),
    HttpRouter.add("POST", "/asr", Effect.succeed(unloaded("speech"))),
    HttpRouter.add("POST", "/ocr", Effect.succeed(unloaded("images")))
  )
}
