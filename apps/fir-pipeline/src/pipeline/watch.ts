// What can be seen of a session while it is worked on, here or elsewhere.
//
// A watch looks when work here ends, and once a second: another process may work on
// the session, and places in the line change.
import { Deferred, Effect, Queue, Stream } from "effect"
import * as Draft from "../Draft.ts"
import type { LimitsApi } from "../Limits.ts"
import type { Outcome, PipelineError, Progress, SessionNotFound } from "../Pipeline.ts"
import type { Session, StoreApi, StoreError } from "../Store.ts"
import type { Working } from "../Working.ts"

export interface Options {
  readonly find: (sessionId: string) => Effect.Effect<Session, SessionNotFound | StoreError>
  readonly limits: LimitsApi
  readonly store: StoreApi
  readonly working: Working<Outcome, PipelineError>
}

const LOOK_EVERY = "1 second"

const contentOf = ({ state, step }: Pick<Session, "state" | "step">) =>
  Effect.map(Effect.orDie(Draft.decode(state)), (draft) => Draft.contentOf(step, draft))

export const makeWatch = ({ find, limits, store, working }: Options) =>
  Effect.gen(function* () {
    const over = yield* Deferred.make<void>()

    const status = Effect.fn("Pipeline.status")(function* (sessionId: string) {
      const session = yield* find(sessionId)
      const isWorking =
        working.has(sessionId) || (session.status === "awaiting_validation" && (yield* store.claimed(sessionId)))
      return { session, working: isWorking, place: limits.place(sessionId), content: yield* contentOf(session) }
    })

    const look = (sessionId: string) =>
      Effect.map(
        status(sessionId),
        ({ content, place, session, working }): Progress => ({
          status: working ? "processing" : session.status,
          step: session.step,
          version: session.version,
          place,
          content
        })
      )

    const watch = (sessionId: string) =>
      Stream.callback<Progress, SessionNotFound | StoreError>((queue) =>
        Effect.gen(function* () {
          let told = ""
          while (true) {
            const progress = yield* look(sessionId)
            const news = JSON.stringify([progress.status, progress.version, progress.place])
            if (news !== told) Queue.offerUnsafe(queue, progress)
            told = news
            if (progress.status === "completed" || progress.status === "expired") break
            const stopped = yield* Effect.raceFirst(
              Effect.as(Deferred.await(over), true),
              Effect.as(Effect.raceFirst(working.ended(sessionId), Effect.sleep(LOOK_EVERY)), false)
            )
            if (stopped) break
          }
          Queue.endUnsafe(queue)
        })
      )

    const versions = Effect.fn("Pipeline.versions")(function* (sessionId: string) {
      yield* find(sessionId)
      const all = yield* store.versions(sessionId)
      return yield* Effect.forEach(all, (version) =>
        Effect.map(contentOf(version), (content) => ({ ...version, content }))
      )
    })

    return { status, watch, versions, endWatches: Effect.asVoid(Deferred.succeed(over, undefined)) }
  })
