// Reads the body of a request within a limit, as the bytes it declares to be.
//
// What arrives is judged in an order that tells the sender the first thing that is
// wrong: size, content type, encoding, syntax, and only then form.
import { Effect, Schema, SchemaIssue, Stream } from "effect"
import type { HttpServerRequest } from "effect/http"
import * as Problems from "../Problems.ts"

export type BodyProblem = Problems.BadRequest | Problems.TooLarge | Problems.UnsupportedType | Problems.Invalid

const tooLarge = (limit: number) => new Problems.TooLarge({ detail: `The body may have ${limit} bytes` })

const bytes = (
  request: HttpServerRequest.HttpServerRequest,
  limit: number
): Effect.Effect<Uint8Array<ArrayBuffer>, BodyProblem> =>
  Effect.suspend(() => {
    if (Number(request.headers["content-length"] ?? 0) > limit) return Effect.fail(tooLarge(limit))
    const chunks: Array<Uint8Array> = []
    let size = 0
    return request.stream.pipe(
      Stream.catch(() => Stream.fail(new Problems.BadRequest({ detail: "The body ended before it was complete" }))),
      Stream.runForEach((chunk) => {
        size += chunk.length
        if (size > limit) return Effect.fail(tooLarge(limit))
        chunks.push(chunk)
        return Effect.void
      }),
      Effect.map(() => {
        const whole = new Uint8Array(size)
        let at = 0
        for (const chunk of chunks) {
          whole.set(chunk, at)
          at += chunk.length
        }
        return whole
      })
    )
  })

const utf8 = (body: Uint8Array): Effect.Effect<string, Problems.BadRequest> =>
  Effect.try({
    try: () => new TextDecoder("utf-8", { fatal: true }).decode(body),
    catch: () => new Problems.BadRequest({ detail: "The body is not valid UTF-8" })
  })

const json = (text: string): Effect.Effect<unknown, Problems.BadRequest> =>
  Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: () => new Problems.BadRequest({ detail: "The body is not valid JSON" })
  })

const form = (text: string): Effect.Effect<Record<string, unknown>, BodyProblem> =>
  Effect.suspend(() => {
    // `URLSearchParams` would replace bytes that are no UTF-8, and so change the complaint.
    const malformed = /%(?![0-9a-f]{2})/i.test(text)
    const decoded = malformed
      ? undefined
      : text
          .split("&")
          .filter((pair) => pair !== "")
          .map((pair) => {
            const [name = "", ...value] = pair.split("=")
            return [plain(name), plain(value.join("="))] as const
          })
    if (decoded === undefined || decoded.some(([name, value]) => name === undefined || value === undefined)) {
      return Effect.fail(new Problems.BadRequest({ detail: "The form is not valid percent-encoded UTF-8" }))
    }
    return Effect.succeed(Object.fromEntries(decoded))
  })

const plain = (encoded: string): string | undefined => {
  try {
    return decodeURIComponent(encoded.replaceAll("+", " "))
  } catch {
    return undefined
  }
}

const multipart = (
  contentType: string,
  body: Uint8Array<ArrayBuffer>
): Effect.Effect<Record<string, unknown>, BodyProblem> =>
  Effect.tryPromise({
    try: async () => {
      // Not every runtime minds a body that breaks off before its last boundary.
      const boundary = /boundary="?([^";]+)"?/i.exec(contentType)?.[1]
      const end = new TextDecoder("latin1").decode(body.subarray(-200))
      if (boundary === undefined || !end.includes(`--${boundary}--`)) throw new Error("The last boundary is missing")
      const data = await new Response(body, { headers: { "content-type": contentType } }).formData()
      const entries = await Promise.all(
        [...data.entries()].map(
          async ([name, value]) =>
            [name, typeof value === "string" ? value : new Uint8Array(await value.arrayBuffer())] as const
        )
      )
      return onceEach(entries)
    },
    catch: (cause) =>
      new Problems.BadRequest({
        detail: cause instanceof NamedTwice ? cause.message : "The multipart body cannot be read"
      })
  })

class NamedTwice extends Error {}

/** What is given twice would be taken once, and nobody could say which. */
const onceEach = <A>(entries: ReadonlyArray<readonly [string, A]>): Record<string, A> => {
  const names = entries.map(([name]) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new NamedTwice(`The form has ${JSON.stringify(twice.slice(0, 100))} twice`)
  return Object.fromEntries(entries)
}

/** A file among the fields of a form. */
export const file = (fields: unknown, name: string): Uint8Array<ArrayBuffer> | undefined => {
  const value = typeof fields === "object" && fields !== null ? Reflect.get(fields, name) : undefined
  return value instanceof Uint8Array && value.buffer instanceof ArrayBuffer
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : undefined
}

const issues = SchemaIssue.makeFormatterStandardSchemaV1()

/** Decodes what was read, and says each thing that is wrong with its place. */
export const decode = <S extends Schema.Decoder<unknown>>(schema: S) => {
  const run = Schema.decodeUnknownEffect(schema, { errors: "all" })
  return (value: unknown): Effect.Effect<S["Type"], Problems.Invalid> =>
    Effect.mapError(
      run(value),
      ({ issue }) =>
        new Problems.Invalid({
          detail: "See errors for what is wrong and where",
          errors: issues(issue).issues.map(({ message, path }) => ({
            path: (path ?? []).map((segment) => {
              const key = typeof segment === "object" ? segment.key : segment
              return typeof key === "number" ? key : String(key)
            }),
            message
          }))
        })
    )
}

export type Kind = "json" | "form" | "multipart"

const kindOf = (contentType: string): Kind | undefined => {
  const media = contentType.split(";")[0]?.trim().toLowerCase()
  if (media === "application/json") return "json"
  if (media === "application/x-www-form-urlencoded") return "form"
  return media === "multipart/form-data" ? "multipart" : undefined
}

/** The fields of a body, in one of the forms allowed. */
export const fields = Effect.fnUntraced(function* (
  request: HttpServerRequest.HttpServerRequest,
  allowed: ReadonlyArray<Kind>,
  limit: number,
  /** The same for a form, which may carry a file. */
  multipartLimit: number = limit
) {
  const contentType = request.headers["content-type"] ?? ""
  const kind = kindOf(contentType)
  if (kind === undefined || !allowed.includes(kind)) {
    return yield* new Problems.UnsupportedType({
      detail: `The content type is ${contentType === "" ? "not given" : JSON.stringify(contentType.slice(0, 100))}; send ${allowed.join(" or ")}`
    })
  }
  const body = yield* bytes(request, kind === "multipart" ? multipartLimit : limit)
  if (kind === "multipart") return yield* multipart(contentType, body)
  const text = yield* utf8(body)
  return kind === "json" ? yield* json(text) : yield* form(text)
})
