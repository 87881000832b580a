// The Text2Everything API on this machine: the same paths, shapes and habits as
// the real one, over SQLite, for tests, demonstrations and trying things out.

import { createHash, randomUUID } from "node:crypto"
import { createServer } from "node:http"
import { NodeHttpServer, NodeHttpServerRequest } from "@effect/platform-node"
import { Deferred, Duration, Effect, Layer, Option, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Models from "../Models.ts"
import { type Behaviour, createLatency, faultGenerator } from "./Behaviour.ts"
import * as Store from "./Store.ts"

export interface ServerOptions {
  /** Default 0: any free port. */
  readonly port?: number
  /** A file, or `:memory:`, which is the default. */
  readonly database?: string
  /** Absent, any credential will do. */
  readonly accessToken?: string
  readonly behaviour: Behaviour
}

/** What the server has seen, for tests that count. */
export interface Counts {
  /** Objects created, by collection. */
  readonly created: Readonly<Record<string, number>>
  readonly requests: number
  /** Answers given again to a repeated idempotency key. */
  readonly replayed: number
  /** The most creates that ran at once. */
  readonly mostAtOnce: number
}

export interface RunningServer {
  readonly url: string
  readonly counts: () => Counts
}

interface Answer {
  readonly status: number
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>>
}

const refusal = (status: number, detail: string, headers?: Readonly<Record<string, string>>): Answer => ({
  status,
  body: { detail },
  ...(headers === undefined ? {} : { headers })
})

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
  { path: "chat-sessions", create: Schema.Struct({ name: Schema.optionalKey(Schema.String) }) }
]

const whole = (text: string | ReadonlyArray<string> | undefined, fallback: number, most: number): number => {
  const value = Number(text ?? fallback)
  return Number.isInteger(value) && value >= 0 ? Math.min(value, most) : fallback
}

const make = (options: ServerOptions) =>
  Effect.gen(function* () {
    const store = yield* Effect.acquireRelease(
      Effect.sync(() => Store.open(options.database ?? ":memory:")),
      (store) => Effect.sync(() => store.close())
    )
    const nextFault = faultGenerator(options.behaviour)
    const inFlight = new Map<string, Deferred.Deferred<Answer>>()
    const ready = new Set<string>()
    const preparing = new Set<string>()
    const created: Record<string, number> = {}
    let requests = 0
    let replayed = 0
    let running = 0
    let mostAtOnce = 0

    const body = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      Effect.result(
        Effect.flatMap(request.json, Schema.decodeUnknownEffect(Schema.Record(Schema.String, Schema.Unknown)))
      )
    )

    const insert = (collection: Collection, project: string, input: Store.Body): Answer => {
      const parts = collection.prepare === undefined ? [input] : collection.prepare(input)
      const objects = parts.map((part) => {
        const object = store.insert(collection.path, project, { ...part, project_id: project })
        return collection.show === undefined ? object : collection.show(object)
      })
      created[collection.path] = (created[collection.path] ?? 0) + 1
      ready.add(project)
      return { status: 201, body: objects.length === 1 ? objects[0] : objects }
    }

    const isReady = (project: string): boolean =>
      ready.has(project) || collections.some(({ path }) => store.count(path, project) > 0)

    const execute = (collection: Collection, project: string, input: Store.Body): Effect.Effect<Answer> =>
      Effect.suspend(() => {
        const first = options.behaviour.firstWriteRace && !isReady(project)
        // The real API makes a project's collection at its first write, and refuses what comes in between.
        if (first && preparing.has(project)) {
          return Effect.succeed(refusal(409, `The collection of project ${project} is being created`))
        }
        if (first) preparing.add(project)
        mostAtOnce = Math.max(mostAtOnce, ++running)
        return Effect.sleep(createLatency(options.behaviour.latency, collection.path)).pipe(
          Effect.map(() => insert(collection, project, input)),
          Effect.ensuring(
            Effect.sync(() => {
              running--
              if (first) preparing.delete(project)
            })
          )
        )
      })

    /** Executes a create once for each idempotency key, however often and however simultaneously it is asked. */
    const once = (key: string | undefined, fingerprint: string, work: Effect.Effect<Answer>): Effect.Effect<Answer> =>
      Effect.gen(function* () {
        if (key === undefined) return yield* work
        const kept = store.answerOf(key)
        if (kept !== undefined) {
          if (kept.fingerprint !== fingerprint) {
            return refusal(422, `Idempotency key ${key} was used for another request`)
          }
          replayed++
          return { status: kept.status, body: JSON.parse(kept.body) }
        }
        const waitingFor = inFlight.get(key)
        if (waitingFor !== undefined) return yield* Deferred.await(waitingFor)
        const deferred = yield* Deferred.make<Answer>()
        inFlight.set(key, deferred)
        // A caller that goes away must not leave a half-done create behind its key.
        const answer = yield* Effect.uninterruptible(work)
        if (answer.status < 400) {
          store.keepAnswer(key, { fingerprint, status: answer.status, body: JSON.stringify(answer.body) })
        }
        inFlight.delete(key)
        yield* Deferred.succeed(deferred, answer)
        return answer
      })

    const create = (collection: Collection, project: string) =>
      Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const input = yield* body
        if (input._tag === "Failure") return refusal(400, "The body must be a JSON object")
        const valid = yield* Effect.result(Schema.decodeUnknownEffect(collection.create)(input.success))
        if (valid._tag === "Failure") return refusal(422, valid.failure.message)
        const fingerprint = createHash("sha256")
          .update(`${collection.path}\n${project}\n${JSON.stringify(input.success)}`)
          .digest("hex")
        return yield* once(request.headers["idempotency-key"], fingerprint, execute(collection, project, input.success))
      })

    const respond = (answer: Answer) =>
      answer.status === 204
        ? HttpServerResponse.empty({ status: 204 })
        : HttpServerResponse.jsonUnsafe(answer.body, {
            status: answer.status,
            headers: { "x-request-id": randomUUID(), ...answer.headers }
          })

    const authorised = (request: HttpServerRequest.HttpServerRequest): Answer | undefined => {
      const bearer = /^Bearer (.+)$/.exec(request.headers["authorization"] ?? "")?.[1]
      const credential = bearer ?? request.headers["x-api-key"]
      if (credential === undefined || (options.accessToken !== undefined && credential !== options.accessToken)) {
        return refusal(401, "The credential is missing or not valid")
      }
      const workspace = request.headers["x-workspace-name"]
      return workspace !== undefined && !/^workspaces\/.+/.test(workspace)
        ? refusal(403, `Workspace ${workspace} is not yours`)
        : undefined
    }

    const reset = (request: HttpServerRequest.HttpServerRequest) =>
      Effect.sync(() => {
        NodeHttpServerRequest.toIncomingMessage(request).socket.destroy()
      }).pipe(Effect.andThen(Effect.never))

    /** Credentials first, then the fault that the dice give, then the work. */
    const guarded = <E, R>(work: Effect.Effect<Answer, E, R>) =>
      Effect.gen(function* () {
        requests++
        const request = yield* HttpServerRequest.HttpServerRequest
        const denied = authorised(request)
        if (denied !== undefined) return respond(denied)
        switch (nextFault()) {
          case "rateLimited":
            return respond(refusal(429, "Too many requests", { "retry-after": "1" }))
          case "serverError":
            return respond(refusal(500, "The server stumbled"))
          case "stall":
            return yield* Effect.never
          case "reset": {
            if (requests % 2 === 0) yield* work
            return yield* reset(request)
          }
          default:
            return respond(yield* work)
        }
      })

    const parameters = Effect.map(HttpRouter.params, (params) => ({
      project: params["pid"] ?? "",
      id: params["id"] ?? ""
    }))

    const projectMissing = (project: string): Answer | undefined =>
      store.find("projects", "", project) === undefined ? refusal(404, `There is no project ${project}`) : undefined

    const inProject = <E, R>(
      work: (at: { readonly project: string; readonly id: string }) => Effect.Effect<Answer, E, R>
    ) =>
      guarded(
        Effect.flatMap(parameters, (at) => {
          const missing = projectMissing(at.project)
          return missing === undefined ? work(at) : Effect.succeed(missing)
        })
      )

    const found = (object: Store.Body | undefined, what: string): Answer =>
      object === undefined ? refusal(404, `There is no ${what}`) : { status: 200, body: object }

    const page = Effect.map(HttpServerRequest.ParsedSearchParams, (query): Store.Page => {
      if (query["page"] === undefined) {
        return { skip: whole(query["skip"], 0, Number.MAX_SAFE_INTEGER), limit: whole(query["limit"], 100, 1000) }
      }
      const perPage = whole(query["per_page"], 50, 1000)
      return { skip: (Math.max(1, whole(query["page"], 1, Number.MAX_SAFE_INTEGER)) - 1) * perPage, limit: perPage }
    })

    const filter = Effect.map(HttpServerRequest.ParsedSearchParams, (query): Store.Body => {
      const displayed = query["is_always_displayed"]
      return displayed === undefined ? {} : { is_always_displayed: displayed === "true" }
    })

    const bulkDelete = (collection: string, parent: string) =>
      Effect.map(body, (input): Answer => {
        const ids = input._tag === "Success" ? input.success["ids"] : undefined
        if (!Array.isArray(ids)) return refusal(422, "ids must be an array")
        const failed = ids.filter((id) => typeof id !== "string" || !store.remove(collection, parent, id))
        return { status: 200, body: { deleted_count: ids.length - failed.length, failed_ids: failed.map(String) } }
      })

    const routes = collections.flatMap((collection) => {
      const base = `/api/projects/:pid/${collection.path}` as const
      const one = `${base}/:id` as const
      const show = collection.show ?? ((object: Store.Body) => object)
      return [
        HttpRouter.route(
          "POST",
          base,
          inProject(({ project }) => create(collection, project))
        ),
        HttpRouter.route(
          "GET",
          base,
          inProject(({ project }) =>
            Effect.map(Effect.all([page, filter]), ([at, where]) => ({
              status: 200,
              body: store.list(collection.path, project, at, where).map(show)
            }))
          )
        ),
        HttpRouter.route(
          "GET",
          one,
          inProject(({ id, project }) => {
            const object = store.find(collection.path, project, id)
            return Effect.succeed(found(object === undefined ? undefined : show(object), `${collection.path} ${id}`))
          })
        ),
        HttpRouter.route(
          "PUT",
          one,
          inProject(({ id, project }) =>
            Effect.map(body, (input) => {
              if (input._tag === "Failure") return refusal(400, "The body must be a JSON object")
              const object = store.update(collection.path, project, id, input.success)
              return found(object === undefined ? undefined : show(object), `${collection.path} ${id}`)
            })
          )
        ),
        HttpRouter.route(
          "DELETE",
          one,
          inProject(({ id, project }) =>
            Effect.succeed(
              store.remove(collection.path, project, id)
                ? { status: 204, body: undefined }
                : refusal(404, `There is no ${collection.path} ${id}`)
            )
          )
        ),
        HttpRouter.route(
          "POST",
          `${base}/bulk-delete`,
          inProject(({ project }) => bulkDelete(collection.path, project))
        )
      ]
    })

    const createProject = Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const input = yield* body
      const valid =
        input._tag === "Success" && Schema.is(Models.ProjectCreate)(input.success) ? input.success : undefined
      if (valid === undefined) return refusal(422, "name must be a text that is not blank")
      const insertProject = Effect.sync((): Answer => ({ status: 201, body: store.insert("projects", "", valid) }))
      return yield* once(request.headers["idempotency-key"], JSON.stringify(valid), insertProject)
    })

    const projects = [
      HttpRouter.route("POST", "/api/projects", guarded(createProject)),
      HttpRouter.route(
        "GET",
        "/api/projects",
        guarded(Effect.map(page, (at) => ({ status: 200, body: store.list("projects", "", at) })))
      ),
      HttpRouter.route(
        "GET",
        "/api/projects/:pid",
        guarded(
          Effect.map(parameters, ({ project }) => found(store.find("projects", "", project), `project ${project}`))
        )
      ),
      HttpRouter.route(
        "PUT",
        "/api/projects/:pid",
        guarded(
          Effect.map(Effect.all([parameters, body]), ([{ project }, input]) =>
            input._tag === "Failure"
              ? refusal(400, "The body must be a JSON object")
              : found(store.update("projects", "", project, input.success), `project ${project}`)
          )
        )
      ),
      HttpRouter.route(
        "DELETE",
        "/api/projects/:pid",
        guarded(
          Effect.map(parameters, ({ project }) =>
            store.remove("projects", "", project)
              ? { status: 204, body: undefined }
              : refusal(404, `There is no project ${project}`)
          )
        )
      )
    ]

    const splitGroup = HttpRouter.route(
      "GET",
      "/api/projects/:pid/schema-metadata/split-group/:id",
      inProject(({ id, project }) => {
        const everything = { skip: 0, limit: Number.MAX_SAFE_INTEGER }
        const parts = store.list("schema-metadata", project, everything, { split_group_id: id })
        return Effect.succeed(
          parts.length === 0
            ? refusal(404, `There is no split group ${id}`)
            : { status: 200, body: { split_group_id: id, parts, total_parts: parts.length } }
        )
      })
    )

    const connectorTest = HttpRouter.route(
      "POST",
      "/api/projects/:pid/connectors/:id/test",
      inProject(({ id, project }) =>
        Effect.succeed(
          store.find("connectors", project, id) === undefined
            ? refusal(404, `There is no connectors ${id}`)
            : { status: 200, body: { ok: true, elapsed_ms: 1 } }
        )
      )
    )

    return {
      routes: HttpRouter.addAll([...projects, splitGroup, connectorTest, ...routes]),
      counts: (): Counts => ({ created: { ...created }, requests, replayed, mostAtOnce })
    }
  })

/** Runs the server for as long as the scope is open. */
export const run = (options: ServerOptions) =>
  Effect.gen(function* () {
    const { counts, routes } = yield* make(options)
    const context = yield* Layer.build(
      HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
        Layer.provideMerge(
          NodeHttpServer.layer(createServer, {
            port: options.port ?? 0,
            host: "127.0.0.1",
            gracefulShutdownTimeout: Duration.seconds(1)
          })
        )
      )
    )
    const { address } = yield* Effect.provide(HttpServer.HttpServer, context)
    const url = `http://127.0.0.1:${"port" in address ? address.port : 0}`
    return { url, counts } satisfies RunningServer
  })
