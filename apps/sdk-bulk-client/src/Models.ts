/**
 * What the Text2Everything API takes and gives, as schemas. Property names are
 * the API's own, so that what is written in its documentation can be sent.
 *
 * @module
 */
import { Schema, SchemaTransformation } from "effect"

const NonBlank = Schema.String.check(
  Schema.makeFilter((text) => text.trim().length > 0, { expected: "a text that is not blank" })
)

const stored = {
  id: Schema.String,
  created_at: Schema.String,
  updated_at: Schema.optionalKey(Schema.NullOr(Schema.String))
}

export const ProjectCreate = Schema.Struct({
  name: NonBlank,
  description: Schema.optionalKey(Schema.String),
  workspace_id: Schema.optionalKey(Schema.String)
})
export const Project = Schema.Struct({ ...stored, ...ProjectCreate.fields })

export const ContextCreate = Schema.Struct({
  name: NonBlank,
  content: NonBlank,
  description: Schema.optionalKey(Schema.String),
  is_always_displayed: Schema.optionalKey(Schema.Boolean)
})
export const Context = Schema.Struct({ ...stored, ...ContextCreate.fields, project_id: Schema.String })

export const GoldenExampleCreate = Schema.Struct({
  user_query: NonBlank,
  sql_query: NonBlank,
  description: Schema.optionalKey(Schema.String),
  is_always_displayed: Schema.optionalKey(Schema.Boolean)
})
export const GoldenExample = Schema.Struct({ ...stored, ...GoldenExampleCreate.fields, project_id: Schema.String })

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** What a schema describes. `table` with a `dimension` or a `metric` is that; with `columns` a table; without `table` a relationship. */
export type SchemaKind = "table" | "dimension" | "metric" | "relationship"

/** Tells the kind of a schema the way the API does; `undefined` where it is none. */
export const schemaKind = (data: unknown): SchemaKind | undefined => {
  if (!isObject(data)) return undefined
  const { table } = data
  if (table === undefined) return isObject(data["relationship"]) ? "relationship" : undefined
  if (!isObject(table)) return undefined
  if (table["dimension"] !== undefined) return "dimension"
  if (table["metric"] !== undefined) return "metric"
  return table["columns"] === undefined ? undefined : "table"
}

const partIssues = (value: unknown, name: string): ReadonlyArray<string> => {
  if (!isObject(value)) return [`table.${name} must be an object`]
  return isObject(value["content"]) ? [] : [`table.${name}.content must be an object`]
}

const columnIssues = (columns: unknown): ReadonlyArray<string> =>
  Array.isArray(columns)
    ? columns.flatMap((column: unknown, index) =>
        isObject(column) && typeof column["name"] === "string" && column["name"].trim() !== ""
          ? []
          : [`table.columns[${index}] must be an object with a name`]
      )
    : ["table.columns must be an array"]

/** Everything that is wrong with a schema, in words. */
export const schemaIssues = (data: unknown): ReadonlyArray<string> => {
  const table = isObject(data) ? data["table"] : undefined
  if (table !== undefined && !isObject(table)) return ["table must be an object"]
  const kind = schemaKind(data)
  switch (kind) {
    case undefined:
      return ["schema_data must hold table.columns, table.dimension, table.metric or relationship"]
    case "relationship":
      return []
    case "table":
      return columnIssues(table?.["columns"])
    default:
      return partIssues(table?.[kind], kind)
  }
}

export const SchemaData = Schema.Record(Schema.String, Schema.Unknown).check(
  Schema.makeFilter((data) => {
    const issues = schemaIssues(data)
    return issues.length === 0 ? undefined : issues.join(", ")
  })
)

export const SchemaMetadataCreate = Schema.Struct({
  name: NonBlank,
  schema_data: SchemaData,
  description: Schema.optionalKey(Schema.String),
  is_always_displayed: Schema.optionalKey(Schema.Boolean)
})
export const SchemaMetadata = Schema.Struct({
  ...stored,
  ...SchemaMetadataCreate.fields,
  schema_data: Schema.Record(Schema.String, Schema.Unknown),
  project_id: Schema.String,
  split_group_id: Schema.optionalKey(Schema.NullOr(Schema.String)),
  /** From 1. */
  split_index: Schema.optionalKey(Schema.NullOr(Schema.Int)),
  total_splits: Schema.optionalKey(Schema.NullOr(Schema.Int))
})
export type SchemaMetadata = typeof SchemaMetadata.Type

/** What creating one schema gives: the API cuts a table of more than 8 columns into parts. */
export const SchemaMetadataCreated = Schema.Struct({
  parts: Schema.NonEmptyArray(SchemaMetadata),
  split: Schema.Boolean
})

/** The API answers a create with one object, or with the parts of a table that it cut; here it is always the same shape. */
export const SchemaMetadataCreatedFromApi = Schema.Union([Schema.NonEmptyArray(SchemaMetadata), SchemaMetadata]).pipe(
  Schema.decodeTo(
    Schema.toType(SchemaMetadataCreated),
    SchemaTransformation.transform({
      decode: (answer) => {
        const parts = "id" in answer ? ([answer] as const) : answer
        return { parts, split: parts.length > 1 }
      },
      encode: ({ parts }) => (parts.length === 1 ? parts[0] : parts)
    })
  )
)

/** The port that each database listens on unless told otherwise. */
export const defaultPorts = { snowflake: 443, sqlserver: 1433, postgres: 5432, mysql: 3306 } as const

export const ConnectorCreate = Schema.Struct({
  name: NonBlank,
  db_type: Schema.Literals(["snowflake", "sqlserver", "postgres", "mysql"]),
  host: NonBlank,
  port: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65_535 }))),
  username: Schema.String,
  password: Schema.String,
  database: Schema.String
})
/** A password goes in and never comes out. */
export const Connector = Schema.Struct({
  ...stored,
  project_id: Schema.String,
  name: Schema.String,
  db_type: ConnectorCreate.fields.db_type,
  host: Schema.String,
  port: Schema.Int,
  username: Schema.String,
  database: Schema.String
})
export const ConnectorTest = Schema.Struct({ ok: Schema.Boolean, elapsed_ms: Schema.Finite })

/** What to execute: the query of a chat message, or one of the caller's own. */
export const ExecuteRequest = Schema.Union([
  Schema.Struct({ connector_id: NonBlank, chat_message_id: NonBlank }),
  Schema.Struct({ connector_id: NonBlank, sql_query: NonBlank })
])
export const Execution = Schema.Struct({
  execution_id: Schema.String,
  connector_id: Schema.String,
  sql_query: Schema.String,
  result: Schema.Unknown,
  execution_time_ms: Schema.Finite
})
export type Execution = typeof Execution.Type

export const ChatSessionCreate = Schema.Struct({ name: Schema.optionalKey(Schema.String) })
export const ChatSession = Schema.Struct({ ...stored, ...ChatSessionCreate.fields, project_id: Schema.String })
export type ChatSession = typeof ChatSession.Type

/** A question. Beside these fields, every limit and cutoff that the API knows may be given by its name there. */
export const ChatRequest = Schema.StructWithRest(
  Schema.Struct({
    query: NonBlank,
    llm: Schema.optionalKey(Schema.String),
    context_id: Schema.optionalKey(Schema.String),
    schema_metadata_id: Schema.optionalKey(Schema.String),
    connector_id: Schema.optionalKey(Schema.String)
  }),
  [Schema.Record(Schema.String, Schema.Unknown)]
)
export const ChatAnswer = Schema.Struct({
  ...stored,
  user_query: Schema.String,
  sql_query: Schema.optionalKey(Schema.NullOr(Schema.String)),
  explanation: Schema.optionalKey(Schema.NullOr(Schema.String)),
  execution_result: Schema.optionalKey(Schema.Unknown)
})
export type ChatAnswer = typeof ChatAnswer.Type

/** What a project keeps of one kind, in the API's own words. */
export const Collection = Schema.Record(Schema.String, Schema.Unknown)
export type Collection = typeof Collection.Type

export const FeedbackCreate = Schema.Struct({
  chat_message_id: NonBlank,
  feedback: NonBlank,
  is_positive: Schema.Boolean,
  execution_id: Schema.optionalKey(Schema.String)
})
export const Feedback = Schema.Struct({ ...stored, ...FeedbackCreate.fields, project_id: Schema.String })

export const BulkDeleted = Schema.Struct({ deleted_count: Schema.Int, failed_ids: Schema.Array(Schema.String) })

export const SplitGroup = Schema.Struct({
  split_group_id: Schema.String,
  parts: Schema.Array(SchemaMetadata),
  total_parts: Schema.Int
})
