/**
 * What this process works on: one worker for each session, and whoever asks the
 * same meanwhile shares its answer.
 *
 * @module
 */
import { Deferred, Effect, Exit, type Scope } from "effect"

export interface Working<A, E> {
  /** Runs the work, or shares the answer of who does the same already; `refused` if another work is under way. */
  once<F extends E>(key: string, mark: string, work: Effect.Effect<A, E>, refused: F): Effect.Effect<A, E>
  has(key: string): boolean
  size(): number
  /** Waits until work on the key ends. */
  ended(key: string): Effect.Effect<void>
}

interface Job<A, E> {
  readonly mark: string
  readonly result: Deferred.Deferred<A, E>
}

/** Makes it; the work lives as long as the scope, not as long as the one who asked for it. */
export const make = <A, E>(scope: Scope.Scope): Working<A, E> => {
  const jobs = new Map<string, Job<A, E>>()
  const watchers = new Map<string, Set<Deferred.Deferred<void>>>()

  const end = (key: string, { result }: Job<A, E>, exit: Exit.Exit<A, E>): void => {
    jobs.delete(key)
    Deferred.doneUnsafe(result, exit)
    for (const watcher of watchers.get(key) ?? []) Deferred.doneUnsafe(watcher, Exit.void)
    watchers.delete(key)
  }

  return {
    once: (key, mark, work, refused) =>
      Effect.suspend((): Effect.Effect<A, E> => {
        const other = jobs.get(key)
        if (other !== undefined) {
          return other.mark === mark ? Deferred.await(other.result) : Effect.fail(refused)
        }
        const job: Job<A, E> = { mark, result: Deferred.makeUnsafe<A, E>() }
        jobs.set(key, job)
        // Work goes on when the one who asked for it hangs up: the others wait for it, and it is paid for.
        const run = Effect.exit(Effect.onExit(work, (exit) => Effect.sync(() => end(key, job, exit))))
        return Effect.andThen(Effect.forkIn(run, scope), Deferred.await(job.result))
      }),
    has: (key) => jobs.has(key),
    size: () => jobs.size,
    ended: (key) =>
      Effect.suspend(() => {
        const watcher = Deferred.makeUnsafe<void>()
        const others = watchers.get(key) ?? new Set()
        watchers.set(key, others.add(watcher))
        return Effect.ensuring(
          Deferred.await(watcher),
          Effect.sync(() => {
            others.delete(watcher)
            if (others.size === 0 && watchers.get(key) === others) watchers.delete(key)
          })
        )
      })
  }
}
