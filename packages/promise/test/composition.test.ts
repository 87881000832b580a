// Policies around policies, in the order of docs/architecture.md, under aborts and
// failures: whatever ends how, everything that was taken is back.

import { createQuota, createRegistry, createRetry, createSemaphore, forEach } from "@sluice/promise"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { makeRandom, outcome, seeds } from "./turns.ts"

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe("a retry around permits around a quota", () => {
  it.each(seeds)("keeps every limit and loses nothing, whatever fails or is aborted, seed %i", async (seed) => {
    const random = makeRandom(seed)
    const semaphore = createSemaphore(4)
    const quota = createQuota({
      limits: { calls: { limit: 50, interval: 1000 }, tokens: { limit: 500, interval: 1000 } }
    })
    const policy = createRetry({ maxAttempts: 3, backoff: { base: 10 }, deadline: "20 seconds" })
    const registry = createRegistry()
    for (const [name, source] of Object.entries({ semaphore, quota, policy })) registry.observe(name, source)
    let running = 0
    let ended = 0

    const work = async (signal: AbortSignal): Promise<void> => {
      expect(++running).toBeLessThanOrEqual(4)
      try {
        const millis = random(50)
        const fails = random(10) < 3
        await new Promise<void>((resolve, reject) => {
          const timer = setTimeout(() => (fails ? reject(new Error("failed")) : resolve()), millis)
          signal.addEventListener("abort", () => {
            clearTimeout(timer)
            reject(signal.reason)
          })
        })
      } finally {
        running--
      }
    }
    const call = (signal: AbortSignal): Promise<void> =>
      policy.run(
        ({ signal }) =>
          semaphore.run(() => quota.run({ calls: 1, tokens: 1 + random(20) }, () => work(signal), { signal }), {
            signal
          }),
        { signal }
      )

    const all = forEach(
      Array(300).keys(),
      async () => {
        const controller = new AbortController()
        if (random(4) === 0) setTimeout(() => controller.abort("gone"), random(200))
        await outcome(call(controller.signal))
        ended++
      },
      { concurrency: 20 }
    )
    await vi.advanceTimersByTimeAsync(120_000)
    await all
    expect([running, ended]).toEqual([0, 300])
    expect(semaphore.stats()).toMatchObject({ held: 0, waiting: 0 })
    expect(quota.stats().waiting).toBe(0)
    expect(policy.stats().calls).toBeLessThanOrEqual(300)
    expect(registry.prometheusText()).toContain(`policy_calls_total ${policy.stats().calls}`)
  })
})
