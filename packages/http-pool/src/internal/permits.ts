// Permits that callbacks can take and give back.
//
// The semaphore speaks effects; the transport calls back outside of any fiber.
// An effect that cannot suspend has ended when `runFork` returns, which is how
// it is run here: about 100 ns, a third of what `runSync` costs.
import { Semaphore } from "@sluice/semaphore"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

export class Permits {
  /** Waits for its turn. Whoever takes must `release`. */
  readonly take: Effect.Effect<unknown>
  private readonly takeIfAvailable: Effect.Effect<boolean>
  private readonly giveBack: Effect.Effect<unknown>

  constructor(permits: number) {
    const semaphore = Semaphore.makeUnsafe(Math.min(permits, Number.MAX_SAFE_INTEGER))
    this.take = semaphore.take(1)
    this.takeIfAvailable = semaphore.takeIfAvailable(1)
    this.giveBack = semaphore.release(1)
  }

  tryTake(): boolean {
    const exit = Effect.runFork(this.takeIfAvailable).pollUnsafe()
    return exit !== undefined && Exit.isSuccess(exit) && exit.value
  }

  release(): void {
    Effect.runFork(this.giveBack)
  }
}
