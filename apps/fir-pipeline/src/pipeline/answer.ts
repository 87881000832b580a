// An officer's answer to a step: the next step is made, and then kept, once.
import { Clock, Effect, Option } from "effect"
import * as Draft from "../Draft.ts"
import type { LimitsApi } from "../Limits.ts"
import type { Law } from "../law/Law.ts"
import { isStep, next, type Step } from "../Machine.ts"
import type { ModelError } from "../Models.ts"
import {
  type Answer,
  Conflict,
  NotAwaiting,
  type Outcome,
  type PipelineError,
  type SessionNotFound
} from "../Pipeline.ts"
import type { NoFreeNumber } from "../Steps.ts"
import type { Session, StoreApi, StoreError } from "../Store.ts"
import type { TelemetryApi } from "../Telemetry.ts"
import type { Working } from "../Working.ts"
import { type Asked, fingerprint, type KeptAnswers, messageOf } from "./outcome.ts"

export interface Options {
  readonly find: (sessionId: string) => Effect.Effect<Session, SessionNotFound | StoreError>
  readonly kept: KeptAnswers
  readonly law: Law
  readonly limits: LimitsApi
  readonly make: (
    sessionId: string,
    step: Step
  ) => (draft: Draft.Draft) => Effect.Effect<Draft.Draft, ModelError | StoreError | NoFreeNumber>
  readonly store: StoreApi
  readonly telemetry: TelemetryApi
  readonly working: Working<Outcome, PipelineError>
}

const cameFirst = new Conflict({ detail: "Another answer to this step came first" })

export const makeAnswer = ({ find, kept, law, limits, make, store, telemetry, working }: Options) => {
  const work = Effect.fnUntraced(function* (answer: Answer, session: Session, asked: Asked) {
    const { event, input, sessionId } = answer
    const step = session.step
    const to = next(isStep(step) ? step : "expired", event)
    if (!isStep(step) || to === undefined) return yield* new NotAwaiting({ detail: `The session is ${step}` })
    const before = yield* Effect.orDie(Draft.decode(session.state))
    const noted = input === "" ? before : yield* Draft.note(law, before, step, input)
    // A correction given with the last approval is in the report that it completes.
    const corrected = event === "approve" && to === "completed" && input !== ""
    const toMake = event === "regenerate" || corrected ? step : event === "approve" && isStep(to) ? to : undefined
    const made =
      toMake === undefined
        ? noted
        : yield* Effect.catchTag(make(sessionId, toMake)(noted), "NoFreeNumber", () =>
            Effect.fail(new Conflict({ detail: "Cannot find a free report number" }))
          )
    const now = yield* Clock.currentTimeMillis
    const outcome: Outcome = {
      sessionId,
      step: to,
      version: session.version + 1,
      content: Draft.contentOf(to, made),
      completed: to === "completed",
      message: event === "reject" ? `Rejected; ${messageOf(to).toLowerCase()}` : messageOf(to)
    }
    yield* store
      .change({
        session: {
          ...session,
          step: to,
          status: to === "completed" ? "completed" : "awaiting_validation",
          state: JSON.stringify(made),
          lastActivity: now
        },
        entry: { step, action: event, by: answer.by, at: now, input: input === "" ? null : input },
        fir:
          made.firNumber === undefined || made.firContent === undefined
            ? undefined
            : {
                firNumber: made.firNumber,
                sessionId,
                complaintText: made.transcript,
                firContent: made.firContent,
                violationsJson: JSON.stringify(made.violations ?? [])
              },
        keep: kept.keep(asked, outcome)
      })
      .pipe(
        Effect.catchTag("NumberTaken", () =>
          Effect.fail(new Conflict({ detail: "The report number was taken meanwhile; give the answer again" }))
        )
      )
    return outcome
  })

  /** No other process works on the session while this one does, and none has since it was read. */
  const alone = (answer: Answer, seen: Session, asked: Asked) =>
    Effect.scoped(
      Effect.gen(function* () {
        if (Option.isNone(yield* store.claim(seen.sessionId))) {
          return yield* new Conflict({ detail: "Another server works on an answer to this step" })
        }
        const session = yield* find(seen.sessionId)
        if (session.version !== seen.version) {
          const again = yield* kept.find(asked)
          return again ?? (yield* cameFirst)
        }
        return yield* limits.report(session, work(answer, session, asked))
      })
    ).pipe(
      Effect.catchTag("StaleVersion", () => Effect.fail(cameFirst)),
      (run) => kept.orElsewhere(asked, run)
    )

  return Effect.fn("Pipeline.answer")(function* (answer: Answer) {
    const { expectedStep, idempotencyKey, sessionId } = answer
    const asked: Asked = {
      key: idempotencyKey === undefined ? undefined : fingerprint("validate", sessionId, idempotencyKey),
      mark: fingerprint(sessionId, answer.event, answer.input, expectedStep ?? "")
    }
    const again = yield* kept.find(asked)
    if (again !== undefined) return again
    const session = yield* find(sessionId)
    if (expectedStep !== undefined && expectedStep !== session.step) {
      return yield* new Conflict({ detail: `The session is at ${session.step}, not at ${expectedStep}` })
    }
    if (session.status === "completed" && answer.event === "approve") {
      const draft = yield* Effect.orDie(Draft.decode(session.state))
      return {
        sessionId,
        step: "completed",
        version: session.version,
        content: Draft.contentOf("completed", draft),
        completed: true,
        message: messageOf("completed")
      } satisfies Outcome
    }
    if (!isStep(session.step)) {
      return yield* new NotAwaiting({ detail: `The session is ${session.status}: it awaits no validation` })
    }
    return yield* working.once(
      sessionId,
      asked.mark,
      telemetry.step(session.step, alone(answer, session, asked)),
      new Conflict({ detail: "Another answer to this step is being worked on" })
    )
  })
}
