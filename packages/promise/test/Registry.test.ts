import {
  createAdaptiveLimit,
  createKeyedRateLimiter,
  createRegistry,
  createRetry,
  createRetryBudget,
  createSemaphore,
  vegas
} from "@sluice/promise"
import { describe, expect, it, vi } from "vitest"

describe("createRegistry", () => {
  it("counts, sets and spreads, by labels", async () => {
    const registry = createRegistry({ namespace: "app", labels: { worker: "1" }, now: () => 0 })
    const requests = registry.counter({ name: "requests_total", help: "Requests.", labels: ["route"] })
    const home = requests.bind({ route: "/" })
    home.add()
    home.add(2)
    home.addWithExemplar(1, { trace_id: "abc" })
    expect(home.value).toBe(4)
    const load = registry.gauge({ name: "load", help: "Load." }).bind()
    load.set(0.5)
    load.add(0.25)
    expect(load.value).toBe(0.75)
    const open = registry.upDownCounter({ name: "open", help: "Open." }).bind()
    expect(await open.track(() => open.value)).toBe(1)
    expect(await load.track(async () => load.value)).toBe(1.75)
    expect([open.value, load.value]).toEqual([0, 0.75])
    const text = registry.prometheusText()
    expect(text).toContain('app_requests_total{worker="1",route="/"} 4')
    expect(registry.openMetricsText()).toContain('trace_id="abc"')
    expect(requests.remove({ route: "/" })).toBe(true)
    expect(registry.unregister("load")).toBe(true)
    expect(registry.prometheusText()).not.toContain("app_load")
  })

  it("records how long things take, however they end", async () => {
    const registry = createRegistry()
    const timer = registry.timer({ name: "call_seconds", help: "Calls." }).bind()
    await timer.time(async () => {})
    await expect(timer.time(() => Promise.reject(new Error("no")))).rejects.toThrow("no")
    timer.record("2 seconds")
    expect(timer.start()()).toBeGreaterThanOrEqual(0)
    timer.observeWithExemplar(1, { trace_id: "abc" })
    const { count, max, quantile } = timer.values()
    expect([count, max]).toEqual([5, 2])
    expect(quantile).toBeTypeOf("function")
    const sizes = registry.histogram({ name: "size_bytes", help: "Sizes." }).bind()
    sizes.observe(1000)
    expect(sizes.values().quantile(0.5)).toBeCloseTo(1000, -2)
    const fixed = registry.fixedHistogram({ name: "items", help: "Items.", bounds: [1, 10] }).bind()
    fixed.observe(5)
    fixed.observeWithExemplar(50, { trace_id: "abc" })
    await fixed.time(() => {})
    expect(fixed.values()).toMatchObject({ count: 3, counts: [1, 1, 1] })
    const summary = registry.summary({ name: "lately", help: "Lately.", quantiles: [0.5] }).bind()
    summary.observe(3)
    await summary.time(() => {})
    expect(summary.values().count).toBe(2)
  })

  it("keeps labels within a bound", () => {
    const registry = createRegistry({ warn: () => {} })
    const hits = registry.counter({ name: "hits_total", help: "Hits.", labels: ["user"], maxSeries: 2 })
    for (let user = 0; user < 10; user++) hits.bind({ user: String(user) }).add()
    expect(hits.overflowed).toBeGreaterThan(0)
    expect(() => registry.counter({ name: "hits_total", help: "Hits.", labels: ["other"] })).toThrow(RangeError)
  })

  it("tells what everything in this package tells of itself", async () => {
    const registry = createRegistry()
    registry.observe("calls", createSemaphore(3))
    registry.observe("rate", createKeyedRateLimiter({ limit: 1, interval: 1000 }))
    registry.observe("limit", createAdaptiveLimit({ algorithm: vegas({ initial: 5 }) }))
    registry.observe("budget", createRetryBudget())
    const policy = createRetry()
    registry.observe("again", policy)
    await policy.run(() => 1)
    const text = registry.prometheusText()
    for (const line of [
      "calls_capacity 3",
      "calls_admitted_total 0",
      "rate_evicted_total 0",
      "limit_dropped_total 0",
      "budget_granted_total 0",
      "again_calls_total 1"
    ]) {
      expect(text.split("\n")).toContain(line)
    }
    registry.gaugeFrom({ name: "queue", help: "Queue.", labels: ["name"] }, () => [[{ name: "a" }, 7]])
    registry.counterFrom({ name: "done_total", help: "Done." }, () => [[{}, 8]])
    expect(registry.prometheusText()).toMatch(/queue\{name="a"\} 7[\s\S]*done_total 8/)
  })

  it("answers a scrape with what it asks for", async () => {
    const registry = createRegistry()
    registry.counter({ name: "hits_total", help: "Hits." }).bind().add()
    const request = (accept: string) => new Request("http://localhost/metrics", { headers: { accept } })
    const plain = registry.respond(request("*/*"))
    expect(plain.headers.get("content-type")).toContain("text/plain; version=0.0.4")
    expect(await plain.text()).toContain("hits_total 1")
    const open = registry.respond(request("application/openmetrics-text"))
    expect(await open.text()).toContain("# EOF")
    const binary = registry.expose("application/vnd.google.protobuf")
    expect(binary.body).toBeInstanceOf(Uint8Array)
    expect(registry.expose().contentType).toContain("text/plain")
  })

  it("warns where it is told to", () => {
    const warn = vi.fn()
    const registry = createRegistry({ warn })
    registry.gaugeFrom({ name: "broken", help: "Broken." }, () => {
      throw new Error("no")
    })
    registry.prometheusText()
    expect(warn).toHaveBeenCalled()
  })
})
