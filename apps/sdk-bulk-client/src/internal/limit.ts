// Keeps the requests of a client within a limit that adapts. Those that find no
// place wait in the order of their arrival, for as long as for a connection.

import { AdaptiveLimit, Bulkhead } from "@sluice/semaphore"
import { Cause, Clock, type Duration, Effect, Exit } from "effect"
import { ApiError, type CallError, ConnectionError } from "../Errors.ts"
import type { LimitStats } from "../Limit.ts"
import { Congestion } from "./congestion.ts"

export interface Limit {
  /** Runs an attempt when there is a place for it, and learns from how it ends. */
  readonly around: <A>(
    kind: string,
    attempt: Effect.Effect<A, CallError>,
    onTimeout: () => CallError
  ) => Effect.Effect<A, CallError>
  readonly stats: () => LimitStats
}

const tooMany: ReadonlySet<number> = new Set([429, 503])

/** Whether the API says that there is too much for it, or shows it by not answering in time. */
const isRefusal = (error: unknown): boolean =>
  error instanceof ApiError
    ? tooMany.has(error.status)
    : error instanceof ConnectionError && error.isTimeout && error.mayHaveReachedServer

/** The limit is moved by ten answers, or by a refusal as soon as those that were sent with it are back. */
const window = "20 millis"
const minSamples = 10

/** Whoever waits is a fiber of the caller's, which bounds them. */
const maxWaiting = Number.MAX_SAFE_INTEGER

const waitingErrors = ["@sluice/semaphore/BulkheadTimeout", "@sluice/semaphore/BulkheadFull"] as const

/** A limit of `maximum` that stays. */
const fixed = (maximum: number, maxWait: Duration.Duration): Effect.Effect<Limit> =>
  Effect.map(Bulkhead.make({ permits: maximum, maxWaiting, maxWait }), (places) => ({
    around: (_, attempt, onTimeout) =>
      Effect.catchTag(places.withPermit(attempt), waitingErrors, () => Effect.fail(onTimeout())),
    stats: () => {
      const { held, waiting } = places.statsUnsafe()
      return { limit: maximum, maximum, inFlight: held, waiting, fellForRefusal: 0, fellForLatency: 0 }
    }
  }))

/** A limit of at most `maximum` that adapts. */
const adaptive = (maximum: number, maxWait: Duration.Duration): Effect.Effect<Limit> =>
  Effect.gen(function* () {
    const congestion = new Congestion(maximum)
    const places = yield* AdaptiveLimit.make({
      algorithm: congestion.algorithm,
      maxWaiting,
      maxWait,
      window,
      minSamples,
      isDrop: (exit) => Exit.isFailure(exit) && isRefusal(Cause.squash(exit.cause))
    })

    const observed = <A>(kind: string, attempt: Effect.Effect<A, CallError>): Effect.Effect<A, CallError> =>
      Effect.flatMap(Clock.currentTimeMillis, (startedMillis) =>
        Effect.onExit(attempt, (exit) => {
          if (Exit.isFailure(exit)) {
            if (isRefusal(Cause.squash(exit.cause))) congestion.refused()
            return Effect.void
          }
          return Effect.flatMap(Clock.currentTimeMillis, (endedMillis) =>
            congestion.answered(kind, endedMillis - startedMillis, endedMillis) ? places.reportDrop : Effect.void
          )
        })
      )

    return {
      around: (kind, attempt, onTimeout) =>
        Effect.catchTag(places.withPermit(observed(kind, attempt)), waitingErrors, () => Effect.fail(onTimeout())),
      stats: () => {
        const { capacity, held, waiting } = places.statsUnsafe()
        return {
          limit: capacity,
          maximum,
          inFlight: held,
          waiting,
          fellForRefusal: congestion.fellForRefusal,
          fellForLatency: congestion.fellForLatency
        }
      }
    }
  })

/** A limit of at most `maximum`; where it does not adapt, that is what it is. */
export const make = (maximum: number, isAdaptive: boolean, maxWait: Duration.Duration): Effect.Effect<Limit> =>
  isAdaptive ? adaptive(maximum, maxWait) : fixed(maximum, maxWait)
