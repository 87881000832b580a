/**
 * The two models of load, over work that begins and tells when it has ended.
 *
 * Neither makes a fiber or a promise for an iteration: a lane is made once and used again and again. What the work does within
 * an iteration is its own matter.
 *
 * @module
 */
import type { Recorder } from "../results/Recorder.ts"
import type { Arrivals, Share } from "./Arrivals.ts"
import { sharedLevel } from "./Arrivals.ts"
import { levelAt, peakOf, type Shape, secondsOf } from "./Shape.ts"
import type { Timing } from "./Timing.ts"

/** Where one iteration at a time takes place: a user of a closed model, or a place among those in flight of an open one. */
export interface Lane {
  /** From zero; what belongs to a user is kept by it. */
  readonly id: number
  /** The recorder's number of the scenario that the iteration under way is of; the work sets it. */
  scenario: number
  /** When the iteration under way was to begin. */
  scheduledAt: number
  /** How many iterations this lane has begun. */
  iterations: number
  /** To be called once for each iteration that was begun. */
  readonly ended: () => void
}

/** What an iteration does. */
export interface Work {
  readonly begin: (lane: Lane) => void
  /** An iteration cannot begin, since too many are under way. Answers the recorder's number of the scenario whose turn it was. */
  readonly dropped: () => number
  /** No iteration begins any more. What is under way may end by itself until {@link close}. */
  readonly stopping?: () => void
  /** Lets go of everything; iterations under way end as failed. */
  readonly close: () => void
}

export interface Closed {
  readonly model: "closed"
  /** How many users there are at each moment. */
  readonly users: Shape
  /** Iterations in all, at most. */
  readonly iterations?: number | undefined
}

export interface Open {
  readonly model: "open"
  readonly arrivals: Arrivals
  readonly seconds: number
  /** Iterations under way at most; an arrival that finds so many is dropped. */
  readonly maxInFlight: number
}

export type Load = Closed | Open

/** One kind of load of a run. */
export interface Scenario {
  readonly name: string
  readonly load: Load
  readonly share: Share
  readonly startAfterSeconds: number
  readonly work: Work
}

/** A scenario that runs. */
export interface Running {
  /** Arrivals that were due until now, and those of them that were begun. Zero in a closed model. */
  readonly due: () => number
  readonly begun: () => number
  readonly inFlight: () => number
  /** Begins nothing more. */
  readonly stop: () => void
}

interface Parts {
  readonly scenario: Scenario
  readonly timing: Timing
  readonly recorder: Recorder
  /** When nothing is under way any more, and nothing will be. */
  readonly finished: () => void
}

const levelTickMicros = 10_000

const runClosed = ({ finished, recorder, scenario, timing }: Parts, { iterations, users }: Closed): Running => {
  const { share, work } = scenario
  const beginsAt = scenario.startAfterSeconds * 1e6
  const endsAt = beginsAt + secondsOf(users) * 1e6
  const most = iterations === undefined ? Number.POSITIVE_INFINITY : sharedLevel(iterations, share)
  const lanes: Array<Lane> = []
  // Lanes without an iteration under way.
  const parked: Array<Lane> = []
  let level = 0
  let begun = 0
  let inFlight = 0
  let isStopped = false
  let isFinished = false
  let cancel: () => void = () => {}

  const end = (): void => {
    if (isFinished || inFlight > 0) return
    isFinished = true
    cancel()
    finished()
  }
  const stop = (): void => {
    if (isStopped) return
    isStopped = true
    cancel()
    work.stopping?.()
    end()
  }
  const begin = (lane: Lane): void => {
    if (begun >= most) {
      parked.push(lane)
      stop()
      return
    }
    begun++
    inFlight++
    lane.iterations++
    lane.scheduledAt = timing.now()
    work.begin(lane)
  }
  const makeLane = (id: number): Lane => {
    let isInside = false
    const goOn = (): void => {
      if (isStopped || id >= level) {
        parked.push(lane)
        if (isStopped) end()
        return
      }
      isInside = true
      begin(lane)
      isInside = false
    }
    const lane: Lane = {
      id,
      scenario: 0,
      scheduledAt: 0,
      iterations: 0,
      ended: () => {
        inFlight--
        const now = timing.now()
        recorder.iteration(lane.scenario, lane.scheduledAt, now)
        if (now >= endsAt) stop()
        // Work that ends before it returns would otherwise never let anything else have its turn.
        if (isInside) setImmediate(goOn)
        else goOn()
      }
    }
    return lane
  }
  const adjust = (): void => {
    const now = timing.now()
    if (now >= endsAt) {
      stop()
      return
    }
    level = sharedLevel(levelAt(users, (now - beginsAt) / 1e6), share)
    while (lanes.length < level) {
      const lane = makeLane(lanes.length)
      lanes.push(lane)
      parked.push(lane)
    }
    for (let at = parked.length - 1; at >= 0 && !isStopped; at--) {
      const lane = parked[at]
      if (lane === undefined || lane.id >= level) continue
      parked.splice(at, 1)
      begin(lane)
    }
    if (isStopped) return
    const isConstant = users.every((piece) => piece.kind === "linear" && piece.from === piece.to) && users.length === 1
    cancel = timing.wakeAbout(isConstant ? endsAt : Math.min(endsAt, now + levelTickMicros), adjust)
  }
  cancel = timing.wakeAbout(beginsAt, adjust)
  return { stop, due: () => 0, begun: () => begun, inFlight: () => inFlight }
}

const runOpen = (
  { finished, recorder, scenario, timing }: Parts,
  { arrivals, maxInFlight, seconds }: Open
): Running => {
  const { work } = scenario
  const beginsAt = scenario.startAfterSeconds * 1e6
  const endsAt = beginsAt + seconds * 1e6
  const free: Array<Lane> = []
  let lanes = 0
  let due = 0
  let begun = 0
  let inFlight = 0
  let isStopped = false
  let isFinished = false
  let cancel: () => void = () => {}
  let next = beginsAt + arrivals.next()

  const end = (): void => {
    if (isFinished || inFlight > 0) return
    isFinished = true
    finished()
  }
  const stop = (): void => {
    if (isStopped) return
    isStopped = true
    cancel()
    work.stopping?.()
    end()
  }
  const makeLane = (): Lane => {
    const lane: Lane = {
      id: lanes++,
      scenario: 0,
      scheduledAt: 0,
      iterations: 0,
      ended: () => {
        inFlight--
        recorder.iteration(lane.scenario, lane.scheduledAt, timing.now())
        free.push(lane)
        if (isStopped) end()
      }
    }
    return lane
  }
  const pump = (): void => {
    let now = timing.now()
    const dueBefore = due
    while (next <= now && !isStopped) {
      const scheduledAt = next
      next = beginsAt + arrivals.next()
      due++
      if (inFlight >= maxInFlight) {
        recorder.dropped(work.dropped(), now)
        continue
      }
      recorder.arrival(scheduledAt, now)
      const lane = free.pop() ?? makeLane()
      lane.scheduledAt = scheduledAt
      lane.iterations++
      begun++
      inFlight++
      work.begin(lane)
      now = timing.now()
    }
    if (due > dueBefore) recorder.planned(now, due - dueBefore)
    if (isStopped) return
    if (next === Number.POSITIVE_INFINITY && now >= endsAt) stop()
    else cancel = timing.wake(Math.min(next, Math.max(endsAt, now + 1)), pump)
  }
  cancel = timing.wake(Math.min(next, Math.max(beginsAt, endsAt)), pump)
  return { stop, due: () => due, begun: () => begun, inFlight: () => inFlight }
}

/** Puts a scenario's load on its work. */
export const run = (parts: Parts): Running => {
  const { load } = parts.scenario
  return load.model === "closed" ? runClosed(parts, load) : runOpen(parts, load)
}

/** The most iterations that may be under way at once. */
export const mostInFlight = (load: Load): number =>
  load.model === "closed" ? Math.ceil(peakOf(load.users)) : load.maxInFlight
