/**
 * Stops asking a model server that keeps failing, so that officers are told at
 * once instead of after every retry, and the server can recover.
 *
 * @module
 */
import { Context, Data, Duration, Effect, Exit, Layer, Schedule } from "effect"
import { CircuitBreaker } from "effect/persistence"

/** The model server is given time to recover. */
export class Resting extends Data.TaggedError("Resting")<{ readonly retryAfter: Duration.Duration }> {}

export interface BreakerState {
  readonly state: "closed" | "open" | "half_open"
  readonly retryAfterSeconds: number
}

/** The servers, each with a breaker of its own. */
export const SERVERS = ["model_server", "asr_ocr_server"] as const
export type ServerName = (typeof SERVERS)[number]

/** The breaker of one server. */
export interface ServerBreaker {
  /** Runs a call unless the server rests; `isFault` says which failures are the server's. */
  guard<A, E, R>(call: Effect.Effect<A, E, R>, isFault: (error: E) => boolean): Effect.Effect<A, E | Resting, R>
  readonly state: Effect.Effect<BreakerState>
  /** Forgets what has failed. */
  readonly reset: Effect.Effect<void>
}

export interface BreakerApi {
  of(server: ServerName): ServerBreaker
}

export const Breaker: Context.Service<BreakerApi, BreakerApi> = Context.Service<BreakerApi>("fir-pipeline/Breaker")

const CLOSED: BreakerState = { state: "closed", retryAfterSeconds: 0 }
/** While one call tries whether the server is back, the others are told to come again soon. */
const PROBING = Duration.seconds(1)

/** A server that only restarts is back in a moment, and one that stays away is asked less and less. */
const openings = (longestSeconds: number) =>
  Schedule.exponential("1 second").pipe(
    Schedule.modifyDelay(({ duration }) =>
      Effect.succeed(Duration.min(Duration.fromInputUnsafe(duration), Duration.seconds(longestSeconds)))
    )
  )

const told = (state: CircuitBreaker.State): BreakerState => {
  switch (state._tag) {
    case "Closed":
      return CLOSED
    case "HalfOpen":
      return { state: "half_open", retryAfterSeconds: Duration.toSeconds(PROBING) }
    case "Open":
      return { state: "open", retryAfterSeconds: Math.ceil(Duration.toSeconds(state.retryAfter)) }
  }
}

export const layer = (options: { readonly failures: number; readonly longestOpenSeconds: number }) =>
  Layer.effect(
    Breaker,
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({
        tripPolicy: CircuitBreaker.consecutive(options.failures),
        openDuration: openings(options.longestOpenSeconds)
      })
      const ofServer = (server: ServerName): ServerBreaker => {
        // A reset is a new key: calls of the old one can no longer open the new circuit.
        let generation = 0
        const key = () => `${server} ${generation}`
        return {
          guard: (call, isFault) => {
            const faults = new Set<unknown>()
            return Effect.suspend(() =>
              breaker.execute(
                Effect.tapError(call, (error) => Effect.sync(() => void (isFault(error) && faults.add(error)))),
                {
                  key: key(),
                  classify: (exit) =>
                    Exit.isSuccess(exit)
                      ? CircuitBreaker.success
                      : faults.size > 0
                        ? CircuitBreaker.failure()
                        : CircuitBreaker.ignored
                }
              )
            ).pipe(
              Effect.mapError((error) =>
                error instanceof CircuitBreaker.CircuitBreakerError
                  ? new Resting({ retryAfter: error.reason._tag === "CircuitOpen" ? error.reason.retryAfter : PROBING })
                  : error
              )
            )
          },
          state: Effect.suspend(() => breaker.state(key())).pipe(
            Effect.map(told),
            Effect.catch(() => Effect.succeed(CLOSED))
          ),
          reset: Effect.sync(() => {
            generation++
          })
        }
      }
      const breakers = { model_server: ofServer("model_server"), asr_ocr_server: ofServer("asr_ocr_server") }
      return { of: (server) => breakers[server] } satisfies BreakerApi
    })
  ).pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))
