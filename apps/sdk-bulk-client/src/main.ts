#!/usr/bin/env node
// The `t2e` command.

import { createReadStream, writeFileSync } from "node:fs"
import { createInterface } from "node:readline"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Config, Console, Effect, Option, type Redacted, Schema, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { BulkOptions, ItemResult, StreamError } from "./Bulk.ts"
import * as Client from "./Client.ts"
import * as Models from "./Models.ts"
import { behaviourConfig } from "./server/Behaviour.ts"
import * as Server from "./server/Server.ts"
import * as Output from "./suites/output.ts"
import { suites } from "./suites/suites.ts"

const version = "0.0.0"

/** A flag, else the environment variable, else nothing. */
const orEnvironment = <A>(flag: Flag.Flag<A>, variable: Config.Config<A>) =>
  flag.pipe(Flag.map(Option.some), Flag.withFallbackConfig(Config.option(variable)))

const connection = {
  baseUrl: orEnvironment(
    Flag.String("base-url").pipe(Flag.withDescription("Where the API is; else T2E_BASE_URL")),
    Config.String("T2E_BASE_URL")
  ),
  accessToken: orEnvironment(
    Flag.Redacted("access-token").pipe(Flag.withDescription("Access token; else T2E_ACCESS_TOKEN")),
    Config.Redacted("T2E_ACCESS_TOKEN")
  ),
  workspaceName: orEnvironment(
    Flag.String("workspace-name").pipe(Flag.withDescription("workspaces/ and a name; else T2E_WORKSPACE_NAME")),
    Config.String("T2E_WORKSPACE_NAME")
  )
}

const connect = (flags: {
  readonly baseUrl: Option.Option<string>
  readonly accessToken: Option.Option<Redacted.Redacted>
  readonly workspaceName: Option.Option<string>
}) =>
  Client.make({
    baseUrl: Option.getOrElse(flags.baseUrl, () => ""),
    accessToken: Option.getOrUndefined(flags.accessToken),
    workspaceName: Option.getOrUndefined(flags.workspaceName)
  })

const names = (flag: Option.Option<string>): ReadonlyArray<string> =>
  Option.match(flag, { onNone: () => [], onSome: (text) => text.split(",").map((name) => name.trim()) })

const testCommand = Command.make(
  "test",
  {
    ...connection,
    tests: Flag.String("tests").pipe(Flag.withDescription("Suites to run, by comma; default all"), Flag.optional),
    exclude: Flag.String("exclude").pipe(Flag.withDescription("Suites to leave out, by comma"), Flag.optional),
    listTests: Flag.Boolean("list-tests").pipe(
      Flag.withDescription("List the suites and end"),
      Flag.withDefault(false)
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
      yield* Console.error(
        `Cannot run ${unknown.join(", ")}: the suites are ${suites.map(({ name }) => name).join(", ")}`
      )
      process.exitCode = 1
      return
    }
    const chosen = suites.filter(
      ({ name }) => (wanted.length === 0 || wanted.includes(name)) && !excluded.includes(name)
    )
    const client = yield* connect(flags)
    const runs: Array<Output.SuiteRun> = []
    for (const suite of chosen) {
      const result = yield* Effect.result(suite.run(client))
      const run: Output.SuiteRun =
        result._tag === "Success"
          ? { suite: suite.name, results: result.success, error: undefined }
          : { suite: suite.name, results: [], error: result.failure.message }
      runs.push(run)
      yield* Console.log(`${suite.name}\n${Output.text(run)}\n`)
    }
    if (Option.isSome(flags.json)) writeFileSync(flags.json.value, Output.json(runs))
    if (Option.isSome(flags.junit)) writeFileSync(flags.junit.value, Output.junit(runs))
    const good = runs.filter(Output.passed).length
    yield* Console.log(`${good} of ${runs.length} suites passed`)
    if (good < runs.length) process.exitCode = 1
  }, Effect.scoped)
).pipe(Command.withDescription("Run the high-concurrency suites against an API"))

const resources = ["contexts", "golden-examples", "schema-metadata"] as const
type ResourceName = (typeof resources)[number]

/** The items of a JSONL file, one a line. The line that is none is named, and nothing after it is read. */
async function* readItems<A>(path: string, schema: Schema.Codec<A, unknown>): AsyncGenerator<A> {
  const decode = Schema.decodeUnknownResult(Schema.fromJsonString(schema))
  let number = 0
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    number++
    if (line.trim() === "") continue
    const item = decode(line)
    if (item._tag === "Failure") throw new Error(`Cannot use ${path}, line ${number}: ${item.failure.message}`)
    yield item.success
  }
}

/** Reads the file once for its errors, so that nothing is sent of a file that has one. */
const checkItems = (path: string, schema: Schema.Codec<unknown, unknown>) =>
  Effect.tryPromise({
    try: async () => {
      let count = 0
      for await (const _ of readItems(path, schema)) count++
      return count
    },
    catch: (cause) => (cause instanceof Error ? cause : new Error(String(cause)))
  })

const createStream = (
  client: Client.Text2Everything,
  resource: ResourceName,
  project: string,
  path: string,
  options: BulkOptions
): Stream.Stream<ItemResult<object>, StreamError> => {
  switch (resource) {
    case "contexts":
      return client.contexts.bulkCreateStream(project, readItems(path, Models.ContextCreate), options)
    case "golden-examples":
      return client.goldenExamples.bulkCreateStream(project, readItems(path, Models.GoldenExampleCreate), options)
    case "schema-metadata":
      return client.schemaMetadata.bulkCreateStream(project, readItems(path, Models.SchemaMetadataCreate), options)
  }
}

const schemas: Readonly<Record<ResourceName, Schema.Codec<unknown, unknown>>> = {
  contexts: Models.ContextCreate,
  "golden-examples": Models.GoldenExampleCreate,
  "schema-metadata": Models.SchemaMetadataCreate
}

const bar = (done: number, total: number): string => {
  const width = 30
  const filled = total === 0 ? width : Math.round((width * done) / total)
  return `[${"#".repeat(filled)}${".".repeat(width - filled)}] ${done}/${total}`
}

const bulkCreate = Command.make(
  "bulk-create",
  {
    ...connection,
    resource: Argument.Literals("resource", resources),
    file: Argument.String("items.jsonl").pipe(Argument.withDescription("One item a line, as JSON")),
    project: Flag.String("project").pipe(Flag.withDescription("The project that the items belong to")),
    maxConcurrent: Flag.Int("max-concurrent").pipe(Flag.withDescription("Items in flight"), Flag.withDefault(8)),
    sharedPool: Flag.Boolean("shared-pool").pipe(
      Flag.withDescription("Share connections instead of a fresh one for each item"),
      Flag.withDefault(false)
    ),
    stop: Flag.Boolean("stop-on-failure").pipe(
      Flag.withDescription("Send nothing more once an item has failed"),
      Flag.withDefault(false)
    ),
    resume: Flag.Boolean("resume").pipe(
      Flag.withDescription("Go on from items.jsonl.checkpoint, and write it"),
      Flag.withDefault(false)
    )
  },
  Effect.fn("t2e.bulk-create")(function* (flags) {
    const total = yield* checkItems(flags.file, schemas[flags.resource])
    const client = yield* connect(flags)
    const isTerminal = process.stderr.isTTY === true
    const counts = { created: 0, restored: 0, failed: 0, notAttempted: 0 }
    const started = performance.now()
    yield* createStream(client, flags.resource, flags.project, flags.file, {
      maxWorkers: flags.maxConcurrent,
      maxConcurrent: flags.maxConcurrent,
      useConnectionIsolation: !flags.sharedPool,
      onFailure: flags.stop ? "stop" : "continue",
      checkpoint: flags.resume ? `${flags.file}.checkpoint` : undefined,
      onProgress: ({ done }) => {
        if (isTerminal) process.stderr.write(`\r${bar(done, total)}`)
      }
    }).pipe(
      Stream.runForEach((result) =>
        Effect.gen(function* () {
          counts[result.status]++
          if (result.error !== undefined) yield* Console.error(`item ${result.index}: ${result.error.message}`)
        })
      )
    )
    if (isTerminal) process.stderr.write("\n")
    const seconds = (performance.now() - started) / 1000
    const unread = total - counts.created - counts.restored - counts.failed
    yield* Console.log(
      `${counts.created} created, ${counts.restored} restored, ${counts.failed} failed, ${unread} not attempted in ${seconds.toFixed(1)} s`
    )
    if (counts.failed + unread > 0) process.exitCode = 1
  }, Effect.scoped)
).pipe(Command.withDescription("Create every item of a file, and account for each"))

const serve = Command.make(
  "serve",
  {
    port: Flag.Int("port").pipe(Flag.withDescription("0 picks a free one"), Flag.withDefault(8080)),
    database: Flag.String("database").pipe(
      Flag.withDescription("File that keeps the objects; default in memory"),
      Flag.withDefault(":memory:")
    )
  },
  Effect.fn("t2e.serve")(function* ({ database, port }) {
    const behaviour = yield* behaviourConfig
    const server = yield* Server.run({ port, database, behaviour })
    yield* Console.log(`Text2Everything API, latency ${behaviour.latency}, listening on ${server.url}`)
    yield* Effect.never
  }, Effect.scoped)
).pipe(Command.withDescription("Run the API on this machine"))

Command.make("t2e").pipe(
  Command.withDescription("The Text2Everything SDK at the command line"),
  Command.withSubcommands([bulkCreate, testCommand, serve]),
  Command.run({ version }),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain
)
