// A server that speaks as the FIR guide has it: /inference, /asr, /ocr, /health.
import { Effect, Schema } from "effect"
import { HttpBody, HttpClientRequest } from "effect/http"
import type { Request } from "../Prompt.ts"
import type { Upload } from "../Uploads.ts"
import type { Calling } from "./calling.ts"
import { multipart } from "./multipart.ts"

const Answer = Schema.Struct({ result: Schema.String })
const Transcript = Schema.Struct({ success: Schema.Literal(true), transcript: Schema.String })
const Extracted = Schema.Struct({ success: Schema.Literal(true), extracted_text: Schema.String })
const Health = Schema.Struct({ status: Schema.String, message: Schema.optionalKey(Schema.String) })

export const infer = (calling: Calling, url: string, request: Request, timeoutSeconds: number) =>
  Effect.map(
    calling.call({
      model: request.model,
      timeoutSeconds,
      answer: Answer,
      request: HttpClientRequest.post(`${url}/inference`, {
        body: HttpBody.jsonUnsafe({
          model_name: request.model,
          prompt: request.prompt,
          max_tokens: request.maxTokens,
          temperature: request.temperature
        })
      })
    }),
    ({ result }) => result
  )

export const transcribe = (calling: Calling, url: string, recording: Upload, timeoutSeconds: number) =>
  Effect.map(
    calling.call({
      model: "asr",
      timeoutSeconds,
      answer: Transcript,
      request: HttpClientRequest.post(`${url}/asr`, { body: multipart("audio", recording) })
    }),
    ({ transcript }) => transcript
  )

export const read = (calling: Calling, url: string, image: Upload, timeoutSeconds: number) =>
  Effect.map(
    calling.call({
      model: "ocr",
      timeoutSeconds,
      answer: Extracted,
      request: HttpClientRequest.post(`${url}/ocr`, { body: multipart("image", image) })
    }),
    ({ extracted_text }) => extracted_text
  )

export const health = (calling: Calling, url: string) =>
  calling.health(HttpClientRequest.get(`${url}/health`), Health, ({ message = "", status }) => ({ message, status }))
