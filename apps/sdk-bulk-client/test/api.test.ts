// The client against the local API server, over real connections.

import { describe, expect, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { ApiError, Client, ConnectionError } from "../src/index.ts"
import { noFaults } from "../src/server/Server.ts"
import { suites } from "../src/suites/suites.ts"
import { contexts, start } from "./support/start.ts"

describe("the client", () => {
  it.live("creates, reads, changes, lists and deletes", () =>
    Effect.gen(function* () {
      const { client, project } = yield* start()
      const made = yield* client.contexts.create(project, { name: "नियम", content: "Größe ≥ 7" })
      expect(yield* client.contexts.get(project, made.id)).toEqual(made)
      const changed = yield* client.contexts.update(project, made.id, { content: "other" })
      expect(changed).toMatchObject({ id: made.id, name: "नियम", content: "other" })
      expect(yield* Stream.runCollect(client.contexts.list(project))).toEqual([changed])
      yield* client.contexts.delete(project, made.id)
      const gone = yield* Effect.flip(client.contexts.get(project, made.id))
      expect(gone).toMatchObject({ kind: "NotFound", status: 404 })
    })
  )

  it.live("keeps an id in its place in the path", () =>
    Effect.gen(function* () {
      const { client, project } = yield* start()
      for (const id of ["../../projects", "..", ".", "a/b", "?x=1", "#", "%2e%2e"]) {
        expect(yield* Effect.flip(client.contexts.get(project, id))).toMatchObject({ status: 404 })
      }
    })
  )

  it.live("lists page by page, each object once, up to a cap", () =>
    Effect.gen(function* () {
      const { client, project } = yield* start()
      yield* client.contexts.bulkCreate(project, contexts(23))
      const names = (options: { pageSize: number; limit?: number }) =>
        client.contexts.list(project, options).pipe(
          Stream.map(({ name }) => name),
          Stream.runCollect
        )
      const all = contexts(23).map(({ name }) => name)
      expect([...(yield* names({ pageSize: 5 }))].sort()).toEqual([...all].sort())
      expect(yield* names({ pageSize: 23 })).toHaveLength(23)
      expect(yield* names({ pageSize: 5, limit: 7 })).toHaveLength(7)
    })
  )

  it.live("gives every part of a table that the API cuts", () =>
    Effect.gen(function* () {
      const { client, project } = yield* start()
      const columns = Array.from({ length: 20 }, (_, index) => ({ name: `column_${index}` }))
      const made = yield* client.schemaMetadata.create(project, {
        name: "wide",
        schema_data: { table: { name: "wide", columns } }
      })
      expect(made.split).toBe(true)
      expect(made.parts.map((part) => part.split_index)).toEqual([1, 2, 3])
      const group = yield* client.schemaMetadata.splitGroup(project, made.parts[0].split_group_id ?? "")
      expect(group.parts.map(({ id }) => id)).toEqual(made.parts.map(({ id }) => id))
    })
  )

  it.live("never shows a connector's password, and fills in its port", () =>
    Effect.gen(function* () {
      const { client, project } = yield* start()
      const made = yield* client.connectors.create(project, {
        name: "warehouse",
        db_type: "postgres",
        host: "db.example.com",
        username: "reader",
        password: "secret",
        database: "sales"
      })
      expect(made.port).toBe(5432)
      expect(JSON.stringify(made)).not.toContain("secret")
      expect((yield* client.connectors.test(project, made.id)).ok).toBe(true)
    })
  )

  it.live("tells a refusal with its detail and request id", () =>
    Effect.gen(function* () {
      const { client } = yield* start()
      const error = yield* Effect.flip(client.contexts.get("nowhere", "x"))
      expect(error).toBeInstanceOf(ApiError)
      expect(error.message).toMatch(/answered 404 NotFound: There is no project nowhere \(request .+\)/)
    })
  )

  it.live("tells a server that is not there, and that nothing reached it", () =>
    Effect.gen(function* () {
      const client = yield* Client.make({ baseUrl: "http://127.0.0.1:1", accessToken: "token", maxRetries: 0 })
      const error = yield* Effect.flip(client.projects.get("x"))
      expect(error).toBeInstanceOf(ConnectionError)
      expect(error).toMatchObject({ mayHaveReachedServer: false })
    })
  )
})

describe("bulk create against a server with faults", () => {
  it.live("accounts for every item and creates none twice", () =>
    Effect.gen(function* () {
      const faults = { ...noFaults, serverError: 10, reset: 10 }
      const { client, project, server } = yield* start({ faults, seed: 7 }, { maxRetries: 8 })
      const report = yield* client.contexts.bulkCreate(project, contexts(200))
      expect(report).toMatchObject({ created: 200, failed: 0 })
      expect(server.counts().created["contexts"]).toBe(200)
      expect(server.counts().requests).toBeGreaterThan(220)
      expect(report.results.map(({ value }) => value?.content)).toEqual(contexts(200).map(({ content }) => content))
    })
  )

  it.live("keeps what was created where others fail, with the reason of each", () =>
    Effect.gen(function* () {
      const faults = { ...noFaults, serverError: 30 }
      const { client, project, server } = yield* start({ faults, seed: 3 }, { maxRetries: 0 })
      const report = yield* client.contexts.bulkCreate(project, contexts(100))
      expect(report.created).toBe(server.counts().created["contexts"])
      expect(report.failed).toBeGreaterThan(10)
      expect(report.created + report.failed).toBe(100)
      for (const result of report.results.filter(({ status }) => status === "failed")) {
        expect(result.error).toMatchObject({ kind: expect.any(String), status: expect.any(Number) })
      }
    })
  )

  it.live("never has more at once than it was told", () =>
    Effect.gen(function* () {
      const { client, project, server } = yield* start({ latency: "fast" })
      yield* client.contexts.bulkCreate(project, contexts(32), { maxConcurrent: 4 })
      expect(server.counts().mostAtOnce).toBe(4)
    })
  )

  it.live("opens a connection for each item where they are isolated, and leaves none", () =>
    Effect.gen(function* () {
      const { client, project } = yield* start()
      const before = yield* client.poolStats
      yield* client.contexts.bulkCreate(project, contexts(16))
      const after = yield* client.poolStats
      expect(after.created - before.created).toBe(16)
      expect(after.closedBy.isolated - before.closedBy.isolated).toBe(16)
      expect(after.inFlight).toBe(0)
    })
  )
})

describe("the first write to a project", () => {
  it.live("is refused to all but one where several come at once, as by the real API", () =>
    Effect.gen(function* () {
      const slow = { headers: { "x-simulated-seconds": "50" } }
      const { client, project } = yield* start({ latency: "fast" }, { maxRetries: 0, ...slow })
      const report = yield* client.contexts.bulkCreate(project, contexts(8), { firstAlone: false })
      expect(report).toMatchObject({ created: 1, failed: 7 })
      const failed = report.results.filter(({ status }) => status === "failed")
      for (const { error } of failed) expect(error).toMatchObject({ kind: "Conflict", status: 409 })
    })
  )

  it.live("goes alone by default, so that none is refused", () =>
    Effect.gen(function* () {
      const { client, project } = yield* start({ latency: "fast" }, { maxRetries: 0 })
      const report = yield* client.contexts.bulkCreate(project, contexts(32))
      expect(report).toMatchObject({ created: 32, failed: 0 })
    })
  )
})

describe("the suites", () => {
  for (const suite of suites) {
    it.live(`${suite.name} passes`, () =>
      Effect.gen(function* () {
        const { client, server } = yield* start({ latency: "fast" })
        const options = { baseUrl: server.url, accessToken: "token" }
        const results = yield* suite.run({ client, options, timeScale: 100 })
        const broken = results.flatMap(({ checks, name }) =>
          checks.filter(({ holds }) => !holds).map(({ statement }) => `${name}: ${statement}`)
        )
        expect(broken).toEqual([])
      })
    )
  }
})
