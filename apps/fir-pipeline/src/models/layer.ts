/**
 * The models, on the servers that the settings name.
 *
 * @module
 */
import { Effect, Layer, type Redacted } from "effect"
import { type ModelHealth, Models, type ModelsApi, ModelUnavailable } from "../Models.ts"
import { makeCalling } from "./calling.ts"
import * as Guide from "./guideServer.ts"
import * as OpenAi from "./openaiServer.ts"
import * as Tesseract from "./tesseract.ts"

export type Api = "guide" | "openai"

export interface ServerOptions {
  readonly url: string
  readonly api: Api
  /** The model that an OpenAI-compatible server is asked for. */
  readonly model: string
  readonly key: Redacted.Redacted<string> | undefined
}

export interface Options {
  readonly modelServer: ServerOptions
  /** What hears recordings and reads images. */
  readonly asrOcrServer: ServerOptions & { readonly ocrModel: string }
  readonly ocrEngine: "server" | "tesseract"
  readonly ocrLanguages: ReadonlyArray<string>
  readonly asrTimeoutSeconds: number
  readonly ocrTimeoutSeconds: number
  readonly hedgeSeconds: number
}

export const layer = (options: Options) =>
  Layer.effect(
    Models,
    Effect.gen(function* () {
      const { asrOcrServer, modelServer, hedgeSeconds } = options
      const questions = yield* makeCalling({
        server: "model_server",
        backoff: { base: "1 second", cap: "10 seconds" },
        hedgeSeconds
      })
      const files = yield* makeCalling({
        server: "asr_ocr_server",
        backoff: { base: "2 seconds", cap: "15 seconds" },
        hedgeSeconds: 0
      })

      const tesseract: ModelsApi["read"] = (image) =>
        files.work(
          "ocr",
          options.ocrTimeoutSeconds,
          Effect.mapError(
            Tesseract.read(image, options.ocrLanguages),
            ({ message }) => new ModelUnavailable({ model: "ocr", reason: message, passing: false })
          )
        )
      const tesseractHealth: Effect.Effect<ModelHealth> = Effect.match(Tesseract.languages, {
        onFailure: ({ message }) => ({ status: "unavailable", message: `tesseract: ${message}` }),
        onSuccess: (languages) => ({ status: "healthy", message: `tesseract reads ${languages.join(", ")}` })
      })

      const ocrServer = { ...asrOcrServer, model: asrOcrServer.ocrModel }
      const read: ModelsApi["read"] =
        options.ocrEngine === "tesseract"
          ? tesseract
          : asrOcrServer.api === "openai"
            ? (image) => OpenAi.read(files, ocrServer, image, options.ocrTimeoutSeconds)
            : (image) => Guide.read(files, asrOcrServer.url, image, options.ocrTimeoutSeconds)
      const serverHealth =
        asrOcrServer.api === "openai" ? OpenAi.health(files, asrOcrServer) : Guide.health(files, asrOcrServer.url)
      const bothHealths = Effect.zipWith(serverHealth, tesseractHealth, (server, ocr) => ({
        status: server.status === "healthy" ? ocr.status : server.status,
        message: `${server.message}; ${ocr.message}`
      }))

      const api: ModelsApi = {
        infer:
          modelServer.api === "openai"
            ? (request, seconds) => OpenAi.infer(questions, modelServer, request, seconds)
            : (request, seconds) => Guide.infer(questions, modelServer.url, request, seconds),
        transcribe:
          asrOcrServer.api === "openai"
            ? (recording) => OpenAi.transcribe(files, asrOcrServer, recording, options.asrTimeoutSeconds)
            : (recording) => Guide.transcribe(files, asrOcrServer.url, recording, options.asrTimeoutSeconds),
        read,
        health:
          modelServer.api === "openai"
            ? OpenAi.health(questions, modelServer)
            : Guide.health(questions, modelServer.url),
        asrOcrHealth: options.ocrEngine === "tesseract" ? bothHealths : serverHealth
      }
      return api
    })
  )
