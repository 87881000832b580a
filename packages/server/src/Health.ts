/**
 * What a server tells of itself: that it lives, that it is ready, and how much of
 * what is scarce is in use.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { type SystemReport, systemReport } from "./internal/system.ts"

export type { SystemReport } from "./internal/system.ts"

/** Something of which there is so much, such as a semaphore. What it tells besides is shown on the dashboard. */
export interface Resource {
  statsUnsafe(): {
    readonly capacity: number
    readonly held: number
    readonly waiting?: number | undefined
    readonly rejected?: number | undefined
  }
}

export interface Options {
  /** What is scarce, by the name under which the report shows it. */
  readonly resources?: Readonly<Record<string, Resource>> | undefined
  /** The names of the resources that all workers share, which an aggregate must not add up. Default none. */
  readonly shared?: ReadonlyArray<string> | undefined
  /** How many tasks run. Default: what all resources hold together. */
  readonly activeTasks?: (() => number) | undefined
  /** Settings to show, for who reads the report. They must hold no secrets. */
  readonly configuration?: Configuration | undefined
  /** Share of a resource from which the server tells that it is degraded, 0 to 1. Default 1: when nothing is left. */
  readonly degradedAt?: number | undefined
  /** The name of this worker among others. Default: the process's number. */
  readonly worker?: string | undefined
  /**
   * The snapshots of all workers, with or without this one's: given it, `report` and `concurrency` tell of all of them.
   * Default: this process alone.
   */
  readonly workers?: Effect.Effect<ReadonlyArray<Snapshot>> | undefined
}

export type Configuration = Readonly<Record<string, string | number | boolean>>

/** How much of a resource is in use. */
export interface Utilization {
  readonly available: number
  readonly total: number
  /** With one decimal and a percent sign. */
  readonly utilization: string
}

export type Phase = "starting" | "ready" | "draining"

/** What is in use of a resource, as plain figures. */
export interface ResourceFigures {
  readonly capacity: number
  readonly held: number
  readonly waiting: number
  readonly rejected: number
  /** Whether all workers share it. */
  readonly isShared: boolean
}

/**
 * One worker as it is now: plain data that goes through JSON and between processes as it is.
 *
 * **Details**
 *
 * Each worker makes its own with `health.snapshot`; whoever has those of all (the primary of a cluster, as a rule) tells of
 * them as one with {@link aggregate}, and gives them to the others for `Options.workers`.
 */
export interface Snapshot {
  readonly worker: string
  readonly pid: number
  readonly phase: Phase
  readonly uptimeSeconds: number
  readonly activeTasks: number
  readonly degradedAt: number
  readonly resources: Readonly<Record<string, ResourceFigures>>
  readonly system: SystemReport
  readonly configuration: Configuration
}

/** What a report tells of one worker. */
export interface WorkerReport {
  readonly worker: string
  readonly pid: number
  readonly status: Report["status"]
  readonly uptime_seconds: number
  readonly active_tasks: number
  readonly cpu_percent: number
  readonly process_memory_mb: number
}

export interface Report {
  /** `degraded` where a resource is used up or workers are missing, `draining` before the end, else `healthy`. */
  readonly status: "healthy" | "degraded" | "draining" | "starting"
  readonly concurrency: Readonly<Record<string, number | Utilization>> & { readonly active_tasks: number }
  readonly system: SystemReport
  readonly configuration: Configuration
  /** Each by itself, in the order of their names. */
  readonly workers: ReadonlyArray<WorkerReport>
}

/** A server's health. */
export interface Health {
  /** Answers 200 for as long as the process answers at all. To be put behind no limit. */
  readonly liveness: Effect.Effect<HttpServerResponse.HttpServerResponse>
  /** Answers 200 between {@link ready} and {@link drain}, else 503: whether requests should be sent here. */
  readonly readiness: Effect.Effect<HttpServerResponse.HttpServerResponse>
  /** Answers with the {@link Report}. */
  readonly concurrency: Effect.Effect<HttpServerResponse.HttpServerResponse>
  readonly report: Effect.Effect<Report>
  /** This worker alone, as data for an {@link aggregate}. */
  readonly snapshot: Effect.Effect<Snapshot>
  /** The same, without an effect. */
  snapshotUnsafe(): Snapshot
  readonly phase: Effect.Effect<Phase>
  /** The server is warm, and takes requests. */
  readonly ready: Effect.Effect<void>
  /** The server is about to end. */
  readonly drain: Effect.Effect<void>
}

const utilizationOf = ({ capacity, held }: ResourceFigures): Utilization => ({
  available: Math.max(0, capacity - held),
  total: capacity,
  utilization: `${(capacity === 0 ? 0 : (100 * held) / capacity).toFixed(1)}%`
})

const isUsedUp = (resources: Iterable<ResourceFigures>, degradedAt: number): boolean => {
  for (const { capacity, held } of resources) if (capacity > 0 && held / capacity >= degradedAt) return true
  return false
}

const workerReport = (snapshot: Snapshot): WorkerReport => ({
  worker: snapshot.worker,
  pid: snapshot.pid,
  status:
    snapshot.phase === "ready"
      ? isUsedUp(Object.values(snapshot.resources), snapshot.degradedAt)
        ? "degraded"
        : "healthy"
      : snapshot.phase,
  uptime_seconds: snapshot.uptimeSeconds,
  active_tasks: snapshot.activeTasks,
  cpu_percent: snapshot.system.cpu_percent,
  process_memory_mb: snapshot.system.process_memory_mb
})

const sumOf = (values: ReadonlyArray<number>, digits: number): number =>
  Number(values.reduce((sum, value) => sum + value, 0).toFixed(digits))

const together = (a: ResourceFigures, b: ResourceFigures): ResourceFigures => {
  const isShared = a.isShared || b.isShared
  const join = isShared ? Math.max : (x: number, y: number): number => x + y
  return {
    capacity: join(a.capacity, b.capacity),
    held: join(a.held, b.held),
    waiting: join(a.waiting, b.waiting),
    rejected: join(a.rejected, b.rejected),
    isShared
  }
}

/** The resources of several workers as one: added up, or where they are shared, the most that any of them saw. */
export const mergeResources = (snapshots: ReadonlyArray<Snapshot>): Readonly<Record<string, ResourceFigures>> => {
  const merged = new Map<string, ResourceFigures>()
  for (const { resources } of snapshots) {
    for (const [name, figures] of Object.entries(resources)) {
      const before = merged.get(name)
      merged.set(name, before === undefined ? figures : together(before, figures))
    }
  }
  return Object.fromEntries(merged)
}

/**
 * Tells of several workers as of one server. A pure function of their snapshots, in whatever order they come; of two with
 * the same name the later counts.
 *
 * **Details**
 *
 * What workers hold is added up, and so are processor and memory of the processes; what is told of the machine is told
 * once. The whole is `degraded` where a resource is used up over all workers, or where fewer than `expected` are ready;
 * `starting` before any is ready; `draining` where all that are left drain. Settings are those of the first worker.
 *
 * @example
 * ```ts
 * import { Semaphore } from "@sluice/semaphore"
 * import { Health } from "@sluice/server"
 * import { Effect } from "effect"
 *
 * const worker = (name: string, held: number) =>
 *   Effect.gen(function*() {
 *     const llm = yield* Semaphore.make(5)
 *     yield* llm.take(held)
 *     const health = yield* Health.make({ worker: name, resources: { llm_semaphore: llm } })
 *     yield* health.ready
 *     return yield* health.snapshot
 *   })
 *
 * const program = Effect.gen(function*() {
 *   const snapshots = [yield* worker("one", 1), yield* worker("two", 2)]
 *   const { concurrency, status } = Health.aggregate(snapshots, { expected: 2 })
 *   console.log(status, JSON.stringify(concurrency["llm_semaphore"]))
 *   // => healthy {"available":7,"total":10,"utilization":"30.0%"}
 * })
 *
 * await Effect.runPromise(program)
 * ```
 */
export const aggregate = (
  snapshots: ReadonlyArray<Snapshot>,
  options?: {
    /** Workers that there should be ready. Default: those that there are and do not drain. */
    readonly expected?: number | undefined
  }
): Report => {
  const byName = [...new Map(snapshots.map((snapshot) => [snapshot.worker, snapshot])).values()].sort((a, b) =>
    a.worker < b.worker ? -1 : 1
  )
  const ready = byName.filter(({ phase }) => phase === "ready")
  const resources = mergeResources(byName)
  const degradedAt = Math.min(1, ...byName.map((snapshot) => snapshot.degradedAt))
  const isDegraded =
    ready.length < (options?.expected ?? byName.filter(({ phase }) => phase !== "draining").length) ||
    isUsedUp(Object.values(resources), degradedAt)
  const unready = byName.some(({ phase }) => phase === "starting") || byName.length === 0 ? "starting" : "draining"
  const of = (figure: keyof SystemReport): ReadonlyArray<number> => byName.map(({ system }) => system[figure])
  return {
    status: ready.length === 0 ? unready : isDegraded ? "degraded" : "healthy",
    concurrency: {
      active_tasks: sumOf(
        byName.map(({ activeTasks }) => activeTasks),
        0
      ),
      ...Object.fromEntries(Object.entries(resources).map(([name, figures]) => [name, utilizationOf(figures)]))
    },
    system: {
      cpu_percent: sumOf(of("cpu_percent"), 1),
      memory_percent: Math.max(0, ...of("memory_percent")),
      memory_available_gb: byName.length === 0 ? 0 : Math.min(...of("memory_available_gb")),
      process_memory_mb: sumOf(of("process_memory_mb"), 1)
    },
    configuration: byName[0]?.configuration ?? {},
    workers: byName.map(workerReport)
  }
}

/**
 * Makes a server's health.
 *
 * @example
 * ```ts
 * import { Semaphore } from "@sluice/semaphore"
 * import { Health } from "@sluice/server"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const llm = yield* Semaphore.make(5)
 *   const health = yield* Health.make({ resources: { llm_semaphore: llm } })
 *   yield* health.ready
 *   yield* llm.take(2)
 *   const { concurrency, status } = yield* health.report
 *   console.log(status, JSON.stringify(concurrency["llm_semaphore"]))
 *   // => healthy {"available":3,"total":5,"utilization":"40.0%"}
 * })
 *
 * await Effect.runPromise(program)
 * ```
 */
export const make = (options: Options = {}): Effect.Effect<Health> =>
  Effect.sync(() => {
    const { configuration = {}, degradedAt = 1, resources = {}, shared = [], worker = String(process.pid) } = options
    if (!(degradedAt > 0 && degradedAt <= 1)) {
      throw new RangeError(
        `Cannot make a health report with degradedAt ${degradedAt}: more than 0, and at most 1, is needed`
      )
    }
    let phase: Phase = "starting"
    const system = systemReport()
    const startedAt = performance.now()

    const snapshotUnsafe = (): Snapshot => {
      const figures = Object.entries(resources).map(([name, resource]): [string, ResourceFigures] => {
        const { capacity, held, rejected = 0, waiting = 0 } = resource.statsUnsafe()
        return [name, { capacity, held, waiting, rejected, isShared: shared.includes(name) }]
      })
      return {
        worker,
        pid: process.pid,
        phase,
        uptimeSeconds: Math.floor((performance.now() - startedAt) / 1000),
        activeTasks: options.activeTasks?.() ?? figures.reduce((sum, [, { held }]) => sum + held, 0),
        degradedAt,
        resources: Object.fromEntries(figures),
        system: system(),
        configuration
      }
    }
    const snapshot = Effect.sync(snapshotUnsafe)
    const report =
      options.workers === undefined
        ? Effect.sync(() => aggregate([snapshotUnsafe()]))
        : Effect.map(options.workers, (others) => aggregate([...others, snapshotUnsafe()]))
    return {
      liveness: Effect.succeed(HttpServerResponse.jsonUnsafe({ status: "alive" })),
      readiness: Effect.sync(() =>
        HttpServerResponse.jsonUnsafe({ status: phase }, { status: phase === "ready" ? 200 : 503 })
      ),
      concurrency: Effect.map(report, (told) => HttpServerResponse.jsonUnsafe(told)),
      report,
      snapshot,
      snapshotUnsafe,
      phase: Effect.sync(() => phase),
      ready: Effect.sync(() => {
        if (phase === "starting") phase = "ready"
      }),
      drain: Effect.sync(() => {
        phase = "draining"
      })
    }
  })
