// The suite of the gRPC guide: each test by its name and numbers, against a server of grpc-js in
// a process of its own, on free ports.
import { expect, it } from "@effect/vitest"
import { Patterns } from "@sluice/grpc-pool/patterns"
import { Effect, Exit, Scope } from "effect"
import { afterAll, beforeAll, describe } from "vitest"
import { startGrpcJsServers } from "./processes.ts"

/** Every test of the guide, what it says of the number of requests, and what more it validates. */
const expected: Readonly<
  Record<Patterns.Name, { readonly requests: number | "any"; readonly sessions: ReadonlyArray<number> }>
> = {
  "10_concurrent_clients": { requests: 50, sessions: [1] },
  "50_concurrent_clients": { requests: 150, sessions: [1] },
  "100_concurrent_clients": { requests: 200, sessions: [1] },
  high_volume_sustained_load: { requests: 300, sessions: [1] },
  burst_traffic_pattern: { requests: 150, sessions: [1] },
  shared_connection_pool_contention: { requests: 100, sessions: [1] },
  multiple_pools_concurrent_access: { requests: 60, sessions: [1, 1] },
  connection_pool_add_remove_concurrent: { requests: 200, sessions: [] },
  client_stats_concurrent_access: { requests: 20, sessions: [1] },
  pool_efficiency_under_load: { requests: 300, sessions: [1] },
  pool_reuse_pattern_validation: { requests: 50, sessions: [1] },
  latency_under_concurrent_load: { requests: 250, sessions: [1] },
  throughput_measurement: { requests: "any", sessions: [1] },
  gradual_ramp_up_pattern: { requests: 150, sessions: [1] },
  spike_and_cooldown_pattern: { requests: 60, sessions: [1] },
  // The second pool allows two streams a session, so that ten clients need five.
  mixed_client_configurations: { requests: 40, sessions: [1, 5] }
}

const line = ({ elapsedMillis, latency, name, requests, requestsPerSecond }: Patterns.Report): string => {
  const millis = (value: number): string => `${value.toFixed(2)} ms`
  const { max, mean, min, p50, p99 } = latency
  return `test_${name}: ${requests} requests in ${millis(elapsedMillis)} (${requestsPerSecond.toFixed(0)}/s); min ${millis(min)}, mean ${millis(mean)}, p50 ${millis(p50)}, p99 ${millis(p99)}, max ${millis(max)}`
}

/** Runs a pattern, and asserts all that can be counted. */
const checked = (
  name: Patterns.Name,
  run: Patterns.Pattern["run"],
  addresses: ReadonlyArray<string>
): Effect.Effect<Patterns.Report> =>
  Effect.gen(function* () {
    const { requests, sessions } = expected[name]
    let active = 0
    let most = 0
    let seen = 0
    const report = yield* Effect.scoped(
      run({
        addresses,
        onCall: () => seen++,
        onClient: (change) => {
          active += change
          most = Math.max(most, active)
        }
      })
    )
    expect(report.failed).toBe(0)
    expect(report.succeeded).toBe(report.requests)
    expect(seen).toBe(report.requests)
    if (requests !== "any") expect(report.requests).toBe(requests)
    expect(active).toBe(0)
    expect(most).toBeGreaterThan(0)
    expect(report.pools.reduce((sum, { calls }) => sum + calls, 0)).toBe(report.requests)
    for (const pool of report.pools) {
      expect(pool).toMatchObject({ failures: 0, cancelled: 0, streamsInUse: 0, waiting: 0 })
      expect(pool.succeeded).toBe(pool.calls)
    }
    if (sessions.length > 0) {
      expect(report.pools.map(({ created }) => created)).toEqual(sessions)
      // Every call but the first of each session went over a session that there was.
      for (const pool of report.pools) expect(pool.reused).toBe(pool.calls - pool.created)
    }
    if (name === "high_volume_sustained_load") expect(report.elapsedMillis).toBeGreaterThanOrEqual(2_900)
    if (name === "client_stats_concurrent_access") expect(report.operations).toBe(20)
    if (name === "connection_pool_add_remove_concurrent") {
      expect(report.operations).toBe(100)
      expect(report.pools[0]?.addresses.map(({ address }) => address)).toEqual([`http://${addresses[0]}`])
    }
    return report
  })

describe("the gRPC guide's suite", () => {
  const scope = Scope.makeUnsafe()
  let addresses: ReadonlyArray<string> = []

  beforeAll(async () => {
    addresses = await Effect.runPromise(Scope.provide(startGrpcJsServers(4), scope))
    // The first calls of a process are slow for want of compiled code, on both ends: they are not what is measured.
    for (const { name, run } of Patterns.all) {
      if (name === "pool_efficiency_under_load") await Effect.runPromise(Effect.scoped(run({ addresses })))
    }
  })

  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  for (const { name, run } of Patterns.all) {
    it.live(`test_${name}`, () =>
      Effect.gen(function* () {
        // What is counted must hold in every run. How long calls take is the machine's affair too: it has three runs.
        for (let attempt = 1; attempt <= 3; attempt++) {
          const report = yield* checked(name, run, addresses)
          console.log(line(report))
          if (report.latency.mean >= 100 || report.latency.max >= 1_000) continue
          expect(report.latency.min).toBeLessThanOrEqual(report.latency.p50)
          expect(report.latency.p50).toBeLessThanOrEqual(report.latency.p99)
          expect(report.latency.p99).toBeLessThanOrEqual(report.latency.max)
          if (name === "throughput_measurement") expect(report.requestsPerSecond).toBeGreaterThan(100)
          return
        }
        expect.fail("In three runs the average was not under 100 ms, or the maximum not under 1,000 ms")
      })
    )
  }
})
