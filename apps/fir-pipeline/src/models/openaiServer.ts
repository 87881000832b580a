// A server that speaks OpenAI's interface: chat completions for questions and for
// images, and audio transcriptions. vLLM, llama.cpp and whisper servers do.
import { Effect, Redacted, Schema } from "effect"
import { HttpBody, HttpClientRequest } from "effect/http"
import type { Request } from "../Prompt.ts"
import type { Upload } from "../Uploads.ts"
import type { Calling } from "./calling.ts"
import { multipart } from "./multipart.ts"

export interface Server {
  /** What comes before `/chat/completions`; it ends in `/v1` as a rule. */
  readonly url: string
  readonly model: string
  readonly key: Redacted.Redacted<string> | undefined
}

const Completion = Schema.Struct({
  choices: Schema.NonEmptyArray(Schema.Struct({ message: Schema.Struct({ content: Schema.String }) }))
})
const Transcription = Schema.Struct({ text: Schema.String })
const Models = Schema.Struct({ data: Schema.Array(Schema.Struct({ id: Schema.String })) })

const OCR_TOKENS = 4096
const OCR_PROMPT =
  "Write down the text of this letter exactly as it stands, in its own language and script. Write nothing else. Where a word cannot be read, write [?]."

const authorised = ({ key }: Server, request: HttpClientRequest.HttpClientRequest) =>
  key === undefined ? request : HttpClientRequest.bearerToken(request, Redacted.value(key))

const complete = (
  calling: Calling,
  server: Server,
  options: {
    readonly model: string
    readonly timeoutSeconds: number
    readonly content: unknown
    readonly maxTokens: number
    readonly temperature: number
  }
) =>
  Effect.map(
    calling.call({
      model: options.model,
      timeoutSeconds: options.timeoutSeconds,
      answer: Completion,
      request: authorised(
        server,
        HttpClientRequest.post(`${server.url}/chat/completions`, {
          body: HttpBody.jsonUnsafe({
            model: server.model,
            messages: [{ role: "user", content: options.content }],
            max_tokens: options.maxTokens,
            temperature: options.temperature
          })
        })
      )
    }),
    ({ choices: [{ message }] }) => message.content
  )

export const infer = (calling: Calling, server: Server, request: Request, timeoutSeconds: number) =>
  complete(calling, server, { ...request, content: request.prompt, timeoutSeconds })

export const read = (calling: Calling, server: Server, image: Upload, timeoutSeconds: number) =>
  complete(calling, server, {
    model: "ocr",
    timeoutSeconds,
    maxTokens: OCR_TOKENS,
    temperature: 0,
    content: [
      { type: "text", text: OCR_PROMPT },
      {
        type: "image_url",
        image_url: { url: `data:${image.type};base64,${Buffer.from(image.bytes).toString("base64")}` }
      }
    ]
  })

export const transcribe = (calling: Calling, server: Server, recording: Upload, timeoutSeconds: number) =>
  Effect.map(
    calling.call({
      model: "asr",
      timeoutSeconds,
      answer: Transcription,
      request: authorised(
        server,
        HttpClientRequest.post(`${server.url}/audio/transcriptions`, {
          body: multipart("file", recording, { model: server.model, response_format: "json" })
        })
      )
    }),
    ({ text }) => text
  )

export const health = (calling: Calling, server: Server) =>
  calling.health(authorised(server, HttpClientRequest.get(`${server.url}/models`)), Models, ({ data }) => ({
    status: "healthy",
    message: data.map(({ id }) => id).join(", ")
  }))
