// Chat and the execution of SQL. There is no model behind it: a question is
// answered with the golden example that shares most words with it, which is
// enough to try a client on.

import { Effect } from "effect"
import { HttpRouter } from "effect/http"
import * as Models from "../Models.ts"
import { type Answer, found, refusal } from "./answers.ts"
import { type Engine, validCreate } from "./engine.ts"
import type * as Store from "./Store.ts"

const everything = { skip: 0, limit: 1000 }

const wordsOf = (text: unknown): ReadonlySet<string> =>
  new Set(
    String(text)
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu) ?? []
  )

const sharedWords = (question: ReadonlySet<string>, example: Store.Body): number =>
  [...wordsOf(example["user_query"])].filter((word) => question.has(word)).length

const nearestExample = (store: Store.Store, project: string, question: string): Store.Body | undefined => {
  const words = wordsOf(question)
  return store
    .list("golden-examples", project, everything)
    .map((example) => ({ example, shared: sharedWords(words, example) }))
    .filter(({ shared }) => shared > 0)
    .toSorted((a, b) => b.shared - a.shared)[0]?.example
}

const table = { columns: ["answer"], rows: [[42]] }

const execution = (store: Store.Store, project: string, connector: string, sql: string): Store.StoredObject => {
  const { id, ...stored } = store.insert("executions", project, {
    connector_id: connector,
    sql_query: sql,
    result: table,
    execution_time_ms: 1
  })
  return { ...stored, id, execution_id: id }
}

const shown = (object: Store.StoredObject): Store.Body => ({ ...object, execution_id: object.id })

export const chatRoutes = (engine: Engine) => {
  const { inProject, store } = engine

  const ask = (verb: "chat-to-sql" | "chat-to-answer") =>
    HttpRouter.route(
      "POST",
      `/api/projects/:pid/chat-sessions/:id/${verb}`,
      inProject(({ id: session, project }) => {
        if (store.find("chat-sessions", project, session) === undefined) {
          return Effect.succeed(refusal(404, `There is no chat session ${session}`))
        }
        return validCreate(engine, { collection: verb, project }, Models.ChatRequest, (input): Answer => {
          const question = String(input["query"])
          const example = nearestExample(store, project, question)
          const answer = store.insert("questions", session, {
            user_query: question,
            sql_query: example?.["sql_query"] ?? null,
            explanation: example === undefined ? "No golden example is like this question" : "From a golden example",
            ...(verb === "chat-to-answer" && example !== undefined ? { execution_result: table } : {})
          })
          return { status: 201, body: answer }
        })
      })
    )

  /** The SQL to execute: the request's own, or that of the chat message it names. */
  const sqlOf = (project: string, input: Store.Body): string | undefined => {
    if (typeof input["sql_query"] === "string") return input["sql_query"]
    const message = String(input["chat_message_id"])
    const sessions = store.list("chat-sessions", project, everything)
    const question = sessions
      .map((session) => store.find("questions", session.id, message))
      .find((candidate) => candidate !== undefined)
    const sql = question?.["sql_query"]
    return typeof sql === "string" ? sql : undefined
  }

  return [
    ask("chat-to-sql"),
    ask("chat-to-answer"),
    HttpRouter.route(
      "GET",
      "/api/projects/:pid/chat-sessions/:id/questions",
      inProject(({ id, project }) =>
        Effect.sync(() =>
          store.find("chat-sessions", project, id) === undefined
            ? refusal(404, `There is no chat session ${id}`)
            : { status: 200, body: store.list("questions", id, everything) }
        )
      )
    ),
    HttpRouter.route(
      "POST",
      "/api/projects/:pid/sql/execute",
      inProject(({ project }) =>
        validCreate(engine, { collection: "executions", project }, Models.ExecuteRequest, (input): Answer => {
          const connector = String(input["connector_id"])
          if (store.find("connectors", project, connector) === undefined) {
            return refusal(404, `There is no connector ${connector}`)
          }
          const sql = sqlOf(project, input)
          return sql === undefined
            ? refusal(404, `There is no SQL of message ${String(input["chat_message_id"])}`)
            : { status: 200, body: execution(store, project, connector, sql) }
        })
      )
    ),
    HttpRouter.route(
      "GET",
      "/api/projects/:pid/sql/executions",
      inProject(({ project }) =>
        Effect.map(engine.page, (at) => ({ status: 200, body: store.list("executions", project, at).map(shown) }))
      )
    ),
    HttpRouter.route(
      "GET",
      "/api/projects/:pid/sql/executions/:id",
      inProject(({ id, project }) =>
        Effect.sync(() => {
          const object = store.find("executions", project, id)
          return found(object === undefined ? undefined : shown(object), `execution ${id}`)
        })
      )
    )
  ]
}
