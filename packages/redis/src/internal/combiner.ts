// Group commit: while a command is under way, what else is asked of the same key
// waits, and goes together in the next one. Alone nobody waits for anybody;
// under load a command serves as many as have come, and the round trip is shared.
//
// Where many ask, a second command goes while the first is under way, so that
// Redis works on one while this process works on the other. It stays so only
// while the two are written apart: a client writes once a turn of the event
// loop all that was sent in it, and Redis answers together what it reads
// together. So after the answers to many, and in the midst of them where nothing
// else is under way, those to others wait until what was asked next is written.
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
  done: ((exit: Exit.Exit<A, E>) => void) | undefined
  state: "waiting" | "sent" | "left"
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

interface Answered<Q, A, E> {
  readonly entries: ReadonlyArray<Entry<Q, A, E>>
  readonly exit: Exit.Exit<ReadonlyArray<A>, E>
  readonly from: number
}

const answerAt = <A>(answers: ReadonlyArray<A>, index: number): Exit.Exit<A> => {
  const answer = answers[index]
  return answer === undefined ? Exit.die(new Error("Redis answered fewer than were asked")) : Exit.succeed(answer)
}

const settleAt = <Q, A, E>(
  entries: ReadonlyArray<Entry<Q, A, E>>,
  index: number,
  exit: Exit.Exit<ReadonlyArray<A>, E>
): void => {
  const entry = entries[index]
  const done = entry?.done
  if (entry === undefined || done === undefined) return
  // What has grown old would keep the fiber's next steps.
  entry.done = undefined
  done(Exit.isFailure(exit) ? Exit.failCause(exit.cause) : answerAt(exit.value, index))
}

export const makeCombiner = <Q, A, E>(settings: Settings<Q, A, E>): Combiner<Q, A, E> => {
  // A list that is thrown away, where a Set would keep the garbage of one command alive until the next: each table of a
  // Set points to the one that took its place, so that what has grown old keeps what is young.
  let entries: Array<Entry<Q, A, E>> = []
  let waiting = 0
  let underWay = 0
  /** Commands whose answers are there, and from which request on they are still to be passed on. */
  const answered: Array<Answered<Q, A, E>> = []
  let isWriting = false
  let dispatcher: Scheduler.SchedulerDispatcher | undefined

  const next = (): ReadonlyArray<Entry<Q, A, E>> => {
    const all = waiting === entries.length ? entries : entries.filter(({ state }) => state === "waiting")
    entries = all.length > settings.most ? all.splice(settings.most) : []
    waiting = entries.length
    return all
  }

  const flush = (): void => {
    const sent = next()
    if (sent.length === 0) {
      if (underWay === 0) settings.onIdle?.()
      return
    }
    underWay++
    for (const entry of sent) entry.state = "sent"
    const requests = sent.map(({ request }) => request)
    settings.run(requests, (exit) => {
      answered.push({ entries: sent, exit, from: 0 })
      if (!isWriting) pass()
    })
  }

  /** Passes on the answers to one command. */
  const pass = (): void => {
    const batch = answered.shift()
    if (batch === undefined) return
    const { entries: all, exit, from } = batch
    const many = all.length - from >= manyWait
    const half = underWay === 1 && all.length - from >= 2 * manyWait
    const to = half ? (from + all.length) >> 1 : all.length
    if (half) {
      underWay++
      answered.unshift({ entries: all, exit, from: to })
    }
    for (let index = from; index < to; index++) settleAt(all, index, exit)
    underWay--
    // Those who were just answered may have asked again: they go together.
    flush()
    if (many && dispatcher !== undefined) {
      isWriting = true
      dispatcher.scheduleTask(written, 0)
    } else pass()
  }

  const written = (): void => {
    isWriting = false
    pass()
  }

  const add = (request: Q, done: Entry<Q, A, E>["done"]): Entry<Q, A, E> => {
    const entry: Entry<Q, A, E> = { request, done, state: "waiting" }
    entries.push(entry)
    waiting++
    return entry
  }

  return {
    ask: (request) =>
      Effect.callback(function (resume) {
        dispatcher ??= this.makeDispatcher()
        const entry = add(request, resume)
        if (underWay === 0 || (underWay === 1 && waiting >= manyWait)) flush()
        return Effect.sync(() => {
          if (entry.state === "waiting") waiting--
          entry.state = "left"
        })
      }),
    tell: (request, dispatcher, onFailure) => {
      add(request, (exit) => {
        if (Exit.isFailure(exit)) onFailure()
      })
      if (underWay > 0 || waiting > 1) return
      dispatcher.scheduleTask(() => {
        if (underWay === 0) flush()
      }, 0)
    },
    isIdle: () => underWay === 0 && waiting === 0
  }
}
