/**
 * Makes metrics of what Sluice's primitives tell of themselves. They are read when
 * they are scraped; the primitives pay nothing.
 *
 * Each takes anything that has such statistics, so no package is imported for it.
 *
 * @module
 */
import type { Labels, Registry } from "./Registry.ts"

/** Something that tells its statistics without an effect. */
export interface Observable<S> {
  statsUnsafe(): S
}

/** What a semaphore, a bulkhead, or an adaptive limit tells. */
export interface PermitStats {
  readonly capacity: number
  readonly held: number
  readonly waiting: number
  readonly admitted: number
  readonly rejected: number
}

type Figures = ReadonlyArray<readonly [suffix: string, help: string, value: number]>

/** Registers gauges and counters by the first figures that are read; a name that ends in `_total` is a counter. */
const observe = (registry: Registry, prefix: string, labels: Labels, read: () => Figures): void => {
  const names = Object.keys(labels)
  for (const [index, [suffix, help]] of read().entries()) {
    const value = (): Iterable<readonly [Labels, number]> => [[labels, read()[index]?.[2] ?? Number.NaN]]
    const options = { name: `${prefix}_${suffix}`, help, labels: names }
    if (suffix.endsWith("_total")) registry.counterFrom(options, value)
    else registry.gaugeFrom(options, value)
  }
}

const permitFigures = ({ admitted, capacity, held, rejected, waiting }: PermitStats): Figures => [
  ["capacity", "Permits that exist.", capacity],
  ["held", "Permits that are held.", held],
  ["waiting", "Those who wait for a permit.", waiting],
  ["admitted_total", "Requests that were given their permits.", admitted],
  ["rejected_total", "Requests that were refused, or waited too long.", rejected]
]

/**
 * Observes a semaphore as `NAME_capacity`, `NAME_held`, `NAME_waiting`, `NAME_admitted_total` and `NAME_rejected_total`.
 *
 * @example
 * ```ts
 * import { Exposition, Registry } from "@sluice/metrics"
 * import { Observe } from "@sluice/metrics/observe"
 * import { Semaphore } from "@sluice/semaphore"
 *
 * const registry = Registry.makeUnsafe()
 * Observe.observeSemaphore(registry, "model_calls", Semaphore.makeUnsafe(8))
 * console.log(Exposition.prometheusText(registry).split("\n")[2]) // => model_calls_capacity 8
 * ```
 */
export const observeSemaphore = (registry: Registry, name: string, semaphore: Observable<PermitStats>): void =>
  observe(registry, name, {}, () => permitFigures(semaphore.statsUnsafe()))

/** Observes a bulkhead, as {@link observeSemaphore}. */
export const observeBulkhead: typeof observeSemaphore = observeSemaphore

/** Observes a priority semaphore, as {@link observeSemaphore}, with `NAME_waiting_by_class` besides. */
export const observePrioritySemaphore = (
  registry: Registry,
  name: string,
  semaphore: Observable<PermitStats & { readonly waitingByClass: ReadonlyArray<number> }>
): void => {
  observeSemaphore(registry, name, semaphore)
  registry.gaugeFrom({ name: `${name}_waiting_by_class`, help: "Those who wait, by class.", labels: ["class"] }, () =>
    semaphore.statsUnsafe().waitingByClass.map((waiting, index) => [{ class: String(index) }, waiting])
  )
}

/** Observes a keyed semaphore over all its keys, as {@link observeSemaphore}, with `NAME_keys` besides. */
export const observeKeyedSemaphore = (
  registry: Registry,
  name: string,
  semaphore: Observable<PermitStats & { readonly keys: number }>
): void => {
  observeSemaphore(registry, name, semaphore)
  registry.gaugeFrom({ name: `${name}_keys`, help: "Keys that hold or await permits." }, () => [
    [{}, semaphore.statsUnsafe().keys]
  ])
}

/** Observes an adaptive limit, as {@link observeSemaphore}, with `NAME_dropped_total` and each partition's held and waiting. */
export const observeAdaptiveLimit = (
  registry: Registry,
  name: string,
  limit: Observable<
    PermitStats & {
      readonly dropped: number
      readonly partitions: Readonly<Record<string, { readonly held: number; readonly waiting: number }>>
    }
  >
): void => {
  observeSemaphore(registry, name, limit)
  registry.counterFrom({ name: `${name}_dropped_total`, help: "Drops, seen and reported." }, () => [
    [{}, limit.statsUnsafe().dropped]
  ])
  for (const figure of ["held", "waiting"] as const) {
    registry.gaugeFrom(
      { name: `${name}_partition_${figure}`, help: `Permits ${figure}, by partition.`, labels: ["partition"] },
      () => Object.entries(limit.statsUnsafe().partitions).map(([partition, stats]) => [{ partition }, stats[figure]])
    )
  }
}

const isNumber = (value: unknown): value is number => typeof value === "number"

const snakeCase = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/**
 * Observes every number that anything's statistics hold: those named in `totals` as counters `NAME_FIELD_total`, the others
 * as gauges `NAME_FIELD`. For primitives of your own, and for those that have no observer here.
 */
export const observeStats = <S extends object>(
  registry: Registry,
  name: string,
  observable: Observable<S>,
  options: { readonly totals?: ReadonlyArray<keyof S & string> | undefined; readonly help?: string | undefined } = {}
): void => {
  const { help, totals = [] } = options
  const isTotal = new Set<string>(totals)
  observe(registry, name, {}, () => {
    const stats: ReadonlyArray<readonly [string, unknown]> = Object.entries(observable.statsUnsafe())
    return stats.flatMap(([field, value]) =>
      isNumber(value)
        ? [
            [
              `${snakeCase(field)}${isTotal.has(field) ? "_total" : ""}`,
              help ?? `${field}, as ${name} tells it.`,
              value
            ] as const
          ]
        : []
    )
  })
}

/** What a rate limiter tells, keyed or not. */
export interface RateStats {
  readonly capacity: number
  readonly waiting: number
  readonly admitted: number
  readonly rejected: number
}

/** Observes a rate limiter: `NAME_capacity`, `NAME_waiting`, `NAME_admitted_total`, `NAME_rejected_total`. */
export const observeRateLimiter = (registry: Registry, name: string, limiter: Observable<RateStats>): void =>
  observe(registry, name, {}, () => {
    const { admitted, capacity, rejected, waiting } = limiter.statsUnsafe()
    return [
      ["capacity", "What may be taken at once.", capacity],
      ["waiting", "Those who wait for their turn.", waiting],
      ["admitted_total", "Requests that were let through.", admitted],
      ["rejected_total", "Requests that were refused.", rejected]
    ]
  })

/** Observes a keyed rate limiter, as {@link observeRateLimiter}, with `NAME_keys` and `NAME_evicted_total` besides. */
export const observeKeyedRateLimiter = (
  registry: Registry,
  name: string,
  limiter: Observable<RateStats & { readonly keys: number; readonly evicted: number }>
): void => {
  observeRateLimiter(registry, name, limiter)
  observe(registry, name, {}, () => {
    const { evicted, keys } = limiter.statsUnsafe()
    return [
      ["keys", "Keys of which state is kept.", keys],
      ["evicted_total", "Keys that were forgotten to make room.", evicted]
    ]
  })
}

/** Observes a retry policy: `NAME_calls_total`, `NAME_attempts_total`, `NAME_succeeded_total`, `NAME_failed_total` by reason. */
export const observeRetry = (
  registry: Registry,
  name: string,
  policy: Observable<{
    readonly calls: number
    readonly attempts: number
    readonly succeeded: number
    readonly failed: Readonly<Record<string, number>>
  }>
): void => {
  observe(registry, name, {}, () => {
    const { attempts, calls, succeeded } = policy.statsUnsafe()
    return [
      ["calls_total", "Calls that were begun.", calls],
      ["attempts_total", "Attempts that the calls made.", attempts],
      ["succeeded_total", "Calls that succeeded.", succeeded]
    ]
  })
  registry.counterFrom(
    { name: `${name}_failed_total`, help: "Calls that failed, by why there was no other attempt.", labels: ["reason"] },
    () => Object.entries(policy.statsUnsafe().failed).map(([reason, count]) => [{ reason }, count])
  )
}

/** A retry budget, whose statistics are of a time in milliseconds. */
export interface Budget {
  statsUnsafe(nowMillis: number): {
    readonly granted: number
    readonly denied: number
    readonly available: number
  }
}

/** Observes a retry budget: `NAME_available`, `NAME_granted_total`, `NAME_denied_total`. */
export const observeRetryBudget = (
  registry: Registry,
  name: string,
  budget: Budget,
  now: () => number = Date.now
): void =>
  observe(registry, name, {}, () => {
    const { available, denied, granted } = budget.statsUnsafe(now())
    return [
      ["available", "Retries that would be granted now.", available],
      ["granted_total", "Retries that were granted.", granted],
      ["denied_total", "Retries that were denied.", denied]
    ]
  })

/** Observes a hedge: `NAME_delay_seconds`, and calls, copies, those that won and those denied as totals. */
export const observeHedge = (
  registry: Registry,
  name: string,
  hedge: Observable<{
    readonly calls: number
    readonly hedges: number
    readonly won: number
    readonly denied: number
    readonly delayMillis: number
  }>
): void =>
  observe(registry, name, {}, () => {
    const { calls, delayMillis, denied, hedges, won } = hedge.statsUnsafe()
    return [
      ["delay_seconds", "How late a call must be for a copy.", delayMillis / 1000],
      ["calls_total", "Calls.", calls],
      ["hedges_total", "Copies that were sent.", hedges],
      ["won_total", "Copies that answered first.", won],
      ["denied_total", "Copies that the budget denied.", denied]
    ]
  })

/** Observes a deadline: work started, missed and refused, as totals. */
export const observeDeadline = (
  registry: Registry,
  name: string,
  deadline: Observable<{ readonly started: number; readonly missed: number; readonly refused: number }>
): void =>
  observe(registry, name, {}, () => {
    const { missed, refused, started } = deadline.statsUnsafe()
    return [
      ["started_total", "Work that was begun.", started],
      ["missed_total", "Work that was not done in time.", missed],
      ["refused_total", "Work that was not begun, since its time was over.", refused]
    ]
  })

/** What a pool of connections tells of one origin. */
export interface PoolStats {
  readonly origin: string
  readonly open: number
  readonly idle: number
  readonly inFlight: number
  readonly waiting: number
  readonly created: number
  readonly reused: number
  readonly replayed: number
  readonly admitted: number
  readonly rejected: number
  /** Connections closed, by reason. */
  readonly closedBy: object
}

const poolGauges = [
  ["open", "Connections that stand.", "open"],
  ["idle", "Connections that wait for a request.", "idle"],
  ["in_flight", "Requests that hold a permit.", "inFlight"],
  ["waiting", "Requests that wait for a permit.", "waiting"]
] as const

const poolCounters = [
  ["created_total", "Connections made.", "created"],
  ["reused_total", "Requests that found an idle connection.", "reused"],
  ["replayed_total", "Requests sent a second time after a stale connection.", "replayed"],
  ["admitted_total", "Requests that got a permit.", "admitted"],
  ["rejected_total", "Requests that got none in time.", "rejected"]
] as const

/** Observes an HTTP pool by origin: connections and requests, and `NAME_closed_total` by reason. */
export const observeHttpPool = (
  registry: Registry,
  name: string,
  pool: Observable<{ readonly origins: ReadonlyArray<PoolStats> }>
): void => {
  const labels = ["origin"]
  const reading = (field: (typeof poolGauges | typeof poolCounters)[number][2]) => () =>
    pool.statsUnsafe().origins.map((stats): readonly [Labels, number] => [{ origin: stats.origin }, stats[field]])
  for (const [suffix, help, field] of poolGauges) {
    registry.gaugeFrom({ name: `${name}_${suffix}`, help, labels }, reading(field))
  }
  for (const [suffix, help, field] of poolCounters) {
    registry.counterFrom({ name: `${name}_${suffix}`, help, labels }, reading(field))
  }
  registry.counterFrom(
    { name: `${name}_closed_total`, help: "Connections closed, by reason.", labels: ["origin", "reason"] },
    () =>
      pool
        .statsUnsafe()
        .origins.flatMap(({ closedBy, origin }) =>
          Object.entries(closedBy).map(([reason, count]): readonly [Labels, number] => [
            { origin, reason },
            Number(count)
          ])
        )
  )
}
