// Laws of the pool over a real server, against what can be counted by hand.
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { HttpPool } from "@sluice/http-pool"
import { Effect, Exit, Scope } from "effect"
import fc from "fast-check"
import { listen, type TestServer, until } from "./servers.ts"

const scope = Scope.makeUnsafe()
let server: TestServer

beforeAll(async () => {
  server = await Effect.runPromise(
    Scope.provide(
      listen((request, response) => {
        const kind = request.url?.slice(1)
        if (kind === "reset") request.socket.destroy()
        else if (kind === "stall") response.write("x")
        else if (kind === "large") response.end(Buffer.alloc(300_000))
        else response.setHeader("x-url", request.url ?? "").end("ok")
      }),
      scope
    )
  )
})
const afterTurns = (turns: number): Effect.Effect<void> => {
  let left = turns
  return until(() => left-- === 0)
}

afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

// Models: a path is sent as the platform's URL parser writes it.
it("sends every path as the URL parser writes it", () =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const pool = yield* HttpPool.make()
        yield* Effect.flatMap(pool.client.get(server.url), (response) => response.text)
        const paths = fc.oneof(
          fc.webPath(),
          fc.string({ maxLength: 12 }),
          fc.stringMatching(/^[a-z./\\?#%&=~'"<> -]{0,12}$/)
        )
        yield* Effect.promise(() =>
          fc.assert(
            fc.asyncProperty(paths, async (path) => {
              const url = `${server.url}/p${path}`
              const parsed = new URL(url)
              const response = await Effect.runPromise(pool.client.get(url))
              const sent = response.headers["x-url"]
              if (sent !== parsed.pathname + parsed.search) throw new Error(`${url} was sent as ${sent}`)
            }),
            { numRuns: 300 }
          )
        )
      })
    )
  ))

// Models: a multiset of requests, each of which is answered, broken or interrupted at some point; whatever happens,
// never more than the limit are in flight, and in the end nothing is held.
it("holds nothing when all requests have ended, however they ended", () => {
  const request = fc.record({
    kind: fc.constantFrom("ok", "ok", "reset", "stall", "large"),
    reads: fc.boolean(),
    isIsolated: fc.boolean(),
    interruptAfterTurns: fc.option(fc.nat({ max: 6 }), { nil: undefined })
  })
  const options = fc.record({
    maxConnections: fc.integer({ min: 1, max: 4 }),
    maxConnectionsPerOrigin: fc.integer({ min: 1, max: 4 }),
    maxKeepAliveConnections: fc.nat({ max: 3 })
  })
  return fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 12 }), options, async (requests, options) => {
      await Effect.runPromise(
        Effect.scoped(
          Effect.gen(function* () {
            const pool = yield* HttpPool.make(options)
            const { maxConnections, maxConnectionsPerOrigin, maxKeepAliveConnections } = options
            let isOver = false
            const watch = (): void => {
              const { inFlight, open } = pool.statsUnsafe()
              most = Math.max(most, inFlight)
              expect(open).toBeLessThanOrEqual(maxConnections)
              if (!isOver) setImmediate(watch)
            }
            let most = 0
            watch()
            yield* Effect.forEach(
              requests,
              ({ interruptAfterTurns, isIsolated, kind, reads }) => {
                const client = isIsolated ? pool.isolated : pool.client
                const sent = client.get(`${server.url}/${kind}`)
                const turns = interruptAfterTurns ?? (kind === "stall" ? 3 : undefined)
                // A large body that nobody reads holds its connection until its reader comes.
                const read = Effect.flatMap(sent, (response) => (reads || kind !== "ok" ? response.text : Effect.void))
                return Effect.exit(turns === undefined ? read : Effect.raceFirst(read, afterTurns(turns)))
              },
              { concurrency: "unbounded", discard: true }
            )
            isOver = true
            expect(most).toBeLessThanOrEqual(Math.min(maxConnections, maxConnectionsPerOrigin))
            yield* until(() => {
              const { idle, open } = pool.statsUnsafe()
              return open === idle && idle <= maxKeepAliveConnections && server.sockets.size === open
            })
            expect(pool.statsUnsafe()).toMatchObject({ inFlight: 0, waiting: 0 })
          })
        )
      )
    }),
    { numRuns: 60 }
  )
})
