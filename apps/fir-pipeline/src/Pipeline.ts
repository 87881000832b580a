/**
 * The way from a complaint to a report: what each step asks the models, and what
 * each answer of the officer does to the session.
 *
 * Work is done first and stored last, in one change that names the version it was
 * made from. A process that dies in between leaves the session as it was, and the
 * officer's answer can be given again.
 *
 * @module
 */
import { createHash, randomUUID } from "node:crypto"
import { Clock, Context, Data, Deferred, Effect, type Exit, Layer, Schema } from "effect"
import * as Draft from "./Draft.ts"
import { Limits, type Overloaded } from "./Limits.ts"
import type { Law } from "./law/Law.ts"
import { type Event, isStep, next } from "./Machine.ts"
import { type ModelError, Models } from "./Models.ts"
import { makeSteps } from "./Steps.ts"
import { type HistoryEntry, type KeptAnswer, type Session, Store, type StoreError } from "./Store.ts"
import { Telemetry } from "./Telemetry.ts"

export class SessionNotFound extends Data.TaggedError("SessionNotFound")<{ readonly sessionId: string }> {}
/** The session does not take this answer now. */
export class NotAwaiting extends Data.TaggedError("NotAwaiting")<{ readonly detail: string }> {}
/** Another answer to the same question came first, or is being worked on. */
export class Conflict extends Data.TaggedError("Conflict")<{ readonly detail: string }> {}

export type PipelineError =
  | Draft.BadEdit
  | SessionNotFound
  | NotAwaiting
  | Conflict
  | Overloaded
  | ModelError
  | StoreError

export interface Outcome {
  readonly sessionId: string
  readonly step: string
  readonly version: number
  readonly content: Draft.Content
  readonly completed: boolean
  readonly message: string
}

export interface Answer {
  readonly sessionId: string
  readonly event: Exclude<Event, "expire">
  readonly input: string
  /** The step that the officer saw; refused when the session is at another. */
  readonly expectedStep?: string | undefined
  readonly by: string
  readonly idempotencyKey?: string | undefined
}

export interface SessionStatus {
  readonly session: Session
  readonly working: boolean
  readonly content: Draft.Content
  readonly history: ReadonlyArray<HistoryEntry>
}

export interface PipelineApi {
  start(complaint: string, by: string, idempotencyKey?: string): Effect.Effect<Outcome, PipelineError>
  answer(answer: Answer): Effect.Effect<Outcome, PipelineError>
  status(sessionId: string): Effect.Effect<SessionStatus, SessionNotFound | StoreError>
  readonly expireIdle: Effect.Effect<number, StoreError>
  /** How many sessions are being worked on. */
  working(): number
}

export const Pipeline: Context.Service<PipelineApi, PipelineApi> = Context.Service<PipelineApi>("fir-pipeline/Pipeline")

const OutcomeJson = Schema.fromJsonString(
  Schema.Struct({
    sessionId: Schema.String,
    step: Schema.String,
    version: Schema.Number,
    content: Schema.Record(Schema.String, Schema.Unknown),
    completed: Schema.Boolean,
    message: Schema.String
  })
)
const decodeOutcome = Schema.decodeUnknownEffect(OutcomeJson)

const messageOf = (step: string): string => {
  switch (step) {
    case "completed":
      return "The report is complete"
    case "expired":
      return "The session has expired"
    default:
      return `Awaiting validation: ${step}`
  }
}

const fingerprint = (...parts: ReadonlyArray<string>): string =>
  createHash("sha256").update(JSON.stringify(parts)).digest("hex")

interface Working {
  readonly fingerprint: string
  readonly result: Deferred.Deferred<Outcome, PipelineError>
}

export interface Options {
  readonly law: Law
  readonly inferenceTimeoutSeconds: number
  readonly clauseCheckTimeoutSeconds: number
  readonly sessionTimeoutSeconds: number
}

export const layer = (options: Options) =>
  Layer.effect(
    Pipeline,
    Effect.gen(function* () {
      const models = yield* Models
      const store = yield* Store
      const limits = yield* Limits
      const telemetry = yield* Telemetry
      const working = new Map<string, Working>()

      const make = makeSteps({ ...options, models, store })

      const kept = Effect.fnUntraced(function* (key: string, mark: string) {
        const answer = yield* store.answer(key)
        if (answer === undefined) return undefined
        if (answer.fingerprint !== mark) {
          return yield* new Conflict({ detail: "This Idempotency-Key was used for another request" })
        }
        return yield* Effect.orDie(decodeOutcome(answer.answer))
      })

      const keep = (key: string | undefined, mark: string, outcome: Outcome): KeptAnswer | undefined =>
        key === undefined ? undefined : { key, fingerprint: mark, answer: JSON.stringify(outcome) }

      /** One worker for each key: who asks the same meanwhile gets the same answer, who asks otherwise is refused. */
      const once = <E extends PipelineError>(key: string, mark: string, work: Effect.Effect<Outcome, E>) =>
        Effect.suspend((): Effect.Effect<Outcome, PipelineError> => {
          const other = working.get(key)
          if (other !== undefined) {
            return other.fingerprint === mark
              ? Deferred.await(other.result)
              : Effect.fail(new Conflict({ detail: "Another answer to this step is being worked on" }))
          }
          const result = Deferred.makeUnsafe<Outcome, PipelineError>()
          working.set(key, { fingerprint: mark, result })
          // Work goes on when the one who asked for it hangs up: the others wait for it, and it is paid for.
          const run = work.pipe(
            Effect.onExit((exit: Exit.Exit<Outcome, PipelineError>) =>
              Effect.sync(() => {
                working.delete(key)
                Deferred.doneUnsafe(result, exit)
              })
            ),
            Effect.exit
          )
          return Effect.andThen(Effect.forkIn(run, scope), Deferred.await(result))
        })

      const scope = yield* Effect.scope

      const start = Effect.fn("Pipeline.start")(function* (complaint: string, by: string, idempotencyKey?: string) {
        const mark = fingerprint(complaint)
        const key = idempotencyKey === undefined ? undefined : `process ${by} ${idempotencyKey}`
        const work = Effect.gen(function* () {
          if (key !== undefined) {
            const again = yield* kept(key, mark)
            if (again !== undefined) return again
          }
          const now = yield* Clock.currentTimeMillis
          const state: Draft.Draft = { transcript: complaint, notes: [] }
          const session: Session = {
            sessionId: randomUUID(),
            step: "transcript_review",
            status: "awaiting_validation",
            version: 1,
            state: JSON.stringify(state),
            createdAt: now,
            lastActivity: now
          }
          const outcome: Outcome = {
            sessionId: session.sessionId,
            step: session.step,
            version: 1,
            content: Draft.contentOf(session.step, state),
            completed: false,
            message: messageOf(session.step)
          }
          yield* store.create(
            session,
            { step: "process", action: "submit", by, at: now, input: null },
            keep(key, mark, outcome)
          )
          return outcome
        })
        return yield* key === undefined ? work : once(key, mark, work)
      })

      const work = Effect.fnUntraced(function* (
        answer: Answer,
        session: Session,
        key: string | undefined,
        mark: string
      ) {
        const { event, input, sessionId } = answer
        const step = session.step
        const to = next(isStep(step) ? step : "expired", event)
        if (!isStep(step) || to === undefined) return yield* new NotAwaiting({ detail: `The session is ${step}` })
        const before = yield* Effect.orDie(Draft.decode(session.state))
        const noted: Draft.Draft =
          input === ""
            ? before
            : yield* Draft.edit(options.law, { ...before, notes: [...before.notes, { step, text: input }] }, input)
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
            keep: keep(key, mark, outcome)
          })
          .pipe(
            Effect.catchTag("StaleVersion", () =>
              Effect.fail(new Conflict({ detail: "Another answer to this step came first" }))
            ),
            Effect.catchTag("NumberTaken", () =>
              Effect.fail(new Conflict({ detail: "The report number was taken meanwhile; give the answer again" }))
            )
          )
        return outcome
      })

      const find = Effect.fnUntraced(function* (sessionId: string) {
        const session = yield* store.session(sessionId)
        if (session === undefined) return yield* new SessionNotFound({ sessionId })
        return session
      })

      const answer = Effect.fn("Pipeline.answer")(function* (asked: Answer) {
        const mark = fingerprint(asked.sessionId, asked.event, asked.input, asked.expectedStep ?? "")
        const key =
          asked.idempotencyKey === undefined ? undefined : `validate ${asked.sessionId} ${asked.idempotencyKey}`
        if (key !== undefined) {
          const again = yield* kept(key, mark)
          if (again !== undefined) return again
        }
        const session = yield* find(asked.sessionId)
        if (asked.expectedStep !== undefined && asked.expectedStep !== session.step) {
          return yield* new Conflict({ detail: `The session is at ${session.step}, not at ${asked.expectedStep}` })
        }
        if (session.status === "completed" && asked.event === "approve") {
          const state = yield* Effect.orDie(Draft.decode(session.state))
          return {
            sessionId: session.sessionId,
            step: "completed",
            version: session.version,
            content: Draft.contentOf("completed", state),
            completed: true,
            message: messageOf("completed")
          }
        }
        if (!isStep(session.step)) {
          return yield* new NotAwaiting({ detail: `The session is ${session.status}: it awaits no validation` })
        }
        return yield* once(
          session.sessionId,
          mark,
          telemetry.step(session.step, limits.report(work(asked, session, key, mark)))
        )
      })

      return {
        start,
        answer,
        status: Effect.fn("Pipeline.status")(function* (sessionId: string) {
          const session = yield* find(sessionId)
          const state = yield* Effect.orDie(Draft.decode(session.state))
          return {
            session,
            working: working.has(sessionId),
            content: Draft.contentOf(session.step, state),
            history: yield* store.history(sessionId)
          }
        }),
        expireIdle: Effect.flatMap(Clock.currentTimeMillis, (now) =>
          store.expire(now - options.sessionTimeoutSeconds * 1000)
        ),
        working: () => working.size
      }
    })
  )
