// What a request is told that cannot be served, as problem details.
import { Problem } from "@sluice/server"
import { Data, Duration, Effect } from "effect"
import type { HttpServerResponse } from "effect/http"
import type { ChatError } from "../Chat.ts"
import type { KeyInUse, ProviderNotFound } from "../Credentialing.ts"
import type { FileError } from "../Documents.ts"
import type { StoreError } from "../Store.ts"

const TITLES = {
  400: "Bad Request",
  404: "Not Found",
  409: "Conflict",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  503: "Service Unavailable"
} as const

export class Refusal extends Data.TaggedError("Refusal")<{
  readonly status: keyof typeof TITLES
  readonly detail: string
  readonly retryAfter?: Duration.Duration | undefined
}> {}

export type Refusable = Refusal | ProviderNotFound | KeyInUse | StoreError | FileError | ChatError

const SOON = Duration.seconds(5)

const toRefusal = (error: Refusable): Refusal => {
  switch (error._tag) {
    case "Refusal":
      return error
    case "ProviderNotFound":
      return new Refusal({ status: 404, detail: error.message })
    case "KeyInUse":
      return new Refusal({ status: 409, detail: error.message })
    case "StoreError":
    case "FileError":
      // The reason names files of this machine: it is for the log, not for whoever asks.
      return new Refusal({ status: 503, detail: `The server cannot ${error.operation} now`, retryAfter: SOON })
    case "@sluice/semaphore/BulkheadFull":
    case "@sluice/semaphore/BulkheadTimeout":
      return new Refusal({ status: 503, detail: "Too many questions wait for the language model", retryAfter: SOON })
  }
}

const respond = ({ detail, retryAfter, status }: Refusal): HttpServerResponse.HttpServerResponse =>
  Problem.response({ status, title: TITLES[status], detail, retryAfter })

/** Answers in the place of what failed. */
export const refusing = <R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, Refusable, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, R> =>
  Effect.catch(handler, (error) =>
    Effect.as(
      error._tag === "StoreError" || error._tag === "FileError" ? Effect.logWarning(error.message) : Effect.void,
      respond(toRefusal(error))
    )
  )
