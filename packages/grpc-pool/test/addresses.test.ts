import { Code } from "@connectrpc/connect"
import { expect, it } from "@effect/vitest"
import { GrpcPool } from "@sluice/grpc-pool"
import { EchoServer, EchoService } from "@sluice/grpc-pool/testing"
import { Effect, Fiber, Stream } from "effect"
import { until } from "./until.ts"

const servers = (count: number, options?: EchoServer.Options) =>
  Effect.all(Array.from({ length: count }, () => EchoServer.make(options)))

const calls = (each: ReadonlyArray<EchoServer.EchoServer>) => each.map((server) => server.statsUnsafe().calls)

it.live("opens one session to an address, however many call at once on a cold pool", () =>
  Effect.gen(function* () {
    const server = yield* EchoServer.make({ maxConcurrentStreams: 1_000 })
    const pool = yield* GrpcPool.make({ addresses: [server.address] })
    const echo = pool.client(EchoService)
    yield* Effect.forEach(Array(250).keys(), (i) => echo.echo({ message: `${i}` }), { concurrency: "unbounded" })
    expect(pool.statsUnsafe()).toMatchObject({ created: 1, open: 1, calls: 250, reused: 249, succeeded: 250 })
    expect(server.statsUnsafe().accepted).toBe(1)
  })
)

it.live("opens as many sessions as it needs streams, and refuses none of a cold burst", () =>
  Effect.gen(function* () {
    const server = yield* EchoServer.make({ maxConcurrentStreams: 100 })
    const pool = yield* GrpcPool.make({ addresses: [server.address] })
    const echo = pool.client(EchoService)
    yield* Effect.forEach(Array(250).keys(), (i) => echo.echo({ message: `${i}`, delayMillis: 300 }), {
      concurrency: "unbounded"
    })
    expect(pool.statsUnsafe()).toMatchObject({ created: 3, open: 3, succeeded: 250, failures: 0 })
    expect(server.statsUnsafe().mostRunning).toBe(250)
  })
)

it.live("never has more streams on a session than its server allows, and has the rest wait in order", () =>
  Effect.gen(function* () {
    const server = yield* EchoServer.make({ maxConcurrentStreams: 3 })
    const pool = yield* GrpcPool.make({ addresses: [server.address], maxSessionsPerAddress: 2 })
    const echo = pool.client(EchoService)
    yield* pool.warmUp
    const order: Array<number> = []
    const all = yield* Effect.forkChild(
      Effect.forEach(
        Array(40).keys(),
        (i) =>
          Effect.tap(echo.echo({ message: `${i}`, delayMillis: 5 }), ({ call }) => Effect.sync(() => order.push(call))),
        { concurrency: "unbounded" }
      )
    )
    yield* until(() => pool.statsUnsafe().waiting > 30)
    const answers = yield* Fiber.join(all)
    expect(server.statsUnsafe().mostRunning).toBe(6)
    expect(pool.statsUnsafe()).toMatchObject({ created: 2, succeeded: 40, failures: 0, waiting: 0 })
    // The server counts calls as they come. Two sessions may differ by what is on the way.
    for (const [i, { call }] of answers.entries()) expect(Math.abs(call - 1 - i)).toBeLessThanOrEqual(6)
  })
)

it.live("refuses what is over the bound of those who wait", () =>
  Effect.gen(function* () {
    const server = yield* EchoServer.make({ maxConcurrentStreams: 1 })
    const pool = yield* GrpcPool.make({ addresses: [server.address], maxSessionsPerAddress: 1, maxWaiting: 2 })
    const echo = pool.client(EchoService)
    yield* pool.warmUp
    const three = yield* Effect.forkChild(
      Effect.forEach(Array(3).keys(), (i) => echo.echo({ message: `${i}`, delayMillis: 200 }), {
        concurrency: "unbounded"
      })
    )
    yield* until(() => pool.statsUnsafe().waiting === 2)
    expect(yield* Effect.flip(echo.echo({ message: "too many" }))).toMatchObject({
      code: Code.ResourceExhausted,
      details: "no stream is free, and 2 calls wait already",
      isSent: false
    })
    yield* Fiber.join(three)
  })
)

it.live("lets a call that waits leave at its deadline or when it is interrupted", () =>
  Effect.gen(function* () {
    const server = yield* EchoServer.make({ maxConcurrentStreams: 1 })
    const pool = yield* GrpcPool.make({ addresses: [server.address], maxSessionsPerAddress: 1 })
    const echo = pool.client(EchoService)
    yield* pool.warmUp
    const first = yield* Effect.forkChild(echo.echo({ message: "a", delayMillis: 60_000 }))
    yield* until(() => server.statsUnsafe().running === 1)
    const second = yield* Effect.forkChild(echo.echo({ message: "b" }))
    const stream = yield* Effect.forkChild(Stream.runDrain(echo.count({ to: 1 })))
    yield* until(() => pool.statsUnsafe().waiting === 2)
    expect((yield* Effect.flip(echo.echo({ message: "c" }, { timeout: "10 millis" }))).code).toBe(Code.DeadlineExceeded)
    yield* Fiber.interruptAll([second, stream])
    expect(pool.statsUnsafe()).toMatchObject({ waiting: 0, streamsInUse: 1 })
    yield* Fiber.interrupt(first)
    yield* until(() => pool.statsUnsafe().streamsInUse === 0)
    expect((yield* echo.echo({ message: "d" })).message).toBe("d")
  })
)

it.live("sends each call to the next address in turn, where that is chosen", () =>
  Effect.gen(function* () {
    const three = yield* servers(3)
    const pool = yield* GrpcPool.make({ addresses: three.map(({ address }) => address), balance: "round-robin" })
    expect(yield* pool.warmUp).toBe(3)
    const echo = pool.client(EchoService)
    yield* Effect.forEach(Array(30).keys(), (i) => echo.echo({ message: `${i}` }))
    expect(calls(three)).toEqual([10, 10, 10])
    expect(pool.statsUnsafe()).toMatchObject({ created: 3, open: 3 })
  })
)

it.live("sends calls where the fewest streams are in use", () =>
  Effect.gen(function* () {
    const [busy, idle] = yield* Effect.all([EchoServer.make(), EchoServer.make()])
    const pool = yield* GrpcPool.make({ addresses: [busy.address] })
    const echo = pool.client(EchoService)
    const held = yield* Effect.forkChild(
      Effect.forEach(Array(10).keys(), (i) => echo.echo({ message: `${i}`, delayMillis: 60_000 }), {
        concurrency: "unbounded"
      })
    )
    yield* until(() => busy.statsUnsafe().running === 10)
    yield* pool.add(idle.address)
    yield* pool.warmUp
    yield* Effect.forEach(Array(20).keys(), (i) => echo.echo({ message: `${i}` }), { concurrency: 5 })
    expect(calls([busy, idle])).toEqual([10, 20])
    yield* Fiber.interrupt(held)
  })
)

it.live("finishes the calls of an address that is removed, and sends it no more", () =>
  Effect.gen(function* () {
    const [a, b] = yield* Effect.all([EchoServer.make(), EchoServer.make()])
    const pool = yield* GrpcPool.make({ addresses: [a.address] })
    const echo = pool.client(EchoService)
    const inFlight = yield* Effect.forkChild(
      Effect.all(
        [
          Effect.forEach(Array(5).keys(), (i) => echo.echo({ message: `${i}`, delayMillis: 100 }), {
            concurrency: "unbounded"
          }),
          Stream.runCollect(echo.count({ to: 5, delayMillis: 20 }))
        ],
        { concurrency: "unbounded" }
      )
    )
    yield* until(() => a.statsUnsafe().running === 6)
    expect(yield* pool.add(b.address)).toBe(true)
    expect(yield* pool.add(b.address)).toBe(false)
    const removed = yield* Effect.forkChild(pool.remove(a.address), { startImmediately: true })
    expect(pool.statsUnsafe().addresses.map(({ state }) => state)).toContain("draining")
    yield* Effect.forEach(Array(10).keys(), (i) => echo.echo({ message: `${i}` }), { concurrency: 5 })
    expect(calls([a, b])).toEqual([6, 10])
    const [answers, counted] = yield* Fiber.join(inFlight)
    expect([answers.length, counted.length]).toEqual([5, 5])
    expect(yield* Fiber.join(removed)).toBe(true)
    expect(yield* pool.remove(a.address)).toBe(false)
    expect(pool.statsUnsafe().addresses.map(({ address }) => address)).toEqual([b.address])
    yield* until(() => a.statsUnsafe().connections === 0)
    expect(pool.statsUnsafe()).toMatchObject({ calls: 16, succeeded: 16, failures: 0, created: 2, closed: 1 })
  })
)

it.live("hands calls that wait for an address that is removed to another", () =>
  Effect.gen(function* () {
    const [a, b] = yield* servers(2, { maxConcurrentStreams: 1 })
    if (a === undefined || b === undefined) return
    const pool = yield* GrpcPool.make({ addresses: [a.address], maxSessionsPerAddress: 1, waitForReady: true })
    const echo = pool.client(EchoService)
    yield* pool.warmUp
    const held = yield* Effect.forkChild(echo.echo({ message: "held", delayMillis: 300 }))
    yield* until(() => a.statsUnsafe().running === 1)
    const waiting = yield* Effect.forkChild(echo.echo({ message: "waiting" }))
    yield* until(() => pool.statsUnsafe().waiting === 1)
    yield* Effect.forkChild(pool.remove(a.address), { startImmediately: true })
    yield* pool.add(b.address)
    expect((yield* Fiber.join(waiting)).message).toBe("waiting")
    expect(calls([a, b])).toEqual([1, 1])
    yield* Fiber.join(held)
  })
)

it.live("loses no call while addresses come and go under load", () =>
  Effect.gen(function* () {
    const three = yield* servers(3)
    const addresses = three.map(({ address }) => address)
    const pool = yield* GrpcPool.make({ addresses })
    const echo = pool.client(EchoService)
    let done = 0
    const total = 1_000
    const churn = Effect.gen(function* () {
      for (let i = 1; done < total; i++) {
        const address = addresses[1 + (i % 2)] ?? ""
        const before = done
        yield* pool.remove(address)
        yield* pool.add(address)
        // Some calls between two changes, so that addresses have calls when they go.
        yield* until(() => done >= Math.min(total, before + 10))
      }
    })
    const churning = yield* Effect.forkChild(churn)
    const call = (i: number) =>
      Effect.tap(echo.echo({ message: `${i}`, delayMillis: i % 4 }), () => Effect.sync(() => done++))
    yield* Effect.forEach(Array(total).keys(), call, { concurrency: 40, discard: true })
    yield* Fiber.join(churning)
    expect(pool.statsUnsafe()).toMatchObject({ calls: 1_000, succeeded: 1_000, failures: 0, streamsInUse: 0 })
    expect(calls(three).reduce((sum, each) => sum + each, 0)).toBe(1_000)
  })
)

it.live("takes an address out while it says that it is not serving, and brings it back", () =>
  Effect.gen(function* () {
    const [a, b] = yield* Effect.all([EchoServer.make(), EchoServer.make()])
    const pool = yield* GrpcPool.make({
      addresses: [a.address, b.address],
      balance: "round-robin",
      healthCheck: { interval: "5 millis" }
    })
    const echo = pool.client(EchoService)
    const stateOfA = () => pool.statsUnsafe().addresses[0]?.state
    yield* until(() => pool.statsUnsafe().open === 2)
    const inFlight = yield* Effect.forkChild(
      Effect.forEach(Array(2).keys(), (i) => echo.echo({ message: `${i}`, delayMillis: 200 }), { concurrency: 2 })
    )
    yield* until(() => a.statsUnsafe().running === 1)
    a.setServing(false)
    yield* until(() => stateOfA() === "not-serving")
    yield* Effect.forEach(Array(10).keys(), (i) => echo.echo({ message: `${i}` }))
    expect(calls([a, b])).toEqual([1, 11])
    expect((yield* Fiber.join(inFlight)).length).toBe(2)
    b.setServing(false)
    yield* until(() => pool.statsUnsafe().addresses.every(({ state }) => state === "not-serving"))
    expect(yield* Effect.flip(echo.echo({ message: "c" }))).toMatchObject({
      code: Code.Unavailable,
      details: "no address is serving",
      isSent: false
    })
    a.setServing(true)
    yield* until(() => stateOfA() === "ready")
    yield* echo.echo({ message: "d" })
    expect(calls([a, b])).toEqual([2, 11])
    // Checks are not calls.
    expect(pool.statsUnsafe()).toMatchObject({ calls: 13, succeeded: 13, failures: 1 })
  })
)

it.live("closes sessions that nothing uses, and opens one for the next call", () =>
  Effect.gen(function* () {
    const server = yield* EchoServer.make()
    const pool = yield* GrpcPool.make({ addresses: [server.address], idleTimeout: "20 millis" })
    const echo = pool.client(EchoService)
    yield* echo.echo({ message: "a" })
    yield* until(() => pool.statsUnsafe().open === 0 && server.statsUnsafe().connections === 0)
    expect(pool.statsUnsafe().addresses[0]?.state).toBe("idle")
    yield* echo.echo({ message: "b" })
    expect(pool.statsUnsafe()).toMatchObject({ created: 2, succeeded: 2 })
  })
)

it.live("pings what is in use, and leaves a server that answers alone", () =>
  Effect.gen(function* () {
    const server = yield* EchoServer.make()
    const pool = yield* GrpcPool.make({ addresses: [server.address], keepAlive: { interval: "5 millis" } })
    yield* pool.client(EchoService).echo({ message: "a", delayMillis: 200 })
    expect(pool.statsUnsafe()).toMatchObject({ created: 1, closed: 0, succeeded: 1 })
  })
)

it.live("has no call without an address, and takes one up as soon as it is there", () =>
  Effect.gen(function* () {
    const server = yield* EchoServer.make()
    const pool = yield* GrpcPool.make({ addresses: [] })
    const echo = pool.client(EchoService)
    expect(yield* Effect.flip(echo.echo({ message: "a" }))).toMatchObject({ details: "the pool has no address" })
    yield* pool.add(server.address)
    expect((yield* echo.echo({ message: "b" })).message).toBe("b")
  })
)
