import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import * as fc from "fast-check"
import * as Store from "../src/Store.ts"

const session = (sessionId: string, now = 1000): Store.Session => ({
  sessionId,
  step: "transcript_review",
  status: "awaiting_validation",
  version: 1,
  state: "{}",
  createdAt: now,
  lastActivity: now
})
const entry = { step: "transcript_review", action: "approve", by: "officer", at: 1000, input: null }
const fir = (sessionId: string, firNumber: string) => ({
  firNumber,
  sessionId,
  complaintText: "text",
  firContent: "content",
  violationsJson: "[]"
})
const opened = (...ids: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const store = yield* Store.make(":memory:")
    for (const id of ids) yield* store.create(session(id), entry)
    return store
  })

describe("the store", () => {
  it.effect("lets exactly one of many changes of a version through", () =>
    Effect.gen(function* () {
      const store = yield* opened("a")
      const changes = Array.from({ length: 20 }, (_, index) =>
        Effect.exit(store.change({ session: { ...session("a"), step: `step-${index}` }, entry }))
      )
      const exits = yield* Effect.all(changes, { concurrency: "unbounded" })
      assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
      const kept = yield* store.session("a")
      assert.strictEqual(kept?.version, 2)
      assert.strictEqual((yield* store.history("a")).length, 2)
    })
  )

  it.effect("gives a number to one session only, and keeps nothing of the change that wanted it too", () =>
    Effect.gen(function* () {
      const store = yield* opened("a", "b")
      yield* store.change({ session: session("a"), entry, fir: fir("a", "FIR-1") })
      const refused = yield* Effect.flip(store.change({ session: session("b"), entry, fir: fir("b", "FIR-1") }))
      assert.strictEqual(refused._tag, "NumberTaken")
      assert.strictEqual((yield* store.session("b"))?.version, 1)
      assert.strictEqual((yield* store.history("b")).length, 1)
    })
  )

  it.effect("keeps the number of a report that is made again", () =>
    Effect.gen(function* () {
      const store = yield* opened("a")
      yield* store.change({ session: session("a"), entry, fir: fir("a", "FIR-1") })
      yield* store.change({
        session: { ...session("a"), version: 2 },
        entry,
        fir: { ...fir("a", "FIR-1"), firContent: "better" }
      })
      assert.strictEqual((yield* store.fir("FIR-1"))?.firContent, "better")
      assert.strictEqual((yield* store.firs(undefined, 10)).total, 1)
    })
  )

  it.effect("expires what is idle and leaves what is complete", () =>
    Effect.gen(function* () {
      const store = yield* opened("idle", "done")
      yield* store.change({ session: { ...session("done"), status: "completed", step: "completed" }, entry })
      assert.strictEqual(yield* store.expire(5000), 1)
      assert.strictEqual((yield* store.session("idle"))?.status, "expired")
      assert.strictEqual((yield* store.session("done"))?.status, "completed")
      const late = yield* Effect.flip(store.change({ session: { ...session("idle"), version: 2 }, entry }))
      assert.strictEqual(late._tag, "StaleVersion")
    })
  )

  it("numbers every report once, whatever the order in which sessions ask", async () => {
    // The model: a set of numbers. A number that is in it is refused, and the set never holds one twice.
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 20 }), (numbers) =>
        Effect.runPromise(
          Effect.scoped(
            Effect.gen(function* () {
              const ids = numbers.map((_, index) => `s${index}`)
              const store = yield* opened(...ids)
              const exits = yield* Effect.forEach(
                numbers,
                (number, index) =>
                  Effect.exit(
                    store.change({ session: session(`s${index}`), entry, fir: fir(`s${index}`, `FIR-${number}`) })
                  ),
                { concurrency: "unbounded" }
              )
              const { items, total } = yield* store.firs(undefined, 100)
              assert.strictEqual(total, new Set(numbers).size)
              assert.strictEqual(new Set(items.map(({ firNumber }) => firNumber)).size, total)
              assert.strictEqual(exits.filter(Exit.isSuccess).length, total)
            })
          )
        )
      ),
      { numRuns: 30 }
    )
  })
})
