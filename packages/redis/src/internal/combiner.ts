// Group commit: while a command is under way, what else is asked of the same key
// waits, and goes together in the next one. Alone nobody waits for anybody;
// under load a command serves as many as have come, and the round trip is shared.
//
// Where many ask, a second command goes while the first is under way, so that
// Redis works on one while this process works on the other.
//
// What is told, and needs no answer, waits until the turn of the event loop is
// over: most often something is asked by then, and takes it along.

import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scheduler from "effect/Scheduler"

export interface Combiner<Q, A, E> {
  /** Whoever is interrupted before his request was sent takes it with him. */
  readonly ask: (request: Q) => Effect.Effect<A, E>
  readonly tell: (request: Q, dispatcher: Scheduler.SchedulerDispatcher, onFailure: () => void) => void
  /** Whether nothing waits and nothing is under way. */
  readonly isIdle: () => boolean
}

interface Entry<Q, A, E> {
  readonly request: Q
  readonly done: (exit: Exit.Exit<A, E>) => void
}

export interface Settings<Q, A, E> {
  /** Answers requests in their order. */
  readonly run: (requests: ReadonlyArray<Q>, done: (exit: Exit.Exit<ReadonlyArray<A>, E>) => void) => void
  /** Requests that go together at most. */
  readonly most: number
  /** Called when nothing is under way any more. */
  readonly onIdle?: () => void
}

const manyWait = 16

export const makeCombiner = <Q, A, E>(settings: Settings<Q, A, E>): Combiner<Q, A, E> => {
  const waiting = new Set<Entry<Q, A, E>>()
  let underWay = 0

  const next = (): ReadonlyArray<Entry<Q, A, E>> => {
    const entries: Array<Entry<Q, A, E>> = []
    for (const entry of waiting) {
      waiting.delete(entry)
      entries.push(entry)
      if (entries.length === settings.most) break
    }
    return entries
  }

  const flush = (): void => {
    const entries = next()
    if (entries.length === 0) {
      if (underWay === 0) settings.onIdle?.()
      return
    }
    underWay++
    const requests = entries.map(({ request }) => request)
    settings.run(requests, (exit) => {
      for (const [index, { done }] of entries.entries()) {
        if (Exit.isFailure(exit)) {
          done(Exit.failCause(exit.cause))
          continue
        }
        const answer = exit.value[index]
        done(answer === undefined ? Exit.die(new Error("Redis answered fewer than were asked")) : Exit.succeed(answer))
      }
      underWay--
      // Those who were just answered may have asked again: they go together.
      flush()
    })
  }

  return {
    ask: (request) =>
      Effect.callback((resume) => {
        const entry = { request, done: resume }
        waiting.add(entry)
        if (underWay === 0 || (underWay === 1 && waiting.size >= manyWait)) flush()
        return Effect.sync(() => waiting.delete(entry))
      }),
    tell: (request, dispatcher, onFailure) => {
      waiting.add({
        request,
        done: (exit) => {
          if (Exit.isFailure(exit)) onFailure()
        }
      })
      if (underWay > 0 || waiting.size > 1) return
      dispatcher.scheduleTask(() => {
        if (underWay === 0) flush()
      }, 0)
    },
    isIdle: () => underWay === 0 && waiting.size === 0
  }
}
