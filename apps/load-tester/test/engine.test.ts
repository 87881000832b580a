import { describe, expect, it } from "vitest"
import { planned, type Share, whole } from "../src/engine/Arrivals.ts"
import type { Lane, Load, Work } from "../src/engine/Load.ts"
import { type Ending, start } from "../src/engine/Run.ts"
import type { Shape } from "../src/engine/Shape.ts"
import * as Histogram from "../src/results/Histogram.ts"
import * as Recorder from "../src/results/Recorder.ts"
import * as Result from "../src/results/Result.ts"
import { virtualTiming } from "./virtualTiming.ts"

const constant = (level: number, seconds: number): Shape => [{ kind: "linear", seconds, from: level, to: level }]

/** A server that serves one after another, each as long as `serviceMicros` says, and not at all before `stalledUntil`. */
const simulate = async (
  load: Load,
  options: {
    readonly serviceMicros: (now: number) => number
    readonly servers?: number
    readonly share?: Share
    readonly abortBelow?: number
    readonly gracefulStopSeconds?: number
    readonly stopAt?: number
  }
) => {
  const { advance, timing } = virtualTiming()
  const recorder = Recorder.make({ startedAtMillis: 1_700_000_000_000 })
  const scenario = recorder.scenario("test")
  const step = recorder.step(scenario, "request", "http")
  const begins: Array<number> = []
  const free = Array.from({ length: options.servers ?? 1 }, () => 0)
  let inFlight = 0
  let mostInFlight = 0
  let closed = false
  const work: Work = {
    begin: (lane: Lane) => {
      lane.scenario = scenario
      const now = timing.now()
      begins.push(now)
      mostInFlight = Math.max(mostInFlight, ++inFlight)
      // The server that is free first takes it.
      const server = free.indexOf(Math.min(...free))
      const starts = Math.max(now, free[server] ?? 0)
      const ends = starts + options.serviceMicros(starts)
      free[server] = ends
      const { scheduledAt } = lane
      timing.wake(ends, () => {
        if (closed) return
        inFlight--
        recorder.request(step, scheduledAt, now, timing.now(), 200, Recorder.ErrorKind.none, 10, 20)
        lane.ended()
      })
    },
    dropped: () => scenario,
    close: () => {
      closed = true
    }
  }
  const handle = start({
    scenarios: [{ name: "test", load, share: options.share ?? whole, startAfterSeconds: 0, work }],
    timing,
    recorder,
    gracefulStopSeconds: options.gracefulStopSeconds ?? 30,
    abortBelow: options.abortBelow
  })
  if (options.stopAt !== undefined) timing.wake(options.stopAt, () => handle.stop("enough"))
  advance()
  const ending: Ending = await handle.done
  return { result: recorder.result(timing.now()), begins, mostInFlight, ending, endedAt: timing.now() }
}

describe("an open model", () => {
  const open = (rate: number, seconds: number, maxInFlight = 10_000): Load => ({
    model: "open",
    arrivals: planned(constant(rate, seconds)),
    seconds,
    maxInFlight
  })

  it("begins each iteration at its planned moment, whatever the server does", async () => {
    const { begins } = await simulate(open(100, 2), { serviceMicros: () => 50_000 })
    expect(begins).toHaveLength(200)
    begins.forEach((at, k) => {
      expect(at).toBeCloseTo(k * 10_000, 3)
    })
  })

  it("counts what waited behind a stall from its planned moment", async () => {
    // The server stalls from 1 s to 2 s. A closed loop would see one slow answer; here a hundred waited, evenly from 1 s to nothing.
    const { result } = await simulate(open(100, 10), {
      servers: 1000,
      serviceMicros: (now) => 1000 + (now >= 1e6 && now < 2e6 ? 2e6 - now : 0)
    })
    const { latency } = Result.total(result.steps)
    expect(latency.count).toBe(1000)
    // A tenth of all, evenly spread over the second: the 95th percentile lies in the middle of it.
    expect(Math.abs(Histogram.quantile(latency, 0.95) / 501_000 - 1)).toBeLessThan(0.02)
    expect(Math.abs(Histogram.quantile(latency, 0.99) / 901_000 - 1)).toBeLessThan(0.02)
    expect(Histogram.quantile(latency, 0.5)).toBeLessThan(1010)
  })

  it("drops and counts what would be more than may be in flight", async () => {
    const { mostInFlight, result } = await simulate(open(100, 2, 5), { servers: 100, serviceMicros: () => 1_000_000 })
    expect(mostInFlight).toBe(5)
    const [scenario] = result.scenarios
    expect((scenario?.dropped ?? 0) + (scenario?.iterations ?? 0)).toBe(200)
    expect(scenario?.dropped).toBeGreaterThan(150)
    expect(result.windows.reduce((sum, { planned }) => sum + planned, 0)).toBe(200)
  })

  it("ends early when the rate is missed", async () => {
    const { ending, endedAt } = await simulate(open(100, 60, 5), {
      servers: 100,
      serviceMicros: () => 1_000_000,
      abortBelow: 0.9
    })
    expect(ending).toMatchObject({ kind: "missed", scenario: "test" })
    expect(endedAt).toBeLessThan(5e6)
  })

  it("goes through where the rate is kept", async () => {
    const { ending } = await simulate(open(100, 5), { servers: 100, serviceMicros: () => 1000, abortBelow: 0.99 })
    expect(ending).toEqual({ kind: "completed" })
  })

  it("tells how evenly it sent", async () => {
    const { result } = await simulate(open(1000, 3), { servers: 100, serviceMicros: () => 100 })
    expect(Histogram.quantile(result.client.gaps, 0.01)).toBeGreaterThan(990)
    expect(Histogram.quantile(result.client.gaps, 0.99)).toBeLessThan(1010)
    expect(result.client.late).toBe(0)
  })
})

describe("the truth of servers whose delays are known", () => {
  const rate = 1000
  const seconds = 30
  let answered = 0
  const schedules = {
    "always the same": () => 50_000,
    "one in five slow": () => (++answered % 5 === 0 ? 200_000 : 20_000),
    "a stall of a second in every ten": (now: number) =>
      20_000 + Math.max(0, (now % 10e6) - 9e6 > 0 ? 10e6 - (now % 10e6) : 0)
  }

  it.each(Object.entries(schedules))("is told within one per cent: %s", async (_, serviceMicros) => {
    const held: Array<number> = []
    answered = 0
    const { result } = await simulate(
      { model: "open", arrivals: planned(constant(rate, seconds)), seconds, maxInFlight: 100_000 },
      {
        servers: 2000,
        serviceMicros: (now) => {
          const micros = serviceMicros(now)
          held.push(micros)
          return micros
        }
      }
    )
    held.sort((a, b) => a - b)
    const { latency } = Result.total(result.steps)
    expect(latency.count).toBe(rate * seconds)
    for (const q of [0.01, 0.25, 0.5, 0.75, 0.85, 0.95, 0.99, 0.999, 0.9999]) {
      const truth = held[Math.ceil(q * held.length) - 1] ?? Number.NaN
      expect(Math.abs(Histogram.quantile(latency, q) / truth - 1), `p${q * 100}`).toBeLessThan(0.01)
    }
  })
})

describe("a closed model", () => {
  it("keeps as many under way as there are users, each after its last", async () => {
    const { mostInFlight, result } = await simulate(
      { model: "closed", users: constant(10, 5) },
      { servers: 10, serviceMicros: () => 10_000 }
    )
    expect(mostInFlight).toBe(10)
    expect(Result.total(result.steps).requests).toBe(10 * 500)
  })

  it("follows its stages up and down", async () => {
    const { begins } = await simulate(
      {
        model: "closed",
        users: [
          { kind: "linear", seconds: 10, from: 0, to: 10 },
          { kind: "linear", seconds: 10, from: 10, to: 0 }
        ]
      },
      { servers: 100, serviceMicros: () => 100_000 }
    )
    const perSecond = Array.from(
      { length: 20 },
      (_, second) => begins.filter((at) => Math.floor(at / 1e6) === second).length
    )
    // Ten iterations a second for each user.
    perSecond.forEach((count, second) => {
      expect(Math.abs(count - 10 * (second < 10 ? second + 0.5 : 19.5 - second))).toBeLessThanOrEqual(10)
    })
  })

  it("ends with its last iteration where those are counted", async () => {
    const { result, endedAt } = await simulate(
      { model: "closed", users: constant(7, 3600), iterations: 100 },
      { servers: 10, serviceMicros: () => 10_000 }
    )
    expect(Result.total(result.steps).requests).toBe(100)
    expect(endedAt).toBeLessThan(1e6)
  })

  it("is what its shares are together", async () => {
    const shares = await Promise.all(
      [0, 1, 2].map((index) =>
        simulate(
          { model: "closed", users: constant(10, 2), iterations: 100 },
          { servers: 10, serviceMicros: () => 10_000, share: { index, of: 3 } }
        )
      )
    )
    expect(shares.map(({ mostInFlight }) => mostInFlight)).toEqual([4, 3, 3])
    expect(shares.reduce((sum, { result }) => sum + Result.total(result.steps).requests, 0)).toBe(100)
  })

  it("lets what is under way end when it is stopped, for so long as it may", async () => {
    const run = (gracefulStopSeconds: number) =>
      simulate(
        { model: "closed", users: constant(4, 10) },
        { servers: 4, serviceMicros: () => 3_000_000, stopAt: 4e6, gracefulStopSeconds }
      )
    const patient = await run(30)
    expect(patient.ending).toEqual({ kind: "stopped", reason: "enough" })
    expect(Result.total(patient.result.steps).requests).toBe(8)
    expect(patient.endedAt).toBeLessThan(7e6)
    expect(Result.total((await run(1)).result.steps).requests).toBe(4)
  })
})
