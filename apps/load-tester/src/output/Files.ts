import { writeFileSync } from "node:fs"
import { Data, Effect } from "effect"

/** A result cannot be put where it should go. */
export class UnwritableOutput extends Data.TaggedError("@sluice/load-tester/UnwritableOutput")<{
  readonly message: string
}> {}

export const write = (path: string, content: string | Uint8Array): Effect.Effect<void, UnwritableOutput> =>
  Effect.try({
    try: () => writeFileSync(path, content),
    catch: (cause) =>
      new UnwritableOutput({
        message: `Cannot write ${path}: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  })
