/**
 * Counts and times effects, by how they end.
 *
 * @module
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { CounterSeries, Instrument, Labels } from "./Instruments.ts"

/** How an effect ended. */
export type Outcome = "success" | "failure" | "defect" | "interrupted"

/** A function from an effect to the same effect, seen. */
export type Policy = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** How an effect ended: a failure that it tells of, a defect, or an interruption. */
export const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Outcome =>
  Exit.isSuccess(exit)
    ? "success"
    : Cause.hasInterruptsOnly(exit.cause)
      ? "interrupted"
      : Cause.hasDies(exit.cause)
        ? "defect"
        : "failure"

/** Counts each end of an effect, however it ends. */
export const counted =
  (series: CounterSeries): Policy =>
  (self) =>
    Effect.onExitPrimitive(self, () => {
      series.incrementUnsafe()
      return undefined
    })

const outcomes: ReadonlyArray<Outcome> = ["success", "failure", "defect", "interrupted"]

const byOutcome = <S>(instrument: Instrument<S>, labels: Labels): Readonly<Record<Outcome, S>> => {
  const [success, failure, defect, interrupted] = outcomes.map((outcome) => instrument.bind({ ...labels, outcome }))
  if (success === undefined || failure === undefined || defect === undefined || interrupted === undefined) {
    throw new Error("There is a series for each outcome")
  }
  return { success, failure, defect, interrupted }
}

/**
 * Counts each end of an effect by how it ended. The counter has a label `outcome`, and the others are given here; the four
 * series are bound once.
 *
 * @example
 * ```ts
 * import { Registry, Track } from "@sluice/metrics"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const registry = yield* Registry.make()
 *   const calls = registry.counter({ name: "calls_total", help: "Calls.", labels: ["to", "outcome"] })
 *   const counted = Track.countedByExit(calls, { to: "inventory" })
 *   yield* counted(Effect.void)
 *   yield* Effect.exit(counted(Effect.fail("down")))
 *   console.log(calls.bind({ to: "inventory", outcome: "failure" }).value) // => 1
 * })
 *
 * await Effect.runPromise(program)
 * ```
 */
export const countedByExit = (counter: Instrument<CounterSeries>, labels: Labels = {}): Policy => {
  const series = byOutcome(counter, labels)
  return (self) =>
    Effect.onExitPrimitive(self, (exit) => {
      series[outcomeOf(exit)].incrementUnsafe()
      return undefined
    })
}

interface Observed {
  observeUnsafe(value: number): void
}

/** Records how long each run of an effect takes, in seconds, however it ends. */
export const timed =
  (series: Observed): Policy =>
  (self) =>
    timing(self, () => series)

/** As {@link timed}, by how the effect ended: the instrument has a label `outcome`. */
export const timedByExit = (instrument: Instrument<Observed>, labels: Labels = {}): Policy => {
  const series = byOutcome(instrument, labels)
  return (self) => timing(self, (exit) => series[outcomeOf(exit)])
}

const timing = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  seriesOf: (exit: Exit.Exit<A, E>) => Observed
): Effect.Effect<A, E, R> =>
  Effect.flatMap(Clock.Clock, (clock) => {
    const start = clock.currentTimeNanosUnsafe()
    return Effect.onExitPrimitive(self, (exit) => {
      seriesOf(exit).observeUnsafe(Number(clock.currentTimeNanosUnsafe() - start) / 1e9)
      return undefined
    })
  })
