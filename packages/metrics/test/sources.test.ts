import { describe, expect, it } from "@effect/vitest"
import { HttpPool } from "@sluice/http-pool"
import { Exposition, Registry } from "@sluice/metrics"
import { EffectMetrics } from "@sluice/metrics/effect"
import { Observe } from "@sluice/metrics/observe"
import { Runtime } from "@sluice/metrics/runtime"
import { KeyedRateLimiter, RateLimiter } from "@sluice/rate-limiter"
import { Backoff, Deadline, Hedge, Retry, RetryBudget } from "@sluice/retry"
import { AdaptiveLimit, Bulkhead, KeyedSemaphore, PrioritySemaphore, Semaphore } from "@sluice/semaphore"
import { Effect, Metric } from "effect"

const lines = (registry: Registry.Registry): ReadonlyArray<string> =>
  Exposition.prometheusText(registry)
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))

describe("what is observed", () => {
  it.effect("is every primitive, as it is when it is scraped", () =>
    Effect.gen(function* () {
      const registry = yield* Registry.make()
      const semaphore = yield* Semaphore.make(3)
      Observe.observeSemaphore(registry, "sem", semaphore)
      Observe.observeBulkhead(registry, "bulk", yield* Bulkhead.make({ permits: 2, maxWaiting: 1 }))
      Observe.observePrioritySemaphore(registry, "prio", yield* PrioritySemaphore.make({ permits: 1, classes: 2 }))
      Observe.observeKeyedSemaphore(
        registry,
        "keyed",
        yield* KeyedSemaphore.make<string>({ permitsPerKey: 1, permits: 9 })
      )
      Observe.observeAdaptiveLimit(
        registry,
        "adaptive",
        yield* AdaptiveLimit.make({ algorithm: AdaptiveLimit.aimd(), partitions: { live: 0.5 } })
      )
      Observe.observeRateLimiter(registry, "rate", yield* RateLimiter.make({ limit: 5, interval: "1 second" }))
      Observe.observeKeyedRateLimiter(
        registry,
        "rates",
        yield* KeyedRateLimiter.make({ limit: 5, interval: "1 second" })
      )
      const retry = Retry.retry<string>({ maxAttempts: 3, backoff: Backoff.exponential({ base: "1 millis" }) })
      Observe.observeRetry(registry, "retry", retry)
      Observe.observeRetryBudget(registry, "budget", RetryBudget.makeUnsafe())
      Observe.observeHedge(registry, "hedge", Hedge.hedge({ idempotent: true, delay: "2 seconds" }))
      Observe.observeDeadline(registry, "deadline", Deadline.within("1 second"))
      Observe.observeStats(
        registry,
        "own",
        { statsUnsafe: () => ({ inUse: 2, everMade: 7, name: "x" }) },
        { totals: ["everMade"] }
      )
      const pool = yield* HttpPool.make()
      Observe.observeHttpPool(registry, "pool", pool)
      yield* Effect.ignore(pool.client.get("http://127.0.0.1:1/"))
      yield* semaphore.take(2)
      const found = lines(registry)
      for (const line of [
        "sem_capacity 3",
        "sem_held 2",
        "sem_admitted_total 1",
        "bulk_capacity 2",
        'prio_waiting_by_class{class="1"} 0',
        "keyed_keys 0",
        "keyed_capacity 9",
        "adaptive_capacity 20",
        'adaptive_partition_held{partition="live"} 0',
        "adaptive_dropped_total 0",
        "rate_capacity 5",
        "rates_keys 0",
        "rates_evicted_total 0",
        "retry_calls_total 0",
        "budget_granted_total 0",
        "hedge_delay_seconds 2",
        "deadline_started_total 0",
        "own_in_use 2",
        "own_ever_made_total 7",
        'pool_admitted_total{origin="http://127.0.0.1:1"} 1',
        'pool_closed_total{origin="http://127.0.0.1:1",reason="failed"} 0'
      ]) {
        expect(found).toContain(line)
      }
      expect(found.some((line) => line.includes("name"))).toBe(false)
    })
  )
})

describe("Effect's own metrics", () => {
  it.effect("are in the same scrape, with names and labels that fit", () =>
    Effect.gen(function* () {
      const registry = yield* Registry.make()
      yield* EffectMetrics.include(registry)
      yield* Metric.update(Metric.counter("http.requests", { incremental: true, attributes: { "a-b": "1" } }), 2)
      yield* Metric.update(Metric.counter("http.requests", { incremental: true, attributes: { "a-b": "2" } }), 3)
      yield* Metric.update(Metric.counter("level"), -4)
      yield* Metric.update(Metric.gauge("1st"), 5)
      yield* Metric.update(Metric.frequency("colours"), "red")
      const histogram = Metric.histogram("sizes", { boundaries: [1, 10] })
      for (const value of [0.5, 5, 50]) yield* Metric.update(histogram, value)
      yield* Metric.update(Metric.summary("recent", { maxAge: "1 minute", maxSize: 10, quantiles: [0.5] }), 8)
      const found = lines(registry)
      for (const line of [
        'http_requests_total{a_b="1"} 2',
        'http_requests_total{a_b="2"} 3',
        "level -4",
        "_1st 5",
        'colours_total{key="red"} 1',
        'sizes_bucket{le="1"} 1',
        'sizes_bucket{le="10"} 2',
        'sizes_bucket{le="+Inf"} 3',
        "sizes_sum 55.5",
        'recent{quantile="0.5"} 8'
      ]) {
        expect(found).toContain(line)
      }
    })
  )

  it.effect("give way to the registry's own of the same name", () =>
    Effect.gen(function* () {
      const registry = yield* Registry.make()
      registry.gauge({ name: "taken", help: "" }).bind().setUnsafe(1)
      yield* EffectMetrics.include(registry)
      yield* Metric.update(Metric.gauge("taken"), 2)
      expect(lines(registry)).toContain("taken 1")
      expect(lines(registry)).not.toContain("taken 2")
    })
  )
})

describe("the process", () => {
  it.live("tells of its memory, processor time, event loop and handles", () =>
    Effect.gen(function* () {
      const registry = yield* Registry.make()
      yield* Runtime.register(registry)
      yield* Effect.sleep("100 millis")
      const value = (start: string) =>
        Number(
          lines(registry)
            .find((line) => line.startsWith(start))
            ?.split(" ")
            .at(-1) ?? Number.NaN
        )
      expect(value('process_memory_bytes{kind="resident"}')).toBeGreaterThan(1e6)
      expect(value('process_cpu_seconds_total{mode="user"}')).toBeGreaterThan(0)
      expect(value("process_start_time_seconds")).toBeGreaterThan(1.6e9)
      expect(value("event_loop_delay_seconds_count")).toBeGreaterThan(0)
    }).pipe(Effect.scoped)
  )

  it.live("tells of its fibers through Effect's own metrics", () =>
    Effect.gen(function* () {
      const registry = yield* Registry.make()
      yield* EffectMetrics.include(registry)
      yield* Runtime.withFibers(Effect.forEach([1, 2, 3], () => Effect.forkChild(Effect.void)))
      yield* Effect.yieldNow
      expect(lines(registry).some((line) => line.includes("fiber"))).toBe(true)
    })
  )
})
