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
import { extract, type Facts } from "./Facts.ts"
import { Limits, type Overloaded } from "./Limits.ts"
import { citation, type Law, type Offence, type Proposal } from "./law/Law.ts"
import { type Event, isStep, next, type Step } from "./Machine.ts"
import { type ModelError, Models } from "./Models.ts"
import * as Prompt from "./Prompt.ts"
import { missing, render, type Violation } from "./Report.ts"
import { type HistoryEntry, type KeptAnswer, type Session, Store, type StoreError } from "./Store.ts"
import { sentences } from "./sentences.ts"
import { Telemetry } from "./Telemetry.ts"

/** How many sections are checked against a complaint. */
const CANDIDATES = 8
const NUMBERS_TRIED = 100

export class SessionNotFound extends Data.TaggedError("SessionNotFound")<{ readonly sessionId: string }> {}
export class FirNotFound extends Data.TaggedError("FirNotFound")<{ readonly firNumber: string }> {}
/** The session does not take this answer now. */
export class NotAwaiting extends Data.TaggedError("NotAwaiting")<{ readonly detail: string }> {}
/** Another answer to the same question came first, or is being worked on. */
export class Conflict extends Data.TaggedError("Conflict")<{ readonly detail: string }> {}

/** What the officer wrote cannot be followed. */
export class BadEdit extends Data.TaggedError("BadEdit")<{ readonly detail: string }> {}

export type PipelineError = BadEdit | SessionNotFound | NotAwaiting | Conflict | Overloaded | ModelError | StoreError

const ViolationSchema = Schema.Struct({
  section: Schema.String,
  title: Schema.String,
  punishment: Schema.String,
  cognizable: Schema.String,
  bailable: Schema.String,
  court: Schema.String,
  citation: Schema.String,
  score: Schema.Number,
  reason: Schema.String,
  status: Schema.Literals(["confirmed", "unchecked"])
})

const Considered = Schema.Struct({
  section: Schema.String,
  title: Schema.String,
  score: Schema.Number,
  reason: Schema.String
})

const State = Schema.Struct({
  transcript: Schema.String,
  notes: Schema.Array(Schema.Struct({ step: Schema.String, text: Schema.String })),
  summary: Schema.optionalKey(Schema.String),
  violations: Schema.optionalKey(Schema.Array(ViolationSchema)),
  considered: Schema.optionalKey(Schema.Array(Considered)),
  narrative: Schema.optionalKey(Schema.String),
  unsupported: Schema.optionalKey(Schema.Array(Schema.String)),
  unchecked: Schema.optionalKey(Schema.Array(Schema.String)),
  firNumber: Schema.optionalKey(Schema.String),
  firContent: Schema.optionalKey(Schema.String)
})
type State = typeof State.Type
const StateJson = Schema.fromJsonString(State)
const decodeState = Schema.decodeUnknownEffect(StateJson)

export type Content = { readonly [key: string]: unknown }

export interface Outcome {
  readonly sessionId: string
  readonly step: string
  readonly version: number
  readonly content: Content
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
  readonly content: Content
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

const notesText = (state: State): string => state.notes.map(({ text }) => text).join("\n")
const factsOf = (state: State): Facts => extract(state.transcript, notesText(state))

const contentOf = (step: string, state: State): Content => {
  const facts = factsOf(state)
  switch (step) {
    case "transcript_review":
      return { transcript: state.transcript, facts, missing: missing(facts) }
    case "summary_review":
      return { summary: state.summary, original_transcript: state.transcript, facts, missing: missing(facts) }
    case "violations_review":
      return { violations: state.violations, considered: state.considered, summary: state.summary }
    case "fir_narrative_review":
      return { fir_narrative: state.narrative, violations: state.violations }
    case "final_review":
    case "completed":
      return {
        fir_content: state.firContent,
        fir_number: state.firNumber,
        missing: missing(facts),
        unsupported_statements: state.unsupported ?? [],
        unchecked_statements: state.unchecked ?? []
      }
    default:
      return {}
  }
}

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

/** `FIR-{first 8 of the session id}-{YYYYMMDDHHMMSS}`, in UTC. */
export const firNumber = (sessionId: string, millis: number): string =>
  `FIR-${sessionId.slice(0, 8)}-${new Date(millis).toISOString().replace(/\D/g, "").slice(0, 14)}`

const reasonOf = ({ elementsFound, found, offence }: Proposal): string =>
  `${elementsFound} of ${offence.elements.length} elements show: ${found.slice(0, 6).join(", ").replaceAll("*", "")}`

const violation = (proposal: Proposal, status: Violation["status"]): Violation => ({
  section: proposal.offence.section,
  title: proposal.offence.title,
  punishment: proposal.offence.punishment,
  cognizable: proposal.offence.cognizable,
  bailable: proposal.offence.bailable,
  court: proposal.offence.court,
  citation: citation(proposal.offence),
  score: proposal.score,
  reason: reasonOf(proposal),
  status
})

const chosen = (offence: Offence): Violation => ({
  section: offence.section,
  title: offence.title,
  punishment: offence.punishment,
  cognizable: offence.cognizable,
  bailable: offence.bailable,
  court: offence.court,
  citation: citation(offence),
  score: 0,
  reason: "chosen by the officer",
  status: "confirmed"
})

/** Follows the lines by which an officer changes what was made: sections, summary and narrative. */
const edit = (law: Law, state: State, input: string): Effect.Effect<State, BadEdit> =>
  Effect.gen(function* () {
    let edited = state
    for (const line of input.split("\n")) {
      const match = /^\s*(Add sections?|Remove sections?|Summary|Narrative)\s*:\s*(\S.*)$/iu.exec(line)
      const [, command = "", value = ""] = match ?? []
      switch (command.toLowerCase().replace(/s$/, "")) {
        case "summary":
          edited = { ...edited, summary: value.trim() }
          break
        case "narrative":
          edited = { ...edited, narrative: value.trim() }
          break
        case "add section":
        case "remove section": {
          if (edited.violations === undefined) {
            return yield* new BadEdit({ detail: "Sections can be changed once they were proposed" })
          }
          const sections = value.split(/[,;]/).map((section) => section.trim())
          const unknown = sections.filter((section) => law.section(section) === undefined)
          if (unknown.length > 0) {
            return yield* new BadEdit({
              detail: `The table of offences has no section ${unknown.join(", ").slice(0, 200)}`
            })
          }
          const others = edited.violations.filter(({ section }) => !sections.includes(section))
          const added = sections.flatMap((section) => {
            const offence = law.section(section)
            return offence === undefined
              ? []
              : [edited.violations?.find((known) => known.section === section) ?? chosen(offence)]
          })
          edited = { ...edited, violations: /^add/i.test(command) ? [...others, ...added] : others }
          break
        }
      }
    }
    return edited
  })

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

      const summarise = (state: State) =>
        Effect.map(
          models.infer(
            Prompt.summary(state.transcript, factsOf(state), notesText(state)),
            options.inferenceTimeoutSeconds
          ),
          (summary): State => ({ ...state, summary: summary.trim() })
        )

      const check = (state: State, proposal: Proposal) =>
        models
          .infer(
            Prompt.clauseCheck(state.transcript, proposal.offence, notesText(state)),
            options.clauseCheckTimeoutSeconds
          )
          .pipe(
            Effect.map((result) => (/^\s*yes\b/i.test(result) ? ("confirmed" as const) : ("rejected" as const))),
            Effect.catchTag("ModelTimeout", () => Effect.succeed("unchecked" as const)),
            Effect.map((verdict) => ({ proposal, verdict }))
          )

      const findViolations = Effect.fnUntraced(function* (state: State) {
        const proposals = options.law.rank(`${state.transcript}\n${notesText(state)}`, CANDIDATES)
        const checked = yield* Effect.forEach(proposals, (proposal) => check(state, proposal), {
          concurrency: "unbounded"
        })
        return {
          ...state,
          violations: checked.flatMap(({ proposal, verdict }) =>
            verdict === "rejected" ? [] : [violation(proposal, verdict)]
          ),
          considered: checked.flatMap(({ proposal, verdict }) =>
            verdict === "rejected"
              ? [
                  {
                    section: proposal.offence.section,
                    title: proposal.offence.title,
                    score: proposal.score,
                    reason: reasonOf(proposal)
                  }
                ]
              : []
          )
        } satisfies State
      })

      const narrate = (state: State) =>
        Effect.map(
          models.infer(
            Prompt.narrative(
              state.transcript,
              factsOf(state),
              state.summary ?? "",
              (state.violations ?? []).map(({ section, title }) => `${section} ${title}`),
              notesText(state)
            ),
            options.inferenceTimeoutSeconds
          ),
          (narrative): State => ({ ...state, narrative: narrative.trim() })
        )

      const verify = (state: State, statement: string) =>
        models
          .infer(
            Prompt.statementCheck(state.transcript, statement, notesText(state)),
            options.clauseCheckTimeoutSeconds
          )
          .pipe(
            Effect.map((result) => (/^\s*yes\b/i.test(result) ? ("supported" as const) : ("unsupported" as const))),
            Effect.catchTag("ModelTimeout", () => Effect.succeed("unchecked" as const)),
            Effect.map((verdict) => ({ statement, verdict }))
          )

      const report = (sessionId: string) =>
        Effect.fnUntraced(function* (state: State) {
          const statements = sentences(state.narrative ?? "")
          const verified = yield* Effect.forEach(statements, (statement) => verify(state, statement), {
            concurrency: "unbounded"
          })
          const now = yield* Clock.currentTimeMillis
          const number = state.firNumber ?? (yield* freeNumber(sessionId, now))
          const of = (verdict: string) =>
            verified.filter((entry) => entry.verdict === verdict).map(({ statement }) => statement)
          return {
            ...state,
            firNumber: number,
            unsupported: of("unsupported"),
            unchecked: of("unchecked"),
            firContent: render({
              firNumber: number,
              registeredAt: now,
              facts: factsOf(state),
              complaint: state.transcript,
              summary: state.summary ?? "",
              narrative: state.narrative ?? "",
              violations: state.violations ?? []
            })
          } satisfies State
        })

      const freeNumber = (sessionId: string, now: number): Effect.Effect<string, StoreError | Conflict> => {
        const attempt = (index: number): Effect.Effect<string, StoreError | Conflict> => {
          if (index === NUMBERS_TRIED) return Effect.fail(new Conflict({ detail: "Cannot find a free report number" }))
          const number = firNumber(sessionId, now + index * 1000)
          return Effect.flatMap(store.fir(number), (taken) =>
            taken === undefined ? Effect.succeed(number) : attempt(index + 1)
          )
        }
        return attempt(0)
      }

      /** Makes what the officer reviews at a step from what was approved before it. */
      const make = (
        sessionId: string,
        step: Step
      ): ((state: State) => Effect.Effect<State, ModelError | StoreError | Conflict>) => {
        switch (step) {
          case "transcript_review":
            return Effect.succeed
          case "summary_review":
            return summarise
          case "violations_review":
            return findViolations
          case "fir_narrative_review":
            return narrate
          case "final_review":
            return report(sessionId)
        }
      }

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
          const state: State = { transcript: complaint, notes: [] }
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
            content: contentOf(session.step, state),
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
        const before = yield* Effect.orDie(decodeState(session.state))
        const noted: State =
          input === ""
            ? before
            : yield* edit(options.law, { ...before, notes: [...before.notes, { step, text: input }] }, input)
        const made =
          event === "reject"
            ? noted
            : event === "regenerate"
              ? yield* make(sessionId, step)(noted)
              : isStep(to)
                ? yield* make(sessionId, to)(noted)
                : // A correction given with the last approval is in the report that it completes.
                  input === ""
                  ? noted
                  : yield* make(sessionId, step)(noted)
        const now = yield* Clock.currentTimeMillis
        const outcome: Outcome = {
          sessionId,
          step: to,
          version: session.version + 1,
          content: contentOf(to, made),
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
          const state = yield* Effect.orDie(decodeState(session.state))
          return {
            sessionId: session.sessionId,
            step: "completed",
            version: session.version,
            content: contentOf("completed", state),
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
          const state = yield* Effect.orDie(decodeState(session.state))
          return {
            session,
            working: working.has(sessionId),
            content: contentOf(session.step, state),
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
