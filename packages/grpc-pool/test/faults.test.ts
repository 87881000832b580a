import * as net from "node:net"
import { Code } from "@connectrpc/connect"
import { expect, it } from "@effect/vitest"
import { GrpcPool, GrpcRetry } from "@sluice/grpc-pool"
import { EchoServer, EchoService } from "@sluice/grpc-pool/testing"
import { Backoff, RetryBudget } from "@sluice/retry"
import { Effect, Exit, Fiber, Scope, Stream } from "effect"
import { kill, startServer } from "./processes.ts"
import { until } from "./until.ts"

/** An address where nobody listens. */
const deadAddress = Effect.callback<string>((resume) => {
  const server = net.createServer().listen(0, "127.0.0.1", () => {
    const bound = server.address()
    const port = typeof bound === "object" && bound !== null ? bound.port : 0
    server.close(() => resume(Effect.succeed(`127.0.0.1:${port}`)))
  })
})

/** Stands between a client and a server, and can stop to read from both without a word. */
const makeProxy = (target: number) =>
  Effect.acquireRelease(
    Effect.callback<{ address: string; stop: () => void; accepted: () => number; close: () => void }>((resume) => {
      const sockets = new Set<net.Socket>()
      let accepted = 0
      const server = net.createServer((client) => {
        accepted++
        const upstream = net.connect(target, "127.0.0.1")
        for (const [socket, other] of [
          [client, upstream],
          [upstream, client]
        ] as const) {
          sockets.add(socket)
          socket.on("error", () => {})
          socket.on("close", () => {
            sockets.delete(socket)
            other.destroy()
          })
          socket.pipe(other)
        }
      })
      server.listen(0, "127.0.0.1", () => {
        const bound = server.address()
        const port = typeof bound === "object" && bound !== null ? bound.port : 0
        resume(
          Effect.succeed({
            address: `127.0.0.1:${port}`,
            stop: () => {
              for (const socket of sockets) {
                socket.unpipe()
                socket.pause()
              }
            },
            accepted: () => accepted,
            close: () => {
              server.close()
              for (const socket of sockets) socket.destroy()
            }
          })
        )
      })
    }),
    (proxy) => Effect.sync(proxy.close)
  )

const patient = () =>
  GrpcRetry.policy({
    maxAttempts: 100,
    backoff: Backoff.exponential({ base: "10 millis", cap: "200 millis" }),
    budget: RetryBudget.makeUnsafe({ ratio: 1000, minPerSecond: 1e6 })
  })

it.live("loses no call that may be repeated while its server is killed and restarted under load", () =>
  Effect.gen(function* () {
    const first = yield* startServer()
    const pool = yield* GrpcPool.make({ addresses: [`127.0.0.1:${first.port}`] })
    const retry = patient()
    const echo = pool.client(EchoService, { retry, timeout: "25 seconds" })
    let done = 0
    const isOver = { value: false }
    const worker = Effect.gen(function* () {
      while (!isOver.value) {
        const message = `${done}`
        expect((yield* echo.echo({ message, delayMillis: 1 })).message).toBe(message)
        done++
      }
    })
    const workers = yield* Effect.forkChild(
      Effect.all(
        Array.from({ length: 20 }, () => worker),
        { concurrency: "unbounded", discard: true }
      )
    )
    for (let i = 0; i < 2; i++) {
      const before = done
      yield* until(() => done > before + 100)
      if (i === 0) yield* kill(first.process)
      else break
      yield* until(() => pool.statsUnsafe().addresses[0]?.state === "failed")
      yield* startServer(first.port)
    }
    isOver.value = true
    yield* Fiber.join(workers)
    const stats = pool.statsUnsafe()
    expect(stats).toMatchObject({ open: 1, created: 2, closed: 1, streamsInUse: 0, waiting: 0 })
    expect(retry.statsUnsafe()).toMatchObject({ succeeded: done })
    expect(retry.statsUnsafe().retries).toBeGreaterThan(0)
    console.log(`killed and restarted: ${done} calls, ${retry.statsUnsafe().retries} retries, none lost`)
  })
)

it.live("lets calls wait while their server is away, where that is asked for", () =>
  Effect.gen(function* () {
    const first = yield* startServer()
    const pool = yield* GrpcPool.make({ addresses: [`127.0.0.1:${first.port}`], waitForReady: true })
    const echo = pool.client(EchoService, { timeout: "25 seconds" })
    yield* echo.echo({ message: "before" })
    yield* kill(first.process)
    yield* until(() => pool.statsUnsafe().open === 0)
    const waiting = yield* Effect.forkChild(
      Effect.forEach(Array(20).keys(), (i) => echo.echo({ message: `${i}` }), { concurrency: "unbounded" })
    )
    yield* until(() => pool.statsUnsafe().waiting === 20 && pool.statsUnsafe().addresses[0]?.state === "failed")
    yield* startServer(first.port)
    expect((yield* Fiber.join(waiting)).map(({ message }) => Number(message))).toEqual([...Array(20).keys()])
  })
)

it.live("tells a call in flight that its server died, and that it may have been acted on", () =>
  Effect.gen(function* () {
    const server = yield* startServer()
    const pool = yield* GrpcPool.make({ addresses: [`127.0.0.1:${server.port}`] })
    const echo = pool.client(EchoService)
    yield* pool.warmUp
    const unary = yield* Effect.forkChild(Effect.flip(echo.echo({ message: "a", delayMillis: 60_000 })))
    const stream = yield* Effect.forkChild(Effect.flip(Stream.runDrain(echo.count({ to: 5, delayMillis: 60_000 }))))
    yield* until(() => pool.statsUnsafe().streamsInUse === 2)
    // A call that the server has answered shows that it has the two before.
    yield* echo.echo({ message: "b" })
    yield* kill(server.process)
    expect(yield* Fiber.join(unary)).toMatchObject({ code: Code.Unavailable, isSent: true })
    expect(yield* Fiber.join(stream)).toMatchObject({ code: Code.Unavailable, isSent: true })
    yield* until(() => pool.statsUnsafe().open === 0)
    const refused = yield* Effect.flip(echo.echo({ message: "c" }))
    expect(refused).toMatchObject({ code: Code.Unavailable, isSent: false })
    expect(refused.details).toContain("cannot connect")
    expect(pool.statsUnsafe()).toMatchObject({ streamsInUse: 0, waiting: 0 })
  })
)

it.live("finishes what it has after a GOAWAY, and goes on over a new session", () =>
  Effect.gen(function* () {
    const server = yield* EchoServer.make()
    const pool = yield* GrpcPool.make({ addresses: [server.address] })
    const echo = pool.client(EchoService)
    yield* pool.warmUp
    const inFlight = yield* Effect.forkChild(
      Effect.forEach(Array(20).keys(), (i) => echo.echo({ message: `${i}`, delayMillis: 100 }), {
        concurrency: "unbounded"
      })
    )
    yield* until(() => server.statsUnsafe().running === 20)
    server.goAway()
    yield* until(() => pool.statsUnsafe().addresses[0]?.state !== "ready")
    expect((yield* echo.echo({ message: "after" })).message).toBe("after")
    expect((yield* Fiber.join(inFlight)).map(({ message }) => Number(message))).toEqual([...Array(20).keys()])
    yield* until(() => pool.statsUnsafe().open === 1)
    expect(pool.statsUnsafe()).toMatchObject({ created: 2, closed: 1, failures: 0, succeeded: 21 })
  })
)

it.live("loses no call to a GOAWAY every few milliseconds under load", () =>
  Effect.gen(function* () {
    const server = yield* EchoServer.make()
    const pool = yield* GrpcPool.make({ addresses: [server.address] })
    const echo = pool.client(EchoService)
    let done = 0
    const call = Effect.suspend(() => echo.echo({ message: `${done++}`, delayMillis: done % 3 }))
    const load = yield* Effect.forkChild(
      Effect.forEach(Array(600).keys(), () => call, { concurrency: 30, discard: true })
    )
    for (let i = 1; i <= 5; i++) {
      yield* until(() => done >= i * 90)
      server.goAway()
    }
    yield* Fiber.join(load)
    expect(pool.statsUnsafe()).toMatchObject({ succeeded: 600, failures: 0, streamsInUse: 0 })
    expect(pool.statsUnsafe().created).toBeGreaterThan(1)
  })
)

it.live("closes a session whose server stops reading, and goes on over another", () =>
  Effect.gen(function* () {
    const server = yield* EchoServer.make()
    const proxy = yield* makeProxy(server.port)
    const pool = yield* GrpcPool.make({
      addresses: [proxy.address],
      keepAlive: { interval: "100 millis", timeout: "200 millis" }
    })
    const echo = pool.client(EchoService)
    yield* pool.warmUp
    proxy.stop()
    const stuck = yield* Effect.flip(echo.echo({ message: "into the void" }))
    expect(stuck).toMatchObject({ code: Code.Unavailable, isSent: true })
    expect(stuck.details).toContain("no answer to a ping within 200 ms")
    expect((yield* echo.echo({ message: "after" })).message).toBe("after")
    expect(proxy.accepted()).toBe(2)
    expect(pool.statsUnsafe()).toMatchObject({ streamsInUse: 0, created: 2, closed: 1 })
  })
)

it.live("ends calls by their deadlines where a server stops reading, and keeps no stream", () =>
  Effect.gen(function* () {
    const server = yield* EchoServer.make()
    const proxy = yield* makeProxy(server.port)
    const pool = yield* GrpcPool.make({ addresses: [proxy.address] })
    const echo = pool.client(EchoService, { timeout: "100 millis" })
    yield* pool.warmUp
    proxy.stop()
    const errors = yield* Effect.forEach(
      Array(20).keys(),
      () => Effect.flip(echo.echo({ message: "x".repeat(100_000) })),
      { concurrency: "unbounded" }
    )
    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set([Code.DeadlineExceeded]))
    yield* until(() => pool.statsUnsafe().streamsInUse === 0)
    yield* pool.remove(proxy.address)
    expect(pool.statsUnsafe().open).toBe(0)
  })
)

it.live("fails no call where one address of three is dead", () =>
  Effect.gen(function* () {
    const [a, b, dead] = yield* Effect.all([EchoServer.make(), EchoServer.make(), deadAddress])
    for (const balance of ["least-loaded", "round-robin"] as const) {
      const pool = yield* GrpcPool.make({ addresses: [dead, a.address, b.address], balance })
      const echo = pool.client(EchoService)
      yield* Effect.forEach(Array(300).keys(), (i) => echo.echo({ message: `${i}` }), { concurrency: 30 })
      yield* until(() => pool.statsUnsafe().addresses[0]?.state === "failed")
      const stats = pool.statsUnsafe()
      expect(stats).toMatchObject({ succeeded: 300, failures: 0, created: 2, open: 2 })
      expect(stats.addresses[0]).toMatchObject({ state: "failed", calls: 0 })
      expect(stats.addresses[0]?.lastError).toContain("ECONNREFUSED")
    }
  })
)

it.live("fails no call where one address of three accepts and says nothing", () =>
  Effect.gen(function* () {
    const [a, b] = yield* Effect.all([EchoServer.make(), EchoServer.make()])
    const silent = yield* Effect.acquireRelease(
      Effect.callback<net.Server>((resume) => {
        const server = net.createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    )
    const bound = silent.address()
    const address = `127.0.0.1:${typeof bound === "object" && bound !== null ? bound.port : 0}`
    const pool = yield* GrpcPool.make({ addresses: [address, a.address, b.address], connectTimeout: "100 millis" })
    const echo = pool.client(EchoService)
    yield* Effect.forEach(Array(300).keys(), (i) => echo.echo({ message: `${i}` }), { concurrency: 30 })
    yield* until(() => pool.statsUnsafe().addresses[0]?.state === "failed")
    expect(pool.statsUnsafe()).toMatchObject({ succeeded: 300, failures: 0 })
    expect(pool.statsUnsafe().addresses[0]?.lastError).toBe("not ready within 100 ms")
  })
)

it.live("uses an address again once its server is there", () =>
  Effect.gen(function* () {
    const dead = yield* deadAddress
    const other = yield* EchoServer.make()
    const pool = yield* GrpcPool.make({
      addresses: [dead, other.address],
      balance: "round-robin",
      reconnect: { base: "5 millis", cap: "20 millis" }
    })
    const echo = pool.client(EchoService)
    expect(yield* pool.warmUp).toBe(1)
    const late = yield* EchoServer.make({ port: Number(dead.split(":")[1]) })
    yield* until(() => pool.statsUnsafe().addresses[0]?.state === "ready")
    yield* Effect.forEach(Array(10).keys(), (i) => echo.echo({ message: `${i}` }))
    expect([late.statsUnsafe().calls, other.statsUnsafe().calls]).toEqual([5, 5])
  })
)

it.live("lets calls in flight finish when its scope ends, and takes no more", () =>
  Effect.gen(function* () {
    const server = yield* EchoServer.make()
    const scope = yield* Scope.make()
    const pool = yield* Scope.provide(GrpcPool.make({ addresses: [server.address] }), scope)
    const echo = pool.client(EchoService)
    const inFlight = yield* Effect.forkChild(echo.echo({ message: "a", delayMillis: 100 }))
    yield* until(() => server.statsUnsafe().running === 1)
    const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
    expect(yield* Effect.flip(echo.echo({ message: "b" }))).toMatchObject({
      code: Code.Unavailable,
      details: "the pool is closed",
      isSent: false
    })
    expect((yield* Fiber.join(inFlight)).message).toBe("a")
    yield* Fiber.join(closing)
    yield* until(() => server.statsUnsafe().connections === 0)
    expect(pool.statsUnsafe()).toMatchObject({ open: 0, streamsInUse: 0 })
  })
)

it.live("cuts off at the end of a drain what has not finished", () =>
  Effect.gen(function* () {
    const server = yield* EchoServer.make()
    const pool = yield* GrpcPool.make({ addresses: [server.address], drainTimeout: "50 millis" })
    const stuck = yield* Effect.forkChild(
      Effect.flip(pool.client(EchoService).echo({ message: "a", delayMillis: 60_000 }))
    )
    yield* until(() => server.statsUnsafe().running === 1)
    yield* pool.close
    expect(yield* Fiber.join(stuck)).toMatchObject({ code: Code.Unavailable, details: "the pool is closed" })
    yield* until(() => server.statsUnsafe().connections === 0)
  })
)
