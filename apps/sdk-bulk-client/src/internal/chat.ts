// Chat, its sessions, and the execution of SQL. None of these can be created in
// bulk; each call that makes something carries an idempotency key.

import { Effect, Schema } from "effect"
import * as Bulk from "../Bulk.ts"
import type { CallError, InvalidItems } from "../Errors.ts"
import * as Models from "../Models.ts"
import type { Chat, ChatSessions, Executions } from "../Resource.ts"
import type { Api } from "./api.ts"
import { paged } from "./paged.ts"

/** Sends a call that makes something, once its input has been looked at. */
const making = <I, A>(
  api: Api,
  segments: ReadonlyArray<string>,
  input: { readonly schema: Schema.Codec<I, unknown>; readonly value: I },
  answer: Schema.Codec<A, unknown>
): Effect.Effect<A, CallError | InvalidItems> =>
  Effect.andThen(
    Bulk.validateAll(input.schema, [input.value]),
    Effect.suspend(() =>
      api.send({
        method: "POST",
        segments,
        body: input.value,
        answer,
        idempotencyKey: globalThis.crypto.randomUUID()
      })
    )
  )

const sessionsOf = (projectId: string): ReadonlyArray<string> => ["projects", projectId, "chat-sessions"]

export const chatSessions = (api: Api): ChatSessions => ({
  list: (projectId, options = {}) => paged(api, sessionsOf(projectId), Models.ChatSession, ({ id }) => id, options),
  create: (projectId, input = {}) =>
    making(api, sessionsOf(projectId), { schema: Models.ChatSessionCreate, value: input }, Models.ChatSession),
  delete: (projectId, id) =>
    api.send({ method: "DELETE", segments: [...sessionsOf(projectId), id], answer: Schema.Void }),
  questions: (projectId, id) =>
    api.send({
      method: "GET",
      segments: [...sessionsOf(projectId), id, "questions"],
      answer: Schema.Array(Models.ChatAnswer)
    })
})

export const chat = (api: Api): Chat => {
  const ask = (verb: string) => (projectId: string, sessionId: string, request: typeof Models.ChatRequest.Type) =>
    making(
      api,
      [...sessionsOf(projectId), sessionId, verb],
      { schema: Models.ChatRequest, value: request },
      Models.ChatAnswer
    )
  return { toSql: ask("chat-to-sql"), toAnswer: ask("chat-to-answer") }
}

export const executions = (api: Api): Executions => {
  const all = (projectId: string) => ["projects", projectId, "sql", "executions"]
  return {
    execute: (projectId, request) =>
      making(
        api,
        ["projects", projectId, "sql", "execute"],
        { schema: Models.ExecuteRequest, value: request },
        Models.Execution
      ),
    list: (projectId, options = {}) =>
      paged(api, all(projectId), Models.Execution, ({ execution_id }) => execution_id, options),
    get: (projectId, id) => api.send({ method: "GET", segments: [...all(projectId), id], answer: Models.Execution })
  }
}
