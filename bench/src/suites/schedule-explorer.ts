// Schedules a second, for three fibers of five steps.

import { Explorer } from "@sluice/schedule-explorer"
import { Effect } from "effect"
import type { Suite } from "../harness.ts"

const schedules = 20_000

const program = Effect.gen(function* () {
  const steps = Effect.gen(function* () {
    for (let step = 0; step < 5; step++) yield* Effect.yieldNow
  })
  yield* Effect.all([steps, steps, steps], { concurrency: "unbounded" })
})

const suite: Suite = {
  name: "schedule-explorer",
  comparisons: [
    {
      name: "three fibers of five steps",
      unit: "ops/s",
      against: "the goal of 20,000",
      bar: 1,
      ours: () => {
        const start = performance.now()
        const strategy = Explorer.exhaustive({ maxPreemptions: 0, maxSchedules: schedules })
        const report = Explorer.check(program, { strategy })
        return (report.schedules * 1000) / (performance.now() - start)
      },
      peer: () => 20_000
    }
  ]
}

export default suite
