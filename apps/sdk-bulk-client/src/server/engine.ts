// What every route of the local API server goes through: credentials, the fault
// that the dice give, then the work, once for each idempotency key.

import { createHash, randomUUID } from "node:crypto"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Deferred, Duration, Effect, Schema, type Scope } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { type Answer, notAnObject, refusal } from "./answers.ts"
import { type Behaviour, createLatency, faultGenerator, timeScale } from "./Behaviour.ts"
import * as Store from "./Store.ts"

/** What the server has seen, for tests that count. */
export interface Counts {
  /** Objects created, by collection. */
  readonly created: Readonly<Record<string, number>>
  readonly requests: number
  /** Answers given again to a repeated idempotency key. */
  readonly replayed: number
  /** Faults given. */
  readonly faults: number
  /** Creates refused because there were too many at once. */
  readonly overloads: number
  /** The most creates that ran at once. */
  readonly mostAtOnce: number
}

type Request = HttpServerRequest.HttpServerRequest
type InProject = { readonly project: string; readonly id: string }
type Handler<R> = Effect.Effect<HttpServerResponse.HttpServerResponse, never, R>

export interface Engine {
  readonly store: Store.Store
  readonly counts: () => Counts
  /** The body of the request, if it is a JSON object. */
  readonly body: Effect.Effect<Store.Body | undefined, never, Request>
  /** Where the request is in a list. */
  readonly page: Effect.Effect<Store.Page, never, HttpServerRequest.ParsedSearchParams>
  /** Lets `work` in past credentials and faults. */
  readonly guarded: <R>(work: Effect.Effect<Answer, never, R>) => Handler<R | Request>
  /** The same, for work in a project that there is. */
  readonly inProject: <R>(
    work: (at: InProject) => Effect.Effect<Answer, never, R>
  ) => Handler<R | Request | HttpRouter.RouteContext>
  /** Takes the time of the collection's creates and does `work` after it; once for each idempotency key. */
  readonly creating: (
    collection: string,
    project: string,
    input: Store.Body,
    work: () => Answer
  ) => Effect.Effect<Answer, never, Request>
}

export interface EngineOptions {
  /** A file, or `:memory:`, which is the default. */
  readonly database?: string
  /** Absent, any credential will do. */
  readonly accessToken?: string
  readonly behaviour: Behaviour
}

/** The header by which a request asks to take so many seconds, in the time of the latency profile. */
export const simulatedSeconds = "x-simulated-seconds"

const whole = (text: string | ReadonlyArray<string> | undefined, fallback: number, most: number): number => {
  const value = Number(text ?? fallback)
  return Number.isInteger(value) && value >= 0 ? Math.min(value, most) : fallback
}

const page = Effect.map(HttpServerRequest.ParsedSearchParams, (query): Store.Page => {
  if (query["page"] === undefined) {
    return { skip: whole(query["skip"], 0, Number.MAX_SAFE_INTEGER), limit: whole(query["limit"], 100, 1000) }
  }
  const perPage = whole(query["per_page"], 50, 1000)
  return { skip: (Math.max(1, whole(query["page"], 1, Number.MAX_SAFE_INTEGER)) - 1) * perPage, limit: perPage }
})

const decodeBody = Schema.decodeUnknownEffect(Schema.Record(Schema.String, Schema.Unknown))

const body = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
  request.json.pipe(
    Effect.flatMap(decodeBody),
    Effect.catch(() => Effect.succeed(undefined))
  )
)

const respond = (answer: Answer) =>
  answer.status === 204
    ? HttpServerResponse.empty({ status: 204 })
    : HttpServerResponse.jsonUnsafe(answer.body, {
        status: answer.status,
        headers: { "x-request-id": randomUUID(), ...answer.headers }
      })

const reset = (request: Request) =>
  Effect.sync(() => {
    NodeHttpServerRequest.toIncomingMessage(request).socket.destroy()
  }).pipe(Effect.andThen(Effect.never))

const parameters = Effect.map(
  HttpRouter.params,
  (params): InProject => ({ project: params["pid"] ?? "", id: params["id"] ?? "" })
)

interface Once {
  readonly fingerprint: string
  readonly answer: Deferred.Deferred<Answer>
}

export const make = (options: EngineOptions): Effect.Effect<Engine, never, Scope.Scope> =>
  Effect.gen(function* () {
    const store = yield* Effect.acquireRelease(
      Effect.sync(() => Store.open(options.database ?? ":memory:")),
      (opened) => Effect.sync(() => opened.close())
    )
    const { behaviour } = options
    const nextFault = faultGenerator(behaviour)
    const inFlight = new Map<string, Once>()
    const preparing = new Set<string>()
    const created: Record<string, number> = {}
    let requests = 0
    let replayed = 0
    let faults = 0
    let running = 0
    let mostAtOnce = 0
    let overloads = 0
    const tooMany = refusal(429, "Too many requests", { "retry-after": String(behaviour.retryAfterSeconds) })

    const authorised = (request: Request): Answer | undefined => {
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

    const guarded: Engine["guarded"] = (work) =>
      Effect.gen(function* () {
        requests++
        const request = yield* HttpServerRequest.HttpServerRequest
        const denied = authorised(request)
        if (denied !== undefined) return respond(denied)
        const fault = nextFault()
        if (fault !== undefined) faults++
        switch (fault) {
          case "rateLimited":
            return respond(tooMany)
          case "serverError":
            return respond(refusal(500, "The server stumbled"))
          // Every other time the work is done and only its answer is lost: the hardest case for a client.
          case "stall":
            if (faults % 2 === 0) yield* work
            return yield* Effect.never
          case "reset":
            if (faults % 2 === 0) yield* work
            return yield* reset(request)
          default:
            return respond(yield* work)
        }
      })

    const inProject: Engine["inProject"] = (work) =>
      guarded(
        Effect.flatMap(parameters, (at) =>
          store.find("projects", "", at.project) === undefined
            ? Effect.succeed(refusal(404, `There is no project ${at.project}`))
            : work(at)
        )
      )

    /** Executes a create once for each idempotency key, however often and however simultaneously it is asked. */
    const once = (key: string | undefined, fingerprint: string, work: Effect.Effect<Answer>): Effect.Effect<Answer> =>
      Effect.gen(function* () {
        if (key === undefined) return yield* work
        const kept = store.answerOf(key)
        const waitingFor = inFlight.get(key)
        const known = kept?.fingerprint ?? waitingFor?.fingerprint
        if (known !== undefined && known !== fingerprint) {
          return refusal(422, `Idempotency key ${key} was used for another request`)
        }
        if (kept !== undefined) {
          replayed++
          return { status: kept.status, body: JSON.parse(kept.body) }
        }
        if (waitingFor !== undefined) return yield* Deferred.await(waitingFor.answer)
        const answer = yield* Deferred.make<Answer>()
        // A caller that goes away must not leave a half-done create behind its key, nor a key that others wait for.
        return yield* Effect.suspend(() => {
          inFlight.set(key, { fingerprint, answer })
          return work
        }).pipe(
          Effect.tap((given) => {
            if (given.status < 400) {
              store.keepAnswer(key, { fingerprint, status: given.status, body: JSON.stringify(given.body) })
            }
            inFlight.delete(key)
            return Deferred.succeed(answer, given)
          }),
          Effect.uninterruptible
        )
      })

    const latency = (request: Request, collection: string): Duration.Duration => {
      const asked = Number(request.headers[simulatedSeconds])
      return Number.isFinite(asked) && asked > 0 && asked <= 3600
        ? Duration.millis((asked * 1000) / timeScale[behaviour.latency])
        : createLatency(behaviour.latency, collection)
    }

    const creating: Engine["creating"] = (collection, project, input, work) =>
      Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const fingerprint = createHash("sha256")
          .update(`${collection}\n${project}\n${JSON.stringify(input)}`)
          .digest("hex")
        const execute = Effect.suspend(() => {
          if (running >= behaviour.capacity) {
            overloads++
            return Effect.succeed(tooMany)
          }
          const first = behaviour.firstWriteRace && project !== "" && !store.isWritten(project)
          // The real API makes a project's collection at its first write, and refuses what comes in between.
          if (first && preparing.has(project)) {
            return Effect.succeed(refusal(409, `The collection of project ${project} is being created`))
          }
          if (first) preparing.add(project)
          mostAtOnce = Math.max(mostAtOnce, ++running)
          return Effect.sleep(latency(request, collection)).pipe(
            Effect.map(() => {
              created[collection] = (created[collection] ?? 0) + 1
              return work()
            }),
            Effect.ensuring(
              Effect.sync(() => {
                running--
                if (first) preparing.delete(project)
              })
            )
          )
        })
        return yield* once(request.headers["idempotency-key"], fingerprint, execute)
      })

    return {
      store,
      body,
      page,
      guarded,
      inProject,
      creating,
      counts: () => ({ created: { ...created }, requests, replayed, faults, overloads, mostAtOnce })
    }
  })

/** Creates what fits the schema, and says what is wrong with what does not. */
export const validCreate = <A>(
  engine: Engine,
  at: { readonly collection: string; readonly project: string },
  schema: Schema.Codec<A, unknown>,
  work: (input: Store.Body) => Answer
): Effect.Effect<Answer, never, Request> =>
  Effect.flatMap(engine.body, (input) => {
    if (input === undefined) return Effect.succeed(notAnObject)
    const valid = Schema.decodeUnknownResult(schema)(input)
    return valid._tag === "Failure"
      ? Effect.succeed(refusal(422, valid.failure.message))
      : engine.creating(at.collection, at.project, input, () => work(input))
  })
