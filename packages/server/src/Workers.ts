/**
 * A server as several processes on one port: a process per core, replaced after so
 * many requests, started again with back-off after a crash, and drained at the end.
 *
 * @module
 */
import cluster from "node:cluster"
import type * as Http from "node:http"
import { availableParallelism } from "node:os"
import type { RateLimiter } from "@sluice/rate-limiter"
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ClientLimiter } from "./Admission.ts"
import type { Health, Snapshot } from "./Health.ts"
import { clusterProcesses, placeVariable } from "./internal/workers/cluster.ts"
import { makeMember } from "./internal/workers/member.ts"
import { supervise } from "./internal/workers/supervisor.ts"

/**
 * Why a worker's process ended: it was asked to (`drained`), it was killed since it did not when asked (`killed`), it ended
 * by itself (`crashed`), or before it took any request (`failed`).
 */
export type ExitReason = "drained" | "killed" | "crashed" | "failed"

/** What happens to the workers, in the primary. `worker` is a place, from 1 to their number, that one process after another has. */
export type Event =
  | { readonly _tag: "Started"; readonly worker: number; readonly pid: number }
  | { readonly _tag: "Ready"; readonly worker: number; readonly pid: number }
  | { readonly _tag: "Replacing"; readonly worker: number; readonly pid: number; readonly reason: "requests" | "roll" }
  | {
      readonly _tag: "Exited"
      readonly worker: number
      readonly pid: number
      readonly reason: ExitReason
      readonly code: number | null
      readonly signal: string | null
    }

/** One worker's process right now. */
export interface WorkerStats {
  readonly worker: number
  readonly pid: number
  readonly state: "starting" | "ready" | "draining"
  readonly uptime: Duration.Duration
}

/** What the workers are doing right now. */
export interface Stats {
  /** Workers that there should be. */
  readonly capacity: number
  /** Workers that take requests. */
  readonly ready: number
  /** Processes that were ever started. */
  readonly started: number
  readonly crashed: number
  /** Workers replaced after so many requests. */
  readonly recycled: number
  /** Workers replaced since all were. */
  readonly rolled: number
  /** Processes that were killed since they did not end in time, or did not start in time. */
  readonly killed: number
  /** Starts in a row that failed. */
  readonly failedStarts: number
  readonly workers: ReadonlyArray<WorkerStats>
}

export interface Options {
  /** How many there are. Default: as many as the machine has cores. */
  readonly workers?: number | undefined
  /** Requests after which a worker is replaced, 0 for any number. Default 0. */
  readonly maxRequestsPerWorker?: number | undefined
  /** How long a worker may take to end what it has begun. Default 30 seconds. */
  readonly drainTimeout?: Duration.Input | undefined
  /** How long a worker may take until it takes requests. Default 30 seconds. */
  readonly startTimeout?: Duration.Input | undefined
  /** The pauses before a worker that crashed soon, or did not start, is started again: from `base`, doubled up to `cap`. */
  readonly restart?:
    | {
        /** Default 100 millis. */
        readonly base?: Duration.Input | undefined
        /** Default 30 seconds. */
        readonly cap?: Duration.Input | undefined
        /** How long a worker must have been there for its crash not to count as soon. Default 10 seconds. */
        readonly stableAfter?: Duration.Input | undefined
      }
    | undefined
  /** Starts that may fail in a row, over all workers, before it is given up. Default 10. */
  readonly maxFailedStarts?: number | undefined
  /** Called in the primary for what happens to the workers, for a log. */
  readonly onEvent?: ((event: Event) => Effect.Effect<void>) | undefined
  /** What the primary does besides; it is interrupted at the end. Default nothing. */
  readonly primary?: ((workers: Workers) => Effect.Effect<void>) | undefined
}

/** The workers, as the primary has them. */
export interface Workers {
  readonly stats: Effect.Effect<Stats>
  /** Replaces all workers, one after the other, and completes when the old ones have ended. SIGHUP does it too. */
  readonly roll: Effect.Effect<void>
}

export interface SharedLimitOptions extends RateLimiter.Options {
  /** What tells it from other limits. Default `clients`. */
  readonly name?: string | undefined
  /** Clients of whom state is kept. Default 100,000. */
  readonly maxClients?: number | undefined
}

export interface ServeOptions {
  /** The server that listens already. `Listener.make` makes one. */
  readonly server: Http.Server
  /** Is told that the server is ready, and when it drains; the other workers can ask it for its snapshot. */
  readonly health?: Health | undefined
}

/** A worker, as its own process has it. */
export interface Worker {
  /** Its place, from 1 to the number of workers. */
  readonly place: number
  /** Its own name among all that ever have the place, for `Health`'s `worker`. */
  readonly name: string
  /**
   * Takes requests until the worker is told to drain. From then on it takes no more connections, ends each after its next
   * response, and completes when the last has ended, or the time for that is over and what was left is cut.
   */
  serve(options: ServeOptions): Effect.Effect<void>
  /** Completes when the worker is told to drain. */
  readonly draining: Effect.Effect<void>
  /** The snapshots of the other workers, but of those that do not answer within a second. For `Health`'s `workers`. */
  readonly others: Effect.Effect<ReadonlyArray<Snapshot>>
  /**
   * A limit that all workers share, for `Admission`'s `rateLimit`: the primary decides, so that it is as exact as in one
   * process. A decision costs a message to the primary and back, shared by all that ask meanwhile. Dies with a `RangeError`
   * where an option is out of range, or another worker has a different limit of the name.
   */
  limiter(options: SharedLimitOptions): Effect.Effect<ClientLimiter>
}

/** The worker whose process this is. */
export const Worker: Context.Service<Worker, Worker> = Context.Service<Worker>("@sluice/server/Workers/Worker")

/** The facts of workers that could not be started. */
export interface WorkersFailedFields {
  /** How many starts failed in a row. */
  readonly failedStarts: number
}

const WorkersFailedBase: new (
  fields: WorkersFailedFields
) => Cause.YieldableError & { readonly _tag: "@sluice/server/WorkersFailed" } & WorkersFailedFields = Data.TaggedError(
  "@sluice/server/WorkersFailed"
)<WorkersFailedFields>

/** So many workers in a row ended before they took requests: to try on would change nothing. */
export class WorkersFailed extends WorkersFailedBase {
  override get message(): string {
    return `No worker could be started: ${this.failedStarts} in a row ended before they took requests`
  }
}

const whole = (name: string, value: number, least: number): number => {
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new RangeError(`Cannot launch workers with ${name} ${value}: a whole number, ${least} or more, is needed`)
}

const duration = (name: string, input: Duration.Input): Duration.Duration => {
  const value = Duration.fromInputUnsafe(input)
  const millis = Duration.toMillis(value)
  if (millis > 0 && millis < 2 ** 31) return value
  throw new RangeError(`Cannot launch workers with ${name} ${millis} ms: more than 0, and less than 25 days, is needed`)
}

const supervised = (options: Options): Effect.Effect<never, WorkersFailed> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { onEvent = () => Effect.void, restart = {} } = options
      const runFork = Effect.runForkWith(yield* Effect.context<never>())
      const clock = yield* Clock.Clock
      const supervisor = yield* supervise({
        workers: whole("workers", options.workers ?? availableParallelism(), 1),
        drainTimeout: duration("drainTimeout", options.drainTimeout ?? "30 seconds"),
        startTimeout: duration("startTimeout", options.startTimeout ?? "30 seconds"),
        restartBase: duration("restart.base", restart.base ?? "100 millis"),
        restartCap: duration("restart.cap", restart.cap ?? "30 seconds"),
        stableAfter: duration("restart.stableAfter", restart.stableAfter ?? "10 seconds"),
        maxFailedStarts: whole("maxFailedStarts", options.maxFailedStarts ?? 10, 1),
        fork: clusterProcesses(() => clock.currentTimeMillisUnsafe()),
        emit: (event) => {
          runFork(onEvent(event))
        }
      })
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const onHangUp = (): void => {
            runFork(supervisor.roll)
          }
          process.on("SIGHUP", onHangUp)
          return onHangUp
        }),
        (onHangUp) => Effect.sync(() => process.off("SIGHUP", onHangUp))
      )
      const workers: Workers = { stats: Effect.sync(supervisor.stats), roll: supervisor.roll }
      if (options.primary !== undefined) yield* Effect.forkScoped(options.primary(workers))
      return yield* Effect.mapError(supervisor.join, (failedStarts) => new WorkersFailed({ failedStarts }))
    })
  )

/**
 * Runs a program as several processes: this one, the primary, starts this same program again for each worker, and there
 * `worker` runs. It ends in the primary when it is interrupted, after all workers have drained, and in a worker when
 * `worker` does. Dies with a `RangeError` if an option is out of range.
 *
 * **Details**
 *
 * A worker that has had its share of requests goes on until another has taken its place; then it takes no more connections,
 * ends each after its next response, and ends itself. Workers are replaced one at a time, so that there is at most one
 * process too many. A worker that crashes within `stableAfter` is started again after a pause that doubles each time, any
 * other at once. A signal to the primary ends all where the program ends on it, as with `NodeRuntime.runMain`; what has not
 * ended a second after `drainTimeout` is killed. SIGHUP replaces all.
 *
 * On Node the primary accepts connections and hands them out by turns; on Deno the workers accept from one listener that
 * all have. No connection is lost there when a worker closes. On Bun each worker has its own listener, and the kernel hands
 * connections out (`SO_REUSEPORT`, Linux only): one that comes in the very moment in which a worker closes is reset before a
 * byte of it was read.
 *
 * **Gotchas**
 *
 * Whatever stands before `launch` in a program runs in the primary and in every worker. If the primary is killed, workers
 * end with it and drop what they do.
 *
 * @example
 * ```ts
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Admission, Health, Listener } from "@sluice/server"
 * import { Workers } from "@sluice/server/workers"
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 *
 * const worker = Effect.gen(function*() {
 *   const self = yield* Workers.Worker
 *   const rate = { limit: 200, interval: "1 minute" } as const
 *   const admission = yield* Admission.make({
 *     classes: { high: { permits: 1000 } },
 *     rateLimit: { ...rate, limiter: yield* self.limiter(rate) }
 *   })
 *   const health = yield* Health.make({ worker: self.name, workers: self.others, resources: admission.resources })
 *   const routes = Layer.mergeAll(
 *     HttpRouter.add("GET", "/health", health.liveness),
 *     HttpRouter.add("GET", "/", admission.admit("high")(Effect.succeed(HttpServerResponse.text("hello"))))
 *   )
 *   const server = Listener.make()
 *   const listening = HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
 *     Layer.provide(NodeHttpServer.layer(() => server, { host: "127.0.0.1", port: 0 }))
 *   )
 *   yield* Layer.build(listening)
 *   yield* self.serve({ server, health })
 * })
 *
 * // `NodeRuntime.runMain(server)` runs it until a signal comes.
 * const server = Workers.launch(worker, { workers: 4, maxRequestsPerWorker: 1000, drainTimeout: "20 seconds" })
 * ```
 */
export const launch = <E, R>(
  worker: Effect.Effect<void, E, R>,
  options: Options = {}
): Effect.Effect<void, E | WorkersFailed, Exclude<Exclude<R, Worker>, Scope.Scope>> =>
  Effect.suspend((): Effect.Effect<void, E | WorkersFailed, Exclude<Exclude<R, Worker>, Scope.Scope>> => {
    const place = Number(process.env[placeVariable])
    if (!cluster.isWorker || !(place >= 1)) return supervised(options)
    const member = makeMember(place, whole("maxRequestsPerWorker", options.maxRequestsPerWorker ?? 0, 0))
    return worker.pipe(
      Effect.provideService(Worker, member.worker),
      Effect.scoped,
      Effect.ensuring(Effect.sync(member.leave))
    )
  })
