// Keeps so many workers at work: starts them, starts them again with back-off when
// they crash, replaces one at a time those that have done their share, and lets all
// drain in the end. It knows processes by an interface alone, so that its laws are
// tested in virtual time and under many schedules.
//
// A worker is replaced in this order: the new one starts, and when it takes requests
// the old one is told to drain. At no time are there fewer that take requests than
// before, and at no time is there more than one process too many.

import { Backoff } from "@sluice/retry"
import { Semaphore } from "@sluice/semaphore"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Event, ExitReason, Stats, WorkerStats } from "../../Workers.ts"

export interface Ended {
  readonly code: number | null
  readonly signal: string | null
}

/** A worker's process, as the supervisor needs it. */
export interface Process {
  readonly pid: number
  /** Completes once it takes requests. */
  readonly ready: Effect.Effect<void>
  /** Completes once it has done its share. */
  readonly worn: Effect.Effect<void>
  readonly exited: Effect.Effect<Ended>
  /** Asks it to end what it has begun, and then itself. */
  readonly drain: (millis: number) => void
  /** Ends it at once. */
  readonly kill: () => void
}

export interface Settings {
  readonly workers: number
  readonly drainTimeout: Duration.Input
  readonly startTimeout: Duration.Input
  readonly restartBase: Duration.Input
  readonly restartCap: Duration.Input
  readonly stableAfter: Duration.Input
  readonly maxFailedStarts: number
  readonly fork: (worker: number) => Process
  readonly emit: (event: Event) => void
}

export interface Supervisor {
  /** Fails when so many starts in a row have failed; else never ends. */
  readonly join: Effect.Effect<never, number>
  readonly roll: Effect.Effect<void>
  readonly stats: () => Stats
}

interface Member {
  readonly process: Process
  readonly worker: number
  readonly startedAt: number
  state: "starting" | "ready" | "draining" | "killed"
}

interface Slot {
  readonly worker: number
  readonly rollWanted: Latch.Latch
  readonly rolled: Array<Deferred.Deferred<void>>
}

/** It did not come so far as to take requests, or not for long. */
class Failed extends Data.TaggedError("Failed") {}

/** How much longer than it was given a worker may take to end, before it is killed. */
const graceMillis = 1000

const reasonOf = ({ state }: Member): ExitReason => {
  switch (state) {
    case "starting":
      return "failed"
    case "ready":
      return "crashed"
    case "draining":
      return "drained"
    case "killed":
      return "killed"
  }
}

export const supervise: (settings: Settings) => Effect.Effect<Supervisor, never, Scope.Scope> = Effect.fnUntraced(
  function* (settings) {
    const { emit, fork, maxFailedStarts, workers } = settings
    const drainMillis = Duration.toMillis(settings.drainTimeout)
    const clock = yield* Clock.Clock
    const scope = yield* Effect.scope
    const now = (): number => clock.currentTimeMillisUnsafe()
    const members = new Set<Member>()
    const replacing = yield* Semaphore.make(1)
    const givenUp = Deferred.makeUnsafe<never, number>()
    const counts = { started: 0, crashed: 0, recycled: 0, rolled: 0, killed: 0 }
    let failedStarts = 0
    const slots = Array.from({ length: workers }, (_, index): Slot => {
      return { worker: index + 1, rollWanted: Latch.makeUnsafe(false), rolled: [] }
    })

    const backoff = (): Schedule.Schedule<Duration.Duration> =>
      Backoff.exponential({ base: settings.restartBase, cap: settings.restartCap, jitter: "none" })

    const exited = (member: Member, { code, signal }: Ended): void => {
      if (!members.delete(member)) return
      const reason = reasonOf(member)
      if (reason === "crashed") counts.crashed++
      emit({ _tag: "Exited", worker: member.worker, pid: member.process.pid, reason, code, signal })
    }

    const gone = (member: Member): Effect.Effect<void> =>
      Effect.map(member.process.exited, (ended) => exited(member, ended))

    const kill = (member: Member): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (!members.has(member)) return Effect.void
        member.state = "killed"
        counts.killed++
        member.process.kill()
        return gone(member)
      })

    /** Completes when it has ended, by itself or not. */
    const retire = (member: Member): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (!members.has(member)) return Effect.void
        // One that does not take requests yet has nothing to end, and perhaps no ear.
        if (member.state === "starting") return kill(member)
        member.state = "draining"
        member.process.drain(drainMillis)
        return Effect.timeoutOrElse(gone(member), {
          duration: Duration.millis(drainMillis + graceMillis),
          orElse: () => kill(member)
        })
      })

    yield* Effect.addFinalizer(() => Effect.forEach([...members], retire, { concurrency: "unbounded", discard: true }))

    const launch = Effect.fnUntraced(function* (worker: number) {
      const process = fork(worker)
      const member: Member = { process, worker, startedAt: now(), state: "starting" }
      members.add(member)
      counts.started++
      emit({ _tag: "Started", worker, pid: process.pid })
      yield* Effect.forkIn(gone(member), scope)
      return member
    }, Effect.uninterruptible)

    /** Starts one, and waits until it takes requests. */
    const begin = (worker: number): Effect.Effect<Member, Failed> =>
      Effect.gen(function* () {
        const member = yield* launch(worker)
        const { pid, ready } = member.process
        const outcome = yield* Effect.raceFirst(
          Effect.as(ready, "ready" as const),
          Effect.raceFirst(
            Effect.as(gone(member), "gone" as const),
            Effect.as(Effect.sleep(settings.startTimeout), "slow" as const)
          )
        )
        if (outcome === "ready" && members.has(member)) {
          failedStarts = 0
          member.state = "ready"
          emit({ _tag: "Ready", worker, pid })
          return member
        }
        yield* kill(member)
        if (++failedStarts >= maxFailedStarts) yield* Deferred.fail(givenUp, failedStarts)
        return yield* new Failed()
      })

    /** Starts a new one, and when it takes requests, lets the old one end, looked after by a fiber of its own. */
    const replace = (
      member: Member,
      reason: "requests" | "roll",
      onRetired: () => void
    ): Effect.Effect<Member, Failed> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          yield* restore(replacing.take(1))
          const { worker } = member
          emit({ _tag: "Replacing", worker, pid: member.process.pid, reason })
          const next = yield* Effect.onError(restore(begin(worker)), () => replacing.release(1))
          if (reason === "requests") counts.recycled++
          else counts.rolled++
          const ending = Effect.ensuring(
            restore(retire(member)),
            Effect.andThen(replacing.release(1), Effect.sync(onRetired))
          )
          yield* Effect.forkIn(ending, scope)
          return next
        })
      )

    const settle = (waiting: ReadonlyArray<Deferred.Deferred<void>>) => (): void => {
      for (const done of waiting) Deferred.doneUnsafe(done, Effect.void)
    }

    /** One place for a worker, until who has it crashes: fails if that was soon. */
    const occupy = (slot: Slot): Effect.Effect<void, Failed> =>
      Effect.gen(function* () {
        let member = yield* begin(slot.worker)
        while (true) {
          const outcome = yield* Effect.raceFirst(
            Effect.as(gone(member), "gone" as const),
            Effect.raceFirst(
              Effect.as(slot.rollWanted.await, "roll" as const),
              Effect.as(member.process.worn, "requests" as const)
            )
          )
          if (outcome === "gone") {
            if (now() - member.startedAt < Duration.toMillis(settings.stableAfter)) return yield* new Failed()
            return
          }
          // Whatever the reason, those who wanted a new one have it.
          const onRetired = settle(slot.rolled.splice(0))
          slot.rollWanted.closeUnsafe()
          // The old one goes on until there is a new one, however many starts fail.
          member = yield* Effect.retry(replace(member, outcome, onRetired), backoff())
        }
      })

    for (const slot of slots) {
      yield* Effect.forkScoped(Effect.forever(Effect.retry(occupy(slot), backoff())))
    }

    const rollOne = (slot: Slot): Effect.Effect<void> =>
      Effect.suspend(() => {
        const done = Deferred.makeUnsafe<void>()
        slot.rolled.push(done)
        slot.rollWanted.openUnsafe()
        return Deferred.await(done)
      })

    const describe = ({ process, startedAt, state, worker }: Member): WorkerStats => ({
      worker,
      pid: process.pid,
      state: state === "killed" ? "draining" : state,
      uptime: Duration.millis(now() - startedAt)
    })

    return {
      join: Deferred.await(givenUp),
      roll: Effect.forEach(slots, rollOne, { discard: true }),
      stats: () => ({
        capacity: workers,
        ready: [...members].filter(({ state }) => state === "ready").length,
        ...counts,
        failedStarts,
        workers: [...members].map(describe).sort((a, b) => a.worker - b.worker)
      })
    }
  }
)
