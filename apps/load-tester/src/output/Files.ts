import { accessSync, constants, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { Data, Effect } from "effect"

/** A result cannot be put where it should go. */
export class UnwritableOutput extends Data.TaggedError("@sluice/load-tester/UnwritableOutput")<{
  readonly message: string
}> {}

const attempt = (path: string, task: () => void): Effect.Effect<void, UnwritableOutput> =>
  Effect.try({
    try: task,
    catch: (cause) =>
      new UnwritableOutput({
        message: `Cannot write ${path}: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  })

export const write = (path: string, content: string | Uint8Array): Effect.Effect<void, UnwritableOutput> =>
  attempt(path, () => writeFileSync(path, content))

/** Fails where the folder of a file is not there, or may not be written to. */
export const writable = (path: string): Effect.Effect<void, UnwritableOutput> =>
  attempt(path, () => accessSync(dirname(path), constants.W_OK))
