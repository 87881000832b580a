// What people rely on in async-sema, in our own words: each is run on async-sema itself,
// so that it is known to be its behaviour, and on what docs/guides/from-async-sema.md
// puts in its place.

import { createRateLimiter, createSemaphore } from "@sluice/promise"
import { RateLimit, Sema } from "async-sema"
import { afterEach, describe, expect, it, vi } from "vitest"
import { settle } from "../turns.ts"

interface Sem {
  acquire(): Promise<unknown>
  tryAcquire(): boolean
  release(): void
  waiting(): number
  /** Takes every permit, once all are back. */
  drain(): Promise<unknown>
}

const theirs = (permits: number): Sem => {
  const sema = new Sema(permits)
  return {
    acquire: () => sema.acquire(),
    tryAcquire: () => sema.tryAcquire() !== undefined,
    release: () => sema.release(),
    waiting: () => sema.nrWaiting(),
    drain: () => sema.drain()
  }
}

const ours = (permits: number): Sem => {
  const semaphore = createSemaphore(permits)
  return {
    acquire: () => semaphore.take(),
    tryAcquire: () => semaphore.tryAcquire() !== undefined,
    release: () => semaphore.release(),
    waiting: () => semaphore.stats().waiting,
    drain: () => semaphore.take(permits)
  }
}

afterEach(() => {
  vi.useRealTimers()
})

describe.each([
  ["async-sema", theirs],
  ["createSemaphore", ours]
])("%s", (_, make) => {
  it("gives its permits at once while there are some, then to those who wait in order", async () => {
    const sema = make(2)
    const order: Array<number> = []
    const waiting = [1, 2, 3, 4].map((n) => sema.acquire().then(() => order.push(n)))
    await settle()
    expect(order).toEqual([1, 2])
    expect(sema.waiting()).toBe(2)
    sema.release()
    await settle()
    expect(order).toEqual([1, 2, 3])
    sema.release()
    await Promise.all(waiting)
    expect(order).toEqual([1, 2, 3, 4])
    expect(sema.waiting()).toBe(0)
  })

  it("never lets in more than it has, however tasks interleave", async () => {
    const sema = make(3)
    let inside = 0
    const task = async (): Promise<void> => {
      await sema.acquire()
      try {
        expect(++inside).toBeLessThanOrEqual(3)
        await settle()
        inside--
      } finally {
        sema.release()
      }
    }
    await Promise.all(Array.from({ length: 30 }, task))
    expect(inside).toBe(0)
  })

  it("says at once whether there is a permit, for those who will not wait", () => {
    const sema = make(1)
    expect([sema.tryAcquire(), sema.tryAcquire()]).toEqual([true, false])
    sema.release()
    expect(sema.tryAcquire()).toBe(true)
  })

  it("hands what is released to the one that waits, and not to who comes in between", async () => {
    const sema = make(1)
    await sema.acquire()
    const waiting = sema.acquire()
    sema.release()
    expect(sema.tryAcquire()).toBe(false)
    await waiting
  })

  it("drains: waits for every permit to come back", async () => {
    const sema = make(2)
    await sema.acquire()
    await sema.acquire()
    let isDrained = false
    const drained = sema.drain().then(() => {
      isDrained = true
    })
    sema.release()
    await settle()
    expect(isDrained).toBe(false)
    sema.release()
    await drained
    expect(sema.tryAcquire()).toBe(false)
  })

  it("keeps ten thousand waiting, and serves all of them", async () => {
    const sema = make(1)
    const all = Array.from({ length: 10_000 }, () => sema.acquire().then(() => sema.release()))
    expect(sema.waiting()).toBeGreaterThan(9000)
    await Promise.all(all)
    expect(sema.waiting()).toBe(0)
  })
})

describe.each([
  ["async-sema's RateLimit", (rps: number, timeUnit: number) => RateLimit(rps, { timeUnit })],
  [
    "createRateLimiter",
    (limit: number, interval: number) => {
      const limiter = createRateLimiter({ limit, interval })
      return () => limiter.take()
    }
  ]
])("%s", (_, make) => {
  it("lets so many through at once, and the rest as time goes by", async () => {
    vi.useFakeTimers()
    const limit = make(5, 1000)
    let passed = 0
    const all = Array.from({ length: 10 }, () => limit().then(() => passed++))
    await vi.advanceTimersByTimeAsync(1)
    expect(passed).toBe(5)
    await vi.advanceTimersByTimeAsync(1001)
    await Promise.all(all)
    expect(passed).toBe(10)
  })
})

describe("what differs from async-sema", () => {
  it("refuses to take back more than it gave, where async-sema gains a permit", () => {
    const their = theirs(1)
    their.release()
    expect([their.tryAcquire(), their.tryAcquire()]).toEqual([true, true])
    expect(() => ours(1).release()).toThrow("Cannot release 1 permit: 0 are held")
  })

  it("spaces requests evenly with a burst of 1, as uniformDistribution does", async () => {
    vi.useFakeTimers()
    const limiter = createRateLimiter({ limit: 5, interval: 1000, burst: 1 })
    const start = Date.now()
    const at: Array<number> = []
    const all = Array.from({ length: 3 }, () => limiter.take().then(() => at.push(Date.now() - start)))
    await vi.advanceTimersByTimeAsync(1000)
    await Promise.all(all)
    expect(at).toEqual([0, 200, 400])
  })
})
