import { Registry } from "@sluice/metrics"

/** One of everything, with what is hard to write. */
export const sample = (): Registry.Registry => {
  const registry = Registry.makeUnsafe({ namespace: "app", labels: { worker: "1" }, now: () => 1_500 })
  const requests = registry.counter({ name: "requests_total", help: 'All\nof "them" \\o/.', labels: ["path"] })
  requests.bind({ path: '/a"\\\n' }).addUnsafe(2)
  requests.bind({ path: "/b" }).addWithExemplarUnsafe(3, { trace_id: "abc", span_id: "def" })
  registry.gauge({ name: "temperature", help: "Degrees." }).bind().setUnsafe(-1.5)
  registry.upDownCounter({ name: "jobs", help: "Jobs." }).bind().addUnsafe(4)
  const latency = registry.timer({ name: "latency_seconds", help: "Latency.", bounds: [0.25, 0.5, 1] }).bind()
  for (const value of [0, 0.2, 0.3, 0.9]) latency.observeUnsafe(value)
  latency.observeWithExemplarUnsafe(3, { trace_id: "xyz" })
  registry
    .fixedHistogram({ name: "size_bytes", help: "Sizes.", bounds: [10, 100] })
    .bind()
    .observeUnsafe(50)
  registry
    .summary({ name: "recent_seconds", help: "Recent.", quantiles: [0.5] })
    .bind()
    .observeUnsafe(0.5)
  return registry
}
