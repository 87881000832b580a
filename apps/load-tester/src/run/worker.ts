// A thread of a run: makes its share of the load ready, and begins when it is told.

import "../deno.ts"
import { parentPort, workerData } from "node:worker_threads"
import { Deferred, Effect } from "effect"
import * as Codec from "../results/Codec.ts"
import { prepare, run, type View } from "./Execute.ts"
import type { Assignment, FromWorker, ToWorker } from "./messages.ts"
import * as SharedTotals from "./SharedTotals.ts"

const port = parentPort
if (port === null) throw new Error("This is a thread of sluice-load, and does nothing by itself")

const assignment: Assignment = workerData
const tell = (message: FromWorker): void => port.postMessage(message)

const program = Effect.gen(function* () {
  const { plan, share, tells, totals } = assignment
  const started = yield* Deferred.make<number>()
  let view: View | undefined
  port.on("message", (message: ToWorker) => {
    switch (message.kind) {
      case "start":
        Deferred.doneUnsafe(started, Effect.succeed(message.atMillis))
        return
      case "stop":
        view?.stop(message.reason)
        return
      case "cut":
        if (view === undefined) tell({ kind: "failed", message: "nothing has begun" })
        else
          tell({
            kind: "done",
            ending: { kind: "stopped", reason: "interrupted" },
            result: Codec.encode(view.result())
          })
    }
  })
  const prepared = yield* prepare(plan, share)
  tell({ kind: "ready" })
  const startAtMillis = yield* Deferred.await(started)
  const { ending, result } = yield* run(prepared, {
    startAtMillis,
    live: SharedTotals.liveOf(SharedTotals.attach(totals)),
    begun: (running) => {
      view = running
    },
    ...(tells ? { watch: ({ result }: View) => tell({ kind: "progress", result: Codec.encode(result()) }) } : {})
  })
  tell({ kind: "done", ending, result: Codec.encode(result) })
})

Effect.runPromise(Effect.scoped(program)).then(
  // Whoever started the thread ends it, once the last message has arrived.
  undefined,
  (error: unknown) => tell({ kind: "failed", message: error instanceof Error ? error.message : String(error) })
)
