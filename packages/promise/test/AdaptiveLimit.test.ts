import { aimd, BulkheadFull, createAdaptiveLimit, gradient2, vegas } from "@sluice/promise"
import { afterEach, describe, expect, it, vi } from "vitest"
import { deferred, outcome, settle } from "./turns.ts"

afterEach(() => {
  vi.useRealTimers()
})

/** Has `count` requests in flight at once that each take so long, until the time is over. */
const load = async (
  limit: ReturnType<typeof createAdaptiveLimit>,
  workers: number,
  millis: number,
  latency: (inFlight: number) => number
): Promise<void> => {
  const until = performance.now() + millis
  let inFlight = 0
  const worker = async (): Promise<void> => {
    while (performance.now() < until) {
      await limit.run(async () => {
        inFlight++
        await new Promise((resolve) => setTimeout(resolve, latency(inFlight)))
        inFlight--
      })
    }
  }
  const workersDone = Promise.all(Array.from({ length: workers }, worker))
  await vi.advanceTimersByTimeAsync(millis + 10_000)
  await workersDone
}

describe("createAdaptiveLimit", () => {
  it.each([
    ["vegas", vegas({ initial: 5 })],
    ["gradient2", gradient2({ initial: 5 })]
  ])("finds what a server can do that slows down beyond 20 at once, by %s", async (_, algorithm) => {
    vi.useFakeTimers()
    const limit = createAdaptiveLimit({ algorithm, maxWaiting: 1000 })
    await load(limit, 100, 120_000, (inFlight) => (inFlight <= 20 ? 50 : (50 * inFlight) / 20))
    expect(limit.stats().capacity).toBeGreaterThan(10)
    expect(limit.stats().capacity).toBeLessThan(60)
    expect(limit.stats()).toMatchObject({ held: 0, waiting: 0, dropped: 0 })
  })

  it("lowers the limit after drops: errors that say so, and those that are reported", async () => {
    vi.useFakeTimers()
    const limit = createAdaptiveLimit({ algorithm: aimd({ initial: 10, backoff: 0.5 }), minSamples: 1 })
    const timeout = () => Promise.reject(new DOMException("too late", "TimeoutError"))
    await vi.advanceTimersByTimeAsync(1100)
    await expect(limit.run(timeout)).rejects.toThrow("too late")
    expect(limit.stats()).toMatchObject({ capacity: 5, dropped: 1 })
    limit.reportDrop()
    expect(limit.stats().dropped).toBe(2)
    await vi.advanceTimersByTimeAsync(1100)
    await limit.run(() => "answered")
    expect(limit.stats().capacity).toBeLessThan(5)
  })

  it("refuses what finds no place, and gives partitions their share", async () => {
    const limit = createAdaptiveLimit({
      algorithm: aimd({ initial: 2, max: 2 }),
      partitions: { live: 0.5, batch: 0.5 }
    })
    const holding = deferred()
    const batch = [1, 2].map(() => limit.run(() => holding.promise, { partition: "batch" }))
    const refused = await outcome(limit.run(() => 1, { partition: "batch" }))
    expect(refused).toEqual({ error: expect.any(BulkheadFull) })
    expect(await limit.run(() => "live", { partition: "live" })).toBe("live")
    holding.resolve()
    await Promise.all(batch)
    await settle()
    expect(limit.stats().partitions["batch"]).toMatchObject({ held: 0, admitted: 2 })
    await expect(limit.run(() => 1, { partition: "other" })).rejects.toThrow("the partitions are live, batch")
  })

  it("says what is wrong with an option", () => {
    expect(() => aimd({ initial: 0 })).toThrow(RangeError)
    expect(() => createAdaptiveLimit({ algorithm: vegas(), maxWaiting: -1 })).toThrow("maxWaiting")
    expect(() => createAdaptiveLimit({ algorithm: vegas(), minSamples: 0 })).toThrow("minSamples")
    expect(() => createAdaptiveLimit({ algorithm: vegas(), window: 0 })).toThrow("window")
    expect(() => createAdaptiveLimit({ algorithm: vegas(), partitions: { a: 0.7, b: 0.7 } })).toThrow("at most 1")
  })
})
