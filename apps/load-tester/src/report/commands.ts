// `sluice-load report` and `sluice-load merge`.

import { Console, Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Files from "../output/Files.ts"
import * as Units from "../output/units.ts"
import * as Codec from "../results/Codec.ts"
import * as Result from "../results/Result.ts"
import * as Reporting from "../run/reporting.ts"
import { TestFailed } from "../TestFailed.ts"

const files = Argument.String("file").pipe(
  Argument.withDescription("Results, as --out run.slr writes them"),
  Argument.variadic({ min: 1 })
)

/** The results of files, as one. */
const loadAll = (paths: ReadonlyArray<string>) =>
  Effect.flatMap(Effect.forEach(paths, Codec.load), ([first, ...rest]) =>
    first === undefined
      ? Effect.fail(new TestFailed({ message: "Cannot read no result: a file is needed" }))
      : Effect.succeed(rest.reduce(Result.merge, first))
  )

const { out, summary, threshold, thresholds } = Reporting.flags

export const report = Command.make(
  "report",
  { files, out, summary, threshold, thresholds },
  Effect.fn("sluice-load.report")(function* ({ files: paths, ...flags }) {
    const reporting = yield* Reporting.make({ ...flags, abortOn: [], abortDelay: 0, plain: true, quiet: true })
    yield* reporting.conclude(yield* loadAll(paths))
  })
).pipe(
  Command.withDescription("Tell a result in another form; several are merged"),
  Command.withExamples([
    { command: "sluice-load report run.slr --out report.html", description: "One page with charts" },
    {
      command: "sluice-load report run.slr --threshold 'http_req_duration: p(95)<200' --out junit=junit.xml",
      description: "Thresholds on a run that is over"
    }
  ])
)

export const merge = Command.make(
  "merge",
  {
    files,
    out: Flag.String("out").pipe(Flag.withAlias("o"), Flag.withDescription("File for the merged result"))
  },
  Effect.fn("sluice-load.merge")(function* ({ files: paths, out: path }) {
    const merged = yield* loadAll(paths)
    yield* Files.write(path, Codec.encode(merged))
    const { requests } = Result.total(merged.steps)
    yield* Console.log(
      `${paths.length} results, ${Units.count(requests)} requests, ${merged.client.recorders} recorders: ${path}`
    )
  })
).pipe(
  Command.withDescription("Make one result of those of several machines; exact"),
  Command.withExamples([
    { command: "sluice-load merge one.slr two.slr -o both.slr", description: "As if one had recorded all" }
  ])
)
