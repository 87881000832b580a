// Bulk creates against a local API that refuses, stumbles, breaks connections and
// stalls: every item has its result, and the server made none twice.

import { describe, expect, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as fc from "fast-check"
import { noFaults } from "../src/server/Server.ts"
import { contexts, start } from "./support/start.ts"

const patient = { maxRetries: 40, readTimeout: "150 millis", retryDelay: "1 millis" } as const

const kinds = [
  ["429 with Retry-After", { ...noFaults, rateLimited: 20 }],
  ["500", { ...noFaults, serverError: 20 }],
  ["connections reset", { ...noFaults, reset: 20 }],
  ["stalls", { ...noFaults, stall: 10 }],
  ["all of them", { rateLimited: 8, serverError: 8, reset: 8, stall: 4 }]
] as const

describe("a bulk create ends with every item created once", () => {
  for (const useConnectionIsolation of [true, false]) {
    for (const [name, faults] of kinds) {
      it.live(`under ${name}, ${useConnectionIsolation ? "isolated" : "on the shared pool"}`, () =>
        Effect.gen(function* () {
          const { client, project, server } = yield* start({ faults, seed: 11, retryAfterSeconds: 0 }, patient)
          const report = yield* client.contexts.bulkCreate(project, contexts(100), { useConnectionIsolation })
          expect(report).toMatchObject({ created: 100, failed: 0, notAttempted: 0 })
          expect(report.results.map(({ value }) => value?.name)).toEqual(contexts(100).map((one) => one.name))
          expect(server.counts().created["contexts"]).toBe(100)
          expect(server.counts().faults).toBeGreaterThan(5)
          const attempts = report.results.reduce((sum, result) => sum + result.attempts, 0)
          expect(attempts).toBeGreaterThan(100)
        })
      )
    }
  }

  it.live("or with the item's own error where attempts run out, and then what the server holds is what was told", () =>
    Effect.gen(function* () {
      const faults = { rateLimited: 15, serverError: 15, reset: 0, stall: 0 }
      const { client, project, server } = yield* start({ faults, seed: 5, retryAfterSeconds: 0 }, { maxRetries: 0 })
      const report = yield* client.contexts.bulkCreate(project, contexts(100))
      expect(report.created + report.failed).toBe(100)
      expect(report.failed).toBeGreaterThan(10)
      expect(server.counts().created["contexts"]).toBe(report.created)
    })
  )

  it.live("whatever of a stream's answers are lost", () =>
    Effect.gen(function* () {
      const faults = { rateLimited: 0, serverError: 5, reset: 25, stall: 0 }
      const { client, project, server } = yield* start({ faults, seed: 2 }, patient)
      async function* input() {
        yield* contexts(200)
      }
      const results = yield* Stream.runCollect(client.contexts.bulkCreateStream(project, input()))
      expect(new Set(results.map(({ index }) => index)).size).toBe(200)
      expect(results.every(({ status }) => status === "created")).toBe(true)
      expect(server.counts().created["contexts"]).toBe(200)
    })
  )
})

/** The model: with attempts enough, n items are n objects, whatever the faults, their order and the connections. */
describe("laws", () => {
  it("no item is lost and none is made twice, whatever the faults", () =>
    fc.assert(
      fc.asyncProperty(
        fc.record({
          rateLimited: fc.nat(20),
          serverError: fc.nat(20),
          reset: fc.nat(20),
          stall: fc.nat(3)
        }),
        fc.nat(1000),
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 12 }),
        fc.boolean(),
        (faults, seed, count, maxConcurrent, useConnectionIsolation) =>
          Effect.gen(function* () {
            const { client, project, server } = yield* start({ faults, seed, retryAfterSeconds: 0 }, patient)
            const report = yield* client.contexts.bulkCreate(project, contexts(count), {
              maxConcurrent,
              useConnectionIsolation
            })
            expect(report).toMatchObject({ created: count, failed: 0, notAttempted: 0 })
            expect(server.counts().created["contexts"]).toBe(count)
            const stored = yield* Stream.runCollect(client.contexts.list(project, { pageSize: 7 }))
            expect(stored.map(({ name }) => name).sort()).toEqual(
              contexts(count)
                .map(({ name }) => name)
                .sort()
            )
          }).pipe(Effect.scoped, Effect.runPromise)
      ),
      { numRuns: 15 }
    ))
})
