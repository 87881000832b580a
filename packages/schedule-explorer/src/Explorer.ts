/**
 * Runs a concurrent program under many schedules, in virtual time, and shows the
 * simplest one that breaks it.
 *
 * Fibers take turns; in what order is not up to the program. A test that runs it
 * once sees one order. The explorer owns the scheduler and the clock, so it can
 * run the program under every order, interrupt a fiber at every point, and
 * repeat any of them exactly.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import type * as Semaphore from "effect/Semaphore"
import { explore } from "./internal/explore.ts"
import { Names, Recorder, Victim } from "./internal/recorder.ts"
import type { Mode, Step } from "./internal/scheduler.ts"
import { parseToken } from "./internal/search.ts"
import type { Wait } from "./internal/watch.ts"

export { page } from "./internal/page.ts"
export type { Mode, Step, Wait }

/** Which schedules are run. See {@link exhaustive}, {@link random}, {@link pct} and {@link replay}. */
export type Strategy =
  | { readonly type: "exhaustive"; readonly maxPreemptions: number; readonly maxSchedules: number }
  | { readonly type: "random"; readonly runs: number; readonly seed: number; readonly maxPreemptions: number }
  | { readonly type: "pct"; readonly runs: number; readonly seed: number; readonly depth: number }
  | { readonly type: "replay"; readonly token: string }

/**
 * Every schedule with up to so many preemptions, fewest first, until all were run or `maxSchedules` (100,000 unless told
 * otherwise) were. Most bugs need two preemptions or fewer.
 */
export const exhaustive = (
  options: { readonly maxPreemptions?: number; readonly maxSchedules?: number } = {}
): Strategy => ({
  type: "exhaustive",
  maxPreemptions: options.maxPreemptions ?? 2,
  maxSchedules: options.maxSchedules ?? 100_000
})

/** So many schedules at random, for programs with too many to run them all. */
export const random = (options: {
  readonly runs: number
  readonly seed?: number
  readonly maxPreemptions?: number
}): Strategy => ({
  type: "random",
  runs: options.runs,
  seed: options.seed ?? 1,
  maxPreemptions: options.maxPreemptions ?? 10
})

/** So many schedules that are ordinary but at `depth` points: meets a bug of that depth sooner than a random walk. */
export const pct = (options: { readonly runs: number; readonly depth: number; readonly seed?: number }): Strategy => ({
  type: "pct",
  runs: options.runs,
  depth: options.depth,
  seed: options.seed ?? 1
})

/** The one schedule that a token of a failure names. */
export const replay = (token: string): Strategy => ({ type: "replay", token })

export interface Options {
  /** Default {@link exhaustive}. */
  readonly strategy?: Strategy | undefined
  /** Interruptions in a run, of any fiber but the program itself, before any primitive. Default 0. */
  readonly interruptions?: number | undefined
  /**
   * `contract` keeps the tasks of a dispatcher in order, as Effect promises: what it finds can happen. `free` reorders
   * them too: what it finds can happen under another scheduler. Default `contract`.
   */
  readonly mode?: Mode | undefined
  /** Turns after which a run counts as endless. Default 10,000. */
  readonly maxSteps?: number | undefined
  /**
   * `virtual` gives the program `setTimeout`, `setImmediate` and `queueMicrotask` in virtual time, and with them fibers
   * that it runs by Effect's own scheduler, which are not preempted. `refused` refuses them as it does real I/O.
   * Default `refused`.
   */
  readonly platform?: "refused" | "virtual" | undefined
  /** Seed of Effect's `Random` in every run. Default 1. */
  readonly seed?: number | undefined
  /** Whether fibers and open scopes may be left when the program has ended. Default false. */
  readonly allowLeaks?: boolean | undefined
}

/** A schedule that broke the program. */
export interface Failure {
  readonly type: "failure" | "invariant" | "deadlock" | "livelock" | "leak" | "nondeterminism" | "real-io"
  readonly mode: Mode
  /** What went wrong, in words; for a deadlock or a leak, who waits for what. */
  readonly message: string
  /** Repeats the schedule: `Explorer.replay(token)` with the same program and options. */
  readonly token: string
  /** A column for each fiber, a row for each turn. {@link page} makes a page of the same. */
  readonly timeline: string
  /** The names of the columns. */
  readonly fibers: ReadonlyArray<string>
  /** The rows, all of them. */
  readonly steps: ReadonlyArray<Step>
  /** What each fiber waits for, in a deadlock or a leak. */
  readonly waits: ReadonlyArray<Wait>
}

export interface Report {
  readonly mode: Mode
  /** Schedules that were run. */
  readonly schedules: number
  /** Whether there is no other schedule within the bounds. Always false for `random` and `pct`. */
  readonly exhausted: boolean
  /** The most choices that one schedule had. */
  readonly choices: number
  readonly failure: Failure | undefined
}

/** Writes into the timeline of the run, at this point of the program. Outside of the explorer it does nothing. */
export const mark = (text: string): Effect.Effect<void> => Effect.map(Recorder, (recorder) => recorder.mark(text))

/**
 * Names what an effect is about, for as long as it runs: a deadlock then says that somebody waits within `name`. Names
 * nest, as do spans and functions made by `Effect.fn`, which are told as well.
 */
export const named =
  (name: string) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.updateService(self, Names, (names) => [...names, name])

/**
 * Leaves an effect, and the fibers that it forks, alone: the explorer interrupts none of them. For the parts of a
 * program that nobody could interrupt but the program itself, such as the fibers with which `Effect.timeout` races.
 */
export const spared = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, Victim, {})

/**
 * Leaves the fibers that an effect forks alone, but not the one that runs it. For what has fibers of its own inside,
 * which its callers cannot reach.
 */
export const victim = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => Effect.provideService(self, Victim, fiber))

/**
 * Promises something of the program that holds from now on, and is checked before every primitive of Effect.
 *
 * @param law - Whether it holds; a text says how it does not.
 */
export const always = (name: string, law: () => boolean | string): Effect.Effect<void> =>
  Effect.map(Recorder, (recorder) => recorder.always({ name, law }))

/**
 * Promises something that holds when the program has ended well: that everything was given back. What does not is told
 * as a leak.
 *
 * @param law - Whether it holds; a text says how it does not.
 */
export const atEnd = (name: string, law: () => boolean | string): Effect.Effect<void> =>
  Effect.map(Recorder, (recorder) => recorder.atEnd({ name, law }))

/** Promises that all permits of one of Effect's semaphores are back when the program has ended. */
export const expectPermits = (name: string, semaphore: Semaphore.Semaphore, permits: number): Effect.Effect<void> =>
  atEnd(name, () => Effect.runSync(semaphore.takeIfAvailable(permits)) || `less than ${permits} permits are left`)

/** What has figures that fall to 0 when nobody uses it, as Sluice's semaphores and bulkheads do. */
export interface Idle {
  readonly statsUnsafe: () => { readonly held?: number; readonly waiting?: number; readonly inFlight?: number }
}

/** Promises that nothing is held and nobody waits when the program has ended. */
export const expectIdle = (name: string, resource: Idle): Effect.Effect<void> =>
  atEnd(name, () => {
    const { held = 0, inFlight = 0, waiting = 0 } = resource.statsUnsafe()
    const left = Object.entries({ held, waiting, "in flight": inFlight }).filter(([, count]) => count !== 0)
    return left.length === 0 || left.map(([what, count]) => `${count} ${what}`).join(", ")
  })

/**
 * Runs a program under the schedules of a strategy, and reports the simplest that breaks it: one in which it fails or
 * dies, waits for ever, never ends, or leaves something behind.
 *
 * **Details**
 *
 * The program is run anew for each schedule, so what it shares between fibers has to be made inside of it. Runs are
 * synchronous. Time is virtual and starts at 0; it moves when nothing else can.
 *
 * **Gotchas**
 *
 * Real I/O, timers of the platform and promises are refused, since a run cannot wait for them: for as long as a check
 * takes, calls of `setTimeout`, `fetch`, sockets, files and `then` end the run, and are told with the line that made them.
 * Code between two primitives of Effect is never split, as it never is in JavaScript.
 *
 * @example
 * ```ts
 * import { Explorer } from "@sluice/schedule-explorer"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   let count = 0
 *   const increment = Effect.gen(function*() {
 *     const read = yield* Effect.sync(() => count)
 *     yield* Effect.sync(() => { count = read + 1 })
 *   })
 *   yield* Effect.all([increment, increment], { concurrency: "unbounded" })
 *   if (count !== 2) yield* Effect.die(`lost an update: ${count}`)
 * })
 *
 * const report = Explorer.check(program)
 * console.log(report.failure?.type) // => failure
 * ```
 */
export const check = <A, E>(program: Effect.Effect<A, E>, options: Options = {}): Report => {
  const strategy = options.strategy ?? exhaustive()
  if (strategy.type !== "replay") return explore(program, options, strategy)
  const schedule = parseToken(strategy.token)
  if (schedule === undefined) {
    throw new RangeError(`Cannot replay ${JSON.stringify(strategy.token)}: it is not the token of a failure`)
  }
  return explore(program, options, schedule)
}

/** What {@link assert} throws: the timeline and the token are in its message. */
export class ScheduleError extends Error {
  override readonly name: string = "ScheduleError"
  readonly failure: Failure

  constructor(failure: Failure, schedules: number) {
    const { message, timeline, token } = failure
    super(
      `Schedule ${schedules} of the program breaks it: ${message}\n\n${timeline}\n\nTo repeat it: Explorer.replay("${token}")`
    )
    this.failure = failure
  }
}

/**
 * The same as a line in a test: throws a {@link ScheduleError} with the timeline and the token if a schedule breaks the
 * program, or an `Error` if an exhaustive search ended before it had run every schedule.
 *
 * @example
 * ```ts
 * import { Explorer } from "@sluice/schedule-explorer"
 * import { Deferred, Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const deferred = yield* Deferred.make<number>()
 *   yield* Effect.forkChild(Deferred.succeed(deferred, 7))
 *   return yield* Deferred.await(deferred)
 * })
 *
 * console.log(Explorer.assert(program).exhausted) // => true
 * ```
 */
export const assert = <A, E>(program: Effect.Effect<A, E>, options: Options = {}): Report => {
  const report = check(program, options)
  if (report.failure !== undefined) throw new ScheduleError(report.failure, report.schedules)
  if (!report.exhausted && (options.strategy ?? exhaustive()).type === "exhaustive") {
    throw new Error(`Cannot say that every schedule holds: ${report.schedules} were run and there are more`)
  }
  return report
}
