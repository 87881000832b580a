/**
 * The client for code that does not use Effect: Promises, `AsyncIterable`,
 * `AbortSignal` and `await using`.
 *
 * @module
 */
import type { HttpPool } from "@sluice/http-pool"
import { Effect, ManagedRuntime, Stream } from "effect"
import { layer, Text2Everything } from "./Client.ts"
import type { InvalidConfiguration } from "./Errors.ts"
import type { LimitStats } from "./Limit.ts"
import { type ClientOptions, type Settings, settings } from "./Options.ts"
import type * as Resource from "./Resource.ts"

/** A resource as code without Effect sees it: an effect is a Promise, a stream an `AsyncIterable`. */
export type Promised<T> = {
  readonly [K in keyof T]: T[K] extends (...args: infer P) => Effect.Effect<infer A, infer _E>
    ? (...args: P) => Promise<A>
    : T[K] extends (...args: infer P) => Stream.Stream<infer A, infer _E>
      ? (...args: P) => AsyncIterable<A>
      : never
}

/** Everything that the API keeps. */
export interface Resources {
  readonly projects: Promised<Resource.Projects>
  readonly contexts: Promised<Text2Everything["contexts"]>
  readonly goldenExamples: Promised<Text2Everything["goldenExamples"]>
  readonly schemaMetadata: Promised<Resource.SchemaMetadata>
  readonly connectors: Promised<Resource.Connectors>
  readonly feedback: Promised<Text2Everything["feedback"]>
  readonly chatSessions: Promised<Resource.ChatSessions>
  readonly chat: Promised<Resource.Chat>
  readonly executions: Promised<Resource.Executions>
}

/** Runs what a caller asks of the client. */
interface Runner {
  readonly one: <A, E>(use: (client: Text2Everything) => Effect.Effect<A, E>) => Promise<A>
  readonly many: <A, E>(use: (client: Text2Everything) => Stream.Stream<A, E>) => AsyncIterable<A>
}

const resource = <C, M extends object, I>(
  { many, one }: Runner,
  of: (client: Text2Everything) => Resource.Resource<C, M, I>
): Promised<Resource.Resource<C, M, I>> => ({
  list: (...args) => many((client) => of(client).list(...args)),
  get: (...args) => one((client) => of(client).get(...args)),
  create: (...args) => one((client) => of(client).create(...args)),
  update: (...args) => one((client) => of(client).update(...args)),
  delete: (...args) => one((client) => of(client).delete(...args)),
  bulkCreate: (...args) => one((client) => of(client).bulkCreate(...args)),
  bulkCreateStream: (...args) => many((client) => of(client).bulkCreateStream(...args)),
  bulkCreateProgress: (...args) => many((client) => of(client).bulkCreateProgress(...args)),
  undo: (...args) => one((client) => of(client).undo(...args)),
  bulkDelete: (...args) => one((client) => of(client).bulkDelete(...args))
})

const resources = (runner: Runner): Resources => {
  const { many, one } = runner
  return {
    projects: {
      list: (...args) => many(({ projects }) => projects.list(...args)),
      get: (...args) => one(({ projects }) => projects.get(...args)),
      getByName: (...args) => one(({ projects }) => projects.getByName(...args)),
      create: (...args) => one(({ projects }) => projects.create(...args)),
      update: (...args) => one(({ projects }) => projects.update(...args)),
      delete: (...args) => one(({ projects }) => projects.delete(...args)),
      collections: (...args) => one(({ projects }) => projects.collections(...args)),
      collection: (...args) => one(({ projects }) => projects.collection(...args))
    },
    contexts: {
      ...resource(runner, ({ contexts }) => contexts),
      getByName: (...args) => one(({ contexts }) => contexts.getByName(...args))
    },
    goldenExamples: resource(runner, ({ goldenExamples }) => goldenExamples),
    schemaMetadata: {
      ...resource(runner, ({ schemaMetadata }) => schemaMetadata),
      getByName: (...args) => one(({ schemaMetadata }) => schemaMetadata.getByName(...args)),
      splitGroup: (...args) => one(({ schemaMetadata }) => schemaMetadata.splitGroup(...args)),
      listByKind: (...args) => many(({ schemaMetadata }) => schemaMetadata.listByKind(...args))
    },
    connectors: {
      ...resource(runner, ({ connectors }) => connectors),
      getByName: (...args) => one(({ connectors }) => connectors.getByName(...args)),
      test: (...args) => one(({ connectors }) => connectors.test(...args))
    },
    feedback: resource(runner, ({ feedback }) => feedback),
    chatSessions: {
      list: (...args) => many(({ chatSessions }) => chatSessions.list(...args)),
      create: (...args) => one(({ chatSessions }) => chatSessions.create(...args)),
      delete: (...args) => one(({ chatSessions }) => chatSessions.delete(...args)),
      questions: (...args) => one(({ chatSessions }) => chatSessions.questions(...args))
    },
    chat: {
      toSql: (...args) => one(({ chat }) => chat.toSql(...args)),
      toAnswer: (...args) => one(({ chat }) => chat.toAnswer(...args))
    },
    executions: {
      execute: (...args) => one(({ executions }) => executions.execute(...args)),
      list: (...args) => many(({ executions }) => executions.list(...args)),
      get: (...args) => one(({ executions }) => executions.get(...args))
    }
  }
}

const checked = (options: ClientOptions): Settings => {
  const result = Effect.runSync(Effect.result(settings(options)))
  if (result._tag === "Failure") throw result.failure
  return result.success
}

/**
 * A client whose calls are Promises. Throws `InvalidConfiguration` if an option cannot be used. A Promise is rejected
 * with what the effect would fail with: `ApiError`, `ConnectionError` and the others.
 *
 * Close it when done, or bind it with `await using`: its connections close then.
 *
 * @example
 * ```ts
 * import { InvalidConfiguration, Text2EverythingClient } from "@sluice/sdk-bulk-client"
 *
 * await using client = new Text2EverythingClient({ baseUrl: "http://127.0.0.1:8080", accessToken: "token" })
 * console.log(client.settings.maxConcurrent) // => 8
 *
 * try {
 *   new Text2EverythingClient({ baseUrl: "http://127.0.0.1:8080", accessToken: "token", maxConcurrent: 0 })
 * } catch (error) {
 *   console.log(error instanceof InvalidConfiguration && error.message) // => Cannot use maxConcurrent = 0: allowed is a whole number, 1 or more
 * }
 * ```
 */
export class Text2EverythingClient implements Resources, AsyncDisposable {
  readonly settings: Settings
  readonly projects: Resources["projects"]
  readonly contexts: Resources["contexts"]
  readonly goldenExamples: Resources["goldenExamples"]
  readonly schemaMetadata: Resources["schemaMetadata"]
  readonly connectors: Resources["connectors"]
  readonly feedback: Resources["feedback"]
  readonly chatSessions: Resources["chatSessions"]
  readonly chat: Resources["chat"]
  readonly executions: Resources["executions"]
  readonly #runtime: ManagedRuntime.ManagedRuntime<Text2Everything, InvalidConfiguration>

  constructor(options: ClientOptions) {
    this.settings = checked(options)
    this.#runtime = ManagedRuntime.make(layer(options))
    const all = resources(this.#runner(undefined))
    this.projects = all.projects
    this.contexts = all.contexts
    this.goldenExamples = all.goldenExamples
    this.schemaMetadata = all.schemaMetadata
    this.connectors = all.connectors
    this.feedback = all.feedback
    this.chatSessions = all.chatSessions
    this.chat = all.chat
    this.executions = all.executions
  }

  /**
   * The same resources, whose calls are given up at once when `signal` is aborted. A bulk operation takes a signal of
   * its own among its options, which lets what is in flight end and gives the report.
   */
  withSignal(signal: AbortSignal): Resources {
    return resources(this.#runner(signal))
  }

  /** What the pool of connections does. */
  poolStats(): Promise<HttpPool.Stats> {
    return this.#runner(undefined).one(({ poolStats }) => poolStats)
  }

  /** How many requests may be in flight, and why. */
  limitStats(): Promise<LimitStats> {
    return this.#runner(undefined).one(({ limitStats }) => limitStats)
  }

  /** Lets requests in flight end for a while, then closes every connection. */
  close(): Promise<void> {
    return this.#runtime.dispose()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #runner(signal: AbortSignal | undefined): Runner {
    const runtime = this.#runtime
    const options = signal === undefined ? {} : { signal }
    const stopped =
      signal === undefined
        ? undefined
        : Effect.callback<void>((resume) => {
            const onAbort = () => resume(Effect.interrupt)
            if (signal.aborted) onAbort()
            signal.addEventListener("abort", onAbort, { once: true })
            return Effect.sync(() => signal.removeEventListener("abort", onAbort))
          })
    return {
      one: (use) => runtime.runPromise(Effect.flatMap(Text2Everything, use), options),
      many: (use) => {
        const stream = Stream.unwrap(Effect.map(Text2Everything, use))
        return {
          [Symbol.asyncIterator]: async function* () {
            const context = await runtime.context()
            yield* Stream.toAsyncIterableWith(
              stopped === undefined ? stream : Stream.interruptWhen(stream, stopped),
              context
            )
          }
        }
      }
    }
  }
}
