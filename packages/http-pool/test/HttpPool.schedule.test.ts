// The pool over a transport without a network: schedules of requests, of the
// transport's turns and of the pool's own fibers, with a request given up before
// any primitive.

import * as dns from "node:dns/promises"
import * as http2 from "node:http2"
import * as tls from "node:tls"
import { Explorer } from "@sluice/schedule-explorer"
import { Clock, Effect, Exit, Fiber, PubSub } from "effect"
import type { HttpClient } from "effect/http"
import { describe, it } from "vitest"
import type { Options, PoolEvent } from "../src/HttpPool.ts"
import { makeClient } from "../src/internal/client.ts"
import { Names } from "../src/internal/names.ts"
import { settings } from "../src/internal/options.ts"
import { Pool } from "../src/internal/pool.ts"
import { poolStats } from "../src/internal/stats.ts"
import { type FakeTransport, fakeTransport } from "./fakeTransport.ts"

const dieUnless = (holds: boolean, message: string) => (holds ? Effect.void : Effect.die(message))

interface Fixture {
  readonly pool: Pool
  readonly client: HttpClient.HttpClient
  readonly isolated: HttpClient.HttpClient
  readonly transport: FakeTransport
}

/** A pool that has to keep to its limits at any moment, and to be empty at the end. */
const fixture = (options: Options, isUnreachable = false): Effect.Effect<Fixture> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const transport = fakeTransport(isUnreachable)
    const checked = settings({ warnAfter: "1 day", ...options })
    const network = { ...transport.network, tls, http2, dns }
    const pool = new Pool({
      settings: checked,
      undici: transport.undici,
      route: {
        network,
        names: new Names(network, clock, checked.dnsMillis, 10),
        tls: {},
        proxy: undefined,
        socketPath: undefined,
        localAddress: undefined
      },
      clock,
      events: yield* PubSub.dropping<PoolEvent>(10),
      Multiplexer: undefined,
      warn: () => {}
    })
    const { sockets, wire } = transport
    const most = checked.maxConnections
    yield* Explorer.always("requests on the wire", () => wire.now <= most || `${wire.now} of ${most}`)
    yield* Explorer.always("sockets", () => sockets.now <= most || `${sockets.now} of ${most}`)
    yield* Explorer.atEnd("the pool is idle", () => {
      const { inFlight, waiting } = poolStats(pool)
      return (inFlight === 0 && waiting === 0) || `${inFlight} in flight, ${waiting} waiting`
    })
    yield* Explorer.atEnd("no socket is open after the end", () => sockets.now === 0 || `${sockets.now} are`)
    return { pool, client: makeClient(pool, false), isolated: makeClient(pool, true), transport }
  })

const get = (client: HttpClient.HttpClient, path: string) =>
  Effect.flatMap(client.get(`http://127.0.0.1${path}`), (response) => response.text)

/** Lets requests come to their end; `whole` are those that were answered in full. */
const settled = <A, E>(fibers: ReadonlyArray<Fiber.Fiber<A, E>>) =>
  Effect.gen(function* () {
    const exits = yield* Effect.forEach(fibers, Fiber.await)
    for (const exit of exits) {
      const isDefect = Exit.isFailure(exit) && exit.cause.reasons.some(({ _tag }) => _tag === "Die")
      yield* dieUnless(!isDefect, String(exit))
    }
    return { exits, whole: exits.flatMap((exit) => (Exit.isSuccess(exit) ? [exit.value] : [])) }
  })

/** Every schedule with a preemption or an interruption anywhere; then three and two of them at random. */
const holds = (program: Effect.Effect<unknown, unknown>, preemptions = 1): void => {
  const maxSchedules = 100_000
  Explorer.assert(program, {
    platform: "virtual",
    strategy: Explorer.exhaustive({ maxPreemptions: preemptions, maxSchedules })
  })
  Explorer.assert(program, {
    platform: "virtual",
    interruptions: 1,
    strategy: Explorer.exhaustive({ maxPreemptions: 0, maxSchedules })
  })
  Explorer.assert(program, {
    platform: "virtual",
    interruptions: 2,
    strategy: Explorer.random({ runs: 1500, seed: 12, maxPreemptions: 3 })
  })
  Explorer.assert(program, {
    platform: "virtual",
    interruptions: 1,
    strategy: Explorer.pct({ runs: 1500, seed: 5, depth: 3 })
  })
}

describe("HttpPool over a transport without a network", () => {
  it("answers all that are not given up, one at a time on one connection", () => {
    holds(
      Effect.gen(function* () {
        const { client, pool, transport } = yield* fixture({ maxConnections: 1 })
        const fibers = yield* Effect.forEach(["/a", "/b"], (path) => Effect.forkChild(get(client, path)))
        const { exits, whole } = yield* settled(fibers)
        const interrupted = exits.filter(Exit.hasInterrupts).length
        yield* dieUnless(whole.length + interrupted === 2, `${whole.length} answered, ${interrupted} given up`)
        yield* dieUnless(transport.wire.all <= 2, "a request was sent twice")
        yield* Explorer.spared(pool.close)
      })
    )
  })

  it("takes nothing from who waits where another gives up or its answer never comes", () => {
    holds(
      Effect.gen(function* () {
        const { client, pool } = yield* fixture({ maxConnections: 1, readTimeout: "1 second" })
        const stalled = yield* Effect.forkChild(get(client, "/stall"))
        const fiber = yield* Effect.forkChild(get(client, "/b"))
        const { exits } = yield* settled([stalled, fiber])
        const [, other] = exits
        yield* dieUnless(
          other !== undefined && (Exit.isSuccess(other) || Exit.hasInterrupts(other)),
          `who waited got ${other}`
        )
        yield* Explorer.spared(pool.close)
      })
    )
  })

  it("ends a wait for a connection in time, with the connection for whoever is next", () => {
    holds(
      Effect.gen(function* () {
        const { client, pool } = yield* fixture({ maxConnections: 1, poolTimeout: "1 second", readTimeout: "1 second" })
        const fibers = yield* Effect.forEach(["/stall", "/b"], (path) => Effect.forkChild(get(client, path)))
        yield* settled(fibers)
        const { exits } = yield* settled([yield* Effect.forkChild(get(client, "/c"))])
        yield* dieUnless(
          exits.every((exit) => Exit.isSuccess(exit) || Exit.hasInterrupts(exit)),
          "the pool is stuck"
        )
        yield* Explorer.spared(pool.close)
      })
    )
  })

  it("replays a request that failed on a used connection once, and no other", () => {
    holds(
      Effect.gen(function* () {
        const { client, pool, transport } = yield* fixture({ maxConnections: 1 })
        yield* Explorer.spared(get(client, "/warm"))
        yield* settled([yield* Effect.forkChild(get(client, "/reset"))])
        yield* dieUnless(transport.wire.all <= 3, `${transport.wire.all - 1} tries`)
        yield* Explorer.spared(pool.close)
      }),
      2
    )
  })

  it("gives up connecting in time, and leaves no socket", () => {
    holds(
      Effect.gen(function* () {
        const { client, pool } = yield* fixture({ maxConnections: 1, connectTimeout: "1 second" }, true)
        const { whole } = yield* settled([
          yield* Effect.forkChild(get(client, "/a")),
          yield* Effect.forkChild(get(client, "/b"))
        ])
        yield* dieUnless(whole.length === 0, "somebody got through")
        yield* Explorer.spared(pool.close)
      }),
      2
    )
  })

  it("closes an isolated connection whatever became of its request", () => {
    holds(
      Effect.gen(function* () {
        const { isolated, pool, transport } = yield* fixture({ maxConnections: 2 })
        yield* settled([yield* Effect.forkChild(get(isolated, "/a")), yield* Effect.forkChild(get(isolated, "/reset"))])
        yield* dieUnless(transport.sockets.now === 0, "a socket outlives its request")
        yield* Explorer.spared(pool.close)
      })
    )
  })

  it("lets what is in flight end when it closes, and ends what waits", () => {
    holds(
      Effect.gen(function* () {
        const { client, pool } = yield* fixture({ maxConnections: 1, drainTimeout: "1 second" })
        const fibers = yield* Effect.forEach(["/a", "/b"], (path) => Effect.forkChild(get(client, path)))
        yield* Effect.yieldNow
        yield* Explorer.spared(pool.close)
        yield* settled(fibers)
      })
    )
  })
})
