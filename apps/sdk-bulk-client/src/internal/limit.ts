// Keeps the requests of a client within a limit that adapts. Those that find no
// place wait in the order of their arrival, for as long as for a connection.

import { Semaphore } from "@sluice/semaphore"
import { Clock, type Duration, Effect, Exit, Option } from "effect"
import type { CallError } from "../Errors.ts"
import type { LimitStats } from "../Limit.ts"
import { Congestion, type Signal } from "./congestion.ts"

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

const signalOf = <A>(exit: Exit.Exit<A, CallError>): Signal => {
  if (Exit.isSuccess(exit)) return "answered"
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  switch (error?._tag) {
    case "@sluice/sdk-bulk-client/ApiError":
      return tooMany.has(error.status) ? "refused" : "nothing"
    case "@sluice/sdk-bulk-client/ConnectionError":
      return error.isTimeout && error.mayHaveReachedServer ? "refused" : "nothing"
    default:
      return "nothing"
  }
}

/** A limit of at most `maximum`; where it does not adapt, that is what it is. */
export const make = (maximum: number, isAdaptive: boolean, maxWait: Duration.Duration): Limit => {
  const places = Semaphore.makeUnsafe(maximum)
  const congestion = new Congestion(maximum)
  let capacity = maximum

  const observed = <A>(kind: string, attempt: Effect.Effect<A, CallError>): Effect.Effect<A, CallError> =>
    Effect.flatMap(Clock.currentTimeMillis, (startedMillis) =>
      Effect.onExit(attempt, (exit) =>
        Effect.flatMap(Clock.currentTimeMillis, (endedMillis) => {
          congestion.ended({
            kind,
            startedMillis,
            endedMillis,
            inFlight: places.statsUnsafe().held,
            signal: signalOf(exit)
          })
          if (congestion.limit === capacity) return Effect.void
          capacity = congestion.limit
          return places.resize(capacity)
        })
      )
    )

  /** Gives up the wait for a place, but not what has one. */
  const inTime = <A>(attempt: Effect.Effect<A, CallError>, onTimeout: () => CallError): Effect.Effect<A, CallError> =>
    Effect.suspend(() => {
      let hasPlace = false
      const placed = places.withPermit(
        Effect.suspend(() => {
          hasPlace = true
          return attempt
        })
      )
      const tooLate = Effect.andThen(
        Effect.sleep(maxWait),
        Effect.suspend(() => (hasPlace ? Effect.never : Effect.fail(onTimeout())))
      )
      return Effect.raceFirst(placed, tooLate)
    })

  return {
    around: (kind, attempt, onTimeout) =>
      Effect.suspend(() => {
        const learning = isAdaptive ? observed(kind, attempt) : attempt
        const { available, waiting } = places.statsUnsafe()
        return available > 0 && waiting === 0 ? places.withPermit(learning) : inTime(learning, onTimeout)
      }),
    stats: () => {
      const { held, waiting } = places.statsUnsafe()
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
}
