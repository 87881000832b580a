// One run of a program under a schedule. Every queue of the program belongs to
// this scheduler, nothing runs but what it picks, and time moves only when
// nothing else can: so a run is a function of the choices alone.
//
// A choice is a number below the number of options at that point. Options come
// in a fixed order with the most ordinary one first, so that a list of zeros is
// the schedule without preemption, and a choice that is missing is a zero.
//
// Where there is a choice:
// - which dispatcher goes on, among those that have tasks. Inside a dispatcher
//   tasks stay in order, as Effect promises; so there are no false alarms.
// - whether a fiber is preempted before a primitive, while preemptions are left
//   and somebody else could run.
// - whether a fiber is interrupted, while interruptions are left.
// - which of the timers that fall together fires first.

import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as Scheduler from "effect/Scheduler"
import { Marker } from "./marker.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** What is to be done at a point where there is more than one option. */
export type Choose = (point: ChoicePoint) => number

export interface ChoicePoint {
  readonly kind: "dispatch" | "preempt" | "timer"
  /** At least 2. */
  readonly options: number
  /** Options from here on interrupt a fiber. */
  readonly interruptsFrom: number
}

/** A row of the timeline. */
export interface Step {
  /** Fibers in the order in which they were first seen; 0 is the program itself. */
  readonly fiber: number
  readonly kind: "run" | "preempted" | "interrupted" | "time"
  readonly marks: Array<string>
}

export type Outcome =
  | { readonly type: "success" }
  | { readonly type: "failure"; readonly cause: Cause.Cause<unknown> }
  | { readonly type: "deadlock"; readonly waiting: ReadonlyArray<number> }
  | { readonly type: "livelock" }
  | { readonly type: "leak"; readonly fibers: ReadonlyArray<number> }

export interface Run {
  readonly outcome: Outcome
  readonly steps: ReadonlyArray<Step>
  /** Fibers that were seen. */
  readonly fibers: number
}

export interface Limits {
  readonly preemptions: number
  readonly interruptions: number
  readonly maxSteps: number
  readonly seed: number
}

interface Task {
  readonly run: () => void
  readonly priority: number
}

interface Timer {
  readonly at: number
  readonly fire: () => void
}

class Dispatcher implements Scheduler.SchedulerDispatcher {
  readonly tasks: Array<Task> = []
  private readonly onTask: (dispatcher: Dispatcher) => void

  constructor(onTask: (dispatcher: Dispatcher) => void) {
    this.onTask = onTask
  }

  scheduleTask(run: () => void, priority: number): void {
    let at = this.tasks.length
    while (at > 0 && (this.tasks[at - 1]?.priority ?? 0) > priority) at--
    this.tasks.splice(at, 0, { run, priority })
    if (this.tasks.length === 1) this.onTask(this)
  }

  // Whoever asks for a flush wants it now, which would take the choice away; the run goes on to the end in any case.
  flush(): void {}
}

class Explored implements Scheduler.Scheduler, Clock.Clock {
  readonly executionMode = "async"
  readonly steps: Array<Step> = []
  private readonly ready: Array<Dispatcher> = []
  private readonly timers: Array<Timer> = []
  private readonly seen = new Map<AnyFiber, number>()
  private readonly choose: Choose
  private readonly limits: Limits
  private preemptions: number
  private interruptions: number
  private now = 0
  private running: AnyFiber | undefined
  /** The fiber that the present task began with; others run inside of it when they are started or resumed on the spot. */
  private outermost: AnyFiber | undefined
  private preempted: Dispatcher | undefined
  operations = 0

  constructor(choose: Choose, limits: Limits) {
    this.choose = choose
    this.limits = limits
    this.preemptions = limits.preemptions
    this.interruptions = limits.interruptions
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return new Dispatcher((dispatcher) => this.ready.push(dispatcher))
  }

  indexOf(fiber: AnyFiber): number {
    const known = this.seen.get(fiber)
    if (known !== undefined) return known
    this.seen.set(fiber, this.seen.size)
    return this.seen.size - 1
  }

  get fibers(): number {
    return this.seen.size
  }

  alive(): ReadonlyArray<AnyFiber> {
    return [...this.seen.keys()].filter((fiber) => fiber.pollUnsafe() === undefined)
  }

  private row(fiber: AnyFiber, kind: Step["kind"]): void {
    this.steps.push({ fiber: this.indexOf(fiber), kind, marks: [] })
  }

  mark(text: string): void {
    this.steps.at(-1)?.marks.push(text)
  }

  shouldYield(fiber: AnyFiber): boolean {
    this.operations++
    this.outermost ??= fiber
    if (this.running !== fiber) {
      this.running = fiber
      this.row(fiber, "run")
    }
    // A program that spins inside one task would never come back to the loop that counts its steps.
    if (this.operations > this.limits.maxSteps * 10) return true
    const isAlone = this.ready.length === 0 && fiber === this.outermost
    if (this.preemptions === 0 || isAlone) return false
    if (this.choose({ kind: "preempt", options: 2, interruptsFrom: 2 }) === 0) return false
    this.preemptions--
    this.steps.push({ fiber: this.indexOf(fiber), kind: "preempted", marks: [] })
    this.running = undefined
    this.preempted = fiber.currentDispatcher instanceof Dispatcher ? fiber.currentDispatcher : undefined
    return true
  }

  /** Runs one task, or lets time pass; false when there is nothing left to do. */
  step(root: AnyFiber): boolean {
    if (this.ready.length === 0) return this.fireTimer(root)
    // A fiber that was preempted must not be the next to run: that would be no preemption.
    const others = this.ready.filter((dispatcher) => dispatcher !== this.preempted)
    const candidates = others.length === 0 ? this.ready : others
    this.preempted = undefined
    const victims = this.interruptions === 0 ? [] : this.alive().filter((fiber) => fiber !== root)
    const options = candidates.length + victims.length
    const choice = options === 1 ? 0 : this.choose({ kind: "dispatch", options, interruptsFrom: candidates.length })
    const dispatcher = candidates[choice]
    this.running = undefined
    this.outermost = undefined
    if (dispatcher === undefined) {
      const victim = victims[choice - candidates.length]
      this.interruptions--
      if (victim !== undefined) {
        this.row(victim, "interrupted")
        victim.interruptUnsafe()
      }
      return true
    }
    const task = dispatcher.tasks.shift()
    // To the end of the line, so that the first option goes round in turn.
    this.ready.splice(this.ready.indexOf(dispatcher), 1)
    if (dispatcher.tasks.length > 0) this.ready.push(dispatcher)
    task?.run()
    return true
  }

  private fireTimer(root: AnyFiber): boolean {
    if (this.timers.length === 0) return false
    const at = Math.min(...this.timers.map((timer) => timer.at))
    const due = this.timers.filter((timer) => timer.at === at)
    const choice =
      due.length === 1 ? 0 : this.choose({ kind: "timer", options: due.length, interruptsFrom: due.length })
    const timer = due[choice] ?? due[0]
    if (timer === undefined) return false
    if (at > this.now) {
      this.now = at
      this.steps.push({ fiber: this.indexOf(root), kind: "time", marks: [`${at} ms`] })
    }
    this.timers.splice(this.timers.indexOf(timer), 1)
    this.running = undefined
    this.outermost = undefined
    timer.fire()
    return true
  }

  currentTimeMillisUnsafe(): number {
    return this.now
  }

  currentTimeNanosUnsafe(): bigint {
    return BigInt(Math.round(this.now * 1e6))
  }

  monotonicTimeNanosUnsafe(): bigint {
    return this.currentTimeNanosUnsafe()
  }

  readonly currentTimeMillis: Effect.Effect<number> = Effect.sync(() => this.currentTimeMillisUnsafe())
  readonly currentTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly monotonicTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.monotonicTimeNanosUnsafe())

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    const millis = Duration.toMillis(duration)
    if (millis === Number.POSITIVE_INFINITY) return Effect.never
    return Effect.callback<void>((resume) => {
      const timer: Timer = { at: this.now + Math.max(0, millis), fire: () => resume(Effect.void) }
      this.timers.push(timer)
      return Effect.sync(() => {
        const at = this.timers.indexOf(timer)
        if (at >= 0) this.timers.splice(at, 1)
      })
    })
  }
}

const outcomeOf = (explored: Explored, root: AnyFiber, isLivelock: boolean, allowLeaks: boolean): Outcome => {
  const exit = root.pollUnsafe()
  if (exit !== undefined && Exit.isFailure(exit)) return { type: "failure", cause: exit.cause }
  if (isLivelock) return { type: "livelock" }
  const left = explored.alive().map((fiber) => explored.indexOf(fiber))
  if (exit === undefined) return { type: "deadlock", waiting: left }
  return left.length > 0 && !allowLeaks ? { type: "leak", fibers: left } : { type: "success" }
}

/** Runs the program once. Synchronous: what waits for real I/O or a promise is seen as a deadlock. */
export const run = (
  program: Effect.Effect<unknown, unknown>,
  choose: Choose,
  limits: Limits,
  allowLeaks: boolean
): Run => {
  const explored = new Explored(choose, limits)
  const root = Effect.runFork(
    program.pipe(
      Effect.provideService(Clock.Clock, explored),
      Effect.provideService(Marker, (text) => explored.mark(text)),
      Random.withSeed(limits.seed)
    ),
    { scheduler: explored }
  )
  explored.indexOf(root)
  let steps = 0
  while (steps++ < limits.maxSteps && explored.operations <= limits.maxSteps * 10 && explored.step(root)) {}
  const isLivelock = steps > limits.maxSteps || explored.operations > limits.maxSteps * 10
  return {
    outcome: outcomeOf(explored, root, isLivelock, allowLeaks),
    steps: explored.steps,
    fibers: explored.fibers
  }
}
