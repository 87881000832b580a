// The routes of projects and of what belongs to them.

import { randomUUID } from "node:crypto"
import { Effect, Option, Schema } from "effect"
import { HttpRouter, HttpServerRequest } from "effect/http"
import * as Models from "../Models.ts"
import { type Answer, found, notAnObject, refusal, removed } from "./answers.ts"
import { type Engine, validCreate } from "./engine.ts"
import type * as Store from "./Store.ts"

const columnsPerPart = 8

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The parts that the API cuts a wide table into; one for everything else. */
const splitTable = (body: Store.Body): ReadonlyArray<Store.Body> => {
  const data = body["schema_data"]
  const table = isRecord(data) ? data["table"] : undefined
  const columns = isRecord(table) ? table["columns"] : undefined
  if (!isRecord(data) || !isRecord(table) || !Array.isArray(columns) || columns.length <= columnsPerPart) return [body]
  const total = Math.ceil(columns.length / columnsPerPart)
  const group = randomUUID()
  return Array.from({ length: total }, (_, part) => ({
    ...body,
    schema_data: {
      ...data,
      table: { ...table, columns: columns.slice(part * columnsPerPart, (part + 1) * columnsPerPart) }
    },
    split_group_id: group,
    split_index: part + 1,
    total_splits: total
  }))
}

interface Collection {
  readonly path: string
  readonly create: Schema.Codec<object, unknown>
  readonly prepare?: (body: Store.Body) => ReadonlyArray<Store.Body>
  /** What is shown of a stored object. */
  readonly show?: (object: Store.Body) => Store.Body
}

const withoutPassword = ({ password: _, ...shown }: Store.Body): Store.Body => shown

const withPort = (body: Store.Body): ReadonlyArray<Store.Body> => {
  const type = Schema.decodeUnknownOption(Models.ConnectorCreate.fields.db_type)(body["db_type"])
  const port = body["port"] ?? Option.getOrUndefined(Option.map(type, (name) => Models.defaultPorts[name]))
  return [{ ...body, port }]
}

const collections: ReadonlyArray<Collection> = [
  { path: "contexts", create: Models.ContextCreate },
  { path: "golden-examples", create: Models.GoldenExampleCreate },
  { path: "schema-metadata", create: Models.SchemaMetadataCreate, prepare: splitTable },
  { path: "connectors", create: Models.ConnectorCreate, prepare: withPort, show: withoutPassword },
  { path: "feedback", create: Models.FeedbackCreate },
  { path: "chat-sessions", create: Models.ChatSessionCreate }
]

const filter = Effect.map(HttpServerRequest.ParsedSearchParams, (query): Store.Filter => {
  const displayed = query["is_always_displayed"]
  const search = query["search"]
  return {
    ...(displayed === undefined ? {} : { where: { is_always_displayed: displayed === "true" } }),
    ...(typeof search === "string" ? { search } : {})
  }
})

const routesOf = (engine: Engine, collection: Collection) => {
  const { inProject, store } = engine
  const base = `/api/projects/:pid/${collection.path}` as const
  const one = `${base}/:id` as const
  const show = collection.show ?? ((object: Store.Body) => object)
  const shown = (object: Store.Body | undefined, id: string): Answer =>
    found(object === undefined ? undefined : show(object), `${collection.path} ${id}`)

  const insert = (project: string, input: Store.Body): Answer => {
    const parts = collection.prepare === undefined ? [input] : collection.prepare(input)
    const objects = parts.map((part) => show(store.insert(collection.path, project, { ...part, project_id: project })))
    return { status: 201, body: objects.length === 1 ? objects[0] : objects }
  }

  return [
    HttpRouter.route(
      "POST",
      base,
      inProject(({ project }) =>
        validCreate(engine, { collection: collection.path, project }, collection.create, (input) =>
          insert(project, input)
        )
      )
    ),
    HttpRouter.route(
      "GET",
      base,
      inProject(({ project }) =>
        Effect.map(Effect.all([engine.page, filter]), ([at, wanted]) => ({
          status: 200,
          body: store.list(collection.path, project, at, wanted).map(show)
        }))
      )
    ),
    HttpRouter.route(
      "GET",
      one,
      inProject(({ id, project }) => Effect.sync(() => shown(store.find(collection.path, project, id), id)))
    ),
    HttpRouter.route(
      "PUT",
      one,
      inProject(({ id, project }) =>
        Effect.map(engine.body, (input) =>
          input === undefined ? notAnObject : shown(store.update(collection.path, project, id, input), id)
        )
      )
    ),
    HttpRouter.route(
      "DELETE",
      one,
      inProject(({ id, project }) =>
        Effect.sync(() => removed(store.remove(collection.path, project, id), `${collection.path} ${id}`))
      )
    ),
    HttpRouter.route(
      "POST",
      `${base}/bulk-delete`,
      inProject(({ project }) =>
        Effect.map(engine.body, (input): Answer => {
          const ids = input?.["ids"]
          if (!Array.isArray(ids)) return refusal(422, "ids must be an array")
          const failed = ids.filter((id) => typeof id !== "string" || !store.remove(collection.path, project, id))
          return { status: 200, body: { deleted_count: ids.length - failed.length, failed_ids: failed.map(String) } }
        })
      )
    )
  ]
}

const projectRoutes = (engine: Engine) => {
  const { guarded, inProject, store } = engine
  const kindOf = (project: string, kind: string) => ({
    collection_type: kind,
    object_count: store.count(kind, project)
  })
  return [
    HttpRouter.route(
      "POST",
      "/api/projects",
      guarded(
        validCreate(engine, { collection: "projects", project: "" }, Models.ProjectCreate, (input) => ({
          status: 201,
          body: store.insert("projects", "", input)
        }))
      )
    ),
    HttpRouter.route(
      "GET",
      "/api/projects",
      guarded(
        Effect.map(Effect.all([engine.page, filter]), ([at, wanted]) => ({
          status: 200,
          body: store.list("projects", "", at, wanted)
        }))
      )
    ),
    HttpRouter.route(
      "GET",
      "/api/projects/:pid",
      inProject(({ project }) => Effect.sync(() => found(store.find("projects", "", project), `project ${project}`)))
    ),
    HttpRouter.route(
      "PUT",
      "/api/projects/:pid",
      inProject(({ project }) =>
        Effect.map(engine.body, (input) =>
          input === undefined ? notAnObject : found(store.update("projects", "", project, input), `project ${project}`)
        )
      )
    ),
    HttpRouter.route(
      "DELETE",
      "/api/projects/:pid",
      inProject(({ project }) => Effect.sync(() => removed(store.removeProject(project), `project ${project}`)))
    ),
    HttpRouter.route(
      "GET",
      "/api/projects/:pid/collections",
      inProject(({ project }) =>
        Effect.sync(() => ({ status: 200, body: collections.map(({ path }) => kindOf(project, path)) }))
      )
    ),
    HttpRouter.route(
      "GET",
      "/api/projects/:pid/collections/:id",
      inProject(({ id, project }) =>
        Effect.sync(() => {
          const known = collections.some(({ path }) => path === id)
          return found(known ? kindOf(project, id) : undefined, `collection ${id}`)
        })
      )
    )
  ]
}

export const resourceRoutes = (engine: Engine) => {
  const splitGroup = HttpRouter.route(
    "GET",
    "/api/projects/:pid/schema-metadata/split-group/:id",
    engine.inProject(({ id, project }) =>
      Effect.sync(() => {
        const everything = { skip: 0, limit: Number.MAX_SAFE_INTEGER }
        const parts = engine.store.list("schema-metadata", project, everything, { where: { split_group_id: id } })
        const group = { split_group_id: id, parts, total_parts: parts.length }
        return found(parts.length === 0 ? undefined : group, `split group ${id}`)
      })
    )
  )
  const connectorTest = HttpRouter.route(
    "POST",
    "/api/projects/:pid/connectors/:id/test",
    engine.inProject(({ id, project }) =>
      Effect.sync(() => {
        const isKnown = engine.store.find("connectors", project, id) !== undefined
        return found(isKnown ? { ok: true, elapsed_ms: 1 } : undefined, `connectors ${id}`)
      })
    )
  )
  return [
    ...projectRoutes(engine),
    splitGroup,
    connectorTest,
    ...collections.flatMap((collection) => routesOf(engine, collection))
  ]
}
