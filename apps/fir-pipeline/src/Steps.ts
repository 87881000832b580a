/**
 * What is done to reach a step: what the models are asked, and what is made of
 * their answers.
 *
 * @module
 */
import { Clock, Data, Effect } from "effect"
import * as Draft from "./Draft.ts"
import type { Law, Proposal } from "./law/Law.ts"
import type { Step } from "./Machine.ts"
import type { ModelError, ModelsApi } from "./Models.ts"
import * as Prompt from "./Prompt.ts"
import { render } from "./Report.ts"
import type { StoreApi, StoreError } from "./Store.ts"
import { sentences } from "./sentences.ts"

/** How many sections are checked against a complaint. */
const CANDIDATES = 8
const NUMBERS_TRIED = 100

/** Every number that a session could have is taken. */
export class NoFreeNumber extends Data.TaggedError("NoFreeNumber")<{ readonly tried: number }> {}

/** `FIR-{first 8 of the session id}-{YYYYMMDDHHMMSS}`, in UTC. */
export const firNumber = (sessionId: string, millis: number): string =>
  `FIR-${sessionId.slice(0, 8)}-${new Date(millis).toISOString().replace(/\D/g, "").slice(0, 14)}`

export interface Options {
  readonly law: Law
  readonly models: ModelsApi
  readonly store: StoreApi
  readonly inferenceTimeoutSeconds: number
  readonly clauseCheckTimeoutSeconds: number
}

export const makeSteps = ({ clauseCheckTimeoutSeconds, inferenceTimeoutSeconds, law, models, store }: Options) => {
  const summarise = (state: Draft.Draft) =>
    Effect.map(
      models.infer(
        Prompt.summary(state.transcript, Draft.factsOf(state), Draft.notesText(state)),
        inferenceTimeoutSeconds
      ),
      (summary): Draft.Draft => ({ ...state, summary: summary.trim() })
    )

  const check = (state: Draft.Draft, proposal: Proposal) =>
    models
      .infer(Prompt.clauseCheck(state.transcript, proposal.offence, Draft.notesText(state)), clauseCheckTimeoutSeconds)
      .pipe(
        Effect.map((result) => (/^\s*yes\b/i.test(result) ? ("confirmed" as const) : ("rejected" as const))),
        Effect.catchTag("ModelTimeout", () => Effect.succeed("unchecked" as const)),
        Effect.map((verdict) => ({ proposal, verdict }))
      )

  const findViolations = Effect.fnUntraced(function* (state: Draft.Draft) {
    const proposals = law.rank(`${state.transcript}\n${Draft.notesText(state)}`, CANDIDATES)
    const checked = yield* Effect.forEach(proposals, (proposal) => check(state, proposal), {
      concurrency: "unbounded"
    })
    return {
      ...state,
      violations: checked.flatMap(({ proposal, verdict }) =>
        verdict === "rejected" ? [] : [Draft.violation(proposal, verdict)]
      ),
      considered: checked.flatMap(({ proposal, verdict }) =>
        verdict === "rejected"
          ? [
              {
                section: proposal.offence.section,
                title: proposal.offence.title,
                score: proposal.score,
                reason: Draft.reasonOf(proposal)
              }
            ]
          : []
      )
    } satisfies Draft.Draft
  })

  const narrate = (state: Draft.Draft) =>
    Effect.map(
      models.infer(
        Prompt.narrative(
          state.transcript,
          Draft.factsOf(state),
          state.summary ?? "",
          (state.violations ?? []).map(({ section, title }) => `${section} ${title}`),
          Draft.notesText(state)
        ),
        inferenceTimeoutSeconds
      ),
      (narrative): Draft.Draft => ({ ...state, narrative: narrative.trim() })
    )

  const verify = (state: Draft.Draft, statement: string) =>
    models
      .infer(Prompt.statementCheck(state.transcript, statement, Draft.notesText(state)), clauseCheckTimeoutSeconds)
      .pipe(
        Effect.map((result) => (/^\s*yes\b/i.test(result) ? ("supported" as const) : ("unsupported" as const))),
        Effect.catchTag("ModelTimeout", () => Effect.succeed("unchecked" as const)),
        Effect.map((verdict) => ({ statement, verdict }))
      )

  const report = (sessionId: string) =>
    Effect.fnUntraced(function* (state: Draft.Draft) {
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
          facts: Draft.factsOf(state),
          complaint: state.transcript,
          source: state.source,
          summary: state.summary ?? "",
          narrative: state.narrative ?? "",
          violations: state.violations ?? []
        })
      } satisfies Draft.Draft
    })

  const freeNumber = (sessionId: string, now: number): Effect.Effect<string, StoreError | NoFreeNumber> => {
    const attempt = (index: number): Effect.Effect<string, StoreError | NoFreeNumber> => {
      if (index === NUMBERS_TRIED) return Effect.fail(new NoFreeNumber({ tried: NUMBERS_TRIED }))
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
  ): ((state: Draft.Draft) => Effect.Effect<Draft.Draft, ModelError | StoreError | NoFreeNumber>) => {
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

  return make
}
