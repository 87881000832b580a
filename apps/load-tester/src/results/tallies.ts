// What a recorder adds to: one class for each thing that is counted, so that each has one shape and an update compiles to an
// addition to a field.

import * as Histogram from "./Histogram.ts"
import * as Result from "./Result.ts"

/** Kinds of errors, and checks, that are kept apart. */
export const maxNames = 64

/** What all further ones are called. */
export const overflow = "(others)"

export type Series = ReturnType<typeof Histogram.makeSeries>

export const maxStatuses = 1024

const grpcStatuses: ReadonlyArray<string> = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED"
]

/** What a status is called; none where 0 says that there was no answer. */
export const statusName = (protocol: Result.Protocol, status: number): string | undefined => {
  if (protocol === "grpc") return grpcStatuses[status] ?? String(status)
  return status === 0 ? undefined : String(status)
}

export class Step {
  readonly scenario: string
  readonly group: string
  readonly name: string
  readonly protocol: Result.Protocol
  readonly latency: Series = Histogram.makeSeries()
  readonly service: Series = Histogram.makeSeries()
  readonly phases: Array<Series> = []
  readonly statuses: Float64Array = new Float64Array(maxStatuses)
  readonly errors: Float64Array = new Float64Array(maxNames)
  requests = 0
  failed = 0
  bytesOut = 0
  bytesIn = 0

  constructor(scenario: string, group: string, name: string, protocol: Result.Protocol) {
    this.scenario = scenario
    this.group = group
    this.name = name
    this.protocol = protocol
  }

  phase(index: number): Series {
    const known = this.phases[index]
    if (known !== undefined) return known
    for (let at = this.phases.length; at < Result.phases.length; at++) this.phases.push(Histogram.makeSeries())
    return this.phases[index] ?? Histogram.makeSeries()
  }
}

export class Scenario {
  readonly name: string
  readonly duration: Series = Histogram.makeSeries()
  iterations = 0
  dropped = 0

  constructor(name: string) {
    this.name = name
  }
}

export class Check {
  readonly name: string
  passed = 0
  failed = 0

  constructor(name: string) {
    this.name = name
  }
}

/** What the open window counts. */
export class Counts {
  requests = 0
  failed = 0
  bytesOut = 0
  bytesIn = 0
  iterations = 0
  dropped = 0
  checksPassed = 0
  checksFailed = 0
  opened = 0
  reused = 0
  late = 0
  mostUsers = 0
  planned = 0
  loopDelay = 0
}

/** Gives each name a number; those beyond the bound share that of {@link overflow}. */
export class Names {
  readonly names: Array<string>
  private readonly known: Map<string, number>
  private readonly most: number

  constructor(most: number, names: ReadonlyArray<string>) {
    this.most = most
    this.names = [...names]
    this.known = new Map(names.map((name, index) => [name, index]))
  }

  of(name: string): number {
    const known = this.known.get(name)
    if (known !== undefined) return known
    if (this.names.length >= this.most - 1 && name !== overflow) return this.of(overflow)
    this.known.set(name, this.names.length)
    return this.names.push(name) - 1
  }
}
