// The Promise client against the local API server.

import { Effect, Exit, Scope } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ApiError, InvalidConfiguration, InvalidItems, Text2EverythingClient } from "../src/index.ts"
import * as Server from "../src/server/Server.ts"
import { contexts } from "./support/start.ts"

const scope = Effect.runSync(Scope.make())
let server: Server.RunningServer

beforeAll(async () => {
  server = await Effect.runPromise(Effect.provideService(Server.run({ behaviour: Server.calm }), Scope.Scope, scope))
})

afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const make = () => new Text2EverythingClient({ baseUrl: server.url, accessToken: "token", retryDelay: "5 millis" })

const collect = async <A>(items: AsyncIterable<A>): Promise<ReadonlyArray<A>> => {
  const all: Array<A> = []
  for await (const item of items) all.push(item)
  return all
}

describe("Text2EverythingClient", () => {
  it("creates in bulk, lists and deletes", async () => {
    await using client = make()
    const project = await client.projects.create({ name: "Promised" })
    const report = await client.contexts.bulkCreate(project.id, contexts(32), { maxConcurrent: 8 })
    expect(report).toMatchObject({ created: 32, failed: 0 })
    const listed = await collect(client.contexts.list(project.id, { pageSize: 10 }))
    expect(listed).toHaveLength(32)
    expect(await client.contexts.getByName(project.id, "rule 7")).toMatchObject({ content: "content 7" })
    const ids = listed.map(({ id }) => id)
    expect(await client.contexts.bulkDelete(project.id, ids)).toEqual({ deleted_count: 32, failed_ids: [] })
  })

  it("gives progress beside each result, as it comes", async () => {
    await using client = make()
    const project = await client.projects.create({ name: "Progress" })
    const seen = await collect(client.contexts.bulkCreateProgress(project.id, contexts(5)))
    expect(seen.map(({ done }) => done)).toEqual([1, 2, 3, 4, 5])
    expect(seen.at(-1)).toMatchObject({ total: 5, created: 5, failed: 0 })
    expect(seen.map(({ result }) => result.index).sort()).toEqual([0, 1, 2, 3, 4])
  })

  it("takes input of any length as it comes, and stops reading when the loop ends", async () => {
    await using client = make()
    const project = await client.projects.create({ name: "Endless" })
    let read = 0
    async function* endless() {
      for (;;) yield { name: `rule ${read++}`, content: "x" }
    }
    const results: Array<string> = []
    for await (const result of client.contexts.bulkCreateStream(project.id, endless(), { maxConcurrent: 4 })) {
      results.push(result.status)
      if (results.length === 20) break
    }
    expect(results.every((status) => status === "created")).toBe(true)
    expect(read).toBeLessThan(60)
  })

  it("rejects with the errors that effects fail with", async () => {
    await using client = make()
    await expect(client.projects.get("none")).rejects.toBeInstanceOf(ApiError)
    await expect(client.projects.create({ name: "" })).rejects.toBeInstanceOf(InvalidItems)
    expect(() => new Text2EverythingClient({ baseUrl: server.url, accessToken: "t", maxConcurrent: 0 })).toThrow(
      InvalidConfiguration
    )
  })

  it("gives calls up when the signal is aborted", async () => {
    await using client = make()
    const controller = new AbortController()
    controller.abort()
    const aborted = client.withSignal(controller.signal)
    await expect(aborted.projects.get("x")).rejects.toThrow()
    await expect(collect(aborted.projects.list())).rejects.toThrow()
  })

  it("reaches every resource", async () => {
    await using client = make()
    const project = await client.projects.create({ name: "Every" })
    const session = await client.chatSessions.create(project.id)
    await client.goldenExamples.create(project.id, { user_query: "how many?", sql_query: "SELECT 1" })
    const answer = await client.chat.toAnswer(project.id, session.id, { query: "how many" })
    const sql = await client.chat.toSql(project.id, session.id, { query: "how many" })
    expect(await client.chatSessions.questions(project.id, session.id)).toHaveLength(2)
    expect(await collect(client.chatSessions.list(project.id))).toHaveLength(1)
    const connector = await client.connectors.create(project.id, {
      name: "w",
      db_type: "mysql",
      host: "h",
      username: "u",
      password: "p",
      database: "d"
    })
    expect(connector.port).toBe(3306)
    expect((await client.connectors.test(project.id, connector.id)).ok).toBe(true)
    expect((await client.connectors.getByName(project.id, "w"))?.id).toBe(connector.id)
    const run = await client.executions.execute(project.id, { connector_id: connector.id, chat_message_id: sql.id })
    expect(await client.executions.get(project.id, run.execution_id)).toMatchObject({ sql_query: "SELECT 1" })
    expect(await collect(client.executions.list(project.id))).toHaveLength(1)
    const schema = await client.schemaMetadata.create(project.id, { name: "r", schema_data: { relationship: {} } })
    expect(schema.split).toBe(false)
    expect(await collect(client.schemaMetadata.listByKind(project.id, "relationship"))).toHaveLength(1)
    expect((await client.schemaMetadata.getByName(project.id, "r"))?.id).toBe(schema.parts[0].id)
    await expect(client.schemaMetadata.splitGroup(project.id, "none")).rejects.toMatchObject({ status: 404 })
    const given = await client.feedback.create(project.id, {
      chat_message_id: answer.id,
      feedback: "no",
      is_positive: false
    })
    expect(await client.feedback.update(project.id, given.id, { is_positive: true })).toMatchObject({
      is_positive: true
    })
    await client.chatSessions.delete(project.id, session.id)
    expect((await client.projects.getByName("Every"))?.id).toBe(project.id)
    expect(await client.projects.collections(project.id)).not.toHaveLength(0)
    expect(await client.projects.collection(project.id, "contexts")).toMatchObject({ object_count: 0 })
    expect(await client.projects.update(project.id, { description: "d" })).toMatchObject({ description: "d" })
    await client.projects.delete(project.id)
    await expect(client.projects.get(project.id)).rejects.toMatchObject({ kind: "NotFound" })
    expect((await client.poolStats()).inFlight).toBe(0)
  })

  it("has closed its connections once it is disposed of", async () => {
    const client = make()
    await client.projects.create({ name: "Closing" })
    await client.close()
    await expect(client.projects.get("x")).rejects.toThrow()
  })
})
