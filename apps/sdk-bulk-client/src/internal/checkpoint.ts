// Remembers across runs what a bulk operation created: a file of JSON lines, the
// first naming the run, each further one an item. A line is written whole or
// not at all as far as a reader is concerned: a last line cut off by a crash is
// ignored, and its item is sent again under the same idempotency key, which the
// API answers with what it already made.
//
// In memory there is only where each item's line begins, 8 bytes an item; lines
// are read again when their item comes. So a million items can be resumed.

import { createHash, randomUUID } from "node:crypto"
import { appendFileSync, closeSync, ftruncateSync, openSync, readSync } from "node:fs"
import { Effect, Schema } from "effect"
import { InvalidConfiguration } from "../Errors.ts"

export interface Checkpoint<A> {
  readonly keyOf: (index: number) => string
  readonly recall: (
    index: number,
    item: unknown
  ) => Effect.Effect<{ readonly value: A } | undefined, InvalidConfiguration>
  /** Whether the item is kept. Once a write has failed, nothing more is written: the file ends with a whole line. */
  readonly remember: (index: number, item: unknown, value: A) => boolean
  readonly close: () => void
}

const Header = Schema.fromJsonString(Schema.Struct({ run: Schema.String, target: Schema.String }))
const Entry = Schema.fromJsonString(Schema.Struct({ index: Schema.Int, item: Schema.String, value: Schema.Unknown }))

const fingerprint = (item: unknown): string =>
  createHash("sha256").update(JSON.stringify(item)).digest("base64url").slice(0, 16)

const withoutFile = <A>(): Checkpoint<A> => {
  const run = randomUUID()
  return {
    keyOf: (index) => `${run}-${index}`,
    recall: () => Effect.succeed(undefined),
    remember: () => true,
    close: () => undefined
  }
}

const newline = 10
const chunkBytes = 65_536

/** Calls `onLine` with each whole line and where it begins, for as long as it says so; answers where the last one ends. */
const eachLine = (descriptor: number, onLine: (line: string, offset: number) => boolean): number => {
  const chunk = Buffer.allocUnsafe(chunkBytes)
  let position = 0
  let lineStart = 0
  let begun: ReadonlyArray<Buffer> = []
  for (;;) {
    const read = readSync(descriptor, chunk, 0, chunkBytes, position)
    if (read === 0) return lineStart
    let from = 0
    for (let at = chunk.indexOf(newline); at !== -1 && at < read; at = chunk.indexOf(newline, from)) {
      const line = Buffer.concat([...begun, chunk.subarray(from, at)]).toString("utf8")
      begun = []
      if (!onLine(line, lineStart)) return lineStart
      from = at + 1
      lineStart = position + from
    }
    if (from < read) begun = [...begun, Buffer.from(chunk.subarray(from, read))]
    position += read
  }
}

const lineAt = (descriptor: number, offset: number): string => {
  const parts: Array<Buffer> = []
  for (let position = offset; ; ) {
    const chunk = Buffer.allocUnsafe(1024)
    const read = readSync(descriptor, chunk, 0, chunk.length, position)
    const end = chunk.subarray(0, read).indexOf(newline)
    parts.push(chunk.subarray(0, end === -1 ? read : end))
    if (end !== -1 || read === 0) return Buffer.concat(parts).toString("utf8")
    position += read
  }
}

const pageSize = 4096

/** Where the line of each item begins. In pages, so that an index in a damaged file costs no more than a page. */
class Offsets {
  readonly #pages = new Map<number, Float64Array>()

  set(index: number, offset: number): void {
    const number = Math.floor(index / pageSize)
    const page = this.#pages.get(number) ?? new Float64Array(pageSize).fill(-1)
    page[index % pageSize] = offset
    this.#pages.set(number, page)
  }

  get(index: number): number | undefined {
    const offset = this.#pages.get(Math.floor(index / pageSize))?.[index % pageSize]
    return offset === undefined || offset < 0 ? undefined : offset
  }
}

interface Remembered {
  readonly run: string
  readonly offsets: Offsets
}

const refuse = (path: string, allowed: string) =>
  new InvalidConfiguration({ field: "checkpoint", value: path, allowed })

/** Reads what the file remembers and cuts off what a crash left of a line, which must not run into the next one. */
const read = (
  path: string,
  descriptor: number,
  target: string
): Effect.Effect<Remembered | undefined, InvalidConfiguration> =>
  Effect.suspend(() => {
    const decodeHeader = Schema.decodeUnknownResult(Header)
    const decodeEntry = Schema.decodeUnknownResult(Entry)
    const offsets = new Offsets()
    let header: typeof Header.Type | undefined
    let isForeign = false
    const end = eachLine(descriptor, (line, offset) => {
      if (header === undefined) {
        const decoded = decodeHeader(line)
        if (decoded._tag === "Success") header = decoded.success
        isForeign = decoded._tag === "Failure"
      } else {
        const entry = decodeEntry(line)
        if (entry._tag === "Success") offsets.set(entry.success.index, offset)
        isForeign = entry._tag === "Failure"
      }
      return !isForeign
    })
    if (isForeign) return Effect.fail(refuse(path, "a file that a bulk operation wrote"))
    if (header !== undefined && header.target !== target) {
      return Effect.fail(refuse(path, `the checkpoint of ${target}; this one is of ${header.target}`))
    }
    ftruncateSync(descriptor, end)
    return Effect.succeed(header === undefined ? undefined : { run: header.run, offsets })
  })

/** Opens the checkpoint at `path` of what `target` names, or one that remembers nothing. */
export const open = <A>(
  path: string | undefined,
  target: string,
  schema: Schema.Codec<A, unknown>
): Effect.Effect<Checkpoint<A>, InvalidConfiguration> =>
  Effect.gen(function* () {
    if (path === undefined) return withoutFile<A>()
    const descriptor = yield* Effect.try({
      try: () => openSync(path, "a+"),
      catch: (cause) => refuse(path, `a file that can be written (${String(cause)})`)
    })
    const remembered = yield* Effect.onError(read(path, descriptor, target), () =>
      Effect.sync(() => closeSync(descriptor))
    )
    const run = remembered?.run ?? randomUUID()
    if (remembered === undefined) {
      yield* Effect.try({
        try: () => appendFileSync(descriptor, `${JSON.stringify({ run, target })}\n`),
        catch: (cause) => {
          closeSync(descriptor)
          return refuse(path, `a file that can be written (${String(cause)})`)
        }
      })
    }
    const decodeEntry = Schema.decodeUnknownEffect(Entry)
    const decode = Schema.decodeUnknownEffect(schema)
    const encode = Schema.encodeSync(schema)
    let isBroken = false
    return {
      keyOf: (index) => `${run}-${index}`,
      recall: (index, item) =>
        Effect.suspend(() => {
          const offset = remembered?.offsets.get(index)
          if (offset === undefined) return Effect.succeed(undefined)
          const mismatch = refuse(
            path,
            `the checkpoint of these items; item ${index} differs from the one it remembers`
          )
          return decodeEntry(lineAt(descriptor, offset)).pipe(
            Effect.filterOrFail(
              (entry) => entry.item === fingerprint(item),
              () => mismatch
            ),
            Effect.flatMap((entry) => decode(entry.value)),
            Effect.map((value) => ({ value })),
            Effect.mapError(() => mismatch)
          )
        }),
      remember: (index, item, value) => {
        if (isBroken) return false
        try {
          appendFileSync(descriptor, `${JSON.stringify({ index, item: fingerprint(item), value: encode(value) })}\n`)
        } catch {
          isBroken = true
        }
        return !isBroken
      },
      close: () => closeSync(descriptor)
    }
  })
