// Remembers across runs what a bulk operation created: a file of JSON lines, the
// first naming the run, each further one an item. A line is written whole or
// not at all as far as a reader is concerned: a last line cut off by a crash is
// ignored, and its item is sent again under the same idempotency key, which the
// API answers with what it already made.

import { createHash, randomUUID } from "node:crypto"
import { appendFileSync, closeSync, existsSync, openSync, readFileSync, truncateSync } from "node:fs"
import { Effect, Schema } from "effect"
import { InvalidConfiguration } from "../Errors.ts"

export interface Checkpoint<A> {
  readonly keyOf: (index: number) => string
  readonly recall: (
    index: number,
    item: unknown
  ) => Effect.Effect<{ readonly value: A } | undefined, InvalidConfiguration>
  readonly remember: (index: number, item: unknown, value: A) => void
  readonly close: () => void
}

const Header = Schema.fromJsonString(Schema.Struct({ run: Schema.String }))
const Entry = Schema.fromJsonString(Schema.Struct({ index: Schema.Int, item: Schema.String, value: Schema.Unknown }))

const fingerprint = (item: unknown): string =>
  createHash("sha256").update(JSON.stringify(item)).digest("base64url").slice(0, 16)

const withoutFile = <A>(): Checkpoint<A> => {
  const run = randomUUID()
  return {
    keyOf: (index) => `${run}-${index}`,
    recall: () => Effect.succeed(undefined),
    remember: () => undefined,
    close: () => undefined
  }
}

interface Remembered {
  readonly run: string
  readonly entries: Map<number, { readonly item: string; readonly value: unknown }>
}

const read = (path: string): Effect.Effect<Remembered | undefined, InvalidConfiguration> =>
  Effect.suspend(() => {
    if (!existsSync(path)) return Effect.succeed(undefined)
    const text = readFileSync(path, "utf8")
    const complete = text.slice(0, text.lastIndexOf("\n") + 1)
    // What a crash cut off must not run into the next line.
    if (complete.length < text.length) truncateSync(path, Buffer.byteLength(complete))
    const [head, ...lines] = complete.split("\n").slice(0, -1)
    if (head === undefined) return Effect.succeed(undefined)
    const refuse = new InvalidConfiguration({
      field: "checkpoint",
      value: path,
      allowed: "a file that a bulk operation wrote"
    })
    const header = Schema.decodeUnknownResult(Header)(head)
    const decodeEntry = Schema.decodeUnknownResult(Entry)
    const entries = lines.map((line) => decodeEntry(line))
    if (header._tag === "Failure" || entries.some((entry) => entry._tag === "Failure")) return Effect.fail(refuse)
    return Effect.succeed({
      run: header.success.run,
      entries: new Map(
        entries.flatMap((entry) => (entry._tag === "Success" ? [[entry.success.index, entry.success] as const] : []))
      )
    })
  })

/** Opens the checkpoint at `path`, or one that remembers nothing. */
export const open = <A>(
  path: string | undefined,
  schema: Schema.Codec<A, unknown>
): Effect.Effect<Checkpoint<A>, InvalidConfiguration> =>
  Effect.gen(function* () {
    if (path === undefined) return withoutFile<A>()
    const remembered = yield* read(path)
    const run = remembered?.run ?? randomUUID()
    const descriptor = yield* Effect.try({
      try: () => openSync(path, "a"),
      catch: (cause) =>
        new InvalidConfiguration({
          field: "checkpoint",
          value: path,
          allowed: `a file that can be written (${String(cause)})`
        })
    })
    if (remembered === undefined) appendFileSync(descriptor, `${JSON.stringify({ run })}\n`)
    const decode = Schema.decodeUnknownEffect(schema)
    const encode = Schema.encodeSync(schema)
    return {
      keyOf: (index) => `${run}-${index}`,
      recall: (index, item) => {
        const entry = remembered?.entries.get(index)
        if (entry === undefined) return Effect.succeed(undefined)
        const mismatch = new InvalidConfiguration({
          field: "checkpoint",
          value: path,
          allowed: `the checkpoint of these items; item ${index} differs from the one it remembers`
        })
        return entry.item === fingerprint(item)
          ? decode(entry.value).pipe(
              Effect.map((value) => ({ value })),
              Effect.mapError(() => mismatch)
            )
          : Effect.fail(mismatch)
      },
      remember: (index, item, value) =>
        appendFileSync(descriptor, `${JSON.stringify({ index, item: fingerprint(item), value: encode(value) })}\n`),
      close: () => closeSync(descriptor)
    }
  })
