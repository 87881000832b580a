// Decisions shared between machines, against the least that any decision in
// Redis costs: a script that does nothing, by the same client. The bars are on
// what many get together; one at a time is a latency, in which the wire, the
// script in Redis and this process take turns, and is there to be read.

import { type ChildProcess, spawn } from "node:child_process"
import { createServer } from "node:net"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { NodeRedis } from "@effect/platform-node"
import { LeasedSemaphore, RedisRateLimiter, RedisSession } from "@sluice/redis"
import { RedisQuota } from "@sluice/redis/quota"
import { Effect, Exit, Layer, ManagedRuntime, Scope } from "effect"
import type { createClient } from "redis"
import { type Comparison, nanosPerOperation, type Suite } from "../harness.ts"

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const probe = createServer()
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => resolve(address !== null && typeof address === "object" ? address.port : 0))
    })
  })

interface Bench {
  readonly client: ReturnType<typeof createClient>
  readonly runtime: ManagedRuntime.ManagedRuntime<RedisSession.RedisSession | NodeRedis.NodeRedis, never>
  readonly trivial: string
  readonly url: string
  readonly stop: () => Promise<void>
}

const start = async (): Promise<Bench> => {
  const port = await freePort()
  const server: ChildProcess = spawn(
    "redis-server",
    ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", "/tmp"],
    { stdio: ["ignore", "pipe", "ignore"] }
  )
  process.once("exit", () => server.kill("SIGKILL"))
  await new Promise<void>((resolve) =>
    server.stdout?.on("data", (chunk) => {
      if (String(chunk).includes("Ready to accept connections")) resolve()
    })
  )
  server.unref()
  const url = `redis://127.0.0.1:${port}`
  const runtime = ManagedRuntime.make(Layer.orDie(Layer.provideMerge(RedisSession.layer(), NodeRedis.layer({ url }))))
  const { client } = await runtime.runPromise(NodeRedis.NodeRedis)
  const stop = async (): Promise<void> => {
    await runtime.dispose()
    server.kill("SIGKILL")
  }
  return { client, runtime, trivial: await client.scriptLoad("return 1"), url, stop }
}

const scopes: Array<Scope.Closeable> = []

let started: Promise<Bench> | undefined
const bench = (): Promise<Bench> => {
  started ??= start()
  return started
}

/** Open connections would keep the process: the server of a measurement ends with it. */
const stopping = (measure: () => number | Promise<number>) => async (): Promise<number> => {
  const figure = await measure()
  for (const scope of scopes.splice(0)) await Effect.runPromise(Scope.close(scope, Exit.void))
  await (await started)?.stop()
  started = undefined
  return figure
}

/** Enough for both sides' code to be compiled: fewer where each waits for the one before. */
const operationsFor = (concurrency: number): number => (concurrency === 1 ? 5_000 : 50_000)

/** Commands a bare client has answered, so many of them under way at once. */
const bare = (concurrency: number, commands: number) => async (): Promise<number> => {
  const { client, trivial } = await bench()
  const args = ["EVALSHA", trivial, "1", "key", "1"]
  const operations = operationsFor(concurrency)
  const each = operations / concurrency
  return nanosPerOperation(operations, () =>
    Promise.all(
      Array.from({ length: concurrency }, async () => {
        for (let n = 0; n < each; n++) {
          for (let command = 0; command < commands; command++) await client.sendCommand(args)
        }
      })
    )
  )
}

const repeated =
  (concurrency: number, make: Effect.Effect<Effect.Effect<unknown, unknown>, never, RedisSession.RedisSession>) =>
  async (): Promise<number> => {
    const { runtime } = await bench()
    const decide = await runtime.runPromise(make)
    const operations = operationsFor(concurrency)
    const each = operations / concurrency
    const worker = Effect.gen(function* () {
      for (let n = 0; n < each; n++) yield* decide
    })
    return nanosPerOperation(operations, () =>
      runtime.runPromise(
        Effect.all(
          Array.from({ length: concurrency }, () => worker),
          { concurrency: "unbounded", discard: true }
        )
      )
    )
  }

// So high that nothing is refused or waits.
const limit = 1_000_000_000

const gcra = Effect.map(RedisRateLimiter.make({ name: "bench", limit, interval: "1 second" }), (limiter) =>
  limiter.tryTake("key")
)
const window = Effect.map(
  RedisRateLimiter.make({ name: "window", limit, interval: "50 millis", algorithm: "slidingWindow" }),
  (limiter) => limiter.tryTake("key")
)
const quota = Effect.map(
  RedisQuota.make({
    name: "quota",
    limits: { requests: { limit, interval: "1 second" }, tokens: { limit, interval: "1 second" } }
  }),
  (both) => both.tryTake("key", { requests: 1, tokens: 1 })
)
const blocks = Effect.map(
  RedisRateLimiter.make({ name: "blocks", limit, interval: "1 second", block: { size: 100 } }),
  (limiter) => limiter.tryTake("key")
)
const permit = Effect.map(
  Effect.suspend(() => {
    const scope = Scope.makeUnsafe()
    scopes.push(scope)
    return Effect.provideService(LeasedSemaphore.make({ name: "bench", permits: 1_000 }), Scope.Scope, scope)
  }),
  (semaphore) => semaphore.withPermit(Effect.void)
)

const scriptsRun = async (): Promise<number> => {
  const { client } = await bench()
  const said = String(await client.sendCommand(["INFO", "commandstats"]))
  return [...said.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].reduce((sum, [, calls]) => sum + Number(calls), 0)
}

const processes = 4
const waiters = 1_000
const seconds = 2

/** Lets all wait for ten permits, and answers the hand-offs a second and the commands for each. */
const handOffs = async (): Promise<{ readonly perSecond: number; readonly commands: number }> => {
  const { url } = await bench()
  const children = Array.from({ length: processes }, () => {
    const args = [join(import.meta.dirname, "../redisWaiters.ts"), url, "10", String(waiters / processes)]
    const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] })
    return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() }
  })
  const next = (): Promise<ReadonlyArray<string>> =>
    Promise.all(children.map(async ({ lines }) => String((await lines.next()).value)))
  const tell = (): void => {
    for (const { child } of children) child.stdin.write("\n")
  }
  await next()
  const before = await scriptsRun()
  const started = performance.now()
  tell()
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  const commands = (await scriptsRun()) - before
  const took = (performance.now() - started) / 1000
  tell()
  const handed = (await next()).reduce((sum, count) => sum + Number(count), 0)
  for (const { child } of children) child.kill("SIGKILL")
  return { perSecond: handed / took, commands: commands / handed }
}

const against = "bare EVALSHA, same client"

const comparisons: ReadonlyArray<Comparison> = [
  {
    name: "GCRA decision, one at a time",
    unit: "ns/op",
    against,
    ours: repeated(1, gcra),
    peer: bare(1, 1)
  },
  {
    name: "GCRA decision, 50 at once",
    unit: "ns/op",
    against,
    bar: 0.85,
    ours: repeated(50, gcra),
    peer: bare(50, 1)
  },
  {
    name: "sliding window decision, 50 at once",
    unit: "ns/op",
    against,
    ours: repeated(50, window),
    peer: bare(50, 1)
  },
  { name: "quota of two, 50 at once", unit: "ns/op", against, ours: repeated(50, quota), peer: bare(50, 1) },
  {
    name: "GCRA decision in blocks of 100, 50 at once",
    unit: "ns/op",
    against,
    ours: repeated(50, blocks),
    peer: bare(50, 1)
  },
  {
    name: "permit taken and given back, one at a time",
    unit: "ns/op",
    against: "two of them",
    ours: repeated(1, permit),
    peer: bare(1, 2)
  },
  {
    name: "permit taken and given back, 50 at once",
    unit: "ns/op",
    against: "two of them",
    bar: 0.85,
    ours: repeated(50, permit),
    peer: bare(50, 2)
  },
  {
    name: "hand-offs, 1,000 waiters in 4 processes on 10 permits",
    unit: "ops/s",
    against: "two EVALSHA each, one process",
    rounds: 5,
    ours: async () => (await handOffs()).perSecond,
    peer: async () => 1e9 / (await bare(50, 2)())
  },
  {
    name: "commands for each of those hand-offs",
    unit: "requests",
    against: "the allowance of 4",
    bar: 1,
    rounds: 5,
    ours: async () => (await handOffs()).commands,
    peer: async () => 4
  }
]

const suite: Suite = {
  name: "redis",
  comparisons: comparisons.map(({ ours, peer, ...comparison }) => ({
    ...comparison,
    ours: stopping(ours),
    peer: stopping(peer)
  }))
}

export default suite
