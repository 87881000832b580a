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

/** Something of which there is so much, such as a semaphore. */
export interface Resource {
  statsUnsafe(): { readonly capacity: number; readonly held: number }
}

export interface Options {
  /** What is scarce, by the name under which the report shows it. */
  readonly resources?: Readonly<Record<string, Resource>> | undefined
  /** How many tasks run. Default: what all resources hold together. */
  readonly activeTasks?: (() => number) | undefined
  /** Settings to show, for who reads the report. They must hold no secrets. */
  readonly configuration?: Readonly<Record<string, string | number | boolean>> | undefined
  /** Share of a resource from which the server tells that it is degraded, 0 to 1. Default 1: when nothing is left. */
  readonly degradedAt?: number | undefined
}

/** How much of a resource is in use. */
export interface Utilization {
  readonly available: number
  readonly total: number
  /** With one decimal and a percent sign. */
  readonly utilization: string
}

export interface Report {
  /** `degraded` where a resource is used up, `draining` before the end, else `healthy`. */
  readonly status: "healthy" | "degraded" | "draining" | "starting"
  readonly concurrency: Readonly<Record<string, number | Utilization>> & { readonly active_tasks: number }
  readonly system: SystemReport
  readonly configuration: Readonly<Record<string, string | number | boolean>>
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
  /** The server is warm, and takes requests. */
  readonly ready: Effect.Effect<void>
  /** The server is about to end. */
  readonly drain: Effect.Effect<void>
}

const utilizationOf = ({ capacity, held }: { readonly capacity: number; readonly held: number }): Utilization => ({
  available: Math.max(0, capacity - held),
  total: capacity,
  utilization: `${(capacity === 0 ? 0 : (100 * held) / capacity).toFixed(1)}%`
})

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
    const { configuration = {}, degradedAt = 1, resources = {} } = options
    if (!(degradedAt > 0 && degradedAt <= 1)) {
      throw new RangeError(
        `Cannot make a health report with degradedAt ${degradedAt}: more than 0, and at most 1, is needed`
      )
    }
    let phase: "starting" | "ready" | "draining" = "starting"
    const system = systemReport()

    const report = Effect.sync((): Report => {
      const stats = Object.entries(resources).map(([name, resource]) => [name, resource.statsUnsafe()] as const)
      const held = stats.reduce((sum, [, { held }]) => sum + held, 0)
      const isDegraded = stats.some(([, { capacity, held }]) => capacity > 0 && held / capacity >= degradedAt)
      return {
        status: phase === "ready" ? (isDegraded ? "degraded" : "healthy") : phase,
        concurrency: {
          active_tasks: options.activeTasks?.() ?? held,
          ...Object.fromEntries(stats.map(([name, figures]) => [name, utilizationOf(figures)]))
        },
        system: system(),
        configuration
      }
    })
    return {
      liveness: Effect.sync(() => HttpServerResponse.jsonUnsafe({ status: "alive" })),
      readiness: Effect.sync(() =>
        HttpServerResponse.jsonUnsafe({ status: phase }, { status: phase === "ready" ? 200 : 503 })
      ),
      concurrency: Effect.map(report, (told) => HttpServerResponse.jsonUnsafe(told)),
      report,
      ready: Effect.sync(() => {
        if (phase === "starting") phase = "ready"
      }),
      drain: Effect.sync(() => {
        phase = "draining"
      })
    }
  })
