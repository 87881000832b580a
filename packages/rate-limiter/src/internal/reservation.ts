import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Line, Promised } from "./line.ts"
import { tolerance } from "./meter.ts"
import type { SteadyTime } from "./steadyTime.ts"

/** What a caller may do with a promise of a line: wait for its time, and take it back, once. */
export const reservationOf = <S, C, G>(
  line: Line<S, C>,
  steady: SteadyTime,
  promised: Promised<C>,
  now: number,
  givenOf: (given: C | undefined) => G
): { readonly delay: Duration.Duration; readonly ready: Effect.Effect<void>; readonly cancel: Effect.Effect<G> } => {
  const ready: Effect.Effect<void> = Effect.clockWith((clock: Clock.Clock) => {
    const left = promised.at - steady.at(clock.currentTimeMillisUnsafe())
    return left <= tolerance ? Effect.void : Effect.andThen(Effect.sleep(left), ready)
  })
  let isCancelled = false
  return {
    delay: Duration.millis(Math.max(0, promised.at - now)),
    ready,
    cancel: Effect.withFiberSucceed((fiber) => {
      if (isCancelled) return givenOf(undefined)
      isCancelled = true
      return givenOf(line.cancel(promised, steady.at(fiber.getRef(Clock.Clock).currentTimeMillisUnsafe())))
    })
  }
}
