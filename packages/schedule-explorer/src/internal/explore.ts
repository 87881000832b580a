// Runs a program under the schedules of a strategy until one breaks it, and
// makes that one as simple as it can.
//
// A run has to be a function of its choices: if it is not, there is nothing to
// search in. So the first schedule is run twice, a schedule that follows another
// has to meet the choices that the other met, and what broke has to break again.

import type * as Effect from "effect/Effect"
import type { Failure, Options, Report, Strategy } from "../Explorer.ts"
import * as Outside from "./outside.ts"
import { random } from "./random.ts"
import { type Explored, type Mode, type Observer, type Run, run } from "./scheduler.ts"
import * as Search from "./search.ts"
import * as Timeline from "./timeline.ts"
import { describeWait, type Wait, watch } from "./watch.ts"

interface Ran {
  readonly run: Run
  readonly schedule: Search.Schedule
  /** How many options there were at each choice. */
  readonly options: ReadonlyArray<number>
}

/** What a schedule may do, before it is known what it does. */
type Bounds = Omit<Search.Schedule, "choices">

/** Runs the program under one schedule. */
interface Execute {
  (chooser: Search.Chooser, bounds: Bounds, observer?: Observer): Ran
  /** The run that goes on at present. */
  readonly active: () => Explored | undefined
}

const executor = (program: Effect.Effect<unknown, unknown>, options: Options): Execute => {
  let active: Explored | undefined
  const limits = {
    maxSteps: options.maxSteps ?? 10_000,
    seed: options.seed ?? 1,
    allowLeaks: options.allowLeaks ?? false
  }
  const execute = (chooser: Search.Chooser, bounds: Bounds, observer?: Observer): Ran => {
    try {
      const began = (explored: Explored): void => {
        active = explored
      }
      const found = run(program, chooser.choose, { ...limits, ...bounds }, began, observer)
      const { choices, options: counts } = chooser.chosen()
      const { interruptions, mode, preemptions } = bounds
      return { run: found, schedule: { mode, preemptions, interruptions, choices }, options: counts }
    } finally {
      active = undefined
    }
  }
  return Object.assign(execute, { active: () => active })
}

const rerun = (execute: Execute, schedule: Search.Schedule, observer?: Observer): Ran =>
  execute(Search.follow(schedule.choices), schedule, observer)

const isBroken = ({ run: { outcome } }: Ran): boolean => outcome.type !== "success"

/** Runs a schedule once more to see what its fibers wait for. */
const waitsOf = (execute: Execute, schedule: Search.Schedule): ReadonlyArray<Wait> => {
  const { close, observer, waits } = watch()
  try {
    rerun(execute, schedule, observer)
    return waits()
  } finally {
    close()
  }
}

const freely = "the free mode reorders what Effect's own scheduler keeps in order, so this may be a false alarm"

const failureOf = (execute: Execute, { run: found, schedule }: Ran): Failure | undefined => {
  const { outcome } = found
  if (outcome.type === "success") return undefined
  const waits = outcome.type === "deadlock" || outcome.type === "leak" ? waitsOf(execute, schedule) : []
  const lines = [Timeline.describe(found), ...waits.map((wait) => `  ${describeWait(wait)}`)]
  return {
    type: outcome.type,
    mode: schedule.mode,
    message: [...lines, ...(schedule.mode === "free" ? [`  (${freely})`] : [])].join("\n"),
    token: Search.token(schedule),
    // What goes on without end looks the same all along.
    timeline: Timeline.render(found, outcome.type === "livelock" ? 20 : 80),
    fibers: Array.from({ length: found.fibers }, (_, fiber) => Timeline.nameOf(fiber)),
    steps: found.steps,
    waits
  }
}

/** The first row in which two runs differ; `undefined` where they are the same. */
const differAt = (one: Run, other: Run): number | undefined => {
  const length = Math.max(one.steps.length, other.steps.length)
  for (let at = 0; at < length; at++) {
    const [left, right] = [one.steps[at], other.steps[at]]
    if (left?.fiber !== right?.fiber || left?.kind !== right?.kind || left?.marks.join() !== right?.marks.join()) {
      return at
    }
  }
  return undefined
}

const nondeterministic = (execute: Execute, schedule: Search.Schedule, first: Run): Failure => {
  const [again, drawn] = Outside.suspecting(() => rerun(execute, schedule).run)
  const at = differAt(first, again)
  const where = at === undefined ? "" : `, from row ${at + 1} on`
  const suspects = drawn.length === 0 ? "" : `. It called ${drawn.join(", ")}`
  return {
    type: "nondeterminism",
    mode: schedule.mode,
    message: `the same choices gave another run${where}: the program depends on something else, such as real time, random numbers of its own or state that outlives a run${suspects}`,
    token: Search.token(schedule),
    timeline: `${Timeline.render(first, 40)}\n\n${Timeline.render(again, 40)}`,
    fibers: Array.from({ length: first.fibers }, (_, fiber) => Timeline.nameOf(fiber)),
    steps: first.steps,
    waits: []
  }
}

/** Repeats a broken schedule to see that it is the choices that break it, then makes it as simple as it can. */
const investigate = (execute: Execute, first: Ran): Failure | undefined => {
  const { outcome } = first.run
  if (outcome.type === "real-io") return failureOf(execute, first)
  const again = rerun(execute, first.schedule)
  if (outcome.type !== again.run.outcome.type || differAt(first.run, again.run) !== undefined) {
    return nondeterministic(execute, first.schedule, first.run)
  }
  const simplest = Search.shrink(
    first.schedule.choices,
    (choices) => rerun(execute, { ...first.schedule, choices }).run,
    (candidate) => candidate.outcome.type === outcome.type
  )
  return failureOf(execute, rerun(execute, { ...first.schedule, choices: simplest }))
}

const inside = /[\\/]effect[\\/](src|dist)[\\/]|schedule-explorer[\\/](src|dist)[\\/]|\(?node:|^Error/

/** Where the program stands, as far as the stack tells. */
const whereabouts = (): string => {
  const frame = new Error("where").stack?.split("\n").find((line) => !inside.test(line.trim()))
  return frame === undefined ? "" : ` ${frame.trim()}`
}

/** The plain schedule, twice: once with an ear at the door. */
const rehearse = (execute: Execute, bounds: Bounds): Failure | undefined => {
  const plain = { ...bounds, choices: [] }
  const heard = (type: string): void => {
    const active = execute.active()
    if (active === undefined) return
    active.broken ??= { type: "real-io", what: `${type}${whereabouts()}`, fiber: active.present }
  }
  const first = Outside.listening(heard, () => rerun(execute, plain))
  if (first.run.outcome.type === "real-io") return failureOf(execute, first)
  const again = rerun(execute, plain)
  return first.run.outcome.type === again.run.outcome.type && differAt(first.run, again.run) === undefined
    ? undefined
    : nondeterministic(execute, plain, first.run)
}

type Found = Omit<Report, "mode">

/** All schedules with up to so many preemptions, depth first. */
const searchAll = (execute: Execute, bounds: Bounds, maxSchedules: number): Found => {
  let schedules = 0
  let choices = 0
  let prefix: ReadonlyArray<number> | undefined = []
  let before: Ran | undefined
  while (prefix !== undefined && schedules < maxSchedules) {
    const ran = execute(Search.follow(prefix), bounds)
    schedules++
    choices = Math.max(choices, ran.options.length)
    if (isBroken(ran)) return { schedules, choices, exhausted: false, failure: investigate(execute, ran) }
    if (before !== undefined && !Search.isSameUpTo(prefix.length, before.options, ran.options)) {
      const failure = nondeterministic(execute, before.schedule, before.run)
      return { schedules, choices, exhausted: false, failure }
    }
    before = ran
    prefix = Search.next(ran.schedule.choices, ran.options)
  }
  return { schedules, choices, exhausted: prefix === undefined, failure: undefined }
}

const exhaust = (execute: Execute, strategy: Strategy & { readonly type: "exhaustive" }, bounds: Bounds): Found => {
  let report: Found = { schedules: 0, choices: 0, exhausted: true, failure: undefined }
  // Fewest preemptions first, so that what is found is simple. Each round meets the schedules of the one before again.
  for (let preemptions = 0; preemptions <= strategy.maxPreemptions && report.exhausted; preemptions++) {
    const left = strategy.maxSchedules - report.schedules
    const round = searchAll(execute, { ...bounds, preemptions }, left)
    report = {
      ...round,
      schedules: report.schedules + round.schedules,
      choices: Math.max(report.choices, round.choices)
    }
  }
  return report
}

const sample = (execute: Execute, strategy: Strategy & { readonly type: "random" | "pct" }, bounds: Bounds): Found => {
  const draw = random(strategy.seed)
  let choices = 0
  for (let schedules = 1; schedules <= strategy.runs; schedules++) {
    const pick =
      strategy.type === "random"
        ? Search.randomPick(draw)
        : // The first run tells how long a schedule is.
          Search.pctPick(draw, schedules === 1 ? 0 : strategy.depth, choices)
    const ran = execute(Search.decide(pick), bounds)
    choices = Math.max(choices, ran.options.length)
    if (isBroken(ran)) return { schedules, choices, exhausted: false, failure: investigate(execute, ran) }
  }
  return { schedules: strategy.runs, choices, exhausted: false, failure: undefined }
}

const repeat = (execute: Execute, schedule: Search.Schedule): Report => {
  const ran = rerun(execute, schedule)
  return {
    mode: schedule.mode,
    schedules: 1,
    choices: ran.options.length,
    exhausted: false,
    failure: failureOf(execute, ran)
  }
}

const search = (
  execute: Execute,
  options: Options,
  strategy: Exclude<Strategy, { readonly type: "replay" }>
): Report => {
  const mode: Mode = options.mode ?? "contract"
  const preemptions = strategy.type === "pct" ? strategy.depth : strategy.maxPreemptions
  const bounds: Bounds = { mode, preemptions, interruptions: options.interruptions ?? 0 }
  const failure = rehearse(execute, { ...bounds, preemptions: 0 })
  if (failure !== undefined) return { mode, schedules: 1, choices: 0, exhausted: false, failure }
  const found = strategy.type === "exhaustive" ? exhaust(execute, strategy, bounds) : sample(execute, strategy, bounds)
  return { mode, ...found }
}

export const explore = (
  program: Effect.Effect<unknown, unknown>,
  options: Options,
  strategy: Exclude<Strategy, { readonly type: "replay" }> | Search.Schedule
): Report => {
  const execute = executor(program, options)
  const refuse = (exit: string, args: ReadonlyArray<unknown>): { readonly value: unknown } | undefined => {
    const active = execute.active()
    if (active === undefined) return undefined
    const answer = options.platform === "virtual" ? active.platform.call(exit, args) : undefined
    if (answer !== undefined) return answer
    if (exit.startsWith("clear")) return undefined
    const what = `${exit}${whereabouts()}`
    active.broken ??= { type: "real-io", what, fiber: active.present }
    throw new Error(`Cannot call ${exit} under the schedule explorer: a run has no outside`)
  }
  return Outside.guarded(refuse, () =>
    "type" in strategy ? search(execute, options, strategy) : repeat(execute, strategy)
  )
}
