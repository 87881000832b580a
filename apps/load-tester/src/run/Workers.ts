/**
 * Runs a plan on several threads: each takes an equal share, they begin at the same moment, and what they record is merged
 * exactly.
 *
 * @module
 */
import { Worker } from "node:worker_threads"
import { Data, Effect } from "effect"
import type { Share } from "../engine/Arrivals.ts"
import type { Ending } from "../engine/Run.ts"
import * as Codec from "../results/Codec.ts"
import * as Recorder from "../results/Recorder.ts"
import * as Result from "../results/Result.ts"
import { epochMillis, type Options, type Outcome, type View } from "./Execute.ts"
import type { Assignment, FromWorker, ToWorker } from "./messages.ts"
import type { Plan } from "./Plan.ts"
import * as SharedTotals from "./SharedTotals.ts"

/** A thread could not do its share. */
export class WorkerFailed extends Data.TaggedError("@sluice/load-tester/WorkerFailed")<{ readonly message: string }> {}

interface Thread {
  readonly worker: Worker
  latest: Result.Result | undefined
  outcome: Outcome | undefined
}

/** Time for each thread to hear of the start. */
const startMarginMillis = 50

/** Time for threads to tell what there is, when a run is interrupted. */
const lastWordsMillis = 2000

const entry = new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url)

/** The first ending that was not the plan's own. */
export const endingOf = (endings: ReadonlyArray<Ending>): Ending =>
  endings.find(({ kind }) => kind !== "completed") ?? { kind: "completed" }

export const mergeAll = (results: ReadonlyArray<Result.Result>): Result.Result | undefined =>
  results.length === 0 ? undefined : results.reduce(Result.merge)

/** A share of a share: that of one thread of one machine. */
export const within = (share: Share, index: number, of: number): Share => ({
  index: share.index + index * share.of,
  of: share.of * of
})

const read = (bytes: Uint8Array): Result.Result =>
  Effect.runSync(Effect.orDie(Codec.decode(bytes, "a thread's result")))

/** Starts threads and waits until each is ready. They end with the scope. */
export const start = Effect.fnUntraced(function* (plan: Plan, share: Share, count: number, tells: boolean) {
  const totals = SharedTotals.make()
  const threads = yield* Effect.acquireRelease(
    Effect.sync(() =>
      Array.from({ length: count }, (_, index): Thread => {
        const workerData: Assignment = { plan, share: within(share, index, count), totals: totals.buffer, tells }
        return { worker: new Worker(entry, { workerData }), latest: undefined, outcome: undefined }
      })
    ),
    (threads) => Effect.promise(() => Promise.all(threads.map(({ worker }) => worker.terminate())))
  )
  const tellAll = (message: ToWorker): void => {
    for (const { worker } of threads) worker.postMessage(message)
  }

  // Listens from the first moment on, so that nothing a thread says is lost between one wait and the next.
  let failure: WorkerFailed | undefined
  let ready = 0
  let changed: () => void = () => {}
  const fail = (message: string): void => {
    failure ??= new WorkerFailed({ message })
    changed()
  }
  threads.forEach((thread, index) => {
    thread.worker.on("message", (message: FromWorker) => {
      switch (message.kind) {
        case "ready":
          ready++
          break
        case "failed":
          fail(message.message)
          return
        case "progress":
          thread.latest = read(message.result)
          return
        case "done":
          thread.outcome = { ending: message.ending, result: read(message.result) }
          break
      }
      changed()
    })
    thread.worker.on("error", (error) =>
      fail(`Thread ${index + 1} ended: ${error instanceof Error ? error.message : String(error)}`)
    )
    thread.worker.on("exit", (code) => {
      if (thread.outcome === undefined) fail(`Thread ${index + 1} ended with ${code}`)
    })
  })
  const until = (isTrue: () => boolean): Effect.Effect<void, WorkerFailed> =>
    Effect.callback<void, WorkerFailed>((resume) => {
      changed = () => {
        if (failure !== undefined) resume(Effect.fail(failure))
        else if (isTrue()) resume(Effect.void)
      }
      changed()
    })

  yield* until(() => ready === count)
  return (options: Options): Effect.Effect<Outcome, WorkerFailed> =>
    Effect.gen(function* () {
      const atMillis = options.startAtMillis ?? epochMillis() + startMarginMillis
      tellAll({ kind: "start", atMillis })
      const result = (): Result.Result => {
        const known = threads.flatMap(({ latest, outcome }) => outcome?.result ?? latest ?? [])
        return mergeAll(known) ?? Recorder.make({ name: plan.name, startedAtMillis: atMillis }).result(0)
      }
      const view: View = { result, totals, stop: (reason: string) => tellAll({ kind: "stop", reason }) }
      options.begun?.(view)
      const { watch } = options
      const watcher = watch === undefined ? undefined : setInterval(() => watch(view), 1000)
      const allDone = until(() => threads.every(({ outcome }) => outcome !== undefined))
      const lastWords = Effect.timeout(allDone, lastWordsMillis)
      yield* allDone.pipe(
        Effect.onInterrupt(() =>
          Effect.andThen(
            Effect.sync(() => tellAll({ kind: "cut" })),
            Effect.ignore(lastWords)
          )
        ),
        Effect.ensuring(Effect.sync(() => clearInterval(watcher)))
      )
      const outcome: Outcome = {
        result: result(),
        ending: endingOf(threads.flatMap(({ outcome }) => outcome?.ending ?? []))
      }
      return outcome
    })
})
