// What the gRPC guide calls LoadTestMetrics: counters that threads share without a lock, and the summary of them.
import { SharedRegistry } from "@sluice/metrics/shared"

export const definition = {
  totalRequests: { kind: "counter", name: "grpc_requests_total", help: "Requests made." },
  successfulRequests: { kind: "counter", name: "grpc_requests_successful_total", help: "Those that were answered." },
  failedRequests: { kind: "counter", name: "grpc_requests_failed_total", help: "Those that failed." },
  totalLatencyMicros: { kind: "counter", name: "grpc_latency_micros_total", help: "Latency, added up." },
  latencyMicros: { kind: "histogram", name: "grpc_latency_micros", help: "Latency.", least: 1, most: 2 ** 26 },
  activeClients: { kind: "updown", name: "grpc_active_clients", help: "Clients at work." }
} as const

export type LoadTestMetrics = SharedRegistry.SharedRegistry<typeof definition>

export const record = ({ instruments }: LoadTestMetrics, latencyMillis: number, isSuccess: boolean): number => {
  const micros = Math.round(latencyMillis * 1000)
  instruments.totalRequests.incrementUnsafe()
  if (isSuccess) instruments.successfulRequests.incrementUnsafe()
  else instruments.failedRequests.incrementUnsafe()
  instruments.totalLatencyMicros.addUnsafe(micros)
  instruments.latencyMicros.observeUnsafe(micros)
  return micros
}

export interface MetricsSummary {
  readonly totalRequests: number
  readonly successfulRequests: number
  readonly failedRequests: number
  readonly successRate: number
  readonly totalLatencyMicros: number
  readonly minLatencyMicros: number
  readonly averageLatencyMicros: number
  readonly maxLatencyMicros: number
  readonly activeClients: number
}

export const summary = ({ instruments }: LoadTestMetrics): MetricsSummary => {
  const latency = instruments.latencyMicros.snapshot()
  const totalRequests = instruments.totalRequests.value
  const totalLatencyMicros = instruments.totalLatencyMicros.value
  return {
    totalRequests,
    successfulRequests: instruments.successfulRequests.value,
    failedRequests: instruments.failedRequests.value,
    successRate: instruments.successfulRequests.value / totalRequests,
    totalLatencyMicros,
    minLatencyMicros: latency.min,
    averageLatencyMicros: totalLatencyMicros / totalRequests,
    maxLatencyMicros: latency.max,
    activeClients: instruments.activeClients.value
  }
}

export const make = (): LoadTestMetrics => SharedRegistry.make(definition)

export const attach = (buffer: SharedArrayBuffer): LoadTestMetrics => SharedRegistry.attach(definition, buffer)
