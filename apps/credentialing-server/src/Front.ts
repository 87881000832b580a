/**
 * What stands before the routes: who is let in, and what the server tells of
 * itself.
 *
 * @module
 */
import { Admission, Health } from "@sluice/server"
import { Context, Effect, Layer } from "effect"
import { Limits } from "./Limits.ts"
import { type Settings, shown } from "./Settings.ts"
import { Telemetry } from "./Telemetry.ts"
import { Registries } from "./workflow/Registries.ts"

/** The classes of the endpoints, from what is answered in no time to what does much work. */
export type Class = "high" | "medium" | "controlled"

export interface FrontApi {
  readonly admission: Admission.Admission<Class>
  readonly health: Health.Health
  /** All workers, where there are several. */
  readonly workers: Effect.Effect<ReadonlyArray<Health.Snapshot>> | undefined
}

export const Front: Context.Service<FrontApi, FrontApi> = Context.Service<FrontApi>("credentialing/Front")

/** What several workers share; without it, a process is alone. */
export interface Shared {
  readonly limiter?: Admission.ClientLimiter | undefined
  /** The snapshots of the others. */
  readonly workers?: Effect.Effect<ReadonlyArray<Health.Snapshot>> | undefined
  /** Its name among the others. */
  readonly name?: string | undefined
}

const classes = (settings: Settings): Readonly<Record<Class, Admission.ClassOptions>> => ({
  high: { permits: settings.maxConcurrentConnections, priority: 0 },
  medium: { permits: 100, maxWaiting: 400, maxWait: "5 seconds", timeout: "30 seconds", priority: 1 },
  // A batch that is watched and an answer that is streamed take as long as they take: neither has a timeout.
  controlled: { permits: 200, maxWaiting: 200, maxWait: "30 seconds", priority: 2, maxBodySize: 2 ** 20 }
})

export const layer = (settings: Settings, shared: Shared = {}) =>
  Layer.effect(
    Front,
    Effect.gen(function* () {
      const limits = yield* Limits
      const registries = yield* Registries
      const { registry } = yield* Telemetry
      const admission = yield* Admission.make<Class>({
        classes: classes(settings),
        rateLimit: {
          limit: settings.rateLimitRequestsPerMinute,
          interval: "1 minute",
          limiter: shared.limiter
        },
        client: { trustedProxies: settings.trustedProxies },
        registry
      })
      const resources = {
        llm_semaphore: limits.llm,
        file_semaphore: limits.files,
        batch_semaphore: limits.batch,
        licence_registry: registries.places.licence,
        sanctions_registry: registries.places.sanctions,
        education_registry: registries.places.education,
        work_history_registry: registries.places.work_history
      }
      const health = yield* Health.make({
        resources: { ...resources, ...admission.resources },
        activeTasks: () => admission.statsUnsafe().active + limits.batch.statsUnsafe().held,
        configuration: shown(settings),
        workers: shared.workers,
        worker: shared.name
      })
      const gauge = (name: string, help: string, figure: "capacity" | "held" | "waiting") =>
        registry.gaugeFrom({ name, help, labels: ["of"] }, () =>
          Object.entries(resources).map(([of, resource]) => [{ of }, resource.statsUnsafe()[figure]] as const)
        )
      gauge("permits_capacity", "Permits that exist", "capacity")
      gauge("permits_held", "Permits in use", "held")
      gauge("permits_waiting", "Those who wait for a permit", "waiting")
      const { workers } = shared
      return {
        admission,
        health,
        workers:
          workers === undefined ? undefined : Effect.map(workers, (others) => [...others, health.snapshotUnsafe()])
      }
    })
  )
