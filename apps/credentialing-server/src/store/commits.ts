// Changes that come at the same time are one transaction: a commit waits for the
// disk, and the disk takes as long for many as for one.
//
// Each change stands behind a savepoint of its own, so that one that fails takes
// nothing else with it. Nobody is told of a change before the commit that has it is
// done, and where that fails, so has every change in it.
import { Effect } from "effect"
import type { Database } from "./database.ts"

interface Change {
  readonly apply: () => void
  readonly fail: (cause: unknown) => void
  readonly tell: () => void
}

export class Commits {
  readonly #database: Database
  #changes: Array<Change> = []

  constructor(database: Database) {
    this.#database = database
  }

  /** Makes a change together with all that come before the next turn of the event loop. */
  change<A>(work: () => A): Effect.Effect<A, unknown> {
    return Effect.callback<A, unknown>((resume) => {
      let outcome: Effect.Effect<A, unknown> = Effect.die(new Error("The change was not made"))
      const change: Change = {
        apply: () => {
          outcome = Effect.succeed(this.#database.savepoint(work))
        },
        fail: (cause) => {
          outcome = Effect.fail(cause)
        },
        tell: () => resume(outcome)
      }
      if (this.#changes.push(change) === 1) setImmediate(() => this.#commit())
      return Effect.sync(() => {
        // Whoever no longer waits for it has not asked for it, unless it is made already.
        this.#changes = this.#changes.filter((other) => other !== change)
      })
    })
  }

  #commit(): void {
    const changes = this.#changes.splice(0)
    if (changes.length === 0) return
    try {
      this.#database.transaction(() => {
        for (const change of changes) {
          try {
            change.apply()
          } catch (cause) {
            change.fail(cause)
          }
        }
      })
    } catch (cause) {
      for (const change of changes) change.fail(cause)
    }
    for (const { tell } of changes) tell()
  }
}
