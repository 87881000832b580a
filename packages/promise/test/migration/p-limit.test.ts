// What people rely on in p-limit, in our own words: each is run on p-limit itself, so
// that it is known to be its behaviour, and on what docs/guides/from-p-limit.md puts in
// its place.

import { createSemaphore, map } from "@sluice/promise"
import pLimit from "p-limit"
import { describe, expect, it } from "vitest"
import { deferred, outcome, settle } from "../turns.ts"

interface Limit {
  <A>(f: () => A | PromiseLike<A>): Promise<A>
  active(): number
  pending(): number
  setConcurrency(concurrency: number): void
  /** Runs a list through a function. */
  all<A, B>(items: ReadonlyArray<A>, f: (item: A, index: number) => B | PromiseLike<B>): Promise<ReadonlyArray<B>>
  /** Rejects what has not begun. */
  clear(): void
}

const theirs = (concurrency: number): Limit => {
  const limit = pLimit({ concurrency, rejectOnClear: true })
  const run = <A>(f: () => A | PromiseLike<A>): Promise<A> => limit(f)
  return Object.assign(run, {
    active: () => limit.activeCount,
    pending: () => limit.pendingCount,
    setConcurrency: (concurrency: number) => {
      limit.concurrency = concurrency
    },
    all: async <A, B>(items: ReadonlyArray<A>, f: (item: A, index: number) => B | PromiseLike<B>) =>
      limit.map(items, async (item, index) => f(item, index)),
    clear: () => limit.clearQueue()
  })
}

const ours = (concurrency: number): Limit => {
  const semaphore = createSemaphore(concurrency)
  let clearing = new AbortController()
  const run = <A>(f: () => A | PromiseLike<A>): Promise<A> => semaphore.run(f, { signal: clearing.signal })
  return Object.assign(run, {
    active: () => semaphore.stats().held,
    pending: () => semaphore.stats().waiting,
    setConcurrency: semaphore.resize,
    all: async <A, B>(items: ReadonlyArray<A>, f: (item: A, index: number) => B | PromiseLike<B>) => {
      const results: Array<B> = []
      for await (const result of map(items, (item, { index }) => f(item, index), { concurrency })) results.push(result)
      return results
    },
    clear: () => {
      clearing.abort()
      clearing = new AbortController()
    }
  })
}

describe.each([
  ["p-limit", theirs],
  ["createSemaphore", ours]
])("%s", (_, make) => {
  it("runs no more at once than it was told, and all in the end", async () => {
    const limit = make(3)
    let running = 0
    let most = 0
    const task = async (n: number): Promise<number> => {
      most = Math.max(most, ++running)
      await settle()
      running--
      return n
    }
    const results = await Promise.all(Array.from({ length: 20 }, (_, n) => limit(() => task(n))))
    expect(most).toBe(3)
    expect(results).toEqual(Array.from({ length: 20 }, (_, n) => n))
  })

  it("with one at a time, runs them in the order in which they came", async () => {
    const limit = make(1)
    const order: Array<number> = []
    await Promise.all([30, 10, 20].map((n) => limit(() => settle().then(() => order.push(n)))))
    expect(order).toEqual([30, 10, 20])
  })

  it("passes on what a function answers or throws, and goes on after a failure", async () => {
    const limit = make(1)
    const error = new Error("no")
    const ends = [
      limit(() => Promise.reject(error)),
      limit(() => {
        throw error
      }),
      limit(() => "value"),
      limit(async () => "promise")
    ].map(outcome)
    expect(await Promise.all(ends)).toEqual([{ error }, { error }, { value: "value" }, { value: "promise" }])
  })

  it("tells how many run and how many wait", async () => {
    const limit = make(2)
    const holding = deferred()
    const runs = Array.from({ length: 5 }, () => limit(() => holding.promise))
    await settle()
    expect([limit.active(), limit.pending()]).toEqual([2, 3])
    holding.resolve()
    await Promise.all(runs)
    expect([limit.active(), limit.pending()]).toEqual([0, 0])
  })

  it("lets more run as soon as it is told to, and fewer once those that run are done", async () => {
    const limit = make(1)
    const holding = deferred()
    const runs = Array.from({ length: 5 }, () => limit(() => holding.promise))
    await settle()
    limit.setConcurrency(4)
    await settle()
    expect([limit.active(), limit.pending()]).toEqual([4, 1])
    limit.setConcurrency(1)
    await settle()
    expect(limit.active()).toBe(4)
    holding.resolve()
    await Promise.all(runs)
  })

  it("maps a list, with each item's place, and answers in its order", async () => {
    const limit = make(2)
    const results = await limit.all(["a", "b", "c", "d"], async (item, index) => {
      if (index === 0) await settle()
      return `${index}${item}`
    })
    expect(results).toEqual(["0a", "1b", "2c", "3d"])
  })

  it("drops what has not begun when it is cleared, tells those who wait for it, and takes new work", async () => {
    const limit = make(1)
    const holding = deferred<string>()
    const first = limit(() => holding.promise)
    await settle()
    const dropped = [limit(() => "never"), limit(() => "never")].map(outcome)
    limit.clear()
    expect(limit.pending()).toBe(0)
    for (const end of await Promise.all(dropped)) expect(end).toMatchObject({ error: { name: "AbortError" } })
    holding.resolve("first")
    expect(await first).toBe("first")
    expect(await limit(() => "next")).toBe("next")
  })

  it("refuses a limit that is none", () => {
    expect(() => make(-1)).toThrow()
    expect(() => make(1.5)).toThrow()
    expect(() => make(Number.NaN)).toThrow()
  })
})

describe("what differs from p-limit", () => {
  it("calls at once what need not wait, where p-limit calls it a moment later", async () => {
    const calls: Array<string> = []
    const first = ours(1)(() => calls.push("ours"))
    const second = theirs(1)(() => calls.push("theirs"))
    expect(calls).toEqual(["ours"])
    await Promise.all([first, second])
  })

  it("drops one call, and not all, by its own signal", async () => {
    const semaphore = createSemaphore(1)
    using _ = await semaphore.acquire()
    const controller = new AbortController()
    const dropped = outcome(semaphore.run(() => "never", { signal: controller.signal }))
    controller.abort(new Error("not any more"))
    expect(await dropped).toMatchObject({ error: { message: "not any more" } })
  })
})
