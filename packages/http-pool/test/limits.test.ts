import type { ServerResponse } from "node:http"
import { describe, expect, it } from "@effect/vitest"
import { HttpPool } from "@sluice/http-pool"
import { Cause, Effect, Exit, Fiber, Logger, Option, Stream } from "effect"
import { TestClock } from "effect/testing"
import { listen, unscoped, until } from "./servers.ts"

/** A server that answers when it is told to. */
const holding = Effect.gen(function* () {
  const held: Array<ServerResponse> = []
  let most = 0
  const server = yield* listen((request, response) => {
    held.push(response)
    response.setHeader("x-url", request.url ?? "")
    most = Math.max(most, held.length)
  })
  return { ...server, held, most: () => most, answerOne: () => held.shift()?.end("ok") }
})

const failureOf = <A, E>(exit: Exit.Exit<A, E>): string =>
  Exit.isFailure(exit)
    ? Option.match(HttpPool.poolError(Cause.squash(exit.cause)), {
        onNone: () => "none",
        onSome: (error) => error._tag
      })
    : "none"

describe("limits", () => {
  it.effect("keeps requests and connections within the limit of the pool", () =>
    Effect.gen(function* () {
      const a = yield* holding
      const b = yield* holding
      const pool = yield* HttpPool.make({ maxConnections: 3, maxKeepAliveConnections: 3 })
      const fibers = yield* Effect.forEach(Array.from({ length: 20 }), (_, i) =>
        Effect.forkScoped(unscoped(Effect.flatMap(pool.client.get(i % 2 === 0 ? a.url : b.url), (r) => r.text)))
      )
      let answered = 0
      while (answered < 20) {
        yield* until(() => a.held.length + b.held.length > 0)
        const stats = pool.statsUnsafe()
        expect(stats.inFlight).toBeLessThanOrEqual(3)
        expect(stats.open).toBeLessThanOrEqual(3)
        expect(a.held.length + b.held.length).toBeLessThanOrEqual(3)
        if (a.held.length > 0) a.answerOne()
        else b.answerOne()
        answered++
      }
      for (const fiber of fibers) expect(yield* Fiber.join(fiber)).toBe("ok")
      expect(pool.statsUnsafe()).toMatchObject({ admitted: 20, inFlight: 0, waiting: 0 })
    })
  )

  it.effect("keeps requests within the limit of an origin, and lets others pass", () =>
    Effect.gen(function* () {
      const a = yield* holding
      const b = yield* holding
      const pool = yield* HttpPool.make({ maxConnections: 4, maxConnectionsPerOrigin: 2 })
      const get = (url: string) => Effect.forkScoped(unscoped(Effect.flatMap(pool.client.get(url), (r) => r.text)))
      yield* Effect.forEach([1, 2, 3, 4], () => get(a.url))
      yield* get(b.url)
      yield* until(() => a.held.length === 2 && b.held.length === 1)
      const stats = pool.statsUnsafe()
      expect(stats).toMatchObject({ inFlight: 3, waiting: 2 })
      expect(stats.origins.find(({ origin }) => origin === a.url)).toMatchObject({ inFlight: 2, waiting: 2 })
    })
  )

  it.effect("serves those who wait in the order of their arrival", () =>
    Effect.gen(function* () {
      const server = yield* holding
      const pool = yield* HttpPool.make({ maxConnections: 1 })
      yield* Effect.forEach([0, 1, 2, 3, 4], (i) => Effect.forkScoped(unscoped(pool.client.get(`${server.url}/${i}`))))
      for (const i of [0, 1, 2, 3, 4]) {
        yield* until(() => server.held.length === 1)
        expect(server.held[0]?.getHeader("x-url")).toBe(`/${i}`)
        server.answerOne()
      }
    })
  )

  it.effect("refuses who has waited for the pool timeout", () =>
    Effect.gen(function* () {
      const server = yield* holding
      const pool = yield* HttpPool.make({ maxConnections: 1, poolTimeout: "10 seconds" })
      yield* Effect.forkScoped(unscoped(pool.client.get(server.url)))
      yield* until(() => server.held.length === 1)
      const late = yield* Effect.forkScoped(unscoped(Effect.exit(pool.client.get(server.url))))
      yield* until(() => pool.statsUnsafe().waiting === 1)
      yield* TestClock.adjust("9 seconds")
      expect(pool.statsUnsafe()).toMatchObject({ waiting: 1, rejected: 0 })
      yield* TestClock.adjust("1 second")
      const exit = yield* Fiber.join(late)
      expect(failureOf(exit)).toBe("@sluice/http-pool/PoolTimeout")
      const error = Option.getOrThrow(HttpPool.poolError(Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined))
      expect(error).toMatchObject({
        origin: server.url,
        phase: "waiting",
        elapsedMillis: 10_000,
        mayHaveReachedServer: false
      })
      expect(pool.statsUnsafe()).toMatchObject({ waiting: 0, rejected: 1, inFlight: 1 })
    })
  )

  it.effect("warns when requests wait for long, once a minute", () =>
    Effect.gen(function* () {
      const warnings: Array<unknown> = []
      const logger = Logger.make(({ logLevel, message }) => {
        if (logLevel === "Warn") warnings.push(message)
      })
      const server = yield* holding
      const pool = yield* Effect.provide(
        HttpPool.make({ maxConnections: 1, warnAfter: "5 seconds" }),
        Logger.layer([logger])
      )
      const get = Effect.forkScoped(unscoped(Effect.flatMap(pool.client.get(server.url), (response) => response.text)))
      yield* get
      yield* until(() => server.held.length === 1)
      yield* get
      yield* TestClock.adjust("4999 millis")
      yield* get
      yield* until(() => pool.statsUnsafe().waiting === 2)
      expect(warnings).toEqual([])
      yield* TestClock.adjust("1 millis")
      yield* get
      yield* get
      yield* until(() => pool.statsUnsafe().waiting === 4)
      yield* Effect.yieldNow
      expect(warnings).toEqual([
        [
          `HTTP pool exhausted: a request to ${server.url} has waited 5000 ms for a connection, 3 wait ` +
            "(maxConnections 1, maxConnectionsPerOrigin 1)"
        ]
      ])
      yield* TestClock.adjust("1 minute")
      yield* get
      yield* until(() => pool.statsUnsafe().waiting === 5)
      yield* Effect.yieldNow
      expect(warnings).toHaveLength(2)
    })
  )

  it.effect("tells of connections that open and close, and of waiting", () =>
    Effect.gen(function* () {
      const server = yield* holding
      const pool = yield* HttpPool.make({ maxConnections: 1, maxKeepAliveConnections: 0 })
      const events: Array<HttpPool.PoolEvent> = []
      yield* Effect.forkScoped(Stream.runForEach(pool.events, (event) => Effect.sync(() => events.push(event))))
      yield* Effect.yieldNow
      const get = unscoped(Effect.flatMap(pool.client.get(server.url), (response) => response.text))
      const both = yield* Effect.forkScoped(Effect.all([get, get], { concurrency: 2 }))
      for (let i = 0; i < 2; i++) {
        yield* until(() => server.held.length === 1)
        server.answerOne()
      }
      yield* Fiber.join(both)
      yield* until(() => events.length === 5)
      const origin = server.url
      expect(events).toEqual([
        { _tag: "Exhausted", origin },
        { _tag: "Opened", origin },
        { _tag: "Closed", origin, reason: "evicted" },
        { _tag: "Opened", origin },
        { _tag: "Closed", origin, reason: "evicted" }
      ])
    })
  )

  it.effect("forgets the origin that is unused the longest, past the limit of origins", () =>
    Effect.gen(function* () {
      const servers = yield* Effect.forEach([1, 2, 3], () => listen((_, response) => response.end("ok")))
      const pool = yield* HttpPool.make({ maxKeepAliveConnections: 0, maxOrigins: 2 })
      for (const { url } of servers) yield* unscoped(Effect.flatMap(pool.client.get(url), (r) => r.text))
      expect(pool.statsUnsafe().origins.map(({ origin }) => origin)).toEqual(servers.slice(1).map(({ url }) => url))
    })
  )
})

describe("keep-alive", () => {
  const answering = listen((_, response) => response.end("ok"))
  const getAll = (pool: HttpPool.HttpPool, url: string, n: number) =>
    unscoped(
      Effect.forEach(Array.from({ length: n }), () => Effect.flatMap(pool.client.get(url), (r) => r.text), {
        concurrency: "unbounded"
      })
    )

  it.effect("keeps so many idle connections over all origins, and closes the coldest", () =>
    Effect.gen(function* () {
      const a = yield* answering
      const b = yield* answering
      const pool = yield* HttpPool.make({ maxKeepAliveConnections: 3 })
      yield* getAll(pool, a.url, 5)
      yield* getAll(pool, b.url, 2)
      yield* until(() => a.sockets.size === 1 && b.sockets.size === 2)
      expect(pool.statsUnsafe()).toMatchObject({ idle: 3, open: 3, created: 7, closed: 4, closedBy: { evicted: 4 } })
    })
  )

  it.effect("uses a connection again", () =>
    Effect.gen(function* () {
      const server = yield* answering
      const pool = yield* HttpPool.make()
      for (let i = 0; i < 10; i++) yield* getAll(pool, server.url, 1)
      expect(server.accepted()).toBe(1)
      expect(pool.statsUnsafe()).toMatchObject({ created: 1, reused: 9 })
    })
  )

  it.effect("uses none again when none may be kept", () =>
    Effect.gen(function* () {
      const server = yield* answering
      const pool = yield* HttpPool.make({ maxKeepAliveConnections: 0 })
      for (let i = 0; i < 5; i++) yield* getAll(pool, server.url, 1)
      yield* until(() => server.sockets.size === 0)
      expect(server.accepted()).toBe(5)
    })
  )

  it.effect("makes room for another origin by closing an idle connection", () =>
    Effect.gen(function* () {
      const a = yield* answering
      const b = yield* answering
      const pool = yield* HttpPool.make({ maxConnections: 2, maxKeepAliveConnections: 2 })
      yield* getAll(pool, a.url, 2)
      yield* getAll(pool, b.url, 1)
      yield* until(() => a.sockets.size === 1)
      expect(pool.statsUnsafe()).toMatchObject({ open: 2, idle: 2, closedBy: { evicted: 1 } })
    })
  )

  it.effect("closes a connection that was idle for too long", () =>
    Effect.gen(function* () {
      const server = yield* answering
      const pool = yield* HttpPool.make({ keepAliveExpiry: 20 })
      yield* getAll(pool, server.url, 2)
      yield* until(() => server.sockets.size === 0 && pool.statsUnsafe().closed === 2)
      expect(pool.statsUnsafe()).toMatchObject({ idle: 0, open: 0, closedBy: { expired: 2 } })
    })
  )

  it.effect("closes what the server says it will close", () =>
    Effect.gen(function* () {
      const server = yield* listen((_, response) => response.setHeader("connection", "close").end("ok"))
      const pool = yield* HttpPool.make()
      yield* getAll(pool, server.url, 3)
      yield* until(() => pool.statsUnsafe().closed === 3)
      expect(pool.statsUnsafe()).toMatchObject({ idle: 0, open: 0, closedBy: { peer: 3 } })
    })
  )

  it.effect("notices that the server closes an idle connection", () =>
    Effect.gen(function* () {
      const server = yield* answering
      const pool = yield* HttpPool.make()
      yield* getAll(pool, server.url, 1)
      for (const socket of server.sockets) socket.end()
      yield* until(() => pool.statsUnsafe().closed === 1)
      expect(pool.statsUnsafe()).toMatchObject({ idle: 0, open: 0, closedBy: { peer: 1 } })
    })
  )

  it.effect("retires a connection by age and by use", () =>
    Effect.gen(function* () {
      const server = yield* answering
      const used = yield* HttpPool.make({ maxRequestsPerConnection: 2 })
      for (let i = 0; i < 5; i++) yield* getAll(used, server.url, 1)
      expect(used.statsUnsafe()).toMatchObject({ created: 3, closedBy: { retired: 2 } })
      const aged = yield* HttpPool.make({ maxConnectionAge: "1 minute" })
      yield* getAll(aged, server.url, 1)
      yield* TestClock.adjust("59 seconds")
      yield* getAll(aged, server.url, 1)
      yield* TestClock.adjust("1 second")
      yield* getAll(aged, server.url, 1)
      expect(aged.statsUnsafe()).toMatchObject({ created: 2, reused: 1, closedBy: { retired: 1 } })
    })
  )

  it.effect("gives an isolated request a connection of its own", () =>
    Effect.gen(function* () {
      const server = yield* answering
      const pool = yield* HttpPool.make()
      yield* getAll(pool, server.url, 1)
      for (let i = 0; i < 4; i++) yield* unscoped(Effect.flatMap(pool.isolated.get(server.url), (r) => r.text))
      yield* until(() => server.sockets.size === 1)
      expect(server.accepted()).toBe(5)
      expect(pool.statsUnsafe()).toMatchObject({ idle: 1, open: 1, closedBy: { isolated: 4 } })
    })
  )
})
