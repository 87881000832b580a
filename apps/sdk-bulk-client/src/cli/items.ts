// The items of a file, one a line as JSON.

import { createReadStream } from "node:fs"
import { createInterface } from "node:readline"
import { Effect, Schema } from "effect"
import { CommandError } from "./connection.ts"

export interface Line<A> {
  /** From 1. */
  readonly number: number
  readonly item: A | undefined
  readonly issue: string | undefined
}

async function* linesOf<A>(path: string, schema: Schema.Codec<A, unknown>): AsyncGenerator<Line<A>> {
  const decode = Schema.decodeUnknownResult(Schema.fromJsonString(schema), { errors: "all" })
  let number = 0
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    number++
    if (line.trim() === "") continue
    const decoded = decode(line)
    yield decoded._tag === "Success"
      ? { number, item: decoded.success, issue: undefined }
      : { number, item: undefined, issue: decoded.failure.message.replaceAll(/\s*\n\s*/g, " ") }
  }
}

/** The items of a file that `check` has found good. One that is bad by now ends the reading. */
export async function* read<A>(path: string, schema: Schema.Codec<A, unknown>): AsyncGenerator<A> {
  for await (const { issue, item, number } of linesOf(path, schema)) {
    if (item === undefined) throw new Error(`Cannot use ${path}, line ${number}: ${issue}`)
    yield item
  }
}

const shown = 20

/** Counts the items; fails with every line that is none, so that nothing is sent of a file that has one. */
export const check = (path: string, schema: Schema.Codec<unknown, unknown>): Effect.Effect<number, CommandError> =>
  Effect.tryPromise({
    try: async () => {
      let count = 0
      let wrong = 0
      const issues: Array<string> = []
      for await (const { issue, number } of linesOf(path, schema)) {
        count++
        if (issue === undefined) continue
        wrong++
        if (issues.length < shown) issues.push(`  line ${number}: ${issue}`)
      }
      return { count, wrong, issues }
    },
    catch: (cause) =>
      new CommandError({
        message: `Cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
        exitCode: 2
      })
  }).pipe(
    Effect.flatMap(({ count, issues, wrong }) =>
      wrong === 0
        ? Effect.succeed(count)
        : Effect.fail(
            new CommandError({
              message: [
                `Cannot send ${path}: ${wrong} of its ${count} items are not valid, and nothing was sent`,
                ...issues,
                ...(wrong > issues.length ? [`  and ${wrong - issues.length} more`] : [])
              ].join("\n"),
              exitCode: 2
            })
          )
    )
  )
