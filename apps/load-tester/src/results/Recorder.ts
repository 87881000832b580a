/**
 * What the engine records into while it runs.
 *
 * Every method that is called for a request, an arrival or an iteration adds to
 * fields and histograms that are there already, and allocates nothing. What is
 * recorded by name (a scenario, a step, a check, a kind of error) is known by
 * the number that its name was given once, before.
 *
 * Times are microseconds since the run began, on a clock that never goes back;
 * fractions are rounded away, so that results merge exactly. Once a second, the
 * first call of a new second closes the window of the one before, which costs
 * some tens of microseconds.
 *
 * Memory does not grow with the run: at most `maxSteps` steps of seven
 * histograms (32 kB each, those of phases when the first comes), 1,024 statuses,
 * and 3,600 windows, whose width doubles when there would be more.
 *
 * @module
 */
import * as Histogram from "./Histogram.ts"
import * as Result from "./Result.ts"
import {
  Check,
  Counts,
  maxNames,
  maxStatuses,
  Names,
  overflow,
  Scenario,
  type Series,
  Step,
  statusName
} from "./tallies.ts"

export { maxNames, overflow } from "./tallies.ts"

/** Kinds of errors that are known to every recorder, by the number to record them with. */
export const ErrorKind = {
  none: 0,
  dns: 1,
  refused: 2,
  reset: 3,
  tls: 4,
  timeout: 5,
  protocol: 6,
  cancelled: 7,
  status_4xx: 8,
  status_5xx: 9,
  grpc: 10,
  check: 11,
  scenario: 12,
  other: 13
} as const

/** Steps that are kept apart; all further ones of a scenario count as one, named {@link overflow}. */
export const maxSteps = 256

/** A send that is later than this counts as late. */
export const lateMicros = 1000

/** Where threads record together, besides: what a view of all of them reads while they run. */
export interface Live {
  request(latency: number, error: number, bytesOut: number, bytesIn: number): void
  iteration(): void
  dropped(count: number): void
  connection(isReused: boolean): void
}

export interface Options {
  /** What runs, as its user calls it. */
  readonly name?: string | undefined
  /** When the run began: what all times that are recorded count from. */
  readonly startedAtMillis: number
  /** Told of each request too. */
  readonly live?: Live | undefined
}

export class Recorder {
  readonly startedAtMillis: number
  private readonly names: ReadonlyArray<string>
  private readonly live: Live | undefined
  private readonly startedAtMicros: number
  private readonly kinds: Names = new Names(maxNames, Object.keys(ErrorKind))
  private readonly checkNames: Names = new Names(maxNames, [])
  private readonly scenarios: Array<Scenario> = []
  private readonly steps: Array<Step> = []
  private readonly stepNames = new Map<string, number>()
  private readonly checks: Array<Check> = []
  private readonly latency: Series = Histogram.makeSeries()
  private readonly loopDelays: Series = Histogram.makeSeries()
  private readonly sendDelays: Series = Histogram.makeSeries()
  private readonly gaps: Series = Histogram.makeSeries()
  private readonly phaseSums: Float64Array = new Float64Array(Result.phases.length)
  private readonly phaseCounts: Float64Array = new Float64Array(Result.phases.length)
  private counts: Counts = new Counts()
  private latencyBefore: Histogram.Histogram = Histogram.empty
  private windows: Array<Result.Window> = []
  private windowSeconds = 1
  /** The second since 1970 that the open window is of. */
  private second: number
  /** When the open window ends, in the time that is recorded. */
  private secondEnds: number
  private users = 0
  private opened = 0
  private reused = 0
  private late = 0
  private lastArrival = -1

  constructor({ live, name, startedAtMillis }: Options) {
    this.startedAtMillis = startedAtMillis
    this.startedAtMicros = Math.round(startedAtMillis * 1000)
    this.names = name === undefined ? [] : [name]
    this.live = live
    this.second = Math.floor(this.startedAtMicros / 1e6)
    this.secondEnds = (this.second + 1) * 1e6 - this.startedAtMicros
  }

  /** The number of a scenario. */
  scenario(name: string): number {
    const known = this.scenarios.findIndex((scenario) => scenario.name === name)
    return known >= 0 ? known : this.scenarios.push(new Scenario(name)) - 1
  }

  /** The number of a step of a scenario. */
  step(scenario: number, name: string, protocol: Result.Protocol, group = ""): number {
    const of = this.scenarios[scenario]
    if (of === undefined)
      throw new RangeError(`Cannot name a step of scenario ${scenario}: there are ${this.scenarios.length}`)
    const key = Result.keyOf({ scenario: of.name, group, name, protocol })
    const known = this.stepNames.get(key)
    if (known !== undefined) return known
    if (this.steps.length >= maxSteps && name !== overflow) return this.step(scenario, overflow, protocol)
    this.stepNames.set(key, this.steps.length)
    return this.steps.push(new Step(of.name, group, name, protocol)) - 1
  }

  /** The number of a check. */
  check(name: string): number {
    const index = this.checkNames.of(name)
    if (index === this.checks.length) this.checks.push(new Check(this.checkNames.names[index] ?? name))
    return index
  }

  /** The number of a kind of error that {@link ErrorKind} does not have. */
  errorKind(name: string): number {
    return this.kinds.of(name)
  }

  /**
   * A request has ended. `scheduledAt` is when it was planned, or where nothing was planned when it was sent. `status` is
   * that of HTTP, the code of gRPC, or 0 where there is none; with any kind of `error` but `none` it has failed.
   */
  request(
    step: number,
    scheduledAt: number,
    startedAt: number,
    endedAt: number,
    status: number,
    error: number,
    bytesOut: number,
    bytesIn: number
  ): void {
    if (endedAt >= this.secondEnds) this.roll(endedAt)
    const latency = Math.max(0, Math.round(endedAt - scheduledAt))
    this.latency.observeUnsafe(latency)
    const { counts } = this
    counts.requests++
    counts.bytesOut += bytesOut
    counts.bytesIn += bytesIn
    if (error !== ErrorKind.none) counts.failed++
    const to = this.steps[step]
    if (to === undefined) throw new RangeError(`Cannot record step ${step}: there are ${this.steps.length}`)
    to.latency.observeUnsafe(latency)
    to.service.observeUnsafe(Math.max(0, Math.round(endedAt - startedAt)))
    to.requests++
    to.bytesOut += bytesOut
    to.bytesIn += bytesIn
    const at = status > 0 && status < maxStatuses ? status : 0
    to.statuses[at] = (to.statuses[at] ?? 0) + 1
    if (error !== ErrorKind.none) {
      to.failed++
      to.errors[error] = (to.errors[error] ?? 0) + 1
    }
    this.live?.request(latency, error, bytesOut, bytesIn)
  }

  /** What the parts of a request took; a negative one did not happen, as when a connection was there already. */
  phases(step: number, poolWait: number, connect: number, tls: number, firstByte: number, body: number): void {
    const to = this.steps[step]
    if (to === undefined) throw new RangeError(`Cannot record step ${step}: there are ${this.steps.length}`)
    if (poolWait >= 0) this.phase(to, 0, Math.round(poolWait))
    if (connect >= 0) this.phase(to, 1, Math.round(connect))
    if (tls >= 0) this.phase(to, 2, Math.round(tls))
    if (firstByte >= 0) this.phase(to, 3, Math.round(firstByte))
    if (body >= 0) this.phase(to, 4, Math.round(body))
  }

  private phase(step: Step, index: number, micros: number): void {
    step.phase(index).observeUnsafe(micros)
    this.phaseSums[index] = (this.phaseSums[index] ?? 0) + micros
    this.phaseCounts[index] = (this.phaseCounts[index] ?? 0) + 1
  }

  /** A request got a connection: a new one, or one that was there. */
  connection(isReused: boolean): void {
    if (isReused) {
      this.reused++
      this.counts.reused++
    } else {
      this.opened++
      this.counts.opened++
    }
    this.live?.connection(isReused)
  }

  /** An iteration of a scenario has ended, all its steps and pauses included. */
  iteration(scenario: number, scheduledAt: number, endedAt: number): void {
    if (endedAt >= this.secondEnds) this.roll(endedAt)
    const to = this.scenarios[scenario]
    if (to === undefined) throw new RangeError(`Cannot record scenario ${scenario}: there are ${this.scenarios.length}`)
    to.iterations++
    to.duration.observeUnsafe(Math.max(0, Math.round(endedAt - scheduledAt)))
    this.counts.iterations++
    this.live?.iteration()
  }

  /** Iterations that were planned and not begun, since nobody was free. */
  dropped(scenario: number, at: number, count = 1): void {
    if (at >= this.secondEnds) this.roll(at)
    const to = this.scenarios[scenario]
    if (to === undefined) throw new RangeError(`Cannot record scenario ${scenario}: there are ${this.scenarios.length}`)
    to.dropped += count
    this.counts.dropped += count
    this.live?.dropped(count)
  }

  /** An arrival of an open model was sent: when it was planned, and when it was. */
  arrival(plannedAt: number, sentAt: number): void {
    if (sentAt >= this.secondEnds) this.roll(sentAt)
    const delay = Math.max(0, Math.round(sentAt - plannedAt))
    this.sendDelays.observeUnsafe(delay)
    if (delay > lateMicros) {
      this.late++
      this.counts.late++
    }
    if (this.lastArrival >= 0) this.gaps.observeUnsafe(Math.max(0, Math.round(sentAt - this.lastArrival)))
    this.lastArrival = sentAt
  }

  /** Arrivals that the plan has had until `at`, more than were told before; sent or not. */
  planned(at: number, count: number): void {
    if (at >= this.secondEnds) this.roll(at)
    this.counts.planned += count
  }

  /** A check of a response was made. */
  checked(check: number, isPassed: boolean): void {
    const to = this.checks[check]
    if (to === undefined) throw new RangeError(`Cannot record check ${check}: there are ${this.checks.length}`)
    if (isPassed) {
      to.passed++
      this.counts.checksPassed++
    } else {
      to.failed++
      this.counts.checksFailed++
    }
  }

  /** How many users are active from now on. */
  setUsers(users: number): void {
    this.users = users
    if (users > this.counts.mostUsers) this.counts.mostUsers = users
  }

  /** The event loop ran something later than it was due. */
  loopDelay(at: number, micros: number): void {
    if (at >= this.secondEnds) this.roll(at)
    const delay = Math.max(0, Math.round(micros))
    this.loopDelays.observeUnsafe(delay)
    if (delay > this.counts.loopDelay) this.counts.loopDelay = delay
  }

  private window(latency: Histogram.Histogram): Result.Window {
    const { mostUsers, ...counts } = this.counts
    return {
      ...counts,
      index: Math.floor(this.second / this.windowSeconds),
      userSeconds: mostUsers,
      phaseSums: [...this.phaseSums],
      phaseCounts: [...this.phaseCounts],
      latency: Histogram.atScale(Histogram.since(latency, this.latencyBefore), Histogram.windowScale)
    }
  }

  /** Closes the open window, and every second until `at` in which nothing ended. */
  private roll(at: number): void {
    const latency = Histogram.read(this.latency)
    do {
      Result.append(this.windows, this.window(latency))
      this.latencyBefore = latency
      this.counts = new Counts()
      this.counts.mostUsers = this.users
      this.phaseSums.fill(0)
      this.phaseCounts.fill(0)
      this.second++
      this.secondEnds += 1e6
      if (this.windows.length > Result.maxWindows) {
        this.windows = Result.coarser(this.windows)
        this.windowSeconds *= 2
      }
    } while (at >= this.secondEnds)
  }

  /**
   * What was recorded until now, `at` being now or the run's end. The recorder goes on. O(steps × buckets + windows): some
   * milliseconds, so it is for the end and for what looks once a second.
   */
  result(at: number): Result.Result {
    // A run that ends with a second has no further one.
    if (at > this.secondEnds) this.roll(at)
    const windows = [...this.windows]
    Result.append(windows, this.window(Histogram.read(this.latency)))
    return Result.ordered({
      names: this.names,
      startedAtMicros: this.startedAtMicros,
      endedAtMicros: this.startedAtMicros + Math.round(at),
      steps: this.steps.map((step) => this.stepResult(step)),
      scenarios: this.scenarios.map(({ dropped, duration, iterations, name }) => ({
        name,
        iterations,
        dropped,
        duration: Histogram.read(duration)
      })),
      checks: this.checks.map(({ failed, name, passed }) => ({ name, passed, failed })),
      opened: this.opened,
      reused: this.reused,
      client: {
        loopDelay: Histogram.read(this.loopDelays),
        sendDelay: Histogram.read(this.sendDelays),
        gaps: Histogram.read(this.gaps),
        late: this.late,
        recorders: 1
      },
      windowSeconds: this.windowSeconds,
      windows
    })
  }

  private stepResult(step: Step): Result.StepResult {
    const phase = (index: number): Histogram.Histogram => {
      const series = step.phases[index]
      return series === undefined ? Histogram.empty : Histogram.read(series)
    }
    const { bytesIn, bytesOut, failed, group, name, protocol, requests, scenario } = step
    return {
      scenario,
      group,
      name,
      protocol,
      requests,
      failed,
      bytesOut,
      bytesIn,
      statuses: this.countsOf(step.statuses, (status) => statusName(protocol, status)),
      errors: this.countsOf(step.errors, (index) => this.kinds.names[index] ?? String(index)),
      latency: Histogram.read(step.latency),
      service: Histogram.read(step.service),
      phases: { poolWait: phase(0), connect: phase(1), tls: phase(2), firstByte: phase(3), body: phase(4) }
    }
  }

  private countsOf(counts: Float64Array, nameOf: (index: number) => string | undefined): ReadonlyArray<Result.Count> {
    const found: Array<Result.Count> = []
    for (const [index, count] of counts.entries()) {
      const name = count > 0 ? nameOf(index) : undefined
      if (name !== undefined) found.push([name, count])
    }
    return found
  }
}

export const make = (options: Options): Recorder => new Recorder(options)
