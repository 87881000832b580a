// Changes that are made together: the model makes them one after another.
import { Effect, Exit, Fiber } from "effect"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Commits } from "../src/store/commits.ts"
import { Database } from "../src/store/database.ts"

const open = () => {
  const database = new Database(":memory:")
  database.script("create table kept (value integer primary key)")
  return { database, commits: new Commits(database) }
}
const kept = (database: Database) => database.all("select value from kept order by value").map((row) => row["value"])

describe("changes made together", () => {
  it("are kept as if they were made one after another, and one that fails takes no other with it", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(12), { maxLength: 20 }), (values) =>
        Effect.gen(function* () {
          const { commits, database } = open()
          const exits = yield* Effect.forEach(
            values,
            // A value that is there already fails, after it has changed something that must not stay.
            (value) =>
              Effect.exit(
                commits.change(() => {
                  database.run("insert into kept values (?)", -1 - value)
                  database.run("insert into kept values (?)", value)
                  database.run("delete from kept where value = ?", -1 - value)
                  return value
                })
              ),
            { concurrency: "unbounded" }
          )
          const seen = new Set<number>()
          for (const [index, value] of values.entries()) {
            expect(exits[index]?._tag).toBe(seen.has(value) ? "Failure" : "Success")
            seen.add(value)
          }
          expect(kept(database)).toEqual([...seen].sort((a, b) => a - b))
          database.close()
        }).pipe(Effect.runPromise)
      )
    )
  })

  it("are not made for those who have left before", () =>
    Effect.gen(function* () {
      const { commits, database } = open()
      const insert = (value: number) => commits.change(() => database.run("insert into kept values (?)", value))
      const leaving = yield* Effect.forkChild(insert(1), { startImmediately: true })
      const staying = yield* Effect.forkChild(insert(2), { startImmediately: true })
      yield* Fiber.interrupt(leaving)
      yield* Fiber.join(staying)
      expect(kept(database)).toEqual([2])
      database.close()
    }).pipe(Effect.runPromise))

  it("all fail where the commit does", () =>
    Effect.gen(function* () {
      const { commits, database } = open()
      const change = Effect.exit(commits.change(() => 1))
      const [first, second] = yield* Effect.all(
        [
          Effect.andThen(
            Effect.sync(() => database.script("begin")),
            change
          ),
          change
        ],
        { concurrency: "unbounded" }
      )
      expect([first, second].map(Exit.isFailure)).toEqual([true, true])
      database.close()
    }).pipe(Effect.runPromise))
})
