// The room of one class: permits, and a bounded line before them.
//
// Whoever finds a permit pays for a comparison and no more. Whoever waits takes the
// permit into a scope: a wait that ends in the instant in which the permit comes
// leaves it there, and closing the scope gives it back.

import { Semaphore } from "@sluice/semaphore"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"

export interface GateOptions {
  readonly permits: number
  readonly maxWaiting: number
  readonly maxWait: Duration.Duration | undefined
}

/** Waits for what `take` takes into a scope, and answers whether it came in time. */
export const inTime = (
  take: Effect.Effect<void, never, Scope.Scope>,
  scope: Scope.Scope,
  maxWait: Duration.Duration | undefined
): Effect.Effect<boolean> => {
  const taken = Effect.as(Scope.provide(take, scope), true)
  return maxWait === undefined
    ? taken
    : Effect.timeoutOrElse(taken, { duration: maxWait, orElse: () => Effect.succeed(false) })
}

export class Gate {
  private readonly semaphore: Semaphore.Semaphore
  private readonly options: GateOptions
  /** A class without permits is closed: nobody waits for what will not come. */
  private readonly isOpen: boolean
  private waiting = 0
  private rejected = 0
  private admitted = 0

  constructor(options: GateOptions) {
    const { maxWaiting, permits } = options
    if (!Number.isSafeInteger(maxWaiting) || maxWaiting < 0) {
      throw new RangeError(`Cannot make a class with maxWaiting ${maxWaiting}: a whole number, 0 or more, is needed`)
    }
    this.semaphore = Semaphore.makeUnsafe(permits)
    this.options = options
    this.isOpen = permits > 0
  }

  takeIfFree(): boolean {
    return this.isOpen && this.semaphore.takeIfAvailableUnsafe(1)
  }

  /** Counts one that is let in, which is not everybody who holds a permit for a moment. */
  count(): void {
    this.admitted++
  }

  release(): void {
    this.semaphore.releaseUnsafe(1)
  }

  /** Joins the line if there is a place in it. Whoever has joined must {@link leave}. */
  join(): boolean {
    if (!this.isOpen || this.waiting >= this.options.maxWaiting) {
      this.rejected++
      return false
    }
    this.waiting++
    return true
  }

  leave(): void {
    this.waiting--
  }

  /** Waits in the line, and answers whether there was a permit in time, which `scope` then holds. */
  wait(scope: Scope.Scope): Effect.Effect<boolean> {
    return Effect.map(inTime(this.semaphore.takeScoped(1), scope, this.options.maxWait), (isIn) => {
      if (isIn) this.admitted++
      else this.rejected++
      return isIn
    })
  }

  statsUnsafe(): Semaphore.Stats {
    const { available, capacity, held } = this.semaphore.statsUnsafe()
    const { admitted, rejected, waiting } = this
    return { capacity, held, available, waiting, admitted, rejected }
  }
}
