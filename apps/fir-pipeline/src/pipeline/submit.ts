// A complaint comes in: it is read, if it has to be, its session is stored, and then
// answered.
import { randomUUID } from "node:crypto"
import { Clock, Effect } from "effect"
import * as Draft from "../Draft.ts"
import type { LimitsApi } from "../Limits.ts"
import type { ModelsApi } from "../Models.ts"
import {
  Conflict,
  type Outcome,
  type PipelineError,
  type Submission,
  TEXT_LEAST,
  TEXT_MOST,
  Unreadable
} from "../Pipeline.ts"
import type { Session, StoreApi } from "../Store.ts"
import type { TelemetryApi } from "../Telemetry.ts"
import { describe, type Upload } from "../Uploads.ts"
import type { Working } from "../Working.ts"
import { type Asked, fingerprint, type KeptAnswers, messageOf } from "./outcome.ts"

export interface Options {
  readonly kept: KeptAnswers
  readonly limits: LimitsApi
  readonly models: ModelsApi
  readonly telemetry: TelemetryApi
  readonly store: StoreApi
  readonly working: Working<Outcome, PipelineError>
  readonly duplicateWindowMillis: number
}

/** What two submissions of one complaint have in common, however they are broken into lines. */
export const textMark = (complaint: string): string =>
  fingerprint(complaint.normalize("NFC").toLowerCase().replace(/\s+/g, " ").trim())

interface Read {
  readonly sessionId: string
  readonly draft: Draft.Draft
  /** The file that it was read from, for the history. */
  readonly file: string | null
}

export const makeSubmit = ({ duplicateWindowMillis, kept, limits, models, store, telemetry, working }: Options) => {
  const transcribe = Effect.fnUntraced(function* (upload: Upload) {
    const transcript = (yield* upload.kind === "image" ? models.read(upload) : models.transcribe(upload)).trim()
    if (transcript.length < TEXT_LEAST || transcript.length > TEXT_MOST) {
      return yield* new Unreadable({
        detail: `The ${upload.kind} holds ${transcript.length} signs of text; a complaint has ${TEXT_LEAST} to ${TEXT_MOST}`
      })
    }
    return transcript
  })

  const read = (sessionId: string, { complaint, urgent }: Submission): Effect.Effect<Read, PipelineError> =>
    typeof complaint === "string"
      ? Effect.succeed({ sessionId, draft: { transcript: complaint, notes: [] }, file: null })
      : Effect.map(
          telemetry.step("process", limits.report({ sessionId, urgent }, transcribe(complaint))),
          (transcript): Read => ({
            sessionId,
            draft: { transcript, source: complaint.kind, notes: [] },
            file: describe(complaint)
          })
        )

  const open = Effect.fnUntraced(function* (submission: Submission, asked: Asked) {
    const { by, urgent } = submission
    const { draft, file, sessionId } = yield* read(randomUUID(), submission)
    const now = yield* Clock.currentTimeMillis
    const session: Session = {
      sessionId,
      step: "transcript_review",
      status: "awaiting_validation",
      version: 1,
      state: JSON.stringify(draft),
      urgent,
      textMark: textMark(draft.transcript),
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
    const entry = { step: "process", action: "submit", by, at: now, input: file }
    yield* store.create(session, entry, kept.keep(asked, outcome))
    return outcome
  })

  return Effect.fn("Pipeline.submit")(function* (submission: Submission) {
    const { by, complaint, idempotencyKey, urgent } = submission
    const asked: Asked = {
      key: idempotencyKey === undefined ? undefined : fingerprint("process", by, idempotencyKey),
      mark: fingerprint(typeof complaint === "string" ? complaint : describe(complaint), String(urgent))
    }
    const work = Effect.flatMap(kept.find(asked), (again) =>
      again === undefined ? kept.orElsewhere(asked, open(submission, asked)) : Effect.succeed(again)
    )
    if (asked.key === undefined) return yield* work
    const inUse = new Conflict({ detail: "This Idempotency-Key is being used for another request" })
    return yield* working.once(asked.key, asked.mark, work, inUse)
  })
}
