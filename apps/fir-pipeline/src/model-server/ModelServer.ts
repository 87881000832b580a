/**
 * The embedded model server: the HTTP interface of a real one, over rules.
 *
 * It holds no neural model of its own and reaches no network, and says so in
 * `/health`. It is there so that the pipeline runs, is tested and is measured with
 * nothing to download; a latency profile makes it as slow as the models it stands
 * for. Images it has read by the system's tesseract, where that is installed; of a
 * recording it reads the transcript that the file carries.
 *
 * @module
 */
import { type Duration, Effect, Layer, Result, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Body from "../internal/body.ts"
import type * as Law from "../law/Law.ts"
import * as Tesseract from "../models/tesseract.ts"
import { type Task, taskOf } from "../Prompt.ts"
import type { LatencyProfile } from "../Settings.ts"
import { sniff, type Upload } from "../Uploads.ts"
import { answer } from "./rules.ts"
import { transcriptIn } from "./transcripts.ts"

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

const FILE_MOST = 101 * 1024 * 1024
const OCR_LANGUAGES = ["eng", "hin"]

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
  const health = Effect.gen(function* () {
    const ocr = yield* Effect.result(Tesseract.languages)
    return HttpServerResponse.jsonUnsafe({
      status: "healthy",
      models: MODELS,
      models_loaded: { llm: "rules", asr: false, ocr: Result.isSuccess(ocr) ? "tesseract" : false },
      latency_profile: profile,
      message: `A rule-based extractor that picks sentences and compares wordings. No neural model is loaded for text and no network is used. ${
        Result.isSuccess(ocr)
          ? `Images are read by the tesseract that is installed (${ocr.success.join(", ")})`
          : "Images cannot be read: tesseract is not installed"
      }; speech is not heard, but a transcript that a recording carries is read.`
    })
  })
  const unable = (what: string, why: string) =>
    HttpServerResponse.jsonUnsafe({ success: false, detail: `Cannot read ${what}: ${why}` }, { status: 503 })

  /** What is done with the file that came in, if it is of the right kind. */
  const withFile = (
    kind: Upload["kind"],
    use: (upload: Upload) => Effect.Effect<HttpServerResponse.HttpServerResponse>
  ) =>
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const fields = yield* Body.fields(request, ["multipart"], FILE_MOST)
      const file = Body.file(fields, kind)
      const upload = file === undefined ? undefined : sniff(file)
      return upload?.kind === kind ? yield* use(upload) : problem(415, `Send the ${kind} as ${kind}`)
    }).pipe(Effect.catch(({ detail = "", status }) => Effect.succeed(problem(status, detail))))

  const ocr = withFile("image", (upload) =>
    Effect.match(Tesseract.read(upload, OCR_LANGUAGES), {
      onFailure: ({ message }) => unable("images", message),
      onSuccess: (extracted_text) => HttpServerResponse.jsonUnsafe({ success: true, extracted_text })
    })
  )
  const asr = withFile("audio", (upload) => {
    const transcript = transcriptIn(upload)
    return Effect.succeed(
      transcript === undefined
        ? unable("speech", "the embedded model server has no model for it, and the recording carries no transcript")
        : HttpServerResponse.jsonUnsafe({ success: true, transcript })
    )
  })
  return Layer.mergeAll(
    HttpRouter.add("POST", "/inference", inference),
    HttpRouter.add("GET", "/health", health),
    HttpRouter.add("POST", "/asr", asr),
    HttpRouter.add("POST", "/ocr", ocr)
  )
}
