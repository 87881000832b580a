// The high-concurrency suites of the Text2Everything guide: 32 items a resource,
// 8 at once, all back in the order of the input with their content intact.

import { Clock, Duration, Effect, Stream } from "effect"
import type { BulkOptions, BulkReport } from "../Bulk.ts"
import * as Client from "../Client.ts"
import { type CallError, ConnectionError, type InvalidConfiguration, type InvalidItems } from "../Errors.ts"
import { type ClientOptions, longRunning } from "../Options.ts"

type Text2Everything = Client.Text2Everything

export interface Check {
  readonly statement: string
  readonly holds: boolean
}

export interface SuiteResult {
  readonly name: string
  readonly requests: number
  readonly succeeded: number
  readonly averageSeconds: number
  readonly makespanSeconds: number
  readonly throughput: number
  /** Items that ended without an answer. */
  readonly connectionDrops: number
  /** Requests beyond one an item. */
  readonly sentAgain: number
  readonly checks: ReadonlyArray<Check>
}

type SuiteError = CallError | InvalidItems | InvalidConfiguration

/** What a suite runs on. */
export interface SuiteEnvironment {
  readonly client: Text2Everything
  /** What the client was made with, for suites that need one with other timeouts. */
  readonly options: ClientOptions
  /** How many seconds of the real API pass in one. */
  readonly timeScale: number
}

export interface Suite {
  readonly name: string
  readonly summary: string
  readonly run: (environment: SuiteEnvironment) => Effect.Effect<ReadonlyArray<SuiteResult>, SuiteError>
}

const items = 32

const context = (index: number) => ({
  name: `Business rule ${index}`,
  content: `Revenue of region ${index} counts from the day of delivery.`,
  description: `Rule number ${index}`,
  is_always_displayed: index % 4 === 0
})

const goldenExample = (index: number) => ({
  user_query: `How many orders came from region ${index}?`,
  sql_query: `SELECT COUNT(*) FROM orders WHERE region_id = ${index}`,
  description: `Example number ${index}`
})

/** The four kinds in turn, as the guide names them. */
const schema = (index: number) => {
  const name = `table_${index}`
  const shapes = [
    {
      table: {
        name,
        columns: [
          { name: "id", type: "integer" },
          { name: "region", type: "text" }
        ]
      }
    },
    { table: { name, dimension: { name: "region", content: { type: "text", values: ["north", "south"] } } } },
    { table: { name, metric: { name: "revenue", content: { sql: "SUM(amount)" } } } },
    { relationship: { from: `${name}.region_id`, to: "regions.id" } }
  ] as const
  return { name: `Schema ${index}`, schema_data: shapes[index % shapes.length] ?? shapes[0] }
}

const summarise = <A>(
  name: string,
  report: BulkReport<A>,
  wanted: number,
  intact: (value: A, index: number) => boolean
): SuiteResult => {
  const succeeded = report.created + report.restored
  const makespanSeconds = report.durationMillis / 1000
  return {
    name,
    requests: wanted,
    succeeded,
    averageSeconds: report.results.reduce((sum, result) => sum + result.durationMillis, 0) / 1000 / Math.max(1, wanted),
    makespanSeconds,
    throughput: succeeded / makespanSeconds,
    connectionDrops: report.results.filter(({ error }) => error instanceof ConnectionError).length,
    sentAgain: report.results.reduce((sum, { attempts }) => sum + Math.max(0, attempts - 1), 0),
    checks: [
      { statement: `${wanted} results came back`, holds: report.results.length === wanted },
      { statement: "every item was created", holds: report.created === wanted },
      {
        statement: "results stand in the order of the input",
        holds: report.results.every((result, index) => result.index === index)
      },
      {
        statement: "content came back as it was sent",
        holds: report.results.every((result) => result.value !== undefined && intact(result.value, result.index))
      }
    ]
  }
}

/** Runs `work` in a project of its own and deletes it afterwards, whatever happens. */
const inProject = <A, E>(client: Text2Everything, name: string, work: (projectId: string) => Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(
    client.projects.create({ name }),
    (project) => work(project.id),
    (project) => Effect.ignore(client.projects.delete(project.id))
  )

const range = (count: number) => Array.from({ length: count }, (_, index) => index)

const contexts = (client: Text2Everything, project: string, count: number, options: BulkOptions) =>
  Effect.map(client.contexts.bulkCreate(project, range(count).map(context), options), (report) =>
    summarise("contexts", report, count, (value, index) => value.content === context(index).content)
  )

const schemas = (client: Text2Everything, project: string, count: number, options: BulkOptions) =>
  Effect.map(client.schemaMetadata.bulkCreate(project, range(count).map(schema), options), (report) =>
    summarise("schema metadata", report, count, ({ parts }, index) => parts[0].name === schema(index).name)
  )

const examples = (client: Text2Everything, project: string, count: number, options: BulkOptions) =>
  Effect.map(client.goldenExamples.bulkCreate(project, range(count).map(goldenExample), options), (report) =>
    summarise("golden examples", report, count, (value, index) => value.sql_query === goldenExample(index).sql_query)
  )

const named = (name: string) => (result: SuiteResult) => [{ ...result, name }]

/** The same work at 8, 16 and 32 at once. */
const ramp = (client: Text2Everything, project: string) =>
  Effect.forEach([8, 16, 32], (maxConcurrent) =>
    Effect.map(contexts(client, project, items, { maxConcurrent, maxWorkers: maxConcurrent }), (result) => ({
      ...result,
      name: `${maxConcurrent} at once`
    }))
  )

/** The same work with one worker to sixteen. */
const workers = (client: Text2Everything, project: string) =>
  Effect.forEach([1, 4, 8, 16], (maxWorkers) =>
    Effect.map(contexts(client, project, items, { maxConcurrent: 16, maxWorkers }), (result) => ({
      ...result,
      name: `${maxWorkers} ${maxWorkers === 1 ? "worker" : "workers"}`
    }))
  )

const isolation = (client: Text2Everything, project: string) =>
  Effect.forEach([true, false], (useConnectionIsolation) =>
    Effect.gen(function* () {
      const before = yield* client.poolStats
      const result = yield* contexts(client, project, items, { useConnectionIsolation })
      const after = yield* client.poolStats
      const opened = after.created - before.created
      const check: Check = useConnectionIsolation
        ? { statement: `each item had a connection of its own (${opened} opened)`, holds: opened >= items }
        : { statement: `connections were shared (${opened} opened)`, holds: opened <= 8 }
      return {
        ...result,
        name: useConnectionIsolation ? "isolated connections" : "shared pool",
        checks: [...result.checks, check]
      }
    })
  )

const mixed = (client: Text2Everything, project: string) =>
  Effect.gen(function* () {
    // The collection of the project must stand before three resources write to it at once.
    yield* client.contexts.create(project, context(0))
    return yield* Effect.all(
      [
        contexts(client, project, 11, { firstAlone: false }),
        schemas(client, project, 11, { firstAlone: false }),
        examples(client, project, 10, { firstAlone: false })
      ],
      { concurrency: "unbounded" }
    )
  })

const listed = (client: Text2Everything, project: string) =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    const created = yield* contexts(client, project, items, {})
    const ids = yield* client.contexts.list(project, { pageSize: 5 }).pipe(
      Stream.map((object) => object.id),
      Stream.runCollect
    )
    return [
      {
        ...created,
        name: "paged list",
        makespanSeconds: ((yield* Clock.currentTimeMillis) - start) / 1000,
        checks: [
          ...created.checks,
          { statement: "the list gives each object once", holds: new Set(ids).size === items && ids.length === items }
        ]
      }
    ]
  })

const longSeconds = 200

/**
 * Requests of more than three minutes. With the long-running preset each is answered; with the default read timeout of
 * three minutes each is given up and sent again under its key, and the API answers that with what the first one made.
 */
const long = ({ client, options, timeScale }: SuiteEnvironment, project: string) =>
  Effect.gen(function* () {
    const scaled = (input: Duration.Input) => Duration.millis(Duration.toMillis(input) / timeScale)
    // The collection of the project must stand before many write to it at once.
    yield* client.contexts.create(project, context(0))
    const slow = {
      ...options,
      retryDelay: scaled("1 second"),
      headers: { ...options.headers, "x-simulated-seconds": String(longSeconds) }
    }
    const runs = [
      {
        name: `Requests of ${longSeconds} s, long-running preset, time 1:${timeScale}`,
        readTimeout: longRunning.readTimeout,
        isCutOff: false
      },
      {
        name: `Requests of ${longSeconds} s, default read timeout, time 1:${timeScale}`,
        readTimeout: "180 seconds",
        isCutOff: true
      }
    ] as const
    const results = yield* Effect.forEach(runs, ({ isCutOff, name, readTimeout }) =>
      Effect.scoped(
        Effect.gen(function* () {
          const patient = yield* Client.make({
            ...slow,
            readTimeout: scaled(readTimeout),
            poolTimeout: scaled(longRunning.poolTimeout),
            keepaliveExpiry: scaled(longRunning.keepaliveExpiry)
          })
          const result = yield* contexts(patient, project, 8, { firstAlone: false })
          const check: Check = { statement: "no request was given up", holds: isCutOff || result.sentAgain === 0 }
          return { ...result, name, checks: [...result.checks, check] }
        })
      )
    )
    const stored = yield* Stream.runCount(client.contexts.list(project))
    const check: Check = { statement: `the API holds each once (${stored} of 17)`, holds: stored === 17 }
    return results.map((result) => ({ ...result, checks: [...result.checks, check] }))
  })

const suite = (
  name: string,
  summary: string,
  run: (environment: SuiteEnvironment, project: string) => Effect.Effect<ReadonlyArray<SuiteResult>, SuiteError>
): Suite => ({
  name,
  summary,
  run: (environment) => inProject(environment.client, name, (project) => run(environment, project))
})

export const suites: ReadonlyArray<Suite> = [
  suite("high_concurrency_contexts", "32 contexts, 8 at once", ({ client }, project) =>
    Effect.map(contexts(client, project, items, {}), named("Contexts"))
  ),
  suite("high_concurrency_schema_metadata", "32 schemas of the four kinds, 8 at once", ({ client }, project) =>
    Effect.map(schemas(client, project, items, {}), named("Schema Metadata"))
  ),
  suite("high_concurrency_golden_examples", "32 golden examples, 8 at once", ({ client }, project) =>
    Effect.map(examples(client, project, items, {}), named("Golden Examples"))
  ),
  suite("high_concurrency_mixed", "32 items over the three resources at the same time", ({ client }, project) =>
    mixed(client, project)
  ),
  suite("long_running", "16 requests of more than three minutes, in scaled time", long),
  suite("load_ramp", "32 contexts at 8, 16 and 32 at once", ({ client }, project) => ramp(client, project)),
  suite("worker_comparison", "32 contexts with 1, 4, 8 and 16 workers", ({ client }, project) =>
    workers(client, project)
  ),
  suite(
    "connection_isolation",
    "32 contexts on connections of their own, then on the shared pool",
    ({ client }, project) => isolation(client, project)
  ),
  suite("paged_list", "32 contexts, then listed five at a time", ({ client }, project) => listed(client, project))
]
