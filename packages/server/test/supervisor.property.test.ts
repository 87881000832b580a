// Laws of the supervisor, over random lives of processes that crash, wear, start
// slowly or not at all, and drain slowly or not at all.

import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import fc from "fast-check"
import { supervise } from "../src/internal/workers/supervisor.ts"
import { crash, fakes } from "./support/fakeProcesses.ts"

const behaviour = fc.record({
  readyAfter: fc.option(fc.integer({ min: 0, max: 2000 }), { nil: undefined, freq: 5 }),
  drainsAfter: fc.option(fc.integer({ min: 0, max: 3000 }), { nil: undefined, freq: 5 })
})

const happening = fc.oneof(
  fc.record({ kind: fc.constantFrom("crash", "wear"), which: fc.nat() }),
  fc.record({ kind: fc.constant("roll") }),
  fc.record({ kind: fc.constant("wait"), millis: fc.integer({ min: 1, max: 5000 }) })
)

describe("the laws of the supervisor", () => {
  it.effect(
    "one process too many at most, none drains before its successor is there, all are there again, none is left",
    () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            fc.integer({ min: 1, max: 4 }),
            fc.array(behaviour, { minLength: 1, maxLength: 20 }),
            fc.array(happening, { maxLength: 20 }),
            (workers, behaviours, happenings) =>
              Effect.gen(function* () {
                let isStopping = false
                const processes = yield* fakes(
                  (_, start) => behaviours[start] ?? { readyAfter: 10, drainsAfter: 10 },
                  (old) => {
                    const successor = processes.ready().some((other) => other !== old && other.place === old.place)
                    assert.isTrue(successor || isStopping, `${old.pid} drains without a successor`)
                  }
                )
                const scope = yield* Scope.make()
                const supervisor = yield* Scope.provide(
                  supervise(processes.settings({ workers, maxFailedStarts: 1000, startTimeout: "3 seconds" })),
                  scope
                )
                const check = () => assert.isAtMost(processes.alive().length, workers + 1)
                for (const event of happenings) {
                  const alive = processes.alive()
                  if (event.kind === "wait" && "millis" in event) yield* TestClock.adjust(event.millis)
                  else if (event.kind === "roll") yield* Effect.forkIn(supervisor.roll, scope)
                  else if ("which" in event) {
                    const process = alive[event.which % Math.max(1, alive.length)]
                    if (event.kind === "crash") process?.exit(crash)
                    else process?.wear()
                  }
                  yield* TestClock.adjust(1)
                  check()
                }
                yield* TestClock.adjust("10 minutes")
                check()
                assert.deepStrictEqual(
                  processes
                    .ready()
                    .map(({ place }) => place)
                    .sort(),
                  Array.from({ length: workers }, (_, index) => index + 1)
                )
                assert.lengthOf(processes.alive(), workers)
                isStopping = true
                yield* Effect.forkChild(Scope.close(scope, Exit.void))
                yield* TestClock.adjust("1 minute")
                assert.lengthOf(processes.alive(), 0)
              }).pipe(Effect.provide(TestClock.layer()), Effect.runPromise)
          ),
          { numRuns: 100 }
        )
      )
  )
})
