/**
 * What is to run, as a value that threads and machines can be given.
 *
 * @module
 */
import type { Spacing } from "../engine/Arrivals.ts"
import { type Shape, secondsOf } from "../engine/Shape.ts"
import type { Target } from "../scenarios/Targets.ts"

export type LoadPlan =
  | {
      readonly model: "closed"
      readonly users: Shape
      readonly iterations?: number | undefined
    }
  | {
      readonly model: "open"
      readonly rate: Shape
      readonly spacing: Spacing
      readonly maxInFlight: number
      readonly iterations?: number | undefined
    }
  | {
      readonly model: "replay"
      /** Microseconds since the scenario began, ascending. */
      readonly moments: ReadonlyArray<number>
      readonly maxInFlight: number
    }

/** What iterations do. */
export type Source =
  | { readonly kind: "targets"; readonly targets: ReadonlyArray<Target> }
  | {
      readonly kind: "module"
      /** Where the file is; agents must have it in the same place. */
      readonly path: string
      /** The scenarios of the file that share the load, by their weights. */
      readonly names: ReadonlyArray<string>
    }

export interface ScenarioPlan {
  readonly name: string
  readonly startAfterSeconds: number
  readonly load: LoadPlan
  readonly source: Source
}

export interface HttpPlan {
  /** Connections to an origin, at most. Default as many as users; one where a connection carries many exchanges. */
  readonly connections?: number | undefined
  readonly keepAlive: boolean
  readonly http2: boolean
  readonly timeoutSeconds: number
  readonly connectTimeoutSeconds: number
  readonly insecure: boolean
  /** Statuses that are not failures, as ranges. */
  readonly expected: ReadonlyArray<readonly [from: number, to: number]>
}

export interface Plan {
  readonly name: string
  readonly seed: number
  readonly gracefulStopSeconds: number
  readonly abortBelow?: number | undefined
  readonly http: HttpPlan
  /** What addresses in scenario files count from, instead of what the file says. */
  readonly baseUrl?: string | undefined
  readonly scenarios: ReadonlyArray<ScenarioPlan>
}

const loadSeconds = (load: LoadPlan): number => {
  switch (load.model) {
    case "closed":
      return secondsOf(load.users)
    case "open":
      return secondsOf(load.rate)
    case "replay":
      return (load.moments.at(-1) ?? 0) / 1e6
  }
}

/** How long a plan begins load; nobody knows where a number of iterations ends it. */
export const plannedSeconds = ({ scenarios }: Plan): number | undefined =>
  scenarios.some(({ load }) => load.model !== "replay" && load.iterations !== undefined)
    ? undefined
    : Math.max(0, ...scenarios.map(({ load, startAfterSeconds }) => startAfterSeconds + loadSeconds(load)))
