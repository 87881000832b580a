// A call is a few fibers of its own: the copies, and one that sleeps and sends
// the next copy. The caller waits for a result that the first success, or the
// last failure, settles. However it stops waiting, it first ends the sender, and
// then every copy: the sender is uninterruptible but in its sleep, so that a
// copy it has forked is always among those that are ended.
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { Policy, Stats } from "../Hedge.ts"
import type { RetryBudget } from "../RetryBudget.ts"
import { counted } from "./counted.ts"
import { monotonicMillis } from "./time.ts"

export interface HedgeOptions {
  readonly maxCopies: number
  readonly budget: RetryBudget | undefined
  readonly delayMillis: () => number
  /** Learns how long a first copy took, or had taken when it lost. */
  readonly observe: (millis: number) => void
}

export const makeHedge = ({ budget, delayMillis, maxCopies, observe }: HedgeOptions): Policy => {
  const counts = { calls: 0, hedges: 0, won: 0, denied: 0 }

  const run = <A, E, R>(
    work: Effect.Effect<A, E, R>,
    caller: Fiber.Fiber<unknown, unknown>,
    restore: <A1, E1, R1>(effect: Effect.Effect<A1, E1, R1>) => Effect.Effect<A1, E1, R1>
  ): Effect.Effect<A, E, R> => {
    const clock = caller.getRef(Clock.Clock)
    const startedAt = monotonicMillis(clock)
    const self = counted(work, budget, caller, startedAt)
    const delay = delayMillis()
    const settled = Deferred.makeUnsafe<A, E>()
    const copies: Array<Fiber.Fiber<A, E>> = []
    let running = 0
    let winner: number | undefined
    counts.calls++

    const onExit = (copy: number, exit: Exit.Exit<A, E>): void => {
      running--
      if (Deferred.isDoneUnsafe(settled)) return
      if (exit._tag === "Success") {
        winner = copy
        budget?.succeededUnsafe()
        observe(monotonicMillis(clock) - startedAt)
        Deferred.doneUnsafe(settled, exit)
      } else if (running === 0) {
        Deferred.doneUnsafe(settled, exit)
      }
    }

    const send: Effect.Effect<void, never, R> = Effect.suspend(() => {
      const copy = copies.length
      running++
      return Effect.map(Effect.forkDetach(self), (fiber) => {
        copies.push(fiber)
        fiber.addObserver((exit) => onExit(copy, exit))
      })
    })

    const sendMore: Effect.Effect<void, never, R> = Effect.flatMap(
      Effect.interruptible(Effect.sleep(delay)),
      (): Effect.Effect<void, never, R> => {
        if (Deferred.isDoneUnsafe(settled)) return Effect.void
        if (budget !== undefined && !budget.tryRetryUnsafe(monotonicMillis(clock))) {
          counts.denied++
          return Effect.void
        }
        counts.hedges++
        return copies.length + 1 < maxCopies ? Effect.andThen(send, sendMore) : send
      }
    )

    const wait = (sender: Fiber.Fiber<void>): Effect.Effect<A, E> =>
      Effect.onExit(restore(Deferred.await(settled)), () => {
        if (winner !== undefined && winner > 0) counts.won++
        return Effect.andThen(
          Fiber.interrupt(sender),
          Effect.suspend(() => Fiber.interruptAll(copies))
        )
      })

    return Effect.andThen(send, Effect.flatMap(Effect.forkDetach(sendMore, { uninterruptible: true }), wait))
  }

  const policy = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.uninterruptibleMask((restore) => Effect.withFiber((fiber) => run(self, fiber, restore)))
  const statsUnsafe = (): Stats => ({ ...counts, delayMillis: delayMillis() })
  return Object.assign(policy, { stats: Effect.sync(statsUnsafe), statsUnsafe })
}
