// A server as a queue: so many requests are served at once, each for the same time
// but for noise, and the rest wait in line. Up to the knee more requests mean more
// throughput; beyond it they only mean more waiting. And clients that always have
// another request, as many in flight as their limit allows.

import type { State } from "../../src/internal/limitAlgorithms.ts"
import { LimitWindow, type Outcome, type Request } from "../../src/internal/limitWindow.ts"

export interface Scenario {
  /** Requests that the server serves at once, from a time in seconds on. */
  readonly capacity: ReadonlyArray<{ readonly fromSecond: number; readonly concurrency: number }>
  readonly serviceMillis: number
  /** By how much of itself a service time is more or less, at most. */
  readonly noise: number
  /** Requests that the server lets wait; what comes on top is dropped after 1 ms. */
  readonly maxQueue?: number
  /** What takes longer is dropped by the client. */
  readonly timeoutMillis?: number
  readonly seconds: number
  readonly seed: number
}

export interface Point {
  readonly second: number
  /** The limit of each client at the end of the second, or before the probe that it makes then. */
  readonly limits: ReadonlyArray<number>
  /** Mean latency of what was answered, in milliseconds. */
  readonly latencyMillis: number
  readonly answered: number
}

interface Event {
  readonly at: number
  readonly run: () => void
}

// A binary heap of what is to happen.
class Agenda {
  private readonly events: Array<Event> = []

  add(event: Event): void {
    const { events } = this
    let place = events.push(event) - 1
    while (place > 0) {
      const parent = (place - 1) >> 1
      const above = events[parent]
      if (above === undefined || above.at <= event.at) break
      events[place] = above
      place = parent
    }
    events[place] = event
  }

  take(): Event | undefined {
    const { events } = this
    const [first] = events
    const last = events.pop()
    if (last === undefined || events.length === 0) return first
    let place = 0
    while (true) {
      let child = 2 * place + 1
      const left = events[child]
      if (left === undefined) break
      const right = events[child + 1]
      let least = left
      if (right !== undefined && right.at < left.at) {
        child++
        least = right
      }
      if (last.at <= least.at) break
      events[place] = least
      place = child
    }
    events[place] = last
    return first
  }
}

// mulberry32
const random = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

interface Waiting {
  readonly client: LimitWindow
  readonly request: Request
  isOver: boolean
}

/** Runs one client for each of the states; answers what each second was like. */
export const simulate = (scenario: Scenario, states: ReadonlyArray<State>): ReadonlyArray<Point> => {
  const { capacity, maxQueue = Number.POSITIVE_INFINITY, noise, seconds, serviceMillis, timeoutMillis } = scenario
  const next = random(scenario.seed)
  const agenda = new Agenda()
  let now = 0
  let busy = 0
  const line: Array<Waiting> = []
  let lineHead = 0
  const clients = states.map((state) => new LimitWindow(state, 1000, 10, 0))
  const points: Array<Point> = []
  let answered = 0
  let latencies = 0

  const concurrency = (): number => {
    let current = 1
    for (const { concurrency, fromSecond } of capacity) if (now >= fromSecond * 1000) current = concurrency
    return current
  }
  const later = (millis: number, run: () => void): void => agenda.add({ at: now + millis, run })
  const finish = (waiting: Waiting, outcome: Outcome): void => {
    if (waiting.isOver) return
    waiting.isOver = true
    if (outcome === "succeeded") {
      answered++
      latencies += now - waiting.request.startedAt
    }
    waiting.client.finish(waiting.request, now, outcome)
    fill(waiting.client)
  }
  const serve = (waiting: Waiting): void => {
    busy++
    later(serviceMillis * (1 + noise * (2 * next() - 1)), () => {
      busy--
      advance()
      finish(waiting, "succeeded")
    })
  }
  const advance = (): void => {
    while (busy < concurrency() && lineHead < line.length) {
      const waiting = line[lineHead++]
      // What its client has given up is served for nothing by a real server; here it is left out, which helps nobody.
      if (waiting !== undefined && !waiting.isOver) serve(waiting)
    }
    if (lineHead > 10_000) {
      line.splice(0, lineHead)
      lineHead = 0
    }
  }
  const send = (client: LimitWindow): void => {
    const waiting: Waiting = { client, request: client.start(now), isOver: false }
    if (timeoutMillis !== undefined) later(timeoutMillis, () => finish(waiting, "dropped"))
    const queued = line.length - lineHead
    if (queued === 0 && busy < concurrency()) serve(waiting)
    else if (queued < maxQueue) line.push(waiting)
    else later(1, () => finish(waiting, "dropped"))
  }
  const fill = (client: LimitWindow): void => {
    while (client.inFlight < client.limit) send(client)
  }

  // A probe is no limit that anybody settled for.
  const limits = clients.map(({ limit }) => limit)
  for (let tenth = 1; tenth <= seconds * 10; tenth++) {
    agenda.add({
      at: tenth * 100,
      run: () => {
        for (const client of clients) fill(client)
        advance()
        clients.forEach(({ isProbing, limit }, client) => {
          if (!isProbing) limits[client] = limit
        })
        if (tenth % 10 !== 0) return
        points.push({
          second: tenth / 10,
          limits: [...limits],
          latencyMillis: answered === 0 ? Number.NaN : latencies / answered,
          answered
        })
        answered = 0
        latencies = 0
      }
    })
  }
  for (const client of clients) fill(client)
  for (let event = agenda.take(); event !== undefined && event.at <= seconds * 1000; event = agenda.take()) {
    now = event.at
    event.run()
  }
  return points
}
