/**
 * Schedules as something to be generated: a property of inputs and interleavings, which are then shrunk together.
 *
 * @module
 */
import * as fc from "fast-check"
import type { Mode, Strategy } from "./Explorer.ts"
import { token } from "./internal/search.ts"

export interface Options {
  /** Preemptions in a run. Default 2. */
  readonly maxPreemptions?: number | undefined
  /** Interruptions in a run. Default 0. */
  readonly interruptions?: number | undefined
  /** Choices that are not the ordinary one come within the first so many. Default 60. */
  readonly maxChoices?: number | undefined
  /** Default `contract`. */
  readonly mode?: Mode | undefined
}

/**
 * A schedule, to be given to `Explorer.assert` as its strategy. Shrinks towards the ordinary one.
 *
 * @example
 * ```ts
 * import { Explorer } from "@sluice/schedule-explorer"
 * import { schedules } from "@sluice/schedule-explorer/fast-check"
 * import { Effect, Semaphore } from "effect"
 * import * as fc from "fast-check"
 *
 * const sum = (amounts: ReadonlyArray<number>) =>
 *   Effect.gen(function* () {
 *     const semaphore = yield* Semaphore.make(1)
 *     let total = 0
 *     const add = (amount: number) =>
 *       semaphore.withPermit(
 *         Effect.gen(function* () {
 *           const read = yield* Effect.sync(() => total)
 *           yield* Effect.sync(() => { total = read + amount })
 *         })
 *       )
 *     yield* Effect.forEach(amounts, add, { concurrency: "unbounded" })
 *     if (total !== amounts.reduce((a, b) => a + b, 0)) yield* Effect.die("an amount was lost")
 *   })
 *
 * fc.assert(
 *   fc.property(fc.array(fc.nat(9), { maxLength: 3 }), schedules(), (amounts, strategy) => {
 *     Explorer.assert(sum(amounts), { strategy })
 *   })
 * )
 * ```
 */
export const schedules = (options: Options = {}): fc.Arbitrary<Strategy> => {
  const { interruptions = 0, maxChoices = 60, maxPreemptions = 2, mode = "contract" } = options
  // The ordinary choice is by far the most frequent: a schedule that turns at each corner ends its turns early on.
  const choice = fc.oneof(
    { withCrossShrink: true },
    { weight: 6, arbitrary: fc.constant(0) },
    { weight: 2, arbitrary: fc.integer({ min: 1, max: 4 }) }
  )
  return fc
    .array(choice, { maxLength: maxChoices, size: "max" })
    .map((choices) => ({ type: "replay", token: token({ mode, preemptions: maxPreemptions, interruptions, choices }) }))
}
