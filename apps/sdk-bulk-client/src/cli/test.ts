// `t2e test`: the high-concurrency suites against an API.

import { writeFileSync } from "node:fs"
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Client from "../Client.ts"
import * as Output from "../suites/output.ts"
import { published } from "../suites/published.ts"
import { suites } from "../suites/suites.ts"
import { CommandError, clientOptions, connection } from "./connection.ts"

const names = (flag: Option.Option<string>): ReadonlyArray<string> =>
  Option.match(flag, {
    onNone: () => [],
    onSome: (text) =>
      text
        .split(",")
        .map((name) => name.trim())
        .filter((name) => name !== "")
  })

const writing = (file: Option.Option<string>, text: () => string): Effect.Effect<void, CommandError> =>
  Option.match(file, {
    onNone: () => Effect.void,
    onSome: (path) =>
      Effect.try({
        try: () => writeFileSync(path, text()),
        catch: (cause) => new CommandError({ message: `Cannot write ${path}: ${String(cause)}`, exitCode: 2 })
      })
  })

export const test = Command.make(
  "test",
  {
    ...connection,
    tests: Flag.String("tests").pipe(Flag.withDescription("Suites to run, by comma; default all"), Flag.optional),
    exclude: Flag.String("exclude").pipe(Flag.withDescription("Suites to leave out, by comma"), Flag.optional),
    listTests: Flag.Boolean("list-tests").pipe(
      Flag.withDescription("List the suites and end"),
      Flag.withDefault(false)
    ),
    timeScale: Flag.Int("time-scale").pipe(
      Flag.withDescription("How many seconds of the real API pass in one; 1 for the real one or a realistic server"),
      Flag.withDefault(100)
    ),
    json: Flag.String("json").pipe(Flag.withDescription("File for the results as JSON"), Flag.optional),
    junit: Flag.String("junit").pipe(Flag.withDescription("File for the results as JUnit XML"), Flag.optional)
  },
  Effect.fn("t2e.test")(function* (flags) {
    if (flags.listTests) {
      for (const suite of suites) yield* Console.log(`${suite.name.padEnd(34)} ${suite.summary}`)
      return
    }
    const wanted = names(flags.tests)
    const excluded = names(flags.exclude)
    const unknown = [...wanted, ...excluded].filter((name) => !suites.some((suite) => suite.name === name))
    if (unknown.length > 0) {
      const known = suites.map(({ name }) => name).join(", ")
      return yield* new CommandError({
        message: `Cannot run ${unknown.join(", ")}: the suites are ${known}`,
        exitCode: 2
      })
    }
    if (flags.timeScale < 1) {
      return yield* new CommandError({
        message: `Cannot use --time-scale ${flags.timeScale}: allowed is a whole number, 1 or more`,
        exitCode: 2
      })
    }
    const chosen = suites.filter(
      ({ name }) => (wanted.length === 0 || wanted.includes(name)) && !excluded.includes(name)
    )
    const options = clientOptions(flags)
    const client = yield* Client.make(options)
    const runs: Array<Output.SuiteRun> = []
    for (const suite of chosen) {
      const result = yield* Effect.result(suite.run({ client, options, timeScale: flags.timeScale }))
      const run: Output.SuiteRun =
        result._tag === "Success"
          ? { suite: suite.name, results: result.success, error: undefined }
          : { suite: suite.name, results: [], error: result.failure.message }
      runs.push(run)
      yield* Console.log(`${suite.name}\n${Output.text(run)}\n`)
    }
    const table = published(runs)
    if (table !== undefined) yield* Console.log(`${table}\n`)
    yield* writing(flags.json, () => Output.json(runs))
    yield* writing(flags.junit, () => Output.junit(runs))
    const good = runs.filter(Output.passed).length
    yield* Console.log(`${good} of ${runs.length} suites passed`)
    if (good < runs.length) {
      return yield* new CommandError({ message: `${runs.length - good} suites failed`, exitCode: 1 })
    }
  }, Effect.scoped)
).pipe(Command.withDescription("Run the high-concurrency suites against an API"))
