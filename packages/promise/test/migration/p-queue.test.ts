// What people rely on in p-queue, as far as it has a counterpart, in our own words: each
// is run on p-queue itself, so that it is known to be its behaviour, and on what
// docs/guides/from-p-queue.md puts in its place.

import { createPrioritySemaphore, createRateLimiter, createSemaphore, map } from "@sluice/promise"
import PQueue from "p-queue"
import { afterEach, describe, expect, it, vi } from "vitest"
import { deferred, outcome, settle } from "../turns.ts"

interface Queue {
  add<A>(f: () => A | PromiseLike<A>, signal?: AbortSignal): Promise<A>
  running(): number
  waiting(): number
  pause(): void
  start(): void
  idle(): Promise<void>
}

const theirs = (concurrency: number): Queue => {
  const queue = new PQueue({ concurrency })
  return {
    add: (f, signal) => queue.add(async () => f(), signal === undefined ? {} : { signal }),
    running: () => queue.pending,
    waiting: () => queue.size,
    pause: () => queue.pause(),
    start: () => void queue.start(),
    idle: () => queue.onIdle()
  }
}

const ours = (concurrency: number): Queue => {
  const semaphore = createSemaphore(concurrency)
  return {
    add: (f, signal) => semaphore.run(f, { signal }),
    running: () => semaphore.stats().held,
    waiting: () => semaphore.stats().waiting,
    pause: () => semaphore.resize(0),
    start: () => semaphore.resize(concurrency),
    idle: () => semaphore.idle()
  }
}

afterEach(() => {
  vi.useRealTimers()
})

describe.each([
  ["p-queue", theirs],
  ["createSemaphore", ours]
])("%s", (_, make) => {
  it("runs so many at once, and the others in the order in which they were added", async () => {
    const queue = make(2)
    const order: Array<number> = []
    const holding = [deferred(), deferred(), deferred()]
    const added = holding.map(({ promise }, n) =>
      queue.add(() => {
        order.push(n)
        return promise
      })
    )
    await settle()
    expect([order, queue.running(), queue.waiting()]).toEqual([[0, 1], 2, 1])
    holding[1]?.resolve()
    await settle()
    expect(order).toEqual([0, 1, 2])
    for (const { resolve } of holding) resolve()
    await Promise.all(added)
    expect([queue.running(), queue.waiting()]).toEqual([0, 0])
  })

  it("passes on what a function answers or throws, and goes on after a failure", async () => {
    const queue = make(1)
    const failed = outcome(queue.add(() => Promise.reject(new Error("no"))))
    expect(await queue.add(() => "value")).toBe("value")
    expect(await failed).toMatchObject({ error: { message: "no" } })
  })

  it("starts nothing while it is paused; what runs is not touched", async () => {
    const queue = make(1)
    const holding = deferred()
    const first = queue.add(() => holding.promise)
    await settle()
    queue.pause()
    let isRun = false
    const second = queue.add(() => {
      isRun = true
    })
    holding.resolve()
    await first
    await settle()
    expect([isRun, queue.waiting()]).toEqual([false, 1])
    queue.start()
    await second
    expect(isRun).toBe(true)
  })

  it("is idle once nothing waits and nothing runs, and at once if that is so", async () => {
    const queue = make(1)
    await queue.idle()
    const holding = deferred()
    void queue.add(() => holding.promise)
    void queue.add(() => settle())
    let isIdle = false
    const idle = queue.idle().then(() => {
      isIdle = true
    })
    await settle()
    expect(isIdle).toBe(false)
    holding.resolve()
    await idle
    expect([queue.running(), queue.waiting()]).toEqual([0, 0])
  })

  it("drops one that has not begun when its signal aborts, with the signal's reason", async () => {
    const queue = make(1)
    const holding = deferred()
    const first = queue.add(() => holding.promise)
    const controller = new AbortController()
    const reason = new Error("not any more")
    let isRun = false
    const dropped = outcome(
      queue.add(() => {
        isRun = true
      }, controller.signal)
    )
    await settle()
    controller.abort(reason)
    expect(await dropped).toEqual({ error: reason })
    expect(queue.waiting()).toBe(0)
    holding.resolve()
    await first
    await settle()
    expect(isRun).toBe(false)
  })
})

/** Adds with a rank of urgency, 0 being the most urgent. */
type AddUrgent = <A>(urgency: 0 | 1, f: () => A | PromiseLike<A>) => Promise<A>

describe.each<[string, () => AddUrgent]>([
  [
    "p-queue",
    () => {
      const queue = new PQueue({ concurrency: 1 })
      return (urgency, f) => queue.add(async () => f(), { priority: -urgency })
    }
  ],
  [
    "createPrioritySemaphore",
    () => {
      const semaphore = createPrioritySemaphore({ permits: 1, classes: 2 })
      return (urgency, f) => semaphore.run(f, { priority: urgency })
    }
  ]
])("%s", (_, make) => {
  it("runs the more urgent first, and equals in the order in which they were added", async () => {
    const add = make()
    const holding = deferred()
    const order: Array<string> = []
    const all = [add(0, () => holding.promise)]
    for (const [urgency, name] of [
      [1, "later 1"],
      [0, "now 1"],
      [1, "later 2"],
      [0, "now 2"]
    ] as const) {
      all.push(add(urgency, () => void order.push(name)))
    }
    await settle()
    holding.resolve()
    await Promise.all(all)
    expect(order).toEqual(["now 1", "now 2", "later 1", "later 2"])
  })
})

/** Starts so many in an interval. */
type AddPaced = (f: () => void) => Promise<void>

describe.each<[string, (cap: number, interval: number) => AddPaced]>([
  [
    "p-queue with intervalCap",
    (intervalCap, interval) => {
      const queue = new PQueue({ intervalCap, interval })
      return (f) => queue.add(async () => f())
    }
  ],
  [
    "createRateLimiter by fixed windows",
    (limit, interval) => {
      const limiter = createRateLimiter({ limit, interval, algorithm: "fixed-window" })
      return (f) => limiter.run(f)
    }
  ]
])("%s", (_, make) => {
  it("starts no more in an interval than its cap, and the rest in the next ones", async () => {
    vi.useFakeTimers()
    const add = make(3, 1000)
    const start = Date.now()
    const intervals: Array<number> = []
    const all = Array.from({ length: 7 }, () => add(() => void intervals.push(Math.floor((Date.now() - start) / 1000))))
    await vi.advanceTimersByTimeAsync(2500)
    await Promise.all(all)
    expect(intervals).toEqual([0, 0, 0, 1, 1, 1, 2])
  })
})

describe("what takes the place of the rest of p-queue", () => {
  it("addAll: map, which answers in order and holds no more than it may", async () => {
    const results: Array<number> = []
    for await (const n of map([1, 2, 3], async (n) => n * 2, { concurrency: 2 })) results.push(n)
    const queue = new PQueue({ concurrency: 2 })
    expect(results).toEqual(await queue.addAll([1, 2, 3].map((n) => async () => n * 2)))
  })

  it("clear: one signal for all, which also tells those who wait for it", async () => {
    const semaphore = createSemaphore(1)
    using _ = await semaphore.acquire()
    const clearing = new AbortController()
    const all = [1, 2].map((n) => outcome(semaphore.run(() => n, { signal: clearing.signal })))
    clearing.abort("cleared")
    expect(await Promise.all(all)).toEqual([{ error: "cleared" }, { error: "cleared" }])
    expect(semaphore.stats().waiting).toBe(0)
  })

  it("timeout: a signal for the work, whose time starts with the work", async () => {
    vi.useFakeTimers()
    const semaphore = createSemaphore(1)
    const slow = outcome(
      semaphore.run(
        () =>
          new Promise((_resolve, reject) => {
            const timing = new AbortController()
            setTimeout(() => timing.abort(new Error("too slow")), 100)
            timing.signal.addEventListener("abort", () => reject(timing.signal.reason))
          })
      )
    )
    const next = semaphore.run(() => "next")
    await vi.advanceTimersByTimeAsync(100)
    expect(await slow).toMatchObject({ error: { message: "too slow" } })
    expect(await next).toBe("next")
  })

  it("onSizeLessThan: a producer that waits for its own permit has a line of no length", async () => {
    const semaphore = createSemaphore(2)
    let longest = 0
    for (let n = 0; n < 20; n++) {
      const permit = await semaphore.acquire()
      longest = Math.max(longest, semaphore.stats().waiting)
      void settle().then(() => permit.release())
    }
    await semaphore.idle()
    expect(longest).toBe(0)
  })
})
