import {
  BulkheadFull,
  BulkheadTimeout,
  createBulkhead,
  createKeyedSemaphore,
  createPrioritySemaphore,
  createSemaphore,
  SemaphoreClosed
} from "@sluice/promise"
import { afterEach, describe, expect, it, vi } from "vitest"
import { deferred, outcome, settle } from "./turns.ts"

afterEach(() => {
  vi.useRealTimers()
})

describe("createSemaphore", () => {
  it("runs as many at once as there are permits, and the rest in order", async () => {
    const semaphore = createSemaphore(2)
    const ends = [deferred(), deferred(), deferred(), deferred()]
    const started: Array<number> = []
    const runs = ends.map(({ promise }, n) =>
      semaphore.run(() => {
        started.push(n)
        return promise
      })
    )
    expect(started).toEqual([0, 1])
    ends[1]?.resolve()
    await settle()
    expect(started).toEqual([0, 1, 2])
    for (const { resolve } of ends) resolve()
    await Promise.all(runs)
    expect(started).toEqual([0, 1, 2, 3])
    expect(semaphore.stats()).toEqual({ capacity: 2, held: 0, available: 2, waiting: 0, admitted: 4, rejected: 0 })
  })

  it("answers what the function answers, be it a promise or not, and rejects with what it throws", async () => {
    const semaphore = createSemaphore(1)
    const error = new Error("no")
    expect(await semaphore.run(() => 1)).toBe(1)
    expect(await semaphore.run(async () => 2)).toBe(2)
    const thrown = semaphore.run(() => {
      throw error
    })
    await expect(thrown).rejects.toBe(error)
    await expect(semaphore.run(() => Promise.reject(error))).rejects.toBe(error)
    expect(semaphore.stats().held).toBe(0)
  })

  it("lets no light request overtake a heavy one that came first", async () => {
    const semaphore = createSemaphore(3)
    const first = await semaphore.acquire({ permits: 2 })
    const order: Array<string> = []
    const heavy = semaphore.run(() => order.push("heavy"), { permits: 3 })
    const light = semaphore.run(() => order.push("light"))
    await settle()
    expect(order).toEqual([])
    first.release()
    await Promise.all([heavy, light])
    expect(order).toEqual(["heavy", "light"])
  })

  it("serves the latest first where it is asked to", async () => {
    const semaphore = createSemaphore(1, { order: "lifo" })
    const permit = await semaphore.acquire()
    const order: Array<number> = []
    const runs = [1, 2, 3].map((n) => semaphore.run(() => order.push(n)))
    permit.release()
    await Promise.all(runs)
    expect(order).toEqual([3, 2, 1])
  })

  it("gives a permit back at the end of its block, and no second time", async () => {
    const semaphore = createSemaphore(2)
    {
      using permit = await semaphore.acquire({ permits: 2 })
      expect(permit.permits).toBe(2)
      expect(semaphore.tryAcquire()).toBeUndefined()
      permit.release()
      permit.release()
      expect(semaphore.stats().held).toBe(0)
    }
    expect(semaphore.stats()).toMatchObject({ held: 0, rejected: 1 })
    using again = semaphore.tryAcquire(2)
    expect(again?.permits).toBe(2)
  })

  it("rejects with the signal's reason whoever gives up, with nothing taken and nothing run", async () => {
    const semaphore = createSemaphore(1)
    const permit = await semaphore.acquire()
    const controller = new AbortController()
    let isRun = false
    const waiting = outcome(semaphore.run(() => (isRun = true), { signal: controller.signal }))
    const next = semaphore.acquire()
    controller.abort("enough")
    expect(await waiting).toEqual({ error: "enough" })
    expect(semaphore.stats()).toMatchObject({ held: 1, waiting: 1 })
    permit.release()
    ;(await next).release()
    expect(isRun).toBe(false)
    await expect(semaphore.run(() => 1, { signal: controller.signal })).rejects.toBe("enough")
    await expect(semaphore.take(1, controller.signal)).rejects.toBe("enough")
    expect(semaphore.stats().held).toBe(0)
  })

  it("does not run what was handed its permit and aborted before it knew", async () => {
    const semaphore = createSemaphore(1)
    const permit = await semaphore.acquire()
    const controller = new AbortController()
    let isRun = false
    const waiting = outcome(semaphore.run(() => (isRun = true), { signal: controller.signal }))
    permit.release()
    controller.abort("late")
    expect(await waiting).toEqual({ error: "late" })
    expect(isRun).toBe(false)
    expect(semaphore.stats()).toMatchObject({ held: 0, waiting: 0 })
  })

  it("lets a lighter one go when a heavy one before it gives up", async () => {
    const semaphore = createSemaphore(2)
    await semaphore.take()
    const controller = new AbortController()
    const heavy = outcome(semaphore.take(2, controller.signal))
    const light = semaphore.take()
    controller.abort("gone")
    await light
    expect(await heavy).toEqual({ error: "gone" })
    semaphore.release(2)
  })

  it("ends everybody who shares a signal, in one step for each", async () => {
    const semaphore = createSemaphore(1)
    await semaphore.take()
    const controller = new AbortController()
    const waiting = Array.from({ length: 20_000 }, () => outcome(semaphore.take(1, controller.signal)))
    expect(semaphore.stats().waiting).toBe(20_000)
    controller.abort("all")
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => ({ error: "all" })))
    expect(semaphore.stats()).toMatchObject({ held: 1, waiting: 0 })
  })

  it("takes its listener off a signal that nobody waits under", async () => {
    const semaphore = createSemaphore(1)
    const { signal } = new AbortController()
    let listeners = 0
    const add = vi.spyOn(signal, "addEventListener").mockImplementation(() => void listeners++)
    const remove = vi.spyOn(signal, "removeEventListener").mockImplementation(() => void listeners--)
    await semaphore.take(1, signal)
    const waiting = [semaphore.take(1, signal), semaphore.take(1, signal)]
    expect(listeners).toBe(1)
    semaphore.release()
    semaphore.release()
    await Promise.all(waiting)
    expect(listeners).toBe(0)
    add.mockRestore()
    remove.mockRestore()
  })

  it("grows and shrinks under load", async () => {
    const semaphore = createSemaphore(1)
    await semaphore.take()
    const second = semaphore.take()
    semaphore.resize(2)
    await second
    semaphore.resize(1)
    expect(semaphore.stats()).toMatchObject({ capacity: 1, held: 2, available: 0 })
    const third = semaphore.take()
    semaphore.release()
    expect(semaphore.stats().waiting).toBe(1)
    semaphore.release()
    await third
  })

  it("once closed, turns away who waits and who comes, and is idle when the holders are done", async () => {
    const semaphore = createSemaphore(1)
    const permit = await semaphore.acquire()
    const waiting = outcome(semaphore.run(() => "never"))
    semaphore.close()
    const refused = await waiting
    expect(refused).toEqual({ error: expect.any(SemaphoreClosed) })
    await expect(semaphore.acquire()).rejects.toMatchObject({ name: "SemaphoreClosed", capacity: 1 })
    expect(semaphore.tryAcquire()).toBeUndefined()
    let isIdle = false
    const idle = semaphore.idle().then(() => (isIdle = true))
    await settle()
    expect(isIdle).toBe(false)
    permit.release()
    await idle
  })

  it("closes and waits for its holders at the end of an `await using` block", async () => {
    const ended: Array<string> = []
    const holding = deferred()
    const block = (async () => {
      await using semaphore = createSemaphore(1)
      void semaphore.run(() => holding.promise).then(() => ended.push("holder"))
    })().then(() => ended.push("block"))
    await settle()
    expect(ended).toEqual([])
    holding.resolve()
    await block
    expect(ended).toEqual(["holder", "block"])
  })

  it("stops waiting to be idle when the signal says so", async () => {
    const semaphore = createSemaphore(1)
    await semaphore.take()
    const controller = new AbortController()
    const idle = outcome(semaphore.idle({ signal: controller.signal }))
    controller.abort("enough")
    expect(await idle).toEqual({ error: "enough" })
  })

  it("says what is wrong with an argument at once, instead of waiting for ever", async () => {
    expect(() => createSemaphore(-1)).toThrow("Cannot make a semaphore of -1 permits")
    expect(() => createSemaphore(1.5)).toThrow(RangeError)
    const semaphore = createSemaphore(2)
    await expect(semaphore.run(() => 1, { permits: 3 })).rejects.toThrow("Cannot take 3 permits: the semaphore holds 2")
    await expect(semaphore.acquire({ permits: -1 })).rejects.toThrow(RangeError)
    await expect(semaphore.take(Number.NaN)).rejects.toThrow(RangeError)
    expect(() => semaphore.release()).toThrow("Cannot release 1 permit: 0 are held")
    expect(() => semaphore.resize(-1)).toThrow(RangeError)
  })
})

describe("createKeyedSemaphore", () => {
  it("bounds each key and all of them, and lets keys take turns", async () => {
    const semaphore = createKeyedSemaphore<string>({ permitsPerKey: 2, permits: 1 })
    const permit = await semaphore.acquire("a")
    const order: Array<string> = []
    const runs = ["a", "a", "a", "b"].map((key) => semaphore.run(key, () => order.push(key)))
    permit.release()
    await Promise.all(runs)
    expect(order).toEqual(["a", "b", "a", "a"])
    expect(semaphore.stats()).toMatchObject({ held: 0, waiting: 0, keys: 0, admitted: 5 })
  })

  it("asks a function for the permits of a key, and counts who found none", async () => {
    const semaphore = createKeyedSemaphore<string>({ permitsPerKey: (key) => (key === "big" ? 2 : 1) })
    using first = semaphore.tryAcquire("big")
    using second = semaphore.tryAcquire("big")
    expect([first?.permits, second?.permits, semaphore.tryAcquire("big")]).toEqual([1, 1, undefined])
    expect(semaphore.keyStats("big")).toEqual({ capacity: 2, held: 2, waiting: 0 })
    expect(semaphore.stats().rejected).toBe(1)
  })

  it("says what is wrong with an option", async () => {
    expect(() => createKeyedSemaphore({ permitsPerKey: 0 })).toThrow("permitsPerKey 0")
    expect(() => createKeyedSemaphore({ permitsPerKey: 1, permits: 0 })).toThrow("permits 0")
    await expect(createKeyedSemaphore({ permitsPerKey: () => 0 }).run("a", () => 1)).rejects.toThrow("of key a")
    await expect(createKeyedSemaphore({ permitsPerKey: 1 }).acquire("a", { permits: 2 })).rejects.toThrow(RangeError)
  })
})

describe("createPrioritySemaphore", () => {
  it("serves the first class first, and no class never", async () => {
    const semaphore = createPrioritySemaphore({ permits: 1, classes: 2, ageing: 2 })
    const permit = await semaphore.acquire()
    const order: Array<string> = []
    const late = semaphore.run(() => order.push("batch"), { priority: 1 })
    const people = [1, 2, 3, 4].map((n) => semaphore.run(() => order.push(`person ${n}`), { priority: 0 }))
    expect(semaphore.stats().waitingByClass).toEqual([4, 1])
    expect(semaphore.tryAcquire()).toBeUndefined()
    permit.release()
    await Promise.all([late, ...people])
    expect(order.indexOf("batch")).toBeLessThanOrEqual(2)
    expect(order[0]).toBe("person 1")
    await expect(semaphore.run(() => 1, { priority: 2 })).rejects.toThrow("the classes are 0 to 1")
  })
})

describe("createBulkhead", () => {
  it("refuses what finds every place taken, at once", async () => {
    const bulkhead = createBulkhead({ permits: 1, maxWaiting: 1 })
    const permit = await bulkhead.acquire()
    const waiting = bulkhead.run(() => "waited")
    const refused = await outcome(bulkhead.run(() => "never"))
    expect(refused).toEqual({ error: expect.any(BulkheadFull) })
    expect(refused).toMatchObject({ error: { name: "BulkheadFull", permits: 1, maxWaiting: 1 } })
    permit.release()
    expect(await waiting).toBe("waited")
    expect(bulkhead.stats()).toMatchObject({ held: 0, admitted: 2, rejected: 1 })
  })

  it("lets nobody wait for longer than is allowed", async () => {
    vi.useFakeTimers()
    const bulkhead = createBulkhead({ permits: 1, maxWaiting: 5, maxWait: "2 seconds" })
    const permit = await bulkhead.acquire()
    const late = outcome(bulkhead.run(() => "never"))
    await vi.advanceTimersByTimeAsync(1000)
    const later = bulkhead.run(() => "in time")
    await vi.advanceTimersByTimeAsync(1000)
    expect(await late).toEqual({ error: expect.any(BulkheadTimeout) })
    expect(await late).toMatchObject({ error: { waitedMillis: 2000 } })
    permit.release()
    expect(await later).toBe("in time")
    expect(vi.getTimerCount()).toBe(0)
    expect(bulkhead.stats()).toMatchObject({ held: 0, waiting: 0, rejected: 1 })
  })

  it("does not count as refused who gave up by himself", async () => {
    const bulkhead = createBulkhead({ permits: 1, maxWaiting: 1 })
    const permit = await bulkhead.acquire()
    const controller = new AbortController()
    const waiting = outcome(bulkhead.acquire({ signal: controller.signal }))
    controller.abort("enough")
    expect(await waiting).toEqual({ error: "enough" })
    permit.release()
    expect(bulkhead.stats()).toMatchObject({ held: 0, waiting: 0, rejected: 0 })
    expect(() => createBulkhead({ permits: 1, maxWaiting: -1 })).toThrow("maxWaiting -1")
  })
})
