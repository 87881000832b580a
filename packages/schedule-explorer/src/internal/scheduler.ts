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
//   tasks stay in order, as Effect promises; so there are no false alarms. The
//   free mode chooses among all tasks, whatever their order.
// - whether a fiber is preempted before a primitive, while preemptions are left
//   and somebody else could run, or is itself interrupted there.
// - whether a fiber that waits is interrupted, while interruptions are left.
// - which of the timers that fall together fires first, and what of the rest
//   runs before the others fire.

import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import { Dispatcher } from "./dispatcher.ts"
import { Platform } from "./platform.ts"
import { random } from "./random.ts"
import { brokenBy, type Promised, Recorder, Victim } from "./recorder.ts"
import { type Timer, VirtualClock } from "./virtualClock.ts"

export type AnyFiber = Fiber.Fiber<unknown, unknown>

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
  /** What the program wrote, or the time that it became. */
  readonly marks: ReadonlyArray<string>
}

export type Outcome =
  | { readonly type: "success" }
  | { readonly type: "failure"; readonly cause: Cause.Cause<unknown> }
  | { readonly type: "invariant"; readonly broken: string; readonly fiber: number }
  | { readonly type: "deadlock"; readonly waiting: ReadonlyArray<number> }
  | { readonly type: "livelock" }
  | { readonly type: "leak"; readonly fibers: ReadonlyArray<number>; readonly others: ReadonlyArray<string> }
  | { readonly type: "real-io"; readonly what: string; readonly fiber: number }

export interface Run {
  readonly outcome: Outcome
  readonly steps: ReadonlyArray<Step>
  /** Fibers that were seen. */
  readonly fibers: number
}

export type Mode = "contract" | "free"

export interface Limits {
  readonly mode: Mode
  readonly preemptions: number
  readonly interruptions: number
  readonly maxSteps: number
  readonly seed: number
  readonly allowLeaks: boolean
}

/** Watches a run from the inside; see `watch.ts`. */
export interface Observer {
  readonly context: Context.Context<never>
  /** Told when the run is over, while fibers still stand where they stood. */
  readonly ended: (fibers: ReadonlyMap<AnyFiber, number>) => void
}

const isSpared = (fiber: AnyFiber): boolean => {
  const victim = fiber.getRef(Victim)
  return victim !== undefined && victim !== fiber
}

/** An interruption of a fiber that is not would take effect when it is again; then there is a choice as well. */
const isInterruptible = (fiber: AnyFiber): boolean =>
  (!("interruptible" in fiber) || fiber.interruptible !== false) && !isSpared(fiber)

interface MutableStep extends Step {
  readonly marks: Array<string>
}

export class Explored implements Scheduler.Scheduler {
  readonly executionMode = "async"
  readonly steps: Array<MutableStep> = []
  readonly clock: VirtualClock = new VirtualClock()
  readonly platform: Platform
  /** Why the run must not go on. */
  broken: Outcome | undefined
  private readonly ready: Array<Dispatcher> = []
  private readonly seen = new Map<AnyFiber, number>()
  private readonly scopes = new Map<Scope.Scope, AnyFiber>()
  private readonly always: Array<Promised> = []
  private readonly atEnd: Array<Promised> = []
  private readonly choose: Choose
  private readonly limits: Limits
  private readonly maxOperations: number
  private preemptions: number
  private interruptions: number
  private operations = 0
  private running: AnyFiber | undefined
  /** The fiber that the present task began with; others run inside of it when they are started or resumed on the spot. */
  private outermost: AnyFiber | undefined
  private preempted: AnyFiber | undefined
  /** Was stopped in order to be interrupted where it stands. */
  private victim: AnyFiber | undefined
  /** Fibers that were preempted and have not run since. */
  private readonly stopped = new Set<AnyFiber>()
  private lastContext: Context.Context<never> | undefined

  constructor(choose: Choose, limits: Limits) {
    this.choose = choose
    this.limits = limits
    this.preemptions = limits.preemptions
    this.interruptions = limits.interruptions
    this.maxOperations = limits.maxSteps * 10
    this.platform = new Platform(this.clock, this.makeDispatcher())
  }

  makeDispatcher(): Dispatcher {
    return new Dispatcher((dispatcher) => this.ready.push(dispatcher))
  }

  indexOf(fiber: AnyFiber): number {
    const known = this.seen.get(fiber)
    if (known !== undefined) return known
    this.seen.set(fiber, this.seen.size)
    return this.seen.size - 1
  }

  get fibers(): ReadonlyMap<AnyFiber, number> {
    return this.seen
  }

  /** The fiber that runs, or ran last. */
  get present(): number {
    return this.running === undefined ? (this.steps.at(-1)?.fiber ?? 0) : this.indexOf(this.running)
  }

  get isEndless(): boolean {
    return this.operations > this.maxOperations
  }

  readonly recorder: Recorder = {
    mark: (text) => void this.steps.at(-1)?.marks.push(text),
    always: (promised) => void this.always.push(promised),
    atEnd: (promised) => void this.atEnd.push(promised)
  }

  private alive(): Array<AnyFiber> {
    const alive: Array<AnyFiber> = []
    for (const fiber of this.seen.keys()) if (fiber.pollUnsafe() === undefined) alive.push(fiber)
    return alive
  }

  /** Who may be interrupted while nobody runs. Those that were preempted may be when they go on, which is the same. */
  private victims(root: AnyFiber): Array<AnyFiber> {
    if (this.interruptions === 0) return []
    return this.alive().filter((fiber) => fiber !== root && !this.stopped.has(fiber) && !isSpared(fiber))
  }

  private row(fiber: AnyFiber, kind: Step["kind"], marks: Array<string> = []): void {
    this.steps.push({ fiber: this.indexOf(fiber), kind, marks })
  }

  private checkLaws(): void {
    for (const promised of this.always) {
      const broken = brokenBy(promised)
      if (broken !== undefined) this.broken ??= { type: "invariant", broken, fiber: this.present }
    }
  }

  /** Scopes are made out of sight, and come into it where a fiber has one in its context. */
  private noteScope(fiber: AnyFiber): void {
    this.lastContext = fiber.context
    const scope = Context.getOrUndefined(fiber.context, Scope.Scope)
    if (scope !== undefined && !this.scopes.has(scope)) this.scopes.set(scope, fiber)
  }

  shouldYield(fiber: AnyFiber): boolean {
    this.operations++
    this.outermost ??= fiber
    if (this.running !== fiber) {
      this.running = fiber
      this.stopped.delete(fiber)
      this.row(fiber, "run")
    }
    if (this.lastContext !== fiber.context) this.noteScope(fiber)
    if (this.always.length > 0) this.checkLaws()
    // A program that spins inside one task would never come back to the loop that counts its steps.
    if (this.operations > this.maxOperations || this.broken !== undefined) return true
    const mayInterrupt = this.interruptions > 0 && isInterruptible(fiber) && this.indexOf(fiber) !== 0
    const mayPreempt = this.preemptions > 0 && !this.isAlone(fiber)
    if (!mayPreempt && !mayInterrupt) return false
    return this.stop(fiber, mayPreempt, mayInterrupt)
  }

  /** Whether nobody else could go on. */
  private isAlone(fiber: AnyFiber): boolean {
    return this.ready.length === 0 && fiber === this.outermost && this.clock.due.length === 0
  }

  private stop(fiber: AnyFiber, mayPreempt: boolean, mayInterrupt: boolean): boolean {
    const interruptsFrom = mayPreempt ? 2 : 1
    const choice = this.choose({ kind: "preempt", options: interruptsFrom + (mayInterrupt ? 1 : 0), interruptsFrom })
    if (choice === 0) return false
    if (choice >= interruptsFrom) {
      this.interruptions--
      this.victim = fiber
    } else {
      this.preemptions--
      this.row(fiber, "preempted")
      this.preempted = fiber
      this.stopped.add(fiber)
    }
    this.running = undefined
    return true
  }

  private interrupt(fiber: AnyFiber): void {
    this.row(fiber, "interrupted")
    this.running = undefined
    this.outermost = undefined
    fiber.interruptUnsafe()
    this.platform.drain()
  }

  /** Runs one task, or lets time pass; false when there is nothing left to do. */
  step(root: AnyFiber): boolean {
    const { victim } = this
    if (victim !== undefined) {
      this.victim = undefined
      this.interrupt(victim)
      return true
    }
    if (this.ready.length === 0) {
      // Nobody waits for what may be left behind.
      const isOver = this.limits.allowLeaks && root.pollUnsafe() !== undefined
      return !isOver && this.passTime(root)
    }
    if (this.limits.mode === "free") this.runAny(root)
    else this.runNext(root)
    return true
  }

  private passTime(root: AnyFiber): boolean {
    const { next } = this.clock
    if (next.length === 0) return false
    const options = next.length
    const timer = next[options === 1 ? 0 : this.choose({ kind: "timer", options, interruptsFrom: options })]
    if (timer === undefined) return false
    this.fire(timer, root)
    return true
  }

  private fire(timer: Timer, root: AnyFiber): void {
    if (this.clock.advance(timer)) this.row(root, "time", [`${timer.at} ms`])
    this.running = undefined
    this.outermost = undefined
    timer.fire()
    this.platform.drain()
  }

  /** Either the number of what runs next, or the fiber that is interrupted instead. */
  private pick(candidates: number, root: AnyFiber): number | AnyFiber {
    const victims = this.victims(root)
    const options = candidates + victims.length
    const choice = options === 1 ? 0 : this.choose({ kind: "dispatch", options, interruptsFrom: candidates })
    if (choice < candidates) return choice
    this.interruptions--
    return victims[choice - candidates] ?? root
  }

  private runNext(root: AnyFiber): void {
    // A fiber that was preempted must not be the next to run: that would be no preemption. It is the last that its
    // dispatcher was given, behind those that it forked.
    const held = this.preempted?.currentDispatcher
    const { due } = this.clock
    const others =
      held === undefined
        ? this.ready
        : this.ready.filter((dispatcher) => dispatcher !== held || dispatcher.tasks.length > 1)
    const candidates = others.length === 0 && due.length === 0 ? this.ready : others
    this.preempted = undefined
    const picked = this.pick(candidates.length + due.length, root)
    if (typeof picked !== "number") {
      this.interrupt(picked)
      return
    }
    const timer = due[picked - candidates.length]
    if (timer === undefined) this.runFrom(candidates[picked], 0)
    else this.fire(timer, root)
  }

  private runAny(root: AnyFiber): void {
    const held = this.preempted?.currentDispatcher
    const { due } = this.clock
    this.preempted = undefined
    const all = this.ready.flatMap((dispatcher) => dispatcher.tasks.map((_, at) => ({ dispatcher, at })))
    const others = all.filter(({ at, dispatcher }) => dispatcher !== held || at < dispatcher.tasks.length - 1)
    const candidates = others.length === 0 && due.length === 0 ? all : others
    const picked = this.pick(candidates.length + due.length, root)
    if (typeof picked !== "number") {
      this.interrupt(picked)
      return
    }
    const timer = due[picked - candidates.length]
    if (timer === undefined) this.runFrom(candidates[picked]?.dispatcher, candidates[picked]?.at ?? 0)
    else this.fire(timer, root)
  }

  private runFrom(dispatcher: Dispatcher | undefined, at: number): void {
    if (dispatcher === undefined) return
    this.running = undefined
    this.outermost = undefined
    const [task] = dispatcher.tasks.splice(at, 1)
    // To the end of the line, so that the first option goes round in turn.
    this.ready.splice(this.ready.indexOf(dispatcher), 1)
    if (dispatcher.tasks.length > 0) this.ready.push(dispatcher)
    task?.run()
    this.platform.drain()
    if (this.always.length > 0) this.checkLaws()
  }

  outcome(root: AnyFiber, isLivelock: boolean): Outcome {
    if (this.broken !== undefined) return this.broken
    const exit = root.pollUnsafe()
    if (exit !== undefined && Exit.isFailure(exit)) return { type: "failure", cause: exit.cause }
    // What goes on after the end of the program is something that it left behind.
    if (isLivelock && exit === undefined) return { type: "livelock" }
    const left = this.alive().map((fiber) => this.indexOf(fiber))
    if (exit === undefined) return { type: "deadlock", waiting: left }
    const others = [...this.openScopes(), ...this.atEnd.flatMap((promised) => brokenBy(promised) ?? [])]
    const fibers = this.limits.allowLeaks ? [] : left
    return fibers.length > 0 || others.length > 0 ? { type: "leak", fibers, others } : { type: "success" }
  }

  private openScopes(): ReadonlyArray<string> {
    if (this.limits.allowLeaks) return []
    const open: Array<string> = []
    for (const [{ state }, fiber] of this.scopes) {
      if (state._tag !== "Open") continue
      const finalizers = state.finalizers?.size ?? 1
      const count = finalizers === 1 ? "1 finalizer" : `${finalizers} finalizers`
      const name = this.indexOf(fiber) === 0 ? "main" : `fiber ${this.indexOf(fiber)}`
      open.push(`a scope of ${name} with ${count} was not closed`)
    }
    return open
  }
}

const seededRandom = (seed: number): Random.Random => {
  const draw = random(seed)
  return {
    nextDoubleUnsafe: draw,
    nextIntUnsafe: () =>
      Math.floor(draw() * (Number.MAX_SAFE_INTEGER - Number.MIN_SAFE_INTEGER + 1)) + Number.MIN_SAFE_INTEGER
  }
}

/**
 * Runs the program once, synchronously. `began` is given what runs, so that calls to the outside can be laid at its door.
 */
export const run = (
  program: Effect.Effect<unknown, unknown>,
  choose: Choose,
  limits: Limits,
  began: (explored: Explored) => void,
  observer?: Observer
): Run => {
  const explored = new Explored(choose, limits)
  began(explored)
  const context = Context.make(Clock.Clock, explored.clock).pipe(
    Context.add(Recorder, explored.recorder),
    Context.add(Random.Random, seededRandom(limits.seed))
  )
  const root = Effect.runForkWith(observer === undefined ? context : Context.merge(context, observer.context))(
    program,
    { scheduler: explored }
  )
  explored.indexOf(root)
  explored.platform.drain()
  let steps = 0
  while (steps++ < limits.maxSteps && !explored.isEndless && explored.broken === undefined && explored.step(root)) {}
  const outcome = explored.outcome(root, steps > limits.maxSteps || explored.isEndless)
  observer?.ended(explored.fibers)
  return { outcome, steps: explored.steps, fibers: explored.fibers.size }
}
