// What a fiber waits for: one value, once, from outside.

import * as Effect from "effect/Effect"

export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

export interface Cell<A> {
  value: A | undefined
  resume: ((effect: Effect.Effect<A>) => void) | undefined
}

export const makeCell = <A>(): Cell<A> => ({ value: undefined, resume: undefined })

export const settle = <A>(cell: Cell<A>, value: A): void => {
  const { resume } = cell
  cell.value = value
  // What has grown old would keep the fiber's next steps.
  cell.resume = undefined
  resume?.(Effect.succeed(value))
}

/** Waits until the cell is settled. The caller cleans up after whoever is interrupted meanwhile. */
export const suspended = <A>(cell: Cell<A>): Effect.Effect<A> =>
  Effect.callback<A>((resume) => {
    if (cell.value !== undefined) resume(Effect.succeed(cell.value))
    else cell.resume = resume
  })
