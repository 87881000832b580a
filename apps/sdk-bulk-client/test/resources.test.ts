// The resources against the local API server.

import { createServer } from "node:http2"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Client } from "../src/index.ts"
import { context } from "./support/scripted.ts"
import { contexts, start } from "./support/start.ts"

const connector = {
  name: "warehouse",
  db_type: "postgres",
  host: "db.example.com",
  username: "reader",
  password: "secret",
  database: "sales"
} as const

describe("projects", () => {
  it.live("are made, found, changed, listed and deleted with what belongs to them", () =>
    Effect.gen(function* () {
      const { client } = yield* start()
      const made = yield* client.projects.create({ name: "Sales", description: "of the north" })
      expect(yield* client.projects.get(made.id)).toEqual(made)
      expect((yield* client.projects.getByName("Sales"))?.id).toBe(made.id)
      expect(yield* client.projects.getByName("sales")).toBeUndefined()
      expect(yield* client.projects.update(made.id, { description: "of the south" })).toMatchObject({
        description: "of the south"
      })
      yield* client.contexts.bulkCreate(made.id, contexts(3))
      expect(yield* client.projects.collection(made.id, "contexts")).toMatchObject({ object_count: 3 })
      expect((yield* client.projects.collections(made.id)).length).toBeGreaterThan(3)
      const names = yield* Stream.runCollect(Stream.map(client.projects.list({ pageSize: 1 }), ({ name }) => name))
      expect([...names].sort()).toEqual(["Sales", "test"])
      yield* client.projects.delete(made.id)
      expect(yield* Effect.flip(client.contexts.get(made.id, "x"))).toMatchObject({ status: 404 })
    })
  )

  it.live("without a name are refused before anything is sent", () =>
    Effect.gen(function* () {
      const { client, server } = yield* start()
      const before = server.counts().requests
      const error = yield* Effect.flip(client.projects.create({ name: " " }))
      expect(error._tag).toBe("@sluice/sdk-bulk-client/InvalidItems")
      expect(server.counts().requests).toBe(before)
    })
  )
})

describe("look-ups", () => {
  it.live("find by name, and read no page after the one that has it", () =>
    Effect.gen(function* () {
      const { client, project, server } = yield* start()
      yield* client.contexts.bulkCreate(project, contexts(150), { useConnectionIsolation: false })
      const before = server.counts().requests
      expect(yield* client.contexts.getByName(project, "rule 0")).toMatchObject({ content: "content 0" })
      expect(server.counts().requests).toBe(before + 1)
      expect(yield* client.contexts.getByName(project, "rule 999")).toBeUndefined()
    })
  )

  it.live("list what is always displayed, and what the API finds", () =>
    Effect.gen(function* () {
      const { client, project } = yield* start()
      yield* client.contexts.create(project, { name: "always", content: "x", is_always_displayed: true })
      yield* client.contexts.create(project, { name: "seldom", content: "x" })
      const names = (options: { isAlwaysDisplayed?: boolean; search?: string }) =>
        client.contexts.list(project, options).pipe(
          Stream.map(({ name }) => name),
          Stream.runCollect
        )
      expect(yield* names({ isAlwaysDisplayed: true })).toEqual(["always"])
      expect(yield* names({ isAlwaysDisplayed: false })).toEqual(["seldom"])
      expect(yield* names({ search: "SEL" })).toEqual(["seldom"])
    })
  )

  it.live("list schemas by kind", () =>
    Effect.gen(function* () {
      const { client, project } = yield* start()
      const schemas = [
        { name: "t", schema_data: { table: { name: "t", columns: [{ name: "id" }] } } },
        { name: "d", schema_data: { table: { dimension: { content: {} } } } },
        { name: "m", schema_data: { table: { metric: { content: {} } } } },
        { name: "r", schema_data: { relationship: {} } }
      ]
      yield* client.schemaMetadata.bulkCreate(project, schemas)
      for (const [kind, name] of [
        ["table", "t"],
        ["dimension", "d"],
        ["metric", "m"],
        ["relationship", "r"]
      ] as const) {
        const found = yield* Stream.runCollect(client.schemaMetadata.listByKind(project, kind))
        expect(found.map((schema) => schema.name)).toEqual([name])
      }
      expect((yield* client.schemaMetadata.getByName(project, "m"))?.name).toBe("m")
    })
  )
})

describe("chat", () => {
  it.live("answers within a session, keeps its questions, and executes what it answered", () =>
    Effect.gen(function* () {
      const { client, project } = yield* start()
      yield* client.goldenExamples.create(project, {
        user_query: "How many orders came last week?",
        sql_query: "SELECT COUNT(*) FROM orders"
      })
      const session = yield* client.chatSessions.create(project, { name: "Monday" })
      const sql = yield* client.chat.toSql(project, session.id, { query: "how many orders?", context_limit: 3 })
      expect(sql).toMatchObject({ user_query: "how many orders?", sql_query: "SELECT COUNT(*) FROM orders" })
      const answer = yield* client.chat.toAnswer(project, session.id, { query: "orders, how many?" })
      expect(answer.execution_result).toBeDefined()
      expect((yield* client.chatSessions.questions(project, session.id)).map(({ id }) => id)).toEqual([
        sql.id,
        answer.id
      ])

      const made = yield* client.connectors.create(project, connector)
      const byMessage = yield* client.executions.execute(project, { connector_id: made.id, chat_message_id: sql.id })
      expect(byMessage.sql_query).toBe(sql.sql_query)
      const own = yield* client.executions.execute(project, { connector_id: made.id, sql_query: "SELECT 1" })
      expect((yield* client.executions.get(project, own.execution_id)).sql_query).toBe("SELECT 1")
      const listed = yield* Stream.runCollect(client.executions.list(project, { pageSize: 1 }))
      expect(listed.map(({ execution_id }) => execution_id)).toEqual([byMessage.execution_id, own.execution_id])

      const feedback = yield* client.feedback.create(project, {
        chat_message_id: answer.id,
        feedback: "right",
        is_positive: true
      })
      expect(yield* client.feedback.bulkDelete(project, [feedback.id, "none"])).toEqual({
        deleted_count: 1,
        failed_ids: ["none"]
      })

      expect((yield* Stream.runCollect(client.chatSessions.list(project))).map(({ name }) => name)).toEqual(["Monday"])
      yield* client.chatSessions.delete(project, session.id)
      expect(yield* Effect.flip(client.chatSessions.questions(project, session.id))).toMatchObject({ status: 404 })
    })
  )

  it.live("refuses an empty question before it is sent", () =>
    Effect.gen(function* () {
      const { client, project, server } = yield* start()
      const before = server.counts().requests
      yield* Effect.flip(client.chat.toSql(project, "s", { query: "  " }))
      expect(server.counts().requests).toBe(before)
    })
  )
})

describe("undo", () => {
  it.live("deletes every part of what an operation created, and nothing else", () =>
    Effect.gen(function* () {
      const { client, project } = yield* start()
      yield* client.schemaMetadata.create(project, { name: "before", schema_data: { relationship: {} } })
      const columns = Array.from({ length: 20 }, (_, index) => ({ name: `column_${index}` }))
      const report = yield* client.schemaMetadata.bulkCreate(project, [
        { name: "wide", schema_data: { table: { name: "wide", columns } } },
        { name: "link", schema_data: { relationship: {} } }
      ])
      // A table that is cut keeps its place: one result an item, whatever the number of its parts.
      expect(report.results.map(({ index, value }) => [index, value?.split, value?.parts.length])).toEqual([
        [0, true, 3],
        [1, false, 1]
      ])
      expect(yield* client.schemaMetadata.undo(project, report)).toEqual({ deleted: 4, failedIds: [] })
      const left = yield* Stream.runCollect(client.schemaMetadata.list(project))
      expect(left.map(({ name }) => name)).toEqual(["before"])
    })
  )
})

describe("http2", () => {
  it.live("is spoken where the option says so, many requests on one connection", () =>
    Effect.gen(function* () {
      let sessions = 0
      const server = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const made = createServer()
          made.on("session", () => {
            sessions++
          })
          made.on("stream", (stream) => {
            stream.respond({ ":status": 200, "content-type": "application/json" })
            stream.end(JSON.stringify(context))
          })
          made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
        }),
        (made) => Effect.sync(() => void made.close())
      )
      const address = server.address()
      const port = typeof address === "object" ? address?.port : 0
      const client = yield* Client.make({
        baseUrl: `http://127.0.0.1:${port}`,
        accessToken: "token",
        http2: "prior-knowledge"
      })
      const all = yield* Effect.all(
        Array.from({ length: 16 }, () => client.contexts.get("p", "c1")),
        { concurrency: "unbounded" }
      )
      expect(all).toHaveLength(16)
      expect(sessions).toBeLessThan(16)
    })
  )
})
