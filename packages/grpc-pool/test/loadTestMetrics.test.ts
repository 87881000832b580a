import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { make, summary } from "./loadTestMetrics.ts"
import { startGrpcJsServers } from "./processes.ts"

const Told = Schema.Struct({ latencies: Schema.Array(Schema.Number), created: Schema.Number })

const threads = 4
const clients = 5
const requests = 40

it.live("counts every call of four threads at once, and loses none", () =>
  Effect.gen(function* () {
    const [address = ""] = yield* startGrpcJsServers(1)
    const metrics = make()
    let mostActive = 0
    const told = yield* Effect.promise(async () => {
      const workers = Array.from({ length: threads }, () => {
        const workerData = { buffer: metrics.buffer, address, clients, requests }
        const worker = new Worker(new URL("./loadTestWorker.ts", import.meta.url), { workerData })
        return once(worker, "message").then(async ([message]) => {
          await worker.terminate()
          return Schema.decodeUnknownSync(Told)(message)
        })
      })
      const reader = setInterval(() => {
        mostActive = Math.max(mostActive, metrics.instruments.activeClients.value)
      }, 1)
      const all = await Promise.all(workers)
      clearInterval(reader)
      return all
    })
    const latencies = told.flatMap((each) => each.latencies)
    const total = threads * clients * requests
    expect(latencies.length).toBe(total)
    const figures = summary(metrics)
    // What each thread has kept for itself, put together, is what all have recorded in one place.
    expect(figures).toMatchObject({
      totalRequests: total,
      successfulRequests: total * 0.9,
      failedRequests: total * 0.1,
      totalLatencyMicros: latencies.reduce((sum, each) => sum + each, 0),
      minLatencyMicros: Math.min(...latencies),
      maxLatencyMicros: Math.max(...latencies),
      activeClients: 0
    })
    expect(figures.successRate).toBeCloseTo(0.9, 10)
    expect(metrics.instruments.latencyMicros.snapshot().count).toBe(total)
    expect(mostActive).toBeGreaterThan(0)
    expect(told.map(({ created }) => created)).toEqual([1, 1, 1, 1])
    const millis = (micros: number): string => `${(micros / 1000).toFixed(2)} ms`
    console.log(
      `${total} requests of ${threads} threads: min ${millis(figures.minLatencyMicros)}, mean ${millis(figures.averageLatencyMicros)}, max ${millis(figures.maxLatencyMicros)}`
    )
  })
)
