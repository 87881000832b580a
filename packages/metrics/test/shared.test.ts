import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { Exposition, Registry } from "@sluice/metrics"
import { SharedRegistry } from "@sluice/metrics/shared"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { definition } from "./sharedDefinition.ts"

const threads = 4
const updates = 1_000_000

describe("shared metrics", () => {
  it("lose no update of four threads, and are read while those write", async () => {
    const shared = SharedRegistry.make(definition)
    const workers = Array.from(
      { length: threads },
      (_, thread) =>
        new Worker(new URL("./sharedWorker.ts", import.meta.url), {
          workerData: { buffer: shared.buffer, thread, updates }
        })
    )
    const ends = workers.map((worker) => once(worker, "exit"))
    let reads = 0
    let lastCount = 0
    const all = Promise.all(ends)
    let areDone = false
    void all.then(() => {
      areDone = true
    })
    while (!areDone) {
      const snapshot = shared.instruments.latency.snapshot()
      expect(snapshot.count).toBeGreaterThanOrEqual(lastCount)
      lastCount = snapshot.count
      reads++
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    const { active, latency, requests } = shared.instruments
    expect(reads).toBeGreaterThan(1)
    expect(requests.value).toBe(threads * updates)
    expect(active.value).toBe(0)
    const snapshot = latency.snapshot()
    expect(snapshot.count).toBe(threads * updates)
    expect(snapshot.min).toBe(0.001)
    expect(snapshot.max).toBe(threads)
    // Whole and half numbers, whose sums are exact whatever their order.
    expect(snapshot.sum).toBeCloseTo(threads * (0.001 + (updates - 2) * 0.5) + (1 + 2 + 3 + 4), 5)
    expect(snapshot.quantile(0.5)).toBeCloseTo(0.5, 1)
  }, 120_000)

  it("show in a registry's scrape", () => {
    const shared = SharedRegistry.make(definition)
    shared.instruments.requests.addUnsafe(3)
    shared.instruments.level.setUnsafe(-2.5)
    const registry = Registry.makeUnsafe()
    registry.include(shared.snapshotUnsafe)
    const text = Exposition.prometheusText(registry)
    expect(text).toContain("requests_total 3\n")
    expect(text).toContain("level -2.5\n")
    expect(text).toContain("latency_seconds_count 0\n")
  })

  it("have one metric for the series that share a name", () => {
    const shared = SharedRegistry.make({
      ok: { kind: "counter", name: "calls_total", help: "", labels: { outcome: "ok" } },
      failed: { kind: "counter", name: "calls_total", help: "", labels: { outcome: "failed" } }
    })
    expect(shared.snapshotUnsafe()).toMatchObject([
      { name: "calls_total", series: [{ labels: { outcome: "ok" } }, { labels: { outcome: "failed" } }] }
    ])
  })

  it("are joined only with the definition that they were made with", () => {
    const { buffer } = SharedRegistry.make(definition)
    expect(() => SharedRegistry.attach({ ...definition, requests: undefined as never }, buffer)).toThrow()
    expect(() => SharedRegistry.attach({ other: { kind: "gauge", name: "other", help: "" } }, buffer)).toThrow(
      "the buffer was made with another definition"
    )
  })

  it("refuse what makes no sense", () => {
    const { requests } = SharedRegistry.make(definition).instruments
    expect(() => requests.addUnsafe(-1)).toThrow("Cannot add -1 to requests_total")
    expect(() => requests.addUnsafe(0.5)).toThrow("Cannot add 0.5")
    expect(() => SharedRegistry.make({ x: { kind: "counter", name: "x", help: "" } })).toThrow("must end in _total")
    expect(() => SharedRegistry.make({ x: { kind: "histogram", name: "x", help: "", scale: 9 } })).toThrow("scale 9")
    expect(() => SharedRegistry.make({ x: { kind: "histogram", name: "x", help: "", least: 0 } })).toThrow("from 0")
  })

  /** Models a list of what was recorded, sorted. */
  it("tell quantiles within the error of their scale", () =>
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 1e-5, max: 1000, noNaN: true }), { minLength: 1, maxLength: 200 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (values, q) => {
          const { latency } = SharedRegistry.make(definition).instruments
          for (const value of values) latency.observeUnsafe(value)
          const sorted = [...values].sort((a, b) => a - b)
          const exact = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN
          const snapshot = latency.snapshot()
          expect(Math.abs(snapshot.quantile(q) - exact)).toBeLessThanOrEqual(exact * snapshot.relativeError * 1.0001)
          expect(snapshot.relativeError).toBeLessThan(0.011)
        }
      ),
      { numRuns: 200 }
    ))

  it("count what is outside of their range with its ends, and leave out what is not finite", () => {
    const { latency } = SharedRegistry.make(definition).instruments
    for (const value of [-1, 0, 1e-12, 1e12, Number.NaN, Number.POSITIVE_INFINITY]) latency.observeUnsafe(value)
    expect(latency.snapshot()).toMatchObject({ count: 4, min: 0, max: 1e12 })
  })
})
