// `sluice-load compare`.

import { basename } from "node:path"
import { Console, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { parseSeconds } from "../engine/Pattern.ts"
import * as Files from "../output/Files.ts"
import * as Codec from "../results/Codec.ts"
import { ThresholdsCrossed } from "../run/reporting.ts"
import { TestFailed } from "../TestFailed.ts"
import * as Compare from "./Compare.ts"
import * as Text from "./Text.ts"

const within = (name: string, from: number, to: number) =>
  Flag.filter(
    (value: number) => value > from && value < to,
    (value) => `--${name} ${value}: a number above ${from} and below ${to} is needed`
  )

const namesOf = (list: string): string =>
  list
    .split(",")
    .map((path) => basename(path.trim()))
    .join(", ")

const loadAll = (list: string) => Effect.forEach(list.split(","), (path) => Codec.load(path.trim()))

export const compare = Command.make(
  "compare",
  {
    before: Argument.String("before").pipe(
      Argument.withDescription("The result to compare with, as --out run.slr writes it; several with commas between")
    ),
    after: Argument.String("after").pipe(
      Argument.withDescription("The result in question; several with commas between")
    ),
    confidence: Flag.Finite("confidence").pipe(
      Flag.withDescription("How sure a difference has to be"),
      Flag.withDefault(0.99),
      within("confidence", 0.5, 1)
    ),
    tolerance: Flag.Finite("tolerance").pipe(
      Flag.withDescription("The least change that counts, as a part"),
      Flag.withDefault(0.03),
      within("tolerance", -1e-9, 10)
    ),
    warmUp: Flag.String("warm-up").pipe(
      Flag.withDescription("Time at the beginning of each run that is left out"),
      Flag.withDefault("0s"),
      Flag.mapTryCatch(parseSeconds, (error) => (error instanceof Error ? error.message : String(error)))
    ),
    out: Flag.String("out").pipe(
      Flag.withAlias("o"),
      Flag.withDescription("File for the comparison as JSON"),
      Flag.optional
    )
  },
  Effect.fn("sluice-load.compare")(function* ({ after, before, confidence, out, tolerance, warmUp }) {
    const [one, two] = yield* Effect.all([loadAll(before), loadAll(after)])
    const comparison = Compare.compare(one, two, { confidence, tolerance, warmUpSeconds: warmUp })
    yield* Console.log(Text.text(comparison, [namesOf(before), namesOf(after)]))
    if (Option.isSome(out))
      yield* Files.write(out.value, `${JSON.stringify({ before, after, ...comparison }, null, 2)}\n`)
    if (comparison.verdict === "worse") {
      return yield* new ThresholdsCrossed({
        message: `${namesOf(after)} is worse than ${namesOf(before)}`,
        verdicts: []
      })
    }
    if (comparison.verdict === "unknown") {
      return yield* new TestFailed({ message: `Cannot compare ${before} and ${after}: too little was recorded` })
    }
  })
).pipe(
  Command.withDescription("Tell whether one run was slower than another, with intervals; fails if it was"),
  Command.withExamples([
    { command: "sluice-load compare main.slr branch.slr", description: "Ends with 99 if the branch is worse" },
    {
      command: "sluice-load compare main-1.slr,main-2.slr,main-3.slr branch-1.slr,branch-2.slr,branch-3.slr",
      description: "Where the machine itself varies, with several runs of each, by turns"
    }
  ])
)
