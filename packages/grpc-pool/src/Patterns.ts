/**
 * Patterns of concurrent load on an echo service, by the names of the gRPC
 * guide: so many clients, bursts, ramps, spikes, pools side by side, and
 * addresses that come and go meanwhile. The package's own tests run them, and a
 * load tester can.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { GrpcError } from "./GrpcError.ts"
import * as GrpcPool from "./GrpcPool.ts"
import { Health, HealthCheckResponse_ServingStatus } from "./gen/grpc/health/v1/health_pb.ts"
import { EchoService } from "./gen/sluice/echo/v1/echo_pb.ts"

/** What the guide calls them. */
export type Name =
  | "10_concurrent_clients"
  | "50_concurrent_clients"
  | "100_concurrent_clients"
  | "high_volume_sustained_load"
  | "burst_traffic_pattern"
  | "shared_connection_pool_contention"
  | "multiple_pools_concurrent_access"
  | "connection_pool_add_remove_concurrent"
  | "client_stats_concurrent_access"
  | "pool_efficiency_under_load"
  | "pool_reuse_pattern_validation"
  | "latency_under_concurrent_load"
  | "throughput_measurement"
  | "gradual_ramp_up_pattern"
  | "spike_and_cooldown_pattern"
  | "mixed_client_configurations"

/** Where a pattern runs, and who is told of it. */
export interface Target {
  /** Servers of the echo service. */
  readonly addresses: ReadonlyArray<string>
  /** What every pool is made with. */
  readonly options?: Omit<GrpcPool.Options, "addresses"> | undefined
  /** Told of every call as it ends. */
  readonly onCall?: ((latencyMillis: number, isSuccess: boolean) => void) | undefined
  /** Told of every client as it begins (1) and ends (-1). */
  readonly onClient?: ((change: 1 | -1) => void) | undefined
}

/** How long the calls of a run took, in milliseconds: exact, of all of them. */
export interface Latency {
  readonly min: number
  readonly mean: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** What came of a run. */
export interface Report {
  readonly name: Name
  readonly requests: number
  readonly succeeded: number
  readonly failed: number
  readonly elapsedMillis: number
  readonly requestsPerSecond: number
  readonly latency: Latency
  /** Each pool as it was at the end. */
  readonly pools: ReadonlyArray<GrpcPool.Stats>
  /** Other operations on pools that the run made: additions, removals, checks, readings. */
  readonly operations: number
}

export interface Pattern {
  readonly name: Name
  /** What it does, in a line. */
  readonly summary: string
  /** Addresses that it needs at least. */
  readonly minAddresses: number
  readonly run: (target: Target) => Effect.Effect<Report, never, Scope.Scope>
}

/** One run: its pools, and what it has seen. */
class Run {
  private readonly target: Target
  private readonly pools: Array<GrpcPool.GrpcPool> = []
  private readonly latencies: Array<number> = []
  private failed = 0
  operations = 0

  constructor(target: Target) {
    this.target = target
  }

  pool(
    addresses: ReadonlyArray<string> = this.target.addresses.slice(0, 1),
    options: Omit<GrpcPool.Options, "addresses"> = {}
  ): Effect.Effect<GrpcPool.GrpcPool, never, Scope.Scope> {
    return Effect.tap(GrpcPool.make({ ...this.target.options, ...options, addresses }), (pool) =>
      Effect.sync(() => this.pools.push(pool))
    )
  }

  call(pool: GrpcPool.GrpcPool, message: string): Effect.Effect<void> {
    return this.timed(Effect.map(pool.client(EchoService).echo({ message }), (answer) => answer.message === message))
  }

  healthCheck(pool: GrpcPool.GrpcPool): Effect.Effect<void> {
    return this.timed(
      Effect.map(pool.client(Health).check({}), ({ status }) => status === HealthCheckResponse_ServingStatus.SERVING)
    )
  }

  /** A call that answers whether it was answered well. */
  private timed(call: Effect.Effect<boolean, GrpcError>): Effect.Effect<void> {
    return Effect.clockWith((clock) => {
      const start = now(clock)
      const end = (isSuccess: boolean): Effect.Effect<void> =>
        Effect.sync(() => {
          const latency = now(clock) - start
          this.latencies.push(latency)
          if (!isSuccess) this.failed++
          this.target.onCall?.(latency, isSuccess)
        })
      return Effect.matchEffect(call, { onFailure: () => end(false), onSuccess: end })
    })
  }

  /** A client that does something, counted as active meanwhile. */
  client<R>(work: Effect.Effect<void, never, R>): Effect.Effect<void, never, R> {
    return Effect.acquireUseRelease(
      Effect.sync(() => this.target.onClient?.(1)),
      () => work,
      () => Effect.sync(() => this.target.onClient?.(-1))
    )
  }

  /** So many clients at once, each with its calls one after the other. */
  clients(pool: GrpcPool.GrpcPool, clients: number, requests: number): Effect.Effect<void> {
    return together(clients, (client) =>
      this.client(
        Effect.forEach(range(requests), (request) => this.call(pool, `client ${client}, request ${request}`), {
          discard: true
        })
      )
    )
  }

  /** So many workers, each calling one after the other for a time: at a pace, or as fast as answers come. */
  workers(
    pool: GrpcPool.GrpcPool,
    workers: number,
    durationMillis: number,
    requestsPerSecond?: number
  ): Effect.Effect<void> {
    return Effect.clockWith((clock) => {
      const start = now(clock)
      const every = requestsPerSecond === undefined ? 0 : (1000 / requestsPerSecond) * workers
      const work = (worker: number): Effect.Effect<void> =>
        Effect.gen({ self: this }, function* () {
          for (let i = 0; ; i++) {
            // Due times are fixed beforehand, so that a slow answer does not slow the load.
            const due = start + every * (i + worker / workers)
            if (Math.max(due, now(clock)) >= start + durationMillis) return
            if (due > now(clock)) yield* Effect.sleep(due - now(clock))
            yield* this.call(pool, `worker ${worker}, request ${i}`)
          }
        })
      return together(workers, (worker) => this.client(work(worker)))
    })
  }

  report(name: Name, elapsedMillis: number): Report {
    const sorted = this.latencies.sort((a, b) => a - b)
    const at = (quantile: number): number => sorted[Math.ceil(quantile * sorted.length) - 1] ?? 0
    return {
      name,
      requests: sorted.length,
      succeeded: sorted.length - this.failed,
      failed: this.failed,
      elapsedMillis,
      requestsPerSecond: (sorted.length / elapsedMillis) * 1000,
      latency: {
        min: sorted[0] ?? 0,
        mean: sorted.reduce((sum, each) => sum + each, 0) / Math.max(1, sorted.length),
        p50: at(0.5),
        p99: at(0.99),
        max: at(1)
      },
      pools: this.pools.map((pool) => pool.statsUnsafe()),
      operations: this.operations
    }
  }
}

const now = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

const range = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, index) => index)

const together = (count: number, work: (index: number) => Effect.Effect<void>): Effect.Effect<void> =>
  Effect.forEach(range(count), work, { concurrency: "unbounded", discard: true })

type Body = (run: Run, target: Target) => Effect.Effect<void, never, Scope.Scope>

const clients =
  (count: number, requests: number): Body =>
  (run) =>
    Effect.flatMap(run.pool(), (pool) => run.clients(pool, count, requests))

const bodies: Readonly<Record<Name, readonly [summary: string, body: Body]>> = {
  "10_concurrent_clients": ["10 clients × 5 requests", clients(10, 5)],
  "50_concurrent_clients": ["50 clients × 3 requests", clients(50, 3)],
  "100_concurrent_clients": ["100 clients × 2 requests", clients(100, 2)],
  high_volume_sustained_load: [
    "10 workers for 3 seconds, at 100 requests a second",
    (run) => Effect.flatMap(run.pool(), (pool) => run.workers(pool, 10, 3_000, 100))
  ],
  burst_traffic_pattern: [
    "3 bursts of 50 requests",
    (run) =>
      Effect.flatMap(run.pool(), (pool) =>
        Effect.forEach(range(3), () => Effect.andThen(run.clients(pool, 50, 1), Effect.sleep("50 millis")), {
          discard: true
        })
      )
  ],
  shared_connection_pool_contention: ["20 clients × 5 requests on one pool", clients(20, 5)],
  multiple_pools_concurrent_access: [
    "2 pools × 10 workers × 3 requests",
    (run) =>
      Effect.flatMap(Effect.all([run.pool(), run.pool()]), (pools) =>
        Effect.forEach(pools, (pool) => run.clients(pool, 10, 3), { concurrency: "unbounded", discard: true })
      )
  ],
  connection_pool_add_remove_concurrent: [
    "10 fibers add and remove addresses 5 times each, while 20 clients × 10 requests run",
    (run, { addresses }) =>
      Effect.flatMap(run.pool(), (pool) => {
        const change = (fiber: number): Effect.Effect<void> =>
          Effect.gen(function* () {
            for (let i = 0; i < 5; i++) {
              const address = addresses[1 + ((fiber + i) % (addresses.length - 1))] ?? ""
              yield* pool.add(address)
              yield* Effect.sleep("1 millis")
              yield* pool.remove(address)
              run.operations += 2
            }
          })
        return Effect.all([run.clients(pool, 20, 10), together(10, change)], {
          concurrency: "unbounded",
          discard: true
        })
      })
  ],
  client_stats_concurrent_access: [
    "20 health checks and 20 readings of the stats at once",
    (run) =>
      Effect.flatMap(run.pool(), (pool) =>
        Effect.all(
          [
            together(20, () => run.client(run.healthCheck(pool))),
            together(20, () =>
              Effect.map(pool.stats, (stats) => {
                if (stats.streamsInUse >= 0 && stats.open + stats.connecting <= 1) run.operations++
              })
            )
          ],
          { concurrency: "unbounded", discard: true }
        )
      )
  ],
  pool_efficiency_under_load: ["30 workers × 10 requests", clients(30, 10)],
  pool_reuse_pattern_validation: [
    "5 waves of 10 requests",
    (run) =>
      Effect.flatMap(run.pool(), (pool) => Effect.forEach(range(5), () => run.clients(pool, 10, 1), { discard: true }))
  ],
  latency_under_concurrent_load: ["50 clients × 5 requests", clients(50, 5)],
  throughput_measurement: [
    "10 workers for 2 seconds, as fast as answers come",
    (run) => Effect.flatMap(run.pool(), (pool) => run.workers(pool, 10, 2_000))
  ],
  gradual_ramp_up_pattern: [
    "5, then 10, 15 and 20 clients × 3 requests",
    (run) =>
      Effect.flatMap(run.pool(), (pool) =>
        Effect.forEach([5, 10, 15, 20], (count) => run.clients(pool, count, 3), { discard: true })
      )
  ],
  spike_and_cooldown_pattern: [
    "50 clients at once, then 10 requests one after the other",
    (run) => Effect.flatMap(run.pool(), (pool) => Effect.andThen(run.clients(pool, 50, 1), run.clients(pool, 1, 10)))
  ],
  mixed_client_configurations: [
    "10 clients of a pool with defaults, 10 of one with two streams a session and round-robin",
    (run) =>
      Effect.flatMap(
        Effect.all([run.pool(), run.pool(undefined, { balance: "round-robin", maxStreamsPerSession: 2 })]),
        (pools) =>
          Effect.forEach(pools, (pool) => run.clients(pool, 10, 2), { concurrency: "unbounded", discard: true })
      )
  ]
}

const minAddresses: Readonly<Partial<Record<Name, number>>> = { connection_pool_add_remove_concurrent: 2 }

const make = (name: Name): Pattern => {
  const [summary, body] = bodies[name]
  const least = minAddresses[name] ?? 1
  return {
    name,
    summary,
    minAddresses: least,
    run: (target) =>
      Effect.gen(function* () {
        if (target.addresses.length < least) {
          throw new RangeError(`Cannot run ${name} on ${target.addresses.length} addresses: ${least} are needed`)
        }
        const run = new Run(target)
        const clock = yield* Clock.Clock
        const start = now(clock)
        yield* body(run, target)
        return run.report(name, now(clock) - start)
      })
  }
}

/** Whether a text is the name of a pattern. */
export const isName = (text: string): text is Name => Object.hasOwn(bodies, text)

/**
 * Every pattern, in the order of the guide.
 *
 * @example
 * ```ts
 * import { Patterns } from "@sluice/grpc-pool/patterns"
 * import { EchoServer } from "@sluice/grpc-pool/testing"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const server = yield* EchoServer.make()
 *   const burst = Patterns.all.find(({ name }) => name === "burst_traffic_pattern")
 *   const report = yield* burst?.run({ addresses: [server.address] }) ?? Effect.die("no such pattern")
 *   console.log(`${report.succeeded} of ${report.requests}`) // => 150 of 150
 * })
 *
 * await Effect.runPromise(Effect.scoped(program))
 * ```
 */
export const all: ReadonlyArray<Pattern> = Object.keys(bodies).filter(isName).map(make)
