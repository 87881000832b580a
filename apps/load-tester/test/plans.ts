// Plans for tests: short, and with an end that is a count and not a time.

import type { HttpPlan, LoadPlan, Plan } from "../src/run/Plan.ts"
import * as Targets from "../src/scenarios/Targets.ts"

export const users = (count: number, iterations: number): LoadPlan => ({
  model: "closed",
  users: [{ kind: "linear", seconds: 600, from: count, to: count }],
  iterations
})

export const arrivals = (rate: number, seconds: number): LoadPlan => ({
  model: "open",
  rate: [{ kind: "linear", seconds, from: rate, to: rate }],
  spacing: "even",
  maxInFlight: 10_000
})

export const http: HttpPlan = {
  keepAlive: true,
  http2: false,
  timeoutSeconds: 30,
  connectTimeoutSeconds: 30,
  insecure: false,
  expected: [[100, 399]]
}

export const planOf = (scenarios: Plan["scenarios"], options: Partial<Plan> = {}): Plan => ({
  name: "test",
  seed: 1,
  gracefulStopSeconds: 30,
  http,
  scenarios,
  ...options
})

/** A plan of one target. */
export const targeting = (target: Targets.TargetInput, load: LoadPlan, options: Partial<HttpPlan> = {}): Plan =>
  planOf([{ name: "test", startAfterSeconds: 0, load, source: { kind: "targets", targets: [Targets.make(target)] } }], {
    http: { ...http, ...options }
  })
