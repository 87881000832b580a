// Where the threads of a run count together: atomics in shared memory, so that
// what is looked at while they run costs them no message. What they record in
// full, each in its own recorder, is merged at the end.

import { SharedRegistry } from "@sluice/metrics/shared"
import { ErrorKind, type Live } from "../results/Recorder.ts"

const definition = {
  requests: { kind: "counter", name: "sluice_load_requests_total", help: "Requests that have ended." },
  failed: { kind: "counter", name: "sluice_load_failed_total", help: "Requests that have failed." },
  bytesOut: { kind: "counter", name: "sluice_load_sent_bytes_total", help: "Bytes that were sent." },
  bytesIn: { kind: "counter", name: "sluice_load_received_bytes_total", help: "Bytes that were received." },
  iterations: { kind: "counter", name: "sluice_load_iterations_total", help: "Iterations that have ended." },
  dropped: { kind: "counter", name: "sluice_load_dropped_total", help: "Iterations that were not begun." },
  opened: { kind: "counter", name: "sluice_load_opened_total", help: "Connections that were opened." },
  reused: { kind: "counter", name: "sluice_load_reused_total", help: "Requests on a connection that was there." },
  latency: { kind: "histogram", name: "sluice_load_latency_seconds", help: "From the planned moment to the end." }
} as const satisfies SharedRegistry.Definition

export type SharedTotals = SharedRegistry.SharedRegistry<typeof definition>

export const make = (): SharedTotals => SharedRegistry.make(definition)

/** Joins, in another thread. */
export const attach = (buffer: SharedArrayBuffer): SharedTotals => SharedRegistry.attach(definition, buffer)

/** What a recorder tells of each request goes here too. */
export const liveOf = ({ instruments }: SharedTotals): Live => ({
  request: (latency, error, bytesOut, bytesIn) => {
    instruments.requests.incrementUnsafe()
    if (error !== ErrorKind.none) instruments.failed.incrementUnsafe()
    if (bytesOut > 0) instruments.bytesOut.addUnsafe(bytesOut)
    if (bytesIn > 0) instruments.bytesIn.addUnsafe(bytesIn)
    instruments.latency.observeUnsafe(latency / 1e6)
  },
  iteration: () => instruments.iterations.incrementUnsafe(),
  dropped: (count) => instruments.dropped.addUnsafe(count),
  connection: (isReused) => (isReused ? instruments.reused : instruments.opened).incrementUnsafe()
})
