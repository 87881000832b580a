import { writeFileSync } from "node:fs"
import { Data, Effect } from "effect"

/** The test ran, and what it tested did not hold. */
export class TestFailed extends Data.TaggedError("@sluice/load-tester/TestFailed")<{ readonly message: string }> {}

/** Writes results as JSON. */
export const save = (path: string, results: unknown): Effect.Effect<void, TestFailed> =>
  Effect.try({
    try: () => writeFileSync(path, `${JSON.stringify(results, null, 2)}\n`),
    catch: (cause) =>
      new TestFailed({ message: `Cannot write ${path}: ${cause instanceof Error ? cause.message : String(cause)}` })
  })
