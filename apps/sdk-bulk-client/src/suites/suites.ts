// The high-concurrency suites of the Text2Everything guide: 32 items a resource,
// 8 at once, all back in the order of the input with their content intact.

import { Clock, Effect, Stream } from "effect"
import type { BulkOptions, BulkReport } from "../Bulk.ts"
import type { Text2Everything } from "../Client.ts"
import type { CallError, InvalidConfiguration, InvalidItems } from "../Errors.ts"

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
  readonly checks: ReadonlyArray<Check>
}

type SuiteError = CallError | InvalidItems | InvalidConfiguration

export interface Suite {
  readonly name: string
  readonly summary: string
  readonly run: (client: Text2Everything) => Effect.Effect<ReadonlyArray<SuiteResult>, SuiteError>
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

/** 8, 16 and 32 at once: throughput must not fall as the load grows. */
const ramp = (client: Text2Everything, project: string) =>
  Effect.forEach([8, 16, 32], (maxConcurrent) =>
    Effect.map(contexts(client, project, items, { maxConcurrent, maxWorkers: maxConcurrent }), (result) => ({
      ...result,
      name: `${maxConcurrent} at once`
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

const suite = (
  name: string,
  summary: string,
  run: (client: Text2Everything, project: string) => Effect.Effect<ReadonlyArray<SuiteResult>, SuiteError>
): Suite => ({ name, summary, run: (client) => inProject(client, name, (project) => run(client, project)) })

export const suites: ReadonlyArray<Suite> = [
  suite("high_concurrency_contexts", "32 contexts, 8 at once", (client, project) =>
    Effect.map(contexts(client, project, items, {}), named("Contexts"))
  ),
  suite("high_concurrency_schema_metadata", "32 schemas of the four kinds, 8 at once", (client, project) =>
    Effect.map(schemas(client, project, items, {}), named("Schema Metadata"))
  ),
  suite("high_concurrency_golden_examples", "32 golden examples, 8 at once", (client, project) =>
    Effect.map(examples(client, project, items, {}), named("Golden Examples"))
  ),
  suite("high_concurrency_mixed", "32 items over the three resources at the same time", mixed),
  suite("load_ramp", "32 contexts at 8, 16 and 32 at once", ramp),
  suite("connection_isolation", "32 contexts on connections of their own, then on the shared pool", isolation),
  suite("paged_list", "32 contexts, then listed five at a time", listed)
]
