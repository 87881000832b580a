// The store in a file, for one process.
import { Effect, Option, type Scope } from "effect"
import { Kysely } from "kysely"
import { type StoreApi, StoreError } from "../Store.ts"
import { migrate } from "./migrations.ts"
import { nodeSqliteDialect } from "./nodeSqlite.ts"
import { storeOver } from "./queries.ts"
import type { Tables } from "./tables.ts"

export interface Options {
  /** The file; `:memory:` for one that is gone with the process. */
  readonly path: string
}

const says = (error: unknown, text: RegExp): boolean => error instanceof Error && text.test(error.message)

export const make = ({ path }: Options): Effect.Effect<StoreApi, StoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const db = yield* Effect.acquireRelease(
      Effect.sync(() => new Kysely<Tables>({ dialect: nodeSqliteDialect(path) })),
      (db) => Effect.promise(() => db.destroy())
    )
    yield* Effect.tryPromise({
      try: () =>
        migrate(db, {
          longText: "text",
          finish: (table) => table,
          isThere: (error) => says(error, /already exists|duplicate column/)
        }),
      catch: (cause) => new StoreError({ operation: "open the database", cause })
    })
    return storeOver({
      db,
      isDuplicate: (error) => says(error, /UNIQUE constraint failed/),
      insist: (effect) => effect,
      surely: (change) => change,
      // Who else would work on it is this process, which knows by itself; the versions hold against any other.
      claim: () => Effect.succeed(Option.some(undefined)),
      claimed: () => Effect.succeed(false)
    })
  })
