/**
 * The pipeline over its models, its store and its limits.
 *
 * @module
 */
import { Clock, Effect, Layer } from "effect"
import { Limits } from "../Limits.ts"
import type { Law } from "../law/Law.ts"
import { Models } from "../Models.ts"
import { type Outcome, Pipeline, type PipelineApi, type PipelineError, SessionNotFound } from "../Pipeline.ts"
import { makeSteps } from "../Steps.ts"
import { Store } from "../Store.ts"
import { Telemetry } from "../Telemetry.ts"
import * as Working from "../Working.ts"
import { makeAnswer } from "./answer.ts"
import { keptAnswers } from "./outcome.ts"
import { makeSubmit } from "./submit.ts"
import { makeWatch } from "./watch.ts"

const ANSWERS_KEPT_MILLIS = 24 * 60 * 60 * 1000

export interface Options {
  readonly law: Law
  readonly inferenceTimeoutSeconds: number
  readonly clauseCheckTimeoutSeconds: number
  readonly sessionTimeoutSeconds: number
  readonly duplicateWindowSeconds: number
}

export const layer = (options: Options) =>
  Layer.effect(
    Pipeline,
    Effect.gen(function* () {
      const models = yield* Models
      const store = yield* Store
      const limits = yield* Limits
      const telemetry = yield* Telemetry
      const working = Working.make<Outcome, PipelineError>(yield* Effect.scope)
      const kept = keptAnswers(store)
      const find = Effect.fnUntraced(function* (sessionId: string) {
        const session = yield* store.session(sessionId)
        if (session === undefined) return yield* new SessionNotFound({ sessionId })
        return session
      })
      const make = makeSteps({ ...options, models, store })
      const tidy = Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        yield* store.forget(now - ANSWERS_KEPT_MILLIS)
        return yield* store.expire(now - options.sessionTimeoutSeconds * 1000)
      })
      const api: PipelineApi = {
        submit: makeSubmit({
          kept,
          limits,
          models,
          store,
          telemetry,
          working,
          duplicateWindowMillis: options.duplicateWindowSeconds * 1000
        }),
        answer: makeAnswer({ find, kept, law: options.law, limits, make, store, telemetry, working }),
        ...(yield* makeWatch({ find, limits, store, working })),
        history: (sessionId) => store.history(sessionId),
        tidy,
        working: () => working.size()
      }
      return api
    })
  )
