import { Effect, type Fiber } from "effect"

/** Forks and runs at once, as far as it goes. */
export const fork = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Fiber.Fiber<A, E>, never, R> =>
  Effect.forkChild(effect, { startImmediately: true })

const turn = Effect.promise(() => new Promise<void>((resolve) => void setImmediate(resolve)))

/** Lets every fiber go that can: each dispatcher that is armed has its turn, and so has what that arms. */
export const settle: Effect.Effect<void> = Effect.andThen(turn, Effect.andThen(turn, turn))
