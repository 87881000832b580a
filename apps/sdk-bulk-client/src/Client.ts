/**
 * The Text2Everything API as a service: projects and what belongs to them.
 *
 * @module
 */
import { HttpPool } from "@sluice/http-pool"
import { type Config, Context, Effect, Layer, type Schema, type Scope, Stream } from "effect"
import type { InvalidConfiguration } from "./Errors.ts"
import { type Api, make as makeApi } from "./internal/api.ts"
import { chat, chatSessions, executions } from "./internal/chat.ts"
import { projects } from "./internal/projects.ts"
import { make as makeResource, named } from "./internal/resource.ts"
import type { LimitStats } from "./Limit.ts"
import * as Models from "./Models.ts"
import { type ClientOptions, fromEnvironment, type Settings, settings } from "./Options.ts"
import type * as Resource from "./Resource.ts"

/** The client. Everything that it sends goes through one pool of connections. */
export interface Text2Everything {
  readonly settings: Settings
  readonly projects: Resource.Projects
  readonly contexts: Resource.NamedResource<Resource.ContextCreate, Resource.ContextObject, Resource.ContextObject>
  readonly goldenExamples: Resource.Resource<
    Resource.GoldenExampleCreate,
    Resource.GoldenExample,
    Resource.GoldenExample
  >
  readonly schemaMetadata: Resource.SchemaMetadata
  readonly connectors: Resource.Connectors
  readonly feedback: Resource.Resource<Resource.FeedbackCreate, Resource.Feedback, Resource.Feedback>
  readonly chatSessions: Resource.ChatSessions
  readonly chat: Resource.Chat
  readonly executions: Resource.Executions
  /** What the pool does. */
  readonly poolStats: Effect.Effect<HttpPool.Stats>
  /** How many requests may be in flight, and why. */
  readonly limitStats: Effect.Effect<LimitStats>
}

export const Text2Everything: Context.Service<Text2Everything, Text2Everything> = Context.Service<Text2Everything>(
  "@sluice/sdk-bulk-client/Text2Everything"
)

/** A resource whose create gives one object. */
const simple = <C extends object, A extends { readonly id: string }>(
  api: Api,
  path: string,
  create: Schema.Codec<C, unknown>,
  item: Schema.Codec<A, unknown>
): Resource.Resource<C, A, A> =>
  makeResource(api, { path, create, created: item, kept: item, item, idsOf: (created) => [created.id] })

const schemaMetadata = (api: Api): Resource.SchemaMetadata => {
  const resource = named(
    makeResource(api, {
      path: "schema-metadata",
      create: Models.SchemaMetadataCreate,
      created: Models.SchemaMetadataCreatedFromApi,
      kept: Models.SchemaMetadataCreated,
      item: Models.SchemaMetadata,
      idsOf: ({ parts }) => parts.map((part) => part.id)
    })
  )
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

const connectors = (api: Api): Resource.Connectors => ({
  ...named(simple(api, "connectors", Models.ConnectorCreate, Models.Connector)),
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
      keepAliveExpiry: checked.keepaliveExpiry,
      http2: checked.http2
    })
    const api = yield* makeApi(checked, { shared: pool.client, isolated: pool.isolated })
    return {
      settings: checked,
      projects: projects(api),
      contexts: named(simple(api, "contexts", Models.ContextCreate, Models.Context)),
      goldenExamples: simple(api, "golden-examples", Models.GoldenExampleCreate, Models.GoldenExample),
      schemaMetadata: schemaMetadata(api),
      connectors: connectors(api),
      feedback: simple(api, "feedback", Models.FeedbackCreate, Models.Feedback),
      chatSessions: chatSessions(api),
      chat: chat(api),
      executions: executions(api),
      poolStats: pool.stats,
      limitStats: Effect.sync(api.limit.stats)
    }
  })

export const layer = (options: ClientOptions): Layer.Layer<Text2Everything, InvalidConfiguration> =>
  Layer.effect(Text2Everything, make(options))

/** A client whose connection comes from the environment, and the rest from `options`. */
export const layerConfig = (
  options: Omit<ClientOptions, "baseUrl" | "accessToken" | "apiKey" | "workspaceName"> = {}
): Layer.Layer<Text2Everything, InvalidConfiguration | Config.ConfigError> =>
  Layer.unwrap(Effect.map(fromEnvironment, (connection) => layer({ ...options, ...connection })))
