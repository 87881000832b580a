// `sluice-load run`.

import { Console, Effect, Option } from "effect"
import { Command } from "effect/cli"
import * as Histogram from "../results/Histogram.ts"
import * as Result from "../results/Result.ts"
import { TestFailed } from "../TestFailed.ts"
import { execute } from "./Execute.ts"
import * as Flags from "./flags.ts"
import { planOf } from "./fromFlags.ts"

export const run = Command.make(
  "run",
  { target: Flags.target, ...Flags.load, ...Flags.http },
  Effect.fn("sluice-load.run")(function* ({ target, ...flags }) {
    if (Option.isNone(target))
      return yield* new TestFailed({ message: "Cannot run nothing: an address or a file is needed" })
    const plan = yield* planOf(target.value, flags)
    const { ending, result } = yield* execute(plan)
    const total = Result.total(result.steps)
    yield* Console.log(
      [
        `requests ${total.requests} (${(total.requests / Result.seconds(result)).toFixed(1)}/s), failed ${total.failed}`,
        [0.5, 0.9, 0.99, 0.999, 0.9999]
          .map((q) => `p${q * 100} ${Histogram.quantile(total.latency, q).toFixed(0)} µs`)
          .join(", "),
        JSON.stringify(total.statuses),
        JSON.stringify(total.errors),
        JSON.stringify(ending)
      ].join("\n")
    )
  })
).pipe(
  Command.withDescription("Load an address, the targets of a file, or a scenario"),
  Command.withExamples([
    {
      command: "sluice-load run http://127.0.0.1:8080/ -c 50 -d 10s",
      description: "Fifty users, each after its last answer"
    },
    {
      command: "sluice-load run http://127.0.0.1:8080/ --rate 1000 -d 1m",
      description: "A thousand arrivals a second, whatever is answered"
    },
    {
      command: "sluice-load run targets.txt --rate 100 --stages 10s:500,30s:500,10s:0",
      description: "A rate in stages"
    }
  ])
)
