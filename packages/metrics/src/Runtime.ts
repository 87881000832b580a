/**
 * Metrics of the process itself: the event loop, memory, garbage, handles. Each
 * runtime tells what it has.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type { Registry } from "./Registry.ts"

interface Handles {
  readonly getActiveResourcesInfo?: () => ReadonlyArray<string>
}

const gcKinds: Readonly<Record<number, string>> = {
  1: "minor",
  2: "major",
  4: "incremental",
  8: "weak",
  16: "incremental"
}

/** Those that are told by reading the process. */
const registerReads = (registry: Registry): void => {
  const startedAt = Date.now() / 1000 - process.uptime()
  registry.gaugeFrom(
    { name: "process_start_time_seconds", help: "When the process started, since 1970.", aggregation: "min" },
    () => [[{}, startedAt]]
  )
  registry.counterFrom(
    { name: "process_cpu_seconds_total", help: "Processor time, by mode.", labels: ["mode"] },
    () => {
      const { system, user } = process.cpuUsage()
      return [
        [{ mode: "user" }, user / 1e6],
        [{ mode: "system" }, system / 1e6]
      ]
    }
  )
  registry.gaugeFrom(
    { name: "process_memory_bytes", help: "Memory of the process, by kind.", labels: ["kind"] },
    () => {
      const { external, heapTotal, heapUsed, rss } = process.memoryUsage()
      return [
        [{ kind: "resident" }, rss],
        [{ kind: "heap_total" }, heapTotal],
        [{ kind: "heap_used" }, heapUsed],
        [{ kind: "external" }, external]
      ]
    }
  )
  const { getActiveResourcesInfo }: Handles = process
  if (typeof getActiveResourcesInfo === "function") {
    registry.gaugeFrom(
      { name: "process_handles", help: "What keeps the event loop alive, by kind.", labels: ["kind"] },
      () => {
        const counts = new Map<string, number>()
        for (const kind of getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1)
        return Array.from(counts, ([kind, count]) => [{ kind }, count] as const)
      }
    )
  }
}

/** The event loop's delay, by a timer that should fire every 20 ms: what it comes late is recorded. */
const measureDelay = (registry: Registry): Effect.Effect<void, never, Scope.Scope> => {
  const everyMillis = 20
  const delay = registry
    .timer({ name: "event_loop_delay_seconds", help: "How late the event loop runs what is due." })
    .bind()
  return Effect.acquireRelease(
    Effect.sync(() => {
      let due = performance.now() + everyMillis
      const timer = setInterval(() => {
        const now = performance.now()
        delay.observeUnsafe(Math.max(0, now - due) / 1000)
        due = now + everyMillis
      }, everyMillis)
      timer.unref()
      return timer
    }),
    (timer) => Effect.sync(() => clearInterval(timer))
  ).pipe(Effect.asVoid)
}

/** Pauses for garbage, where the runtime tells of them: Node does, Bun and Deno do not. */
const measureGarbage = (registry: Registry): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { PerformanceObserver } = yield* Effect.promise(() => import("node:perf_hooks"))
    const supported: unknown =
      "supportedEntryTypes" in PerformanceObserver ? PerformanceObserver.supportedEntryTypes : []
    if (!Array.isArray(supported) || !supported.includes("gc")) return
    const pauses = registry.timer({
      name: "garbage_collection_seconds",
      help: "How long collections of garbage took, by kind.",
      labels: ["kind"]
    })
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const observer = new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) {
            const detail: unknown = "detail" in entry ? entry.detail : undefined
            const kind = typeof detail === "object" && detail !== null && "kind" in detail ? Number(detail.kind) : 0
            pauses.bind({ kind: gcKinds[kind] ?? "other" }).observeUnsafe(entry.duration / 1000)
          }
        })
        observer.observe({ entryTypes: ["gc"] })
        return observer
      }),
      (observer) => Effect.sync(() => observer.disconnect())
    )
  })

/**
 * Registers the metrics of the process, until the scope closes: start, processor time, memory, handles (Node and what has
 * `getActiveResourcesInfo`), event-loop delay, pauses for garbage (Node). What runs keeps no process alive.
 *
 * @example
 * ```ts
 * import { Registry } from "@sluice/metrics"
 * import { Runtime } from "@sluice/metrics/runtime"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const registry = yield* Registry.make()
 *   yield* Runtime.register(registry)
 *   console.log(registry.snapshotUnsafe().some(({ name }) => name === "process_memory_bytes")) // => true
 * })
 *
 * await Effect.runPromise(Effect.scoped(program))
 * ```
 */
export const register = (registry: Registry): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    registerReads(registry)
    yield* measureDelay(registry)
    yield* measureGarbage(registry)
  })

/**
 * Counts fibers, by Effect's own runtime metrics, for everything that runs within: they show in the scrape once
 * `EffectMetrics.include` was asked for.
 */
export const withFibers: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = Metric.enableRuntimeMetrics
