// What is counted of each class. Series are bound when a class is made, so that a
// request costs additions.

import type { Registry } from "@sluice/metrics"

/** How a request ended, as the label of its count. */
export type Outcome =
  | "1xx"
  | "2xx"
  | "3xx"
  | "4xx"
  | "5xx"
  | "limited"
  | "full"
  | "shed"
  | "draining"
  | "deadline"
  | "oversized"
  | "slow"
  | "error"
  | "interrupted"

export interface ClassTelemetry {
  readonly outcome: Readonly<Record<Outcome, Registry.CounterSeries>>
  readonly seconds: Registry.TimerSeries
}

const outcomes: ReadonlyArray<Outcome> = [
  "1xx",
  "2xx",
  "3xx",
  "4xx",
  "5xx",
  "limited",
  "full",
  "shed",
  "draining",
  "deadline",
  "oversized",
  "slow",
  "error",
  "interrupted"
]

const ofStatus: ReadonlyArray<Outcome> = ["5xx", "1xx", "2xx", "3xx", "4xx", "5xx"]

export const outcomeOfStatus = (status: number): Outcome => ofStatus[Math.trunc(status / 100)] ?? "5xx"

/** The class under which is counted what is in none. */
export const exemptClass = "exempt"

export const makeTelemetry = (
  registry: Registry.Registry,
  names: ReadonlyArray<string>
): Map<string, ClassTelemetry> => {
  const requests = registry.counter({
    name: "server_requests_total",
    help: "Requests by class and by how they ended: the response's status, or why they were refused.",
    labels: ["class", "outcome"]
  })
  const seconds = registry.timer({
    name: "server_request_seconds",
    help: "Time from a request's arrival until it has its response, waiting included; of those that were let in.",
    labels: ["class"]
  })
  return new Map(
    [...names, exemptClass].map((name) => [
      name,
      {
        outcome: Object.fromEntries(
          outcomes.map((outcome) => [outcome, requests.bind({ class: name, outcome })])
        ) as Record<Outcome, Registry.CounterSeries>,
        seconds: seconds.bind({ class: name })
      }
    ])
  )
}

interface ResourceStats {
  readonly capacity: number
  readonly held: number
  readonly waiting: number
}

/** Shows what is scarce, and how many requests are under way. Read when it is scraped. */
export const observe = (
  registry: Registry.Registry,
  resources: Readonly<Record<string, { statsUnsafe(): ResourceStats }>>,
  stats: () => { readonly active: number }
): void => {
  const gauge = (name: string, help: string, figure: keyof ResourceStats): void =>
    registry.gaugeFrom({ name, help, labels: ["class"] }, () =>
      Object.entries(resources).map(([name, resource]) => [{ class: name }, resource.statsUnsafe()[figure]] as const)
    )
  gauge("server_permits", "Requests that may run at once, by class.", "capacity")
  gauge("server_permits_held", "Requests that run, by class.", "held")
  gauge("server_requests_waiting", "Requests that wait, by class.", "waiting")
  registry.gaugeFrom({ name: "server_requests_active", help: "Requests that were let in and are not done." }, () => [
    [{}, stats().active]
  ])
}
