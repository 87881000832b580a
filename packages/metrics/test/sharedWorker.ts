// One of the threads that record at once.
import { workerData } from "node:worker_threads"
import { SharedRegistry } from "@sluice/metrics/shared"
import { definition } from "./sharedDefinition.ts"

const { buffer, thread, updates }: { buffer: SharedArrayBuffer; thread: number; updates: number } = workerData
const { active, latency, requests } = SharedRegistry.attach(definition, buffer).instruments

for (let update = 0; update < updates; update++) {
  active.addUnsafe(1)
  requests.incrementUnsafe()
  latency.observeUnsafe(update === 0 ? 0.001 : update === 1 ? thread + 1 : 0.5)
  active.addUnsafe(-1)
}
