// Where waiting is a matter of time and not of turns, the Effect packages do it: rate
// limits, retries and hedges run there as fibers, one a call, which costs a
// microsecond beside what they wait for. A call that need not wait has ended when
// its fiber has been started, and nothing of it stays behind.

import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type Abortable, forget, onAbort } from "./abort.ts"

/** Turns what an effect fails with into what a promise is rejected with. */
export type Translate<E> = (error: E) => unknown

const reasonOf = <E>(cause: Cause.Cause<E>, signal: AbortSignal | undefined, translate: Translate<E>): unknown => {
  for (const reason of cause.reasons) {
    if (Cause.isFailReason(reason)) return translate(reason.error)
    if (Cause.isDieReason(reason)) return reason.defect
  }
  return signal?.reason
}

/** Runs an effect; the signal interrupts it. */
export const run = <A, E>(
  effect: Effect.Effect<A, E>,
  signal: AbortSignal | undefined,
  translate: Translate<E>
): Promise<A> => {
  if (signal?.aborted === true) return Promise.reject(signal.reason)
  const fiber = Effect.runFork(effect)
  const exit = fiber.pollUnsafe()
  if (exit !== undefined) {
    return Exit.isSuccess(exit) ? Promise.resolve(exit.value) : Promise.reject(reasonOf(exit.cause, signal, translate))
  }
  return new Promise((resolve, reject) => {
    const interruption: Abortable = { abort: () => fiber.interruptUnsafe() }
    if (signal !== undefined) onAbort(signal, interruption)
    fiber.addObserver((exit) => {
      if (signal !== undefined) forget(signal, interruption)
      if (Exit.isSuccess(exit)) resolve(exit.value)
      else reject(reasonOf(exit.cause, signal, translate))
    })
  })
}

/** Runs an effect that waits for nothing; throws what it fails with. */
export const runNow = <A, E>(effect: Effect.Effect<A, E>, translate: Translate<E>): A => {
  const exit = Effect.runSyncExit(effect)
  if (Exit.isSuccess(exit)) return exit.value
  throw reasonOf(exit.cause, undefined, translate)
}

/** For an effect that cannot fail. */
export const unfailing: Translate<never> = (error) => error
