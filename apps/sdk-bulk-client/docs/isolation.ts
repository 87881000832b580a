// 32 items of 0.1 s each, 8 at once with item 0 first: on connections of their own
// and on the shared pool. The bound is 0.5 s.
//
//   node apps/sdk-bulk-client/docs/isolation.ts

import { Effect } from "effect"
import { Client } from "../src/index.ts"
import * as Server from "../src/server/Server.ts"

const items = Array.from({ length: 32 }, (_, index) => ({ name: `Rule ${index}`, content: `Content ${index}` }))
const rounds = 7

const measure = (useConnectionIsolation: boolean) =>
  Effect.gen(function* () {
    const server = yield* Server.run({ behaviour: { ...Server.calm, latency: "fast" } })
    const client = yield* Client.make({
      baseUrl: server.url,
      accessToken: "token",
      headers: { "x-simulated-seconds": "10" }
    })
    const project = yield* client.projects.create({ name: "isolation" })
    const before = yield* client.poolStats
    const report = yield* client.contexts.bulkCreate(project.id, items, { maxConcurrent: 8, useConnectionIsolation })
    const after = yield* client.poolStats
    return {
      created: report.created,
      seconds: report.durationMillis / 1000,
      opened: after.created - before.created,
      closed: after.closedBy.isolated - before.closedBy.isolated,
      left: after.inFlight
    }
  }).pipe(Effect.scoped, Effect.runPromise)

console.log(
  "| connections | created | opened | closed after one request | left in flight | median time | of the bound |"
)
console.log("|---|---|---|---|---|---|---|")
for (const isolated of [true, false]) {
  const all = []
  for (let round = 0; round < rounds; round++) all.push(await measure(isolated))
  const median = all.toSorted((a, b) => a.seconds - b.seconds)[rounds >> 1]
  if (median === undefined) continue
  const { closed, created, left, opened, seconds } = median
  console.log(
    `| ${isolated ? "isolated" : "shared"} | ${created}/32 | ${opened} | ${closed} | ${left} | ${seconds.toFixed(2)} s | ${((100 * 0.5) / seconds).toFixed(0)}% |`
  )
}
