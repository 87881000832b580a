// A stream as an answer: server-sent events for browsers, a line of JSON each for
// scripts.
import { Stream } from "effect"
import { HttpServerResponse } from "effect/http"

export interface Told {
  readonly type: string
  /** Where a watcher that comes back goes on. */
  readonly id?: string | undefined
  readonly data: Readonly<Record<string, unknown>>
}

export type Form = "sse" | "ndjson" | "json"

const MEDIA: ReadonlyArray<readonly [media: string, form: Form]> = [
  ["text/event-stream", "sse"],
  ["application/x-ndjson", "ndjson"],
  ["application/json", "json"]
]

/** The first form that is asked for by its name, or else the one that is usual. */
export const formOf = (accept: string | undefined, usual: Form): Form => {
  for (const part of (accept ?? "").toLowerCase().split(",")) {
    const media = part.split(";")[0]?.trim()
    const found = MEDIA.find(([name]) => name === media)
    if (found !== undefined) return found[1]
  }
  return usual
}

const sse = ({ data, id, type }: Told): string =>
  `${id === undefined ? "" : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`

const line = ({ data, type }: Told): string => `${JSON.stringify({ type, ...data })}\n`

export const response = (
  events: Stream.Stream<Told>,
  form: "sse" | "ndjson",
  headers: Readonly<Record<string, string>> = {}
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.stream(events.pipe(Stream.map(form === "sse" ? sse : line), Stream.encodeText), {
    contentType: form === "sse" ? "text/event-stream; charset=utf-8" : "application/x-ndjson; charset=utf-8",
    // A proxy that gathers an answer before it passes it on would make of a stream one piece.
    headers: { ...headers, "x-accel-buffering": "no" }
  })
