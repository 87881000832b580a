// Reads what a request brings, and says what is wrong with it: first its type,
// then its bytes, its syntax, and only then its form.
import { Effect, Schema, SchemaIssue } from "effect"
import type { HttpServerRequest } from "effect/http"
import { Refusal } from "./refusal.ts"

const issues = SchemaIssue.makeFormatterStandardSchemaV1()

/** Decodes what was read; each thing that is wrong is told with its place. */
export const decode = <S extends Schema.Decoder<unknown>>(schema: S) => {
  const run = Schema.decodeUnknownEffect(schema, { errors: "all" })
  return (value: unknown): Effect.Effect<S["Type"], Refusal> =>
    Effect.mapError(run(value), ({ issue }) => {
      const wrong = issues(issue).issues.map(({ message, path }) => {
        const place = (path ?? []).map((segment) => String(typeof segment === "object" ? segment.key : segment))
        return place.length === 0 ? message : `${place.join(".")}: ${message}`
      })
      // A body can be wrong in a thousand places; a few suffice to put it right.
      return new Refusal({ status: 422, detail: wrong.slice(0, 10).join("; ") })
    })
}

/** The JSON of a request, as what a schema says that it is. */
export const json = <S extends Schema.Decoder<unknown>>(schema: S) => {
  const decoded = decode(schema)
  return Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
    const contentType = request.headers["content-type"] ?? ""
    if (contentType.split(";")[0]?.trim().toLowerCase() !== "application/json") {
      return yield* new Refusal({ status: 415, detail: "Send the body as application/json" })
    }
    const bytes = yield* Effect.mapError(
      request.arrayBuffer,
      () => new Refusal({ status: 400, detail: "The body ended before it was complete" })
    )
    const text = yield* Effect.try({
      try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
      catch: () => new Refusal({ status: 400, detail: "The body is not valid UTF-8" })
    })
    const value = yield* Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: () => new Refusal({ status: 400, detail: "The body is not valid JSON" })
    })
    return yield* decoded(value)
  })
}

/** A number in a query. */
export const number = (
  query: URLSearchParams,
  name: string,
  range: { readonly least: number; readonly most: number; readonly fallback: number }
): Effect.Effect<number, Refusal> => {
  const raw = query.get(name)
  if (raw === null) return Effect.succeed(range.fallback)
  const value = Number(raw)
  return /^\d{1,16}$/.test(raw) && value >= range.least && value <= range.most
    ? Effect.succeed(value)
    : Effect.fail(
        new Refusal({ status: 422, detail: `${name} is a whole number from ${range.least} to ${range.most}` })
      )
}

/** A word of a few, in a query. */
export const word = <const A extends string>(
  query: URLSearchParams,
  name: string,
  words: ReadonlyArray<A>
): Effect.Effect<A | undefined, Refusal> => {
  const raw = query.get(name)
  if (raw === null) return Effect.succeed(undefined)
  const found = words.find((value) => value === raw)
  return found === undefined
    ? Effect.fail(new Refusal({ status: 422, detail: `${name} is one of ${words.join(", ")}` }))
    : Effect.succeed(found)
}

/** A short text in a query. */
export const short = (query: URLSearchParams, name: string): Effect.Effect<string | undefined, Refusal> => {
  const raw = query.get(name)
  if (raw === null || raw === "") return Effect.succeed(undefined)
  return raw.length > 100
    ? Effect.fail(new Refusal({ status: 422, detail: `${name} has at most 100 characters` }))
    : Effect.succeed(raw)
}
