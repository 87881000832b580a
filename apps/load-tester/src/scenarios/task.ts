import { Effect } from "effect"
import type { Task } from "./Scenario.ts"

/** What a task comes to; an effect runs as a fiber that the signal interrupts. */
export const promiseOf = async <A>(task: Task<A>, signal: AbortSignal): Promise<A> =>
  Effect.isEffect(task) ? await Effect.runPromise(task, { signal }) : await task
