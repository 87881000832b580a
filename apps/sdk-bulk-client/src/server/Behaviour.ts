// How slow and how faulty the local API server is. Latencies are those that the
// Text2Everything guide reports for the real API; faults are drawn from a seeded
// generator, so that a run can be repeated.

import { Config, Duration, Schema } from "effect"

export type LatencyProfile = "realistic" | "fast" | "none"

/** Milliseconds that creating one object takes, by collection. */
const realistic: Readonly<Record<string, number>> = {
  contexts: 1200,
  "schema-metadata": 6900,
  "golden-examples": 1200
}

/** How many seconds of the real API pass in one here. With no latency, a time that a request asks for is a hundredth too. */
export const timeScale: Readonly<Record<LatencyProfile, number>> = { realistic: 1, fast: 100, none: 100 }

export const createLatency = (profile: LatencyProfile, collection: string): Duration.Duration => {
  if (profile === "none") return Duration.zero
  const millis = realistic[collection] ?? 50
  return Duration.millis(millis / timeScale[profile])
}

/** Of a hundred requests, how many meet each fault. */
export interface FaultRates {
  /** 429 with Retry-After. */
  readonly rateLimited: number
  /** 500. */
  readonly serverError: number
  /** The connection is reset, half of the time after the request was executed. */
  readonly reset: number
  /** No answer for as long as the caller waits, half of the time although the request was executed. */
  readonly stall: number
}

export type Fault = keyof FaultRates

export interface Behaviour {
  readonly latency: LatencyProfile
  readonly faults: FaultRates
  /** Seed of the faults. */
  readonly seed: number
  /** Whether two first writes to a new project meet as in the real API: the later one is refused with 409. */
  readonly firstWriteRace: boolean
  /** What the Retry-After of a 429 says. */
  readonly retryAfterSeconds: number
  /** Creates that may run at once; those beyond are refused with 429. */
  readonly capacity: number
}

export const noFaults: FaultRates = { rateLimited: 0, serverError: 0, reset: 0, stall: 0 }

/** No latency, no faults, the race of first writes as in the real API. */
export const calm: Behaviour = {
  latency: "none",
  faults: noFaults,
  seed: 1,
  firstWriteRace: true,
  retryAfterSeconds: 1,
  capacity: Number.POSITIVE_INFINITY
}

const Percentage = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 100 }))

const percent = (name: string): Config.Config<number> => Config.schema(Percentage, name).pipe(Config.withDefault(0))

export const behaviourConfig: Config.Config<Behaviour> = Config.unwrap({
  latency: Config.Literals(["realistic", "fast", "none"], "T2E_SERVER_LATENCY").pipe(Config.withDefault("fast")),
  faults: {
    rateLimited: percent("T2E_SERVER_FAULT_429"),
    serverError: percent("T2E_SERVER_FAULT_500"),
    reset: percent("T2E_SERVER_FAULT_RESET"),
    stall: percent("T2E_SERVER_FAULT_STALL")
  },
  seed: Config.Int("T2E_SERVER_SEED").pipe(Config.withDefault(1)),
  firstWriteRace: Config.Boolean("T2E_SERVER_FIRST_WRITE_RACE").pipe(Config.withDefault(true)),
  retryAfterSeconds: Config.Int("T2E_SERVER_RETRY_AFTER").pipe(Config.withDefault(1)),
  capacity: Config.Int("T2E_SERVER_CAPACITY").pipe(Config.withDefault(Number.POSITIVE_INFINITY))
})

/** What a server is like, for the one who started it. */
export const describe = ({ capacity, faults, firstWriteRace, latency, seed }: Behaviour): ReadonlyArray<string> => {
  const given = [
    `429 ${faults.rateLimited} %`,
    `500 ${faults.serverError} %`,
    `reset ${faults.reset} %`,
    `stall ${faults.stall} %`
  ]
  return [
    `latency: ${latency}`,
    `faults: ${given.join(", ")} (seed ${seed})`,
    `creates at once: ${Number.isFinite(capacity) ? capacity : "any number"}`,
    `race of a project's first writes: ${firstWriteRace ? "on" : "off"}`
  ]
}

/** A generator of faults at the given rates. Mulberry32, by Tommy Ettinger (public domain): 32 bits of state are plenty here. */
export const faultGenerator = ({ faults, seed }: Behaviour): (() => Fault | undefined) => {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  const order: ReadonlyArray<Fault> = ["rateLimited", "serverError", "reset", "stall"]
  return () => {
    let draw = next() * 100
    for (const fault of order) {
      if (draw < faults[fault]) return fault
      draw -= faults[fault]
    }
    return undefined
  }
}
