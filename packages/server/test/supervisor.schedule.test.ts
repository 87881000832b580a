// The supervisor under many schedules: what is worn, crashes and is rolled at the
// same time, in whatever order, ends with all workers there and one for each place.

import { Explorer } from "@sluice/schedule-explorer"
import { Effect, Exit, Scope } from "effect"
import { describe, it } from "vitest"
import { supervise } from "../src/internal/workers/supervisor.ts"
import { crash, fakes } from "./support/fakeProcesses.ts"

const settled = Effect.sleep("1 minute")

describe("the supervisor under many schedules", () => {
  it("a crash, a worn worker and a roll at once leave one worker in each place, and the end leaves none", () => {
    Explorer.assert(
      Effect.gen(function* () {
        const processes = yield* fakes(() => ({ readyAfter: 10, drainsAfter: 10 }))
        const scope = yield* Scope.make()
        const supervisor = yield* Scope.provide(supervise(processes.settings()), scope)
        yield* settled
        const [first, second] = processes.all
        const acts = [Effect.sync(() => first?.wear()), Effect.sync(() => second?.exit(crash)), supervisor.roll]
        yield* Effect.all(acts, { concurrency: "unbounded", discard: true })
        yield* settled
        const places = processes.ready().map(({ place }) => place)
        if (places.sort().join() !== "1,2") yield* Effect.die(`there are workers in the places ${places.join()}`)
        yield* Scope.close(scope, Exit.void)
        if (processes.alive().length > 0) yield* Effect.die(`${processes.alive().length} processes are left`)
      }),
      { strategy: Explorer.random({ runs: 300, seed: 1 }) }
    )
  })
})
