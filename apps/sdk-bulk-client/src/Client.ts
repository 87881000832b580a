/**
 * The Text2Everything API as a service: projects and what belongs to them.
 *
 * @module
 */
import { HttpPool } from "@sluice/http-pool"
import { type Config, Context, Effect, Layer, Schema, type Scope, Stream } from "effect"
import type { CallError, InvalidConfiguration } from "./Errors.ts"
import { type Api, make as makeApi } from "./internal/api.ts"
import { type ListOptions, make as makeResource, paginate, type Resource } from "./internal/resource.ts"
import * as Models from "./Models.ts"
import { type ClientOptions, fromEnvironment, type Settings, settings } from "./Options.ts"

type ProjectCreate = typeof Models.ProjectCreate.Type
type Project = typeof Models.Project.Type
type ContextCreate = typeof Models.ContextCreate.Type
type ContextObject = typeof Models.Context.Type
type GoldenExampleCreate = typeof Models.GoldenExampleCreate.Type
type GoldenExample = typeof Models.GoldenExample.Type
type SchemaMetadataCreate = typeof Models.SchemaMetadataCreate.Type
type SchemaMetadataCreated = typeof Models.SchemaMetadataCreated.Type
type ConnectorCreate = typeof Models.ConnectorCreate.Type
type Connector = typeof Models.Connector.Type
type FeedbackCreate = typeof Models.FeedbackCreate.Type
type Feedback = typeof Models.Feedback.Type

/** Projects, which everything else belongs to. */
export interface Projects {
  list(options?: ListOptions): Stream.Stream<Project, CallError>
  get(id: string): Effect.Effect<Project, CallError>
  create(input: ProjectCreate): Effect.Effect<Project, CallError>
  update(id: string, change: Partial<ProjectCreate>): Effect.Effect<Project, CallError>
  delete(id: string): Effect.Effect<void, CallError>
}

export interface SchemaMetadataResource
  extends Resource<SchemaMetadataCreate, SchemaMetadataCreated, Models.SchemaMetadata> {
  /** Every part of a table that the API cut, in order. */
  splitGroup(projectId: string, groupId: string): Effect.Effect<typeof Models.SplitGroup.Type, CallError>
  /** The schemas of one kind. */
  listByKind(projectId: string, kind: Models.SchemaKind): Stream.Stream<Models.SchemaMetadata, CallError>
}

export interface Connectors extends Resource<ConnectorCreate, Connector, Connector> {
  /** Whether the database answers, and how fast. */
  test(projectId: string, id: string): Effect.Effect<typeof Models.ConnectorTest.Type, CallError>
}

/** The client. Everything that it sends goes through one pool of connections. */
export interface Text2Everything {
  readonly settings: Settings
  readonly projects: Projects
  readonly contexts: Resource<ContextCreate, ContextObject, ContextObject>
  readonly goldenExamples: Resource<GoldenExampleCreate, GoldenExample, GoldenExample>
  readonly schemaMetadata: SchemaMetadataResource
  readonly connectors: Connectors
  readonly feedback: Resource<FeedbackCreate, Feedback, Feedback>
  /** What the pool does. */
  readonly poolStats: Effect.Effect<HttpPool.Stats>
}

export const Text2Everything: Context.Service<Text2Everything, Text2Everything> = Context.Service<Text2Everything>(
  "@sluice/sdk-bulk-client/Text2Everything"
)

const projects = (api: Api): Projects => ({
  list: (options = {}) =>
    paginate(
      ({ limit, skip }) =>
        api.send({
          method: "GET",
          segments: ["projects"],
          query: { page: Math.floor(skip / limit) + 1, per_page: limit, search: options.search },
          answer: Schema.Array(Models.Project)
        }),
      options
    ),
  get: (id) => api.send({ method: "GET", segments: ["projects", id], answer: Models.Project }),
  create: (body) =>
    api.send({
      method: "POST",
      segments: ["projects"],
      body,
      answer: Models.Project,
      idempotencyKey: globalThis.crypto.randomUUID()
    }),
  update: (id, body) => api.send({ method: "PUT", segments: ["projects", id], body, answer: Models.Project }),
  delete: (id) => api.send({ method: "DELETE", segments: ["projects", id], answer: Schema.Void })
})

/** A resource whose create gives one object. */
const simple = <C extends object, A extends { readonly id: string }>(
  api: Api,
  path: string,
  create: Schema.Codec<C, unknown>,
  item: Schema.Codec<A, unknown>
): Resource<C, A, A> =>
  makeResource(api, { path, create, created: item, kept: item, item, idsOf: (created) => [created.id] })

const schemaMetadata = (api: Api): SchemaMetadataResource => {
  const resource = makeResource(api, {
    path: "schema-metadata",
    create: Models.SchemaMetadataCreate,
    created: Models.SchemaMetadataCreatedFromApi,
    kept: Models.SchemaMetadataCreated,
    item: Models.SchemaMetadata,
    idsOf: ({ parts }) => parts.map((part) => part.id)
  })
  return {
    ...resource,
    splitGroup: (projectId, groupId) =>
      api.send({
        method: "GET",
        segments: ["projects", projectId, "schema-metadata", "split-group", groupId],
        answer: Models.SplitGroup
      }),
    listByKind: (projectId, kind) =>
      Stream.filter(resource.list(projectId), (schema) => Models.schemaKind(schema.schema_data) === kind)
  }
}

const connectors = (api: Api): Connectors => ({
  ...simple(api, "connectors", Models.ConnectorCreate, Models.Connector),
  test: (projectId, id) =>
    api.send({
      method: "POST",
      segments: ["projects", projectId, "connectors", id, "test"],
      answer: Models.ConnectorTest,
      idempotent: true
    })
})

/** Makes a client over a pool of its own, which closes with the scope. */
export const make = (options: ClientOptions): Effect.Effect<Text2Everything, InvalidConfiguration, Scope.Scope> =>
  Effect.gen(function* () {
    const checked = yield* settings(options)
    const pool = yield* HttpPool.make({
      connectTimeout: checked.timeout,
      readTimeout: checked.readTimeout,
      poolTimeout: checked.poolTimeout,
      maxConnections: checked.maxConnections,
      maxKeepAliveConnections: checked.maxKeepaliveConnections,
      keepAliveExpiry: checked.keepaliveExpiry
    })
    const api = makeApi(checked, { shared: pool.client, isolated: pool.isolated })
    return {
      settings: checked,
      projects: projects(api),
      contexts: simple(api, "contexts", Models.ContextCreate, Models.Context),
      goldenExamples: simple(api, "golden-examples", Models.GoldenExampleCreate, Models.GoldenExample),
      schemaMetadata: schemaMetadata(api),
      connectors: connectors(api),
      feedback: simple(api, "feedback", Models.FeedbackCreate, Models.Feedback),
      poolStats: pool.stats
    }
  })

export const layer = (options: ClientOptions): Layer.Layer<Text2Everything, InvalidConfiguration> =>
  Layer.effect(Text2Everything, make(options))

/** A client whose connection comes from the environment, and the rest from `options`. */
export const layerConfig = (
  options: Omit<ClientOptions, "baseUrl" | "accessToken" | "apiKey" | "workspaceName"> = {}
): Layer.Layer<Text2Everything, InvalidConfiguration | Config.ConfigError> =>
  Layer.unwrap(Effect.map(fromEnvironment, (connection) => layer({ ...options, ...connection })))
