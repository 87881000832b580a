import {
  createHedge,
  createRetry,
  createRetryBudget,
  DeadlineExceeded,
  hedge,
  RetryFailed,
  retry
} from "@sluice/promise"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { deferred, outcome } from "./turns.ts"

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const advance = (millis: number) => vi.advanceTimersByTimeAsync(millis)
const down = new Error("down")
const fail = () => Promise.reject(down)

describe("retry", () => {
  it("calls again until it succeeds, waiting longer each time", async () => {
    const start = Date.now()
    const at: Array<number> = []
    const answer = retry(
      async ({ attempt }) => {
        at.push(Date.now() - start)
        if (attempt < 4) throw down
        return attempt
      },
      { maxAttempts: 5, backoff: { base: 100, jitter: "none" } }
    )
    await advance(700)
    expect(await answer).toBe(4)
    expect(at).toEqual([0, 100, 300, 700])
  })

  it.each([
    ["linear", [100, 200, 300]],
    ["fibonacci", [100, 100, 200]],
    ["exponential", [100, 300, 500]]
  ] as const)("backs off with %s growth", async (growth, delays) => {
    const failed = outcome(
      retry(fail, {
        maxAttempts: 4,
        recorded: true,
        backoff: { growth, base: 100, jitter: "none", ...(growth === "exponential" ? { factor: 3, cap: 500 } : {}) }
      })
    )
    await advance(2000)
    const end = await failed
    expect(end).toMatchObject({ error: { name: "RetryFailed", reason: "Exhausted", error: down, cause: down } })
    if (!("error" in end) || !(end.error instanceof RetryFailed)) throw new Error("A record was expected")
    expect(end.error.attempts.map(({ delayMillis }) => delayMillis)).toEqual([...delays, undefined])
    expect(end.error.message).toBe("Gave up after 4 attempts (Exhausted): Error: down")
  })

  it("rejects with the last error itself, and at once where another attempt cannot help", async () => {
    let attempts = 0
    const policy = createRetry({ while: (error) => error !== down })
    const call = () => {
      attempts++
      return fail()
    }
    await expect(policy.run(call)).rejects.toBe(down)
    expect(attempts).toBe(1)
    expect(policy.stats()).toMatchObject({ calls: 1, attempts: 1, retries: 0, succeeded: 0 })
    expect(policy.stats().failed.NotRetryable).toBe(1)
  })

  it("waits for as long as the error asks, and no longer than it may", async () => {
    const start = Date.now()
    const answer = retry(async ({ attempt }) => (attempt === 1 ? Promise.reject(down) : Date.now() - start), {
      retryAfter: () => "2 seconds",
      backoff: { base: 1 }
    })
    await advance(2000)
    expect(await answer).toBe(2000)
    const tooLong = { recorded: true, retryAfter: () => "1 hour" as const, maxRetryAfter: "1 minute" as const }
    await expect(retry(fail, tooLong)).rejects.toMatchObject({ reason: "RetryAfterTooLong" })
  })

  it("ends with the signal's reason, in an attempt and between two, and tells the attempt", async () => {
    const controller = new AbortController()
    let seen: AbortSignal | undefined
    const inAttempt = outcome(
      retry(
        ({ signal }) => {
          seen = signal
          return new Promise(() => {})
        },
        { signal: controller.signal }
      )
    )
    controller.abort("enough")
    expect(await inAttempt).toEqual({ error: "enough" })
    expect(seen?.aborted).toBe(true)
    const second = new AbortController()
    const between = outcome(retry(fail, { signal: second.signal, backoff: { base: "1 hour" } }))
    await advance(1)
    second.abort("later")
    expect(await between).toEqual({ error: "later" })
    await expect(retry(fail, { signal: second.signal })).rejects.toBe("later")
    expect(vi.getTimerCount()).toBe(0)
  })

  it("ends at its deadline, and waits for no attempt that would begin too late", async () => {
    const slow = outcome(retry(() => new Promise(() => {}), { deadline: "1 second" }))
    await advance(1000)
    expect(await slow).toEqual({ error: expect.any(DeadlineExceeded) })
    expect(await slow).toMatchObject({ error: { name: "DeadlineExceeded", deadlineMillis: 1000 } })
    const late = { deadline: 1000, backoff: { base: 5000, jitter: "none" }, recorded: true } as const
    await expect(retry(fail, late)).rejects.toMatchObject({ reason: "PastDeadline" })
  })

  it("stays within its budget, which is shared", async () => {
    const budget = createRetryBudget({ ratio: 0.5, minPerSecond: 0 })
    const policy = createRetry({ backoff: { base: 1, cap: 1 }, maxAttempts: 5, budget })
    const calls = Array.from({ length: 10 }, () => outcome(policy.run(fail)))
    await advance(1000)
    await Promise.all(calls)
    expect(policy.stats().retries).toBe(5)
    expect(budget.stats()).toMatchObject({ granted: 5, available: 0 })
    expect(() => createRetry({ budget: { stats: budget.stats } })).toThrow("createRetryBudget")
  })

  it("says what is wrong with an option", () => {
    expect(() => createRetry({ maxAttempts: 0 })).toThrow("maxAttempts 0")
    expect(() => createRetry({ backoff: { base: 0 } })).toThrow("base 0")
    expect(() => createRetryBudget({ ratio: -1 })).toThrow("ratio -1")
  })
})

describe("hedge", () => {
  it("sends a second copy of what is late, takes the first answer and aborts the other", async () => {
    const signals: Array<AbortSignal> = []
    const first = deferred<string>()
    const policy = createHedge({ idempotent: true, delay: "100 millis" })
    const answer = policy.run(({ attempt, signal }) => {
      signals.push(signal)
      return attempt === 1 ? first.promise : "second"
    })
    await advance(99)
    expect(signals).toHaveLength(1)
    await advance(2)
    expect(await answer).toBe("second")
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
    expect(policy.stats()).toMatchObject({ calls: 1, hedges: 1, won: 1, denied: 0, delayMillis: 100 })
  })

  it("is the first answer where that comes in time, and its failure too", async () => {
    const quick = hedge(() => "quick", { idempotent: true, delay: 100 })
    const failed = outcome(hedge(fail, { idempotent: true, delay: 100 }))
    await advance(1)
    expect(await quick).toBe("quick")
    expect(await failed).toEqual({ error: down })
    expect(vi.getTimerCount()).toBe(0)
  })

  it("ends with the signal's reason", async () => {
    const controller = new AbortController()
    const gone = outcome(hedge(() => new Promise(() => {}), { idempotent: true, delay: 10, signal: controller.signal }))
    await advance(20)
    controller.abort("enough")
    expect(await gone).toEqual({ error: "enough" })
  })

  it("learns its delay from recent calls", async () => {
    const policy = createHedge({ idempotent: true, delay: { quantile: 0.9, initial: 500, minSamples: 5 } })
    expect(policy.stats().delayMillis).toBe(500)
    for (let n = 0; n < 10; n++) {
      const call = policy.run(() => "answered")
      await advance(1)
      await call
    }
    // How long calls take is measured on a clock that no test sets: these took next to nothing.
    expect(policy.stats().delayMillis).toBeLessThan(500)
  })
})
