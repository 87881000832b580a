// A clock that jumps from one sleeper to the next, with a heap of them, and a
// scheduler that runs what is ready at once. A simulated minute of a thousand
// callers takes about a second, and is the same each time.
import { Clock, Duration, Effect, type Fiber, Random } from "effect"
import * as Scheduler from "effect/Scheduler"

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

/** Runs an effect until a time, in milliseconds, in virtual time and with random numbers of a seed. */
export const runVirtually = (effect: Effect.Effect<unknown, unknown>, untilMillis: number, seed: string): void => {
  const sleepers = new Sleepers()
  let now = 0
  let order = 0
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
        let awake = true
        sleepers.push({
          at: now + Duration.toMillis(duration),
          order: order++,
          wake: () => awake && resume(Effect.void)
        })
        return Effect.sync(() => {
          awake = false
        })
      })
  }
  // Tasks are run by the loop below and by nothing else.
  const scheduler = new Scheduler.MixedScheduler("sync", () => () => {})
  const dispatcher = scheduler.makeDispatcher()
  const shared: Scheduler.Scheduler = {
    executionMode: "sync",
    shouldYield: () => false,
    makeDispatcher: () => dispatcher
  }
  const fiber: Fiber.Fiber<unknown, unknown> = Effect.runFork(
    effect.pipe(Effect.provideService(Clock.Clock, clock), Random.withSeed(seed)),
    { scheduler: shared }
  )
  dispatcher.flush()
  for (let next = sleepers.pop(); next !== undefined && next.at <= untilMillis; next = sleepers.pop()) {
    now = next.at
    next.wake()
    dispatcher.flush()
  }
  fiber.interruptUnsafe()
  dispatcher.flush()
}
