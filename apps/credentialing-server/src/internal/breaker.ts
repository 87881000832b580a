// A circuit breaker for each service that is called: what keeps failing is left
// alone for a while, first a short one.
import { Duration, Effect, Exit, Schedule } from "effect"
import { CircuitBreaker } from "effect/persistence"

export type BreakerState = "closed" | "open" | "half_open"

export interface Breaker {
  /** Runs a call unless the service rests: then it fails with what `resting` makes of the time to come back. */
  guard<A, E, R>(
    service: string,
    call: Effect.Effect<A, E, R>,
    options: { readonly isFault: (error: E) => boolean; readonly resting: (retryAfter: Duration.Duration) => E }
  ): Effect.Effect<A, E, R>
  state(service: string): Effect.Effect<BreakerState>
}

/** A service that only restarts is back in a moment, and one that stays away is asked less and less. */
const openings = Schedule.exponential("250 millis").pipe(
  Schedule.modifyDelay(({ duration }) =>
    Effect.succeed(Duration.min(Duration.fromInputUnsafe(duration), Duration.seconds(30)))
  )
)
/** While one call tries whether the service is back, the others wait for so long. */
const PROBING = Duration.millis(100)

const states = { Closed: "closed", HalfOpen: "half_open", Open: "open" } as const

export const make = (failures: number) =>
  Effect.map(
    CircuitBreaker.make({ tripPolicy: CircuitBreaker.consecutive(failures), openDuration: openings }),
    (breaker): Breaker => ({
      guard: (service, call, { isFault, resting }) =>
        Effect.suspend(() => {
          let isFaulty = false
          const watched = Effect.tapError(call, (error) =>
            Effect.sync(() => {
              isFaulty = isFault(error)
            })
          )
          return breaker.execute(watched, {
            key: service,
            classify: (exit) =>
              Exit.isSuccess(exit)
                ? CircuitBreaker.success
                : isFaulty
                  ? CircuitBreaker.failure()
                  : CircuitBreaker.ignored
          })
        }).pipe(
          Effect.mapError((error) =>
            error instanceof CircuitBreaker.CircuitBreakerError
              ? resting(error.reason._tag === "CircuitOpen" ? error.reason.retryAfter : PROBING)
              : error
          )
        ),
      state: (service) =>
        breaker.state(service).pipe(
          Effect.map(({ _tag }): BreakerState => states[_tag]),
          Effect.catch(() => Effect.succeed<BreakerState>("closed"))
        )
    })
  )
