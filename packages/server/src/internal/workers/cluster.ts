// Workers as processes of `node:cluster`, which Node, Bun and Deno all have. On Node
// the primary accepts connections and hands them to the workers by turns; on Deno the
// workers accept from one listener that all have (messages and connections on the
// same channel hold each other up there); on Bun each has a listener of its own, and
// the kernel hands connections out (SO_REUSEPORT).

import cluster, { type Worker } from "node:cluster"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Snapshot } from "../../Health.ts"
import { type FromWorker, fromWorker, type ToWorker } from "./protocol.ts"
import { makeRates } from "./rates.ts"
import type { Ended, Process } from "./supervisor.ts"

/** How long a worker may take to tell of itself, before the others are told of without it. */
const snapshotMillis = 1000

/** The name under which a worker knows its place. */
export const placeVariable = "SLUICE_WORKER"

interface Asked {
  readonly answers: Array<Snapshot>
  missing: number
  readonly done: () => void
}

/** Answers how to fork a worker. What workers ask of the primary and of each other is answered from then on. */
export const clusterProcesses = (nowMillis: () => number): ((place: number) => Process) => {
  if (process.versions["deno"] !== undefined) cluster.schedulingPolicy = cluster.SCHED_NONE
  const rates = makeRates()
  const ready = new Set<Worker>()
  const asked = new Map<number, Asked>()
  let questions = 0

  const tell = (worker: Worker, message: ToWorker): void => {
    // Whoever is gone by now needs to hear nothing.
    if (worker.isConnected()) worker.send(message, () => {})
  }

  const answer = (worker: Worker, question: number, compute: () => unknown): void => {
    try {
      tell(worker, { sluice: "answer", question, answer: compute() ?? null })
    } catch (error) {
      tell(worker, { sluice: "answer", question, answer: null, error: String(error) })
    }
  }

  const tellOfOthers = (asker: Worker, question: number): void => {
    const others = [...ready].filter((worker) => worker !== asker && worker.isConnected())
    const own = ++questions
    const timer = setTimeout(() => finish(), snapshotMillis)
    const finish = (): void => {
      clearTimeout(timer)
      if (asked.delete(own)) answer(asker, question, () => collection.answers)
    }
    const collection: Asked = { answers: [], missing: others.length, done: finish }
    asked.set(own, collection)
    if (others.length === 0) finish()
    for (const other of others) tell(other, { sluice: "snapshot?", question: own })
  }

  const heed = (worker: Worker, message: FromWorker, process: { ready(): void; worn(): void }): void => {
    switch (message.sluice) {
      case "ready":
        ready.add(worker)
        process.ready()
        break
      case "worn":
        process.worn()
        break
      case "snapshot": {
        const collection = asked.get(message.question)
        collection?.answers.push(message.snapshot)
        if (collection !== undefined && --collection.missing === 0) collection.done()
        break
      }
      case "others":
        tellOfOthers(worker, message.question)
        break
      case "limit":
        answer(worker, message.question, () => rates.define(message.limit))
        break
      case "decide":
        answer(worker, message.question, () => rates.decide(message.limit, message.clients, nowMillis()))
    }
  }

  return (place) => {
    const worker = cluster.fork({ [placeVariable]: String(place) })
    const isReady = Deferred.makeUnsafe<void>()
    const isWorn = Deferred.makeUnsafe<void>()
    const ended = Deferred.makeUnsafe<Ended>()
    worker.on("message", (message: unknown) => {
      const said = fromWorker(message)
      if (said === undefined) return
      heed(worker, said, {
        ready: () => Deferred.doneUnsafe(isReady, Effect.void),
        worn: () => Deferred.doneUnsafe(isWorn, Effect.void)
      })
    })
    worker.on("exit", (code: number | null, signal: string | null) => {
      ready.delete(worker)
      Deferred.doneUnsafe(ended, Effect.succeed({ code: code ?? null, signal: signal ?? null }))
    })
    // A message that could not be sent is to one who has ended, of which `exit` tells.
    worker.on("error", () => {})
    return {
      pid: worker.process.pid ?? 0,
      ready: Deferred.await(isReady),
      worn: Deferred.await(isWorn),
      exited: Deferred.await(ended),
      drain: (millis) => {
        ready.delete(worker)
        tell(worker, { sluice: "drain", millis })
      },
      kill: () => {
        worker.process.kill("SIGKILL")
      }
    }
  }
}
