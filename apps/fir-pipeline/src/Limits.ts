/**
 * How much the server does at once: so many reports, so many model calls. What is
 * urgent goes before the rest, and the rest is not forgotten.
 *
 * @module
 */
import { LeasedSemaphore, type RedisSession } from "@sluice/redis"
import { PrioritySemaphore } from "@sluice/semaphore"
import { Context, Data, type Duration, Effect, Layer } from "effect"

/** More reports wait than may. */
export class Overloaded extends Data.TaggedError("Overloaded")<{ readonly waiting: number }> {}

/** A report whose turn is waited for. */
export interface Turn {
  readonly sessionId: string
  readonly urgent: boolean
}

export interface LimitsApi {
  /** Runs a step of a report when one of the places for reports is free. */
  report<A, E, R>(turn: Turn, step: Effect.Effect<A, E, R>): Effect.Effect<A, E | Overloaded, R>
  /** How many are served before a report that waits, itself counted. */
  place(sessionId: string): number | undefined
  /** Runs a model call when one of the permits for model calls is free. */
  modelCall<A, E>(call: Effect.Effect<A, E>): Effect.Effect<A, E>
  readonly stats: () => {
    readonly reports: PrioritySemaphore.Stats & { readonly waitingMost: number }
    readonly modelCalls: PrioritySemaphore.Stats
  }
}

export const Limits: Context.Service<LimitsApi, LimitsApi> = Context.Service<LimitsApi>("fir-pipeline/Limits")

/** Whether what is done is for an urgent report. */
const Urgency: Context.Reference<boolean> = Context.Reference<boolean>("fir-pipeline/Urgency", {
  defaultValue: () => false
})

/** Reports that came later and are urgent may overtake one that is not, but no more of them than these. */
const OVERTAKEN_AT_MOST = 16
const CLASSES = { classes: 2, ageing: OVERTAKEN_AT_MOST }
const classOf = (urgent: boolean): number => (urgent ? 0 : 1)

/** Those who wait, ranked as the semaphore ranks them: as if what is not urgent had come later than it did. */
class Line {
  readonly #ranks = new Map<string, number>()
  #arrivals = 0

  join({ sessionId, urgent }: Turn): void {
    this.#ranks.set(sessionId, this.#arrivals++ + classOf(urgent) * OVERTAKEN_AT_MOST)
  }

  leave(sessionId: string): void {
    this.#ranks.delete(sessionId)
  }

  place(sessionId: string): number | undefined {
    const rank = this.#ranks.get(sessionId)
    if (rank === undefined) return undefined
    let place = 1
    for (const other of this.#ranks.values()) if (other < rank) place++
    return place
  }
}

export interface Options {
  readonly reports: number
  readonly waitingReports: number
  readonly modelCalls: number
}

/** Runs a call when all servers together make fewer than they may. */
type Sharing = <A, E>(call: Effect.Effect<A, E>) => Effect.Effect<A, E>

const make = (options: Options, sharing: Sharing): Effect.Effect<LimitsApi> =>
  Effect.gen(function* () {
    const reports = yield* PrioritySemaphore.make({ permits: options.reports, ...CLASSES })
    const modelCalls = yield* PrioritySemaphore.make({ permits: options.modelCalls, ...CLASSES })
    const line = new Line()
    let refused = 0
    return {
      report: <A, E, R>(turn: Turn, step: Effect.Effect<A, E, R>) =>
        Effect.suspend((): Effect.Effect<A, E | Overloaded, R> => {
          const { capacity, held, waiting } = reports.statsUnsafe()
          if (held >= capacity && waiting >= options.waitingReports) {
            refused++
            return Effect.fail(new Overloaded({ waiting }))
          }
          line.join(turn)
          const left = Effect.sync(() => line.leave(turn.sessionId))
          const run = Effect.provideService(step, Urgency, turn.urgent)
          return Effect.ensuring(reports.withPermit(classOf(turn.urgent))(Effect.andThen(left, run)), left)
        }),
      place: (sessionId) => line.place(sessionId),
      modelCall: (call) => Effect.flatMap(Urgency, (urgent) => modelCalls.withPermit(classOf(urgent))(sharing(call))),
      stats: () => ({
        reports: { ...reports.statsUnsafe(), rejected: refused, waitingMost: options.waitingReports },
        modelCalls: modelCalls.statsUnsafe()
      })
    }
  })

export const layer = (options: Options): Layer.Layer<LimitsApi> =>
  Layer.effect(
    Limits,
    make(options, (call) => call)
  )

/** A server that dies gives its permits back with their lease. */
const LEASE: Duration.Input = "5 seconds"

/**
 * The permits for model calls are shared by all servers. Who goes next is settled in two lines: that of this server, where
 * the urgent go first, and then that of all servers, in order of arrival. While Redis is away, each takes its share.
 */
export const shared = (options: Options): Layer.Layer<LimitsApi, never, RedisSession.RedisSession> =>
  Layer.effect(
    Limits,
    Effect.gen(function* () {
      const permits = yield* LeasedSemaphore.make({
        name: "model-calls",
        permits: options.modelCalls,
        lease: LEASE,
        whenAway: "localShare"
      })
      const sharing: Sharing = (call) => Effect.scoped(Effect.andThen(Effect.ignore(permits.takeScoped(1)), call))
      return yield* make(options, sharing)
    })
  )
