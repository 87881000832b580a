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
import { Marker } from "./internal/marker.ts"
import { type Limits, type Outcome, type Run, run } from "./internal/scheduler.ts"
import * as Search from "./internal/search.ts"
import * as Timeline from "./internal/timeline.ts"

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
  /** Interruptions in a run, of any fiber but the program itself, at any point. Default 0. */
  readonly interruptions?: number | undefined
  /** Turns after which a run counts as endless. Default 10,000. */
  readonly maxSteps?: number | undefined
  /** Seed of Effect's `Random` in every run. Default 1. */
  readonly seed?: number | undefined
  /** Whether fibers may be left when the program has ended. Default false. */
  readonly allowLeaks?: boolean | undefined
}

/** A schedule that broke the program. */
export interface Failure {
  readonly type: "failure" | "deadlock" | "livelock" | "leak" | "nondeterminism"
  /** What went wrong, in words. */
  readonly message: string
  /** Repeats the schedule: `Explorer.replay(token)` with the same program and options. */
  readonly token: string
  /** A column for each fiber, a row for each turn. */
  readonly timeline: string
}

export interface Report {
  /** Schedules that were run. */
  readonly schedules: number
  /** Whether there is no other schedule within the bounds. Always false for `random` and `pct`. */
  readonly exhausted: boolean
  /** The most choices that one schedule had. */
  readonly choices: number
  readonly failure: Failure | undefined
}

/** Writes into the timeline of the run, at this point of the program. Outside of the explorer it does nothing. */
export const mark = (text: string): Effect.Effect<void> => Effect.map(Marker, (write) => write(text))

interface Ran {
  readonly run: Run
  readonly schedule: Search.Schedule
  /** How many options there were at each choice. */
  readonly options: ReadonlyArray<number>
}

/** Runs the program under one schedule. */
type Execute = (chooser: Search.Chooser, preemptions: number, interruptions: number) => Ran

const executor =
  (program: Effect.Effect<unknown, unknown>, options: Options): Execute =>
  (chooser, preemptions, interruptions) => {
    const limits: Limits = {
      preemptions,
      interruptions,
      maxSteps: options.maxSteps ?? 10_000,
      seed: options.seed ?? 1
    }
    const found = run(program, chooser.choose, limits, options.allowLeaks ?? false)
    const { choices, options: counts } = chooser.chosen()
    return { run: found, schedule: { preemptions, interruptions, choices }, options: counts }
  }

const rerun = (execute: Execute, { choices, interruptions, preemptions }: Search.Schedule): Ran =>
  execute(Search.follow(choices), preemptions, interruptions)

const isBroken = (outcome: Outcome): boolean => outcome.type !== "success"

const failureOf = (found: Run, schedule: Search.Schedule): Failure | undefined =>
  found.outcome.type === "success"
    ? undefined
    : {
        type: found.outcome.type,
        message: Timeline.describe(found.outcome),
        token: Search.token(schedule),
        timeline: Timeline.render(found, 80)
      }

const isSameRun = (one: Run, other: Run): boolean => JSON.stringify(one.steps) === JSON.stringify(other.steps)

const dependsOnMore =
  "the same choices gave another run: the program depends on something else, such as real time, random numbers of its own or state that outlives a run"

/** Repeats a broken schedule to see that it is the choices that break it, then makes it as simple as it can. */
const investigate = (execute: Execute, first: Ran): Failure | undefined => {
  const again = rerun(execute, first.schedule)
  if (!isSameRun(first.run, again.run)) {
    return {
      type: "nondeterminism",
      message: dependsOnMore,
      token: Search.token(first.schedule),
      timeline: `${Timeline.render(first.run, 40)}\n\n${Timeline.render(again.run, 40)}`
    }
  }
  const withChoices = (choices: ReadonlyArray<number>): Search.Schedule => ({ ...first.schedule, choices })
  const simplest = Search.shrink(
    first.schedule.choices,
    (choices) => rerun(execute, withChoices(choices)).run,
    (candidate) => candidate.outcome.type === first.run.outcome.type
  )
  return failureOf(rerun(execute, withChoices(simplest)).run, withChoices(simplest))
}

/** All schedules with up to so many preemptions, depth first. */
const searchAll = (execute: Execute, preemptions: number, interruptions: number, maxSchedules: number): Report => {
  let schedules = 0
  let choices = 0
  let prefix: ReadonlyArray<number> | undefined = []
  while (prefix !== undefined && schedules < maxSchedules) {
    const ran = execute(Search.follow(prefix), preemptions, interruptions)
    schedules++
    choices = Math.max(choices, ran.options.length)
    if (isBroken(ran.run.outcome)) {
      return { schedules, choices, exhausted: false, failure: investigate(execute, ran) }
    }
    prefix = Search.next(ran.schedule.choices, ran.options)
  }
  return { schedules, choices, exhausted: prefix === undefined, failure: undefined }
}

const exhaust = (
  execute: Execute,
  strategy: Strategy & { readonly type: "exhaustive" },
  interruptions: number
): Report => {
  let report: Report = { schedules: 0, choices: 0, exhausted: true, failure: undefined }
  // Fewest preemptions first, so that what is found is simple. Each round meets the schedules of the one before again.
  for (let bound = 0; bound <= strategy.maxPreemptions && report.exhausted; bound++) {
    const round = searchAll(execute, bound, interruptions, strategy.maxSchedules - report.schedules)
    report = {
      ...round,
      schedules: report.schedules + round.schedules,
      choices: Math.max(report.choices, round.choices)
    }
  }
  return report
}

const sample = (
  execute: Execute,
  strategy: Strategy & { readonly type: "random" | "pct" },
  interruptions: number
): Report => {
  const draw = Search.random(strategy.seed)
  const preemptions = strategy.type === "random" ? strategy.maxPreemptions : strategy.depth
  let choices = 0
  for (let schedules = 1; schedules <= strategy.runs; schedules++) {
    const pick =
      strategy.type === "random"
        ? Search.randomPick(draw)
        : // The first run tells how long a schedule is.
          Search.pctPick(draw, schedules === 1 ? 0 : strategy.depth, choices)
    const ran = execute(Search.decide(pick), preemptions, interruptions)
    choices = Math.max(choices, ran.options.length)
    if (isBroken(ran.run.outcome)) {
      return { schedules, choices, exhausted: false, failure: investigate(execute, ran) }
    }
  }
  return { schedules: strategy.runs, choices, exhausted: false, failure: undefined }
}

const repeat = (execute: Execute, token: string): Report => {
  const schedule = Search.parseToken(token)
  if (schedule === undefined) {
    throw new RangeError(`Cannot replay ${JSON.stringify(token)}: it is not the token of a failure`)
  }
  const ran = rerun(execute, schedule)
  return { schedules: 1, choices: ran.options.length, exhausted: false, failure: failureOf(ran.run, schedule) }
}

/**
 * Runs a program under the schedules of a strategy, and reports the simplest that breaks it: one in which it fails or
 * dies, waits for ever, never ends, or leaves fibers behind.
 *
 * **Details**
 *
 * The program is run anew for each schedule, so what it shares between fibers has to be made inside of it. Runs are
 * synchronous. Time is virtual and starts at 0; it moves when nothing else can.
 *
 * **Gotchas**
 *
 * Real I/O and promises are not seen: a program that waits for one looks as if it waited for ever. Code between two
 * primitives of Effect is never split, as it never is in JavaScript.
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
  const execute = executor(program, options)
  const strategy = options.strategy ?? exhaustive()
  const interruptions = options.interruptions ?? 0
  switch (strategy.type) {
    case "exhaustive":
      return exhaust(execute, strategy, interruptions)
    case "random":
    case "pct":
      return sample(execute, strategy, interruptions)
    case "replay":
      return repeat(execute, strategy.token)
  }
}

/**
 * The same as a line in a test: throws an `Error` with the timeline and the token if a schedule breaks the program, or if
 * an exhaustive search ended before it had run every schedule.
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
  const { failure } = report
  if (failure !== undefined) {
    throw new Error(
      `Schedule ${report.schedules} of the program breaks it: ${failure.message}\n\n${failure.timeline}\n\nTo repeat it: Explorer.replay("${failure.token}")`
    )
  }
  if (!report.exhausted && (options.strategy ?? exhaustive()).type === "exhaustive") {
    throw new Error(`Cannot say that every schedule holds: ${report.schedules} were run and there are more`)
  }
  return report
}
