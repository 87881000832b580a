// Processes that are none: they start, wear, crash and drain as they are told, and
// keep a record of what was asked of them.

import { Deferred, Effect } from "effect"
import type { Ended, Process, Settings } from "../../src/internal/workers/supervisor.ts"
import type { Event } from "../../src/Workers.ts"

export interface FakeProcess extends Process {
  readonly place: number
  isReady: boolean
  isAlive: boolean
  isDraining: boolean
  readonly becomeReady: () => void
  readonly wear: () => void
  readonly exit: (ended: Ended) => void
}

export interface Behaviour {
  /** Milliseconds until one takes requests; never where undefined. */
  readonly readyAfter: number | undefined
  /** Milliseconds it takes to drain; it never ends where undefined. */
  readonly drainsAfter: number | undefined
}

export interface Fakes {
  readonly fork: (place: number) => FakeProcess
  /** All that ever were, in the order of their starts. */
  readonly all: ReadonlyArray<FakeProcess>
  readonly alive: () => ReadonlyArray<FakeProcess>
  readonly ready: () => ReadonlyArray<FakeProcess>
  readonly events: ReadonlyArray<Event>
  readonly settings: (changes?: Partial<Settings>) => Settings
}

export const crash: Ended = { code: 1, signal: null }

/** `behaves` is asked at each start; `onDrain` is told of each that must drain, before it does. */
export const fakes = (
  behaves: (place: number, start: number) => Behaviour,
  onDrain: (process: FakeProcess) => void = () => {}
): Effect.Effect<Fakes> =>
  Effect.map(Effect.context<never>(), (context) => {
    const runFork = Effect.runForkWith(context)
    const all: Array<FakeProcess> = []
    const events: Array<Event> = []
    const later = (millis: number | undefined, what: () => void): void => {
      if (millis !== undefined) runFork(Effect.andThen(Effect.sleep(millis), Effect.sync(what)))
    }
    const fork = (place: number): FakeProcess => {
      const ready = Deferred.makeUnsafe<void>()
      const worn = Deferred.makeUnsafe<void>()
      const exited = Deferred.makeUnsafe<Ended>()
      const { drainsAfter, readyAfter } = behaves(place, all.length)
      const process: FakeProcess = {
        pid: 1000 + all.length,
        place,
        isReady: false,
        isAlive: true,
        isDraining: false,
        ready: Deferred.await(ready),
        worn: Deferred.await(worn),
        exited: Deferred.await(exited),
        becomeReady: () => {
          if (!process.isAlive) return
          process.isReady = true
          Deferred.doneUnsafe(ready, Effect.void)
        },
        wear: () => {
          Deferred.doneUnsafe(worn, Effect.void)
        },
        exit: (ended) => {
          process.isAlive = false
          process.isReady = false
          Deferred.doneUnsafe(exited, Effect.succeed(ended))
        },
        drain: () => {
          if (process.isDraining) return
          onDrain(process)
          process.isDraining = true
          later(drainsAfter, () => process.exit({ code: 0, signal: null }))
        },
        kill: () => process.exit({ code: null, signal: "SIGKILL" })
      }
      all.push(process)
      later(readyAfter, process.becomeReady)
      return process
    }
    return {
      fork,
      all,
      alive: () => all.filter(({ isAlive }) => isAlive),
      ready: () => all.filter(({ isAlive, isDraining, isReady }) => isAlive && isReady && !isDraining),
      events,
      settings: (changes) => ({
        workers: 2,
        drainTimeout: "10 seconds",
        startTimeout: "30 seconds",
        restartBase: "100 millis",
        restartCap: "30 seconds",
        stableAfter: "10 seconds",
        maxFailedStarts: 10,
        fork,
        emit: (event) => events.push(event),
        ...changes
      })
    }
  })
