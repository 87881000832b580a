// Timeouts against a model: a map from each entry to the time when it last moved,
// of which those are due that have not moved for so long.
import { it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import fc from "fast-check"
import { DeadlineList, type Entry } from "../src/internal/deadlines.ts"

type Step =
  | { readonly do: "add" | "remove" | "move"; readonly entry: number }
  | { readonly do: "wait"; readonly millis: number }

const entry = fc.nat({ max: 5 })
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom("add" as const, "remove" as const, "move" as const), entry }),
  fc.record({ do: fc.constant("wait" as const), millis: fc.integer({ min: 1, max: 150 }) })
)

const timeout = 100

it.effect("fires for exactly what has not moved for so long, at the millisecond", () =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    yield* Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), (steps) =>
          Effect.runPromiseWith(context)(
            Effect.gen(function* () {
              const clock = yield* Clock.Clock
              const list = new DeadlineList(clock, timeout)
              const fired: Array<string> = []
              const entries = Array.from(
                { length: 6 },
                (_, i): Entry => ({
                  movedAt: 0,
                  placedAt: 0,
                  previous: undefined,
                  next: undefined,
                  list: undefined,
                  onDeadline: () => fired.push(`${i}@${list.now()}`)
                })
              )
              const model = new Map<number, number>()
              const expected: Array<string> = []
              for (const current of steps) {
                const now = list.now()
                if (current.do === "wait") {
                  const end = now + current.millis
                  const due = [...model].filter(([, moved]) => moved + timeout <= end)
                  due.sort(([a, movedA], [b, movedB]) => movedA - movedB || a - b)
                  for (const [i, moved] of due) {
                    model.delete(i)
                    expected.push(`${i}@${moved + timeout}`)
                  }
                  yield* TestClock.adjust(current.millis)
                  continue
                }
                const target = entries[current.entry]
                if (target === undefined) continue
                if (current.do === "add" && !model.has(current.entry)) {
                  list.add(target)
                  model.set(current.entry, now)
                } else if (current.do === "remove") {
                  list.remove(target)
                  model.delete(current.entry)
                } else if (current.do === "move" && model.has(current.entry)) {
                  target.movedAt = now
                  model.set(current.entry, now)
                }
              }
              list.close()
              if (fired.toSorted().join() !== expected.toSorted().join()) {
                throw new Error(`fired ${fired.join(" ")}, expected ${expected.join(" ")}`)
              }
            }).pipe(Effect.provide(TestClock.layer()))
          )
        ),
        { numRuns: 200 }
      )
    )
  })
)
