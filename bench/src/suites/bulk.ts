// The bulk client of the Text2Everything SDK against the bound that its own
// limit sets: 32 items whose request takes 1.2 s, 8 at once, over real
// connections to the local API.

import { Client } from "@sluice/sdk-bulk-client"
import { calm, run } from "@sluice/sdk-bulk-client/server"
import { Effect } from "effect"
import type { Suite } from "../harness.ts"

const items = Array.from({ length: 32 }, (_, index) => ({ name: `Rule ${index}`, content: `Content ${index}` }))
const seconds = 1.2

interface How {
  readonly firstAlone: boolean
  readonly useConnectionIsolation: boolean
}

/** Items a second, of a server and a project of their own. */
const rate = (how: How) =>
  Effect.gen(function* () {
    const server = yield* run({ behaviour: { ...calm, latency: "realistic", firstWriteRace: how.firstAlone } })
    const client = yield* Client.make({ baseUrl: server.url, accessToken: "token" })
    const project = yield* client.projects.create({ name: "bench" })
    const start = performance.now()
    const report = yield* client.contexts.bulkCreate(project.id, items, { maxConcurrent: 8, ...how })
    const elapsed = (performance.now() - start) / 1000
    if (report.created !== items.length || server.counts().created["contexts"] !== items.length) {
      return yield* Effect.die(new Error(`Cannot measure: ${report.created} of ${items.length} were created`))
    }
    return items.length / elapsed
  }).pipe(Effect.scoped, Effect.runPromise)

const comparison = (name: string, rounds: number, how: How) => ({
  name,
  unit: "req/s" as const,
  against: `the bound, ${(rounds * seconds).toFixed(1)} s`,
  ours: () => rate(how),
  peer: () => items.length / (rounds * seconds),
  bar: 0.95,
  rounds: 5
})

const suite: Suite = {
  name: "bulk",
  comparisons: [
    comparison("32 items at 1.2 s, 8 at once, isolated", 4, { firstAlone: false, useConnectionIsolation: true }),
    comparison("32 items at 1.2 s, 8 at once, shared pool", 4, { firstAlone: false, useConnectionIsolation: false }),
    comparison("the same with item 0 first alone, isolated", 5, { firstAlone: true, useConnectionIsolation: true })
  ]
}

export default suite
