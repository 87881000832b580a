// A complaint comes in: its session is stored, and then answered.
import { randomUUID } from "node:crypto"
import { Clock, Effect } from "effect"
import * as Draft from "../Draft.ts"
import { Conflict, type Outcome, type PipelineError, type Submission } from "../Pipeline.ts"
import type { Session, StoreApi } from "../Store.ts"
import type { Working } from "../Working.ts"
import { type Asked, fingerprint, type KeptAnswers, messageOf } from "./outcome.ts"

export interface Options {
  readonly kept: KeptAnswers
  readonly store: StoreApi
  readonly working: Working<Outcome, PipelineError>
  readonly duplicateWindowMillis: number
}

/** What two submissions of one complaint have in common, however they are broken into lines. */
export const textMark = (complaint: string): string =>
  fingerprint(complaint.normalize("NFC").toLowerCase().replace(/\s+/g, " ").trim())

export const makeSubmit = ({ duplicateWindowMillis, kept, store, working }: Options) => {
  const open = Effect.fnUntraced(function* ({ by, complaint, urgent }: Submission, asked: Asked) {
    const now = yield* Clock.currentTimeMillis
    const draft: Draft.Draft = { transcript: complaint, notes: [] }
    const session: Session = {
      sessionId: randomUUID(),
      step: "transcript_review",
      status: "awaiting_validation",
      version: 1,
      state: JSON.stringify(draft),
      urgent,
      textMark: textMark(complaint),
      createdAt: now,
      lastActivity: now
    }
    const earlier = yield* store.earlier(session.textMark, now - duplicateWindowMillis)
    const outcome: Outcome = {
      sessionId: session.sessionId,
      step: session.step,
      version: session.version,
      content: Draft.contentOf(session.step, draft),
      completed: false,
      message: messageOf(session.step),
      ...(earlier === undefined ? {} : { duplicateOf: earlier })
    }
    const entry = { step: "process", action: "submit", by, at: now, input: null }
    yield* store.create(session, entry, kept.keep(asked, outcome))
    return outcome
  })

  return Effect.fn("Pipeline.submit")(function* (submission: Submission) {
    const { by, complaint, idempotencyKey, urgent } = submission
    const asked: Asked = {
      key: idempotencyKey === undefined ? undefined : fingerprint("process", by, idempotencyKey),
      mark: fingerprint(complaint, String(urgent))
    }
    const work = Effect.flatMap(kept.find(asked), (again) =>
      again === undefined ? kept.orElsewhere(asked, open(submission, asked)) : Effect.succeed(again)
    )
    if (asked.key === undefined) return yield* work
    const inUse = new Conflict({ detail: "This Idempotency-Key is being used for another request" })
    return yield* working.once(asked.key, asked.mark, work, inUse)
  })
}
