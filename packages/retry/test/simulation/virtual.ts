// A clock that jumps from one sleeper to the next, with a heap of them, and a
// scheduler that runs what is ready at once. A simulated minute of a thousand
// callers takes about a second, and is the same each time.
import { Clock, Duration, Effect, type Fiber, Random } from "effect"
import type * as Scheduler from "effect/Scheduler"

interface Sleeper {
  readonly at: number
  readonly order: number
  readonly wake: () => void
}

const isBefore = (a: Sleeper, b: Sleeper): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

class Sleepers {
  readonly #heap: Array<Sleeper> = []

  push(sleeper: Sleeper): void {
    const heap = this.#heap
    let index = heap.push(sleeper) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      const above = heap[parent]
      if (above === undefined || !isBefore(sleeper, above)) break
      heap[index] = above
      index = parent
    }
    heap[index] = sleeper
  }

  pop(): Sleeper | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      const left = heap[child]
      if (left === undefined) break
      const right = heap[child + 1]
      if (right !== undefined && isBefore(right, left)) child++
      const below = heap[child]
      if (below === undefined || !isBefore(below, last)) break
      heap[index] = below
      index = child
    }
    heap[index] = last
    return first
  }
}

export interface VirtualOptions {
  readonly untilMillis: number
  readonly seed: string
  /** Operations after which a fiber yields. Default: it yields only where it says so. */
  readonly yieldsAfter?: number
  /** The task, counted from 0, before which the effect is interrupted. Default: none. */
  readonly interruptAt?: number
  /** Chooses which of so many ready tasks runs next. Default: in the order in which they became ready. */
  readonly choose?: (ready: number) => number
}

export interface VirtualRun {
  /** Tasks that the scheduler ran. */
  readonly tasks: number
  /** Fibers that slept on when the effect had been interrupted and whatever could run had run. */
  readonly asleepAfterInterruption: number
}

/** Runs an effect in virtual time and with random numbers of a seed. */
export const runVirtually = (effect: Effect.Effect<unknown, unknown>, options: VirtualOptions): VirtualRun => {
  const sleepers = new Sleepers()
  let now = 0
  let order = 0
  let asleep = 0
  const nanos = (): bigint => BigInt(Math.round(now * 1e6))
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: () => now,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: nanos,
    monotonicTimeNanos: Effect.sync(nanos),
    sleep: (duration) =>
      Effect.callback<void>((resume) => {
        let isAsleep = true
        asleep++
        const rouse = (): boolean => {
          const wasAsleep = isAsleep
          if (wasAsleep) asleep--
          isAsleep = false
          return wasAsleep
        }
        sleepers.push({
          at: now + Duration.toMillis(duration),
          order: order++,
          wake: () => rouse() && resume(Effect.void)
        })
        return Effect.sync(rouse)
      })
  }
  let ready: Array<() => void> = []
  let tasks = 0
  let asleepAfterInterruption: number | undefined
  const runReady = (): void => {
    while (ready.length > 0) {
      const chosen = options.choose === undefined ? ready : ready.splice(options.choose(ready.length), 1)
      if (options.choose === undefined) ready = []
      for (const task of chosen) {
        if (tasks++ === options.interruptAt) fiber.interruptUnsafe()
        task()
      }
    }
    if (options.interruptAt !== undefined && tasks > options.interruptAt) asleepAfterInterruption ??= asleep
  }
  const dispatcher: Scheduler.SchedulerDispatcher = {
    scheduleTask: (task) => {
      ready.push(task)
    },
    flush: runReady
  }
  const yieldsAfter = options.yieldsAfter ?? Number.POSITIVE_INFINITY
  const scheduler: Scheduler.Scheduler = {
    executionMode: "async",
    shouldYield: ({ currentOpCount }) => currentOpCount > yieldsAfter,
    makeDispatcher: () => dispatcher
  }
  const fiber: Fiber.Fiber<unknown, unknown> = Effect.runFork(
    effect.pipe(Effect.provideService(Clock.Clock, clock), Random.withSeed(options.seed)),
    { scheduler }
  )
  runReady()
  for (let next = sleepers.pop(); next !== undefined && next.at <= options.untilMillis; next = sleepers.pop()) {
    now = next.at
    next.wake()
    runReady()
  }
  fiber.interruptUnsafe()
  runReady()
  return { tasks, asleepAfterInterruption: asleepAfterInterruption ?? asleep }
}

export interface Trial {
  readonly effect: Effect.Effect<unknown, unknown>
  readonly check: (asleep: number) => void
}

// Two, since the first operation of a fiber that goes on is to go on.
const everyOperation = { untilMillis: 3_600_000, seed: "points", yieldsAfter: 2 }

/** Runs an effect whose fibers take turns after each operation as `choose` says, interrupted before a task. */
export const runInOrder = ({ check, effect }: Trial, choose: (ready: number) => number, interruptAt: number): void =>
  check(runVirtually(effect, { ...everyOperation, choose, interruptAt }).asleepAfterInterruption)

/**
 * Runs an effect again and again, interrupted one operation later each time, until it is done before. `make` makes it
 * and what is to hold whenever it was interrupted. Gives the number of points.
 */
export const interruptEverywhere = (make: () => Trial): number => {
  for (let point = 0; ; point++) {
    const { check, effect } = make()
    const run = runVirtually(effect, { ...everyOperation, interruptAt: point })
    check(run.asleepAfterInterruption)
    if (run.tasks <= point) return point
  }
}
