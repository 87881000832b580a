// Bulk creates against a local API with faults: what was given, what was told, and
// what the server then holds.
//
//   node apps/sdk-bulk-client/docs/faults.ts [items]

import { Effect, Stream } from "effect"
import { Client } from "../src/index.ts"
import * as Server from "../src/server/Server.ts"

const count = Number(process.argv[2] ?? 500)
const items = Array.from({ length: count }, (_, index) => ({ name: `Rule ${index}`, content: `Content ${index}` }))

const kinds = [
  ["none", Server.noFaults],
  ["429 with Retry-After, 10 %", { ...Server.noFaults, rateLimited: 10 }],
  ["500, 10 %", { ...Server.noFaults, serverError: 10 }],
  ["reset, 10 %", { ...Server.noFaults, reset: 10 }],
  ["stall, 5 %", { ...Server.noFaults, stall: 5 }],
  ["all of these", { rateLimited: 10, serverError: 10, reset: 10, stall: 5 }]
] as const

const run = (faults: Server.FaultRates, useConnectionIsolation: boolean) =>
  Effect.gen(function* () {
    const behaviour = { ...Server.calm, latency: "fast", seed: 42, retryAfterSeconds: 0 } as const
    const steady = yield* Server.run({ behaviour: { ...behaviour, faults } })
    const client = yield* Client.make({
      baseUrl: steady.url,
      accessToken: "token",
      maxRetries: 20,
      retryDelay: "10 millis",
      readTimeout: "500 millis"
    })
    const project = yield* client.projects.create({ name: "faults" })
    const before = steady.counts()
    const report = yield* client.contexts.bulkCreate(project.id, items, { useConnectionIsolation })
    const after = steady.counts()
    const stored = yield* Stream.runCollect(client.contexts.list(project.id))
    const distinct = new Set(stored.map(({ name }) => name)).size
    return {
      faults: after.faults - before.faults,
      requests: after.requests - before.requests,
      accounted: report.created + report.failed + report.notAttempted,
      created: report.created,
      stored: stored.length,
      twice: stored.length - distinct,
      seconds: report.durationMillis / 1000
    }
  }).pipe(Effect.scoped, Effect.runPromise)

console.log("| faults | connections | given | requests | accounted for | created | at the server | made twice | time |")
console.log("|---|---|---|---|---|---|---|---|---|")
for (const [name, faults] of kinds) {
  for (const isolated of [true, false]) {
    const row = await run(faults, isolated)
    console.log(
      `| ${name} | ${isolated ? "isolated" : "shared"} | ${row.faults} | ${row.requests} | ${row.accounted} of ${count} | ${row.created} | ${row.stored} | ${row.twice} | ${row.seconds.toFixed(1)} s |`
    )
  }
}
