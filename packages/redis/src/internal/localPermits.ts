// Permits that a process gives out by itself while Redis is away: its share, in
// order of arrival. Whoever still waits when Redis is back goes there.

import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type Cell, makeCell, type Restore, settle, suspended } from "./cell.ts"

type Wake = "held" | "again"

interface Waiter {
  readonly weight: number
  readonly cell: Cell<Wake>
}

export interface LocalPermits {
  /** Whether so many permits could ever be had. */
  readonly couldServe: (weight: number) => boolean
  readonly tryTake: (weight: number) => boolean
  /** Waits with `restore`. To be run uninterruptibly. */
  readonly wait: (weight: number, restore: Restore) => Effect.Effect<Wake>
  readonly release: (weight: number) => void
  /** Looks again whether waiters can be served, after the share has grown. */
  readonly serve: () => void
  /** Wakes all who wait, to ask Redis. */
  readonly sendBack: () => void
  readonly held: () => number
  readonly waiting: () => number
}

/** `share` tells how many permits the process may hold locally now. */
export const makeLocalPermits = (share: () => number, whole: () => number): LocalPermits => {
  const queue = new Set<Waiter>()
  let held = 0

  const serve = (): void => {
    for (const waiter of queue) {
      if (held + waiter.weight > share()) return
      queue.delete(waiter)
      held += waiter.weight
      settle(waiter.cell, "held")
    }
  }
  const release = (weight: number): void => {
    held -= weight
    serve()
  }
  return {
    couldServe: (weight) => weight <= whole(),
    tryTake: (weight) => {
      if (queue.size > 0 || held + weight > share()) return false
      held += weight
      return true
    },
    wait: (weight, restore) =>
      Effect.suspend(() => {
        const waiter: Waiter = { weight, cell: makeCell() }
        queue.add(waiter)
        return Effect.onExitPrimitive(
          restore(suspended(waiter.cell)),
          (exit) => {
            if (Exit.isSuccess(exit)) return undefined
            if (queue.delete(waiter)) serve()
            else if (waiter.cell.value === "held") release(weight)
            return undefined
          },
          true
        )
      }),
    release,
    serve,
    sendBack: () => {
      for (const waiter of queue) {
        queue.delete(waiter)
        settle(waiter.cell, "again")
      }
    },
    held: () => held,
    waiting: () => queue.size
  }
}
