import { createKeyedRateLimiter, createQuota, createRateLimiter, RateLimitExceeded } from "@sluice/promise"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { outcome } from "./turns.ts"

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const advance = (millis: number) => vi.advanceTimersByTimeAsync(millis)

describe("createRateLimiter", () => {
  it("tells whether a request may go, and when it may", async () => {
    const limiter = createRateLimiter({ limit: 2, interval: "1 second" })
    expect(limiter.tryTake()).toMatchObject({ allowed: true, remaining: 1, limit: 2, retryAfterMillis: 0 })
    limiter.tryTake()
    expect(limiter.tryTake()).toMatchObject({
      allowed: false,
      remaining: 0,
      retryAfterMillis: 500,
      resetAfterMillis: 1000,
      isBlocked: false
    })
    await advance(500)
    expect(limiter.tryTake().allowed).toBe(true)
    expect(limiter.stats()).toEqual({ capacity: 2, waiting: 0, admitted: 3, rejected: 1 })
  })

  it("serves those who wait in the order of arrival, each in its time", async () => {
    const limiter = createRateLimiter({ limit: 10, interval: 1000, burst: 1 })
    const start = Date.now()
    const served: Array<readonly [string, number]> = []
    const all = ["a", "b", "c"].map((name) => limiter.run(() => served.push([name, Date.now() - start])))
    expect(limiter.stats().waiting).toBe(2)
    await advance(1000)
    await Promise.all(all)
    expect(served).toEqual([
      ["a", 0],
      ["b", 100],
      ["c", 200]
    ])
    expect(vi.getTimerCount()).toBe(0)
  })

  it("takes nothing of whoever gives up, and lets the next go in its place", async () => {
    const limiter = createRateLimiter({ limit: 1, interval: 1000 })
    await limiter.take()
    const controller = new AbortController()
    const gone = outcome(limiter.take({ signal: controller.signal }))
    const next = limiter.take()
    controller.abort("enough")
    expect(await gone).toEqual({ error: "enough" })
    await advance(1000)
    await next
    await expect(limiter.take({ signal: controller.signal })).rejects.toBe("enough")
  })

  it("refuses at once what could not be served in time, with the facts", async () => {
    const limiter = createRateLimiter({ limit: 1, interval: "1 second" })
    await limiter.take()
    const error = await limiter.run(() => 1, { maxWait: "500 millis" }).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(RateLimitExceeded)
    expect(error).toMatchObject({ name: "RateLimitExceeded", cost: 1, limit: 1, retryAfterMillis: 1000 })
    expect(() => limiter.reserve({ maxWait: 10 })).toThrow(RateLimitExceeded)
    await expect(limiter.take({ cost: 2 })).rejects.toThrow("Cannot take 2 from a rate limiter")
  })

  it("promises a time, keeps it, and takes it back", async () => {
    const limiter = createRateLimiter({ limit: 1, interval: 1000 })
    limiter.reserve()
    const second = limiter.reserve()
    expect(second.delayMillis).toBe(1000)
    const start = Date.now()
    const ready = second.ready().then(() => Date.now() - start)
    await advance(1000)
    expect(await ready).toBe(1000)
    {
      using third = limiter.reserve()
      expect(third.delayMillis).toBe(1000)
    }
    expect(limiter.reserve().delayMillis).toBe(1000)
    const controller = new AbortController()
    const gone = outcome(limiter.reserve().ready({ signal: controller.signal }))
    controller.abort("enough")
    expect(await gone).toEqual({ error: "enough" })
    expect(limiter.reserve().cancel()).toBe(1)
  })

  it("settles costs, changes its limit and blocks", async () => {
    const limiter = createRateLimiter({ limit: 10, interval: 1000 })
    limiter.tryTake(10)
    limiter.adjust(-5)
    expect(limiter.tryTake(5).allowed).toBe(true)
    limiter.updateLimit({ limit: 20 })
    expect(limiter.tryTake(20).retryAfterMillis).toBeLessThan(1100)
    limiter.block("10 seconds")
    expect(limiter.tryTake()).toMatchObject({ allowed: false, isBlocked: true, retryAfterMillis: 10_000 })
    limiter.block(0)
    await advance(1000)
    expect(limiter.tryTake().allowed).toBe(true)
  })

  it("says what is wrong with an option", () => {
    expect(() => createRateLimiter({ limit: 0, interval: 1000 })).toThrow("limit 0")
  })
})

describe("createKeyedRateLimiter", () => {
  it("limits each key by itself", async () => {
    const limiter = createKeyedRateLimiter({
      limit: 1,
      interval: 1000,
      limitOf: (key) => (key === "vip" ? vip : undefined)
    })
    const vip = { limit: 5, interval: 1000 }
    await limiter.take("a")
    expect([limiter.tryTake("a").allowed, limiter.tryTake("b").allowed]).toEqual([false, true])
    expect(limiter.tryTake("vip", 5).allowed).toBe(true)
    const waited = limiter.run("a", () => "served")
    await advance(1000)
    expect(await waited).toBe("served")
    await expect(limiter.take("a", { maxWait: 10 })).rejects.toMatchObject({ key: "a" })
    expect(limiter.reserve("c").delayMillis).toBe(0)
    limiter.adjust("c", -1)
    expect(limiter.tryTake("c").allowed).toBe(true)
    limiter.block("d", 1000)
    expect(limiter.tryTake("d").isBlocked).toBe(true)
    limiter.updateLimit({ limit: 2 })
    expect(limiter.tryTake("e", 2).allowed).toBe(true)
    expect(limiter.stats()).toMatchObject({ capacity: 2, waiting: 0 })
    expect(limiter.stats().keys).toBeGreaterThan(2)
  })
})

describe("createQuota", () => {
  it("takes all of its limits or none, in order of arrival", async () => {
    const quota = createQuota({
      limits: { requests: { limit: 10, interval: 1000 }, tokens: { limit: 100, interval: 1000 } }
    })
    await quota.take({ requests: 1, tokens: 100 })
    const refused = quota.tryTake({ requests: 1, tokens: 50 })
    expect(refused.allowed).toBe(false)
    expect(refused.limits.requests.allowed).toBe(true)
    expect(refused.limits.tokens).toMatchObject({ allowed: false, retryAfterMillis: 500 })
    const order: Array<string> = []
    const heavy = quota.run({ tokens: 100 }, () => order.push("heavy"))
    const light = quota.run({ requests: 1 }, () => order.push("light"))
    await advance(1001)
    await Promise.all([heavy, light])
    expect(order).toEqual(["heavy", "light"])
    await expect(quota.take({ tokens: 100 }, { maxWait: 10 })).rejects.toMatchObject({ key: "tokens", cost: 100 })
    quota.adjust({ tokens: -100 })
    expect(quota.tryTake({ tokens: 100 }).allowed).toBe(true)
    quota.updateLimit("tokens", { limit: 200 })
    quota.block("1 second")
    expect(quota.tryTake({ requests: 1 }).allowed).toBe(false)
    const controller = new AbortController()
    const gone = outcome(quota.take({ requests: 1 }, { signal: controller.signal }))
    controller.abort("enough")
    expect(await gone).toEqual({ error: "enough" })
    expect(quota.stats()).toMatchObject({ waiting: 0, admitted: 4 })
  })
})
