import { AdaptiveLimit } from "@sluice/semaphore"
import type { Scenario } from "./server.ts"

/** Each request takes 100 ms, a fifth of it more or less, and the server does 100 at once, then 50, then 100 again. */
export const steps: Scenario = {
  capacity: [
    { fromSecond: 0, concurrency: 100 },
    { fromSecond: 150, concurrency: 50 },
    { fromSecond: 300, concurrency: 100 }
  ],
  serviceMillis: 100,
  noise: 0.2,
  seconds: 450,
  seed: 1
}

export const steady: Scenario = { ...steps, capacity: [{ fromSecond: 0, concurrency: 100 }] }

const max = 2000

/** AIMD knows what latency is good; the others find out. */
export const algorithms: ReadonlyArray<{
  readonly name: string
  readonly start: (initial: number) => AdaptiveLimit.State
}> = [
  { name: "AIMD", start: (initial) => AdaptiveLimit.aimd({ initial, max, timeout: "115 millis" }).start(0) },
  { name: "Vegas", start: (initial) => AdaptiveLimit.vegas({ initial, max }).start(0) },
  { name: "Gradient2", start: (initial) => AdaptiveLimit.gradient2({ initial, max }).start(0) }
]
