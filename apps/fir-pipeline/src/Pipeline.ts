/**
 * The way from a complaint to a report: what each answer of the officer does to the
 * session, and what can be seen of it meanwhile.
 *
 * Work is done first and stored last, in one change that names the version it was
 * made from. A process that dies in between leaves the session as it was, and the
 * officer's answer can be given again.
 *
 * @module
 */
import { Context, Data, type Effect, type Stream } from "effect"
import type * as Draft from "./Draft.ts"
import type { Overloaded } from "./Limits.ts"
import type { Event } from "./Machine.ts"
import type { ModelError } from "./Models.ts"
import type { Earlier, HistoryEntry, Session, StoreError, Version } from "./Store.ts"
import type { Upload } from "./Uploads.ts"

/** Signs that a complaint has. */
export const TEXT_LEAST = 10
export const TEXT_MOST = 50_000

export class SessionNotFound extends Data.TaggedError("SessionNotFound")<{ readonly sessionId: string }> {}
/** The session does not take this answer now. */
export class NotAwaiting extends Data.TaggedError("NotAwaiting")<{ readonly detail: string }> {}
/** Another answer to the same question came first, or is being worked on. */
export class Conflict extends Data.TaggedError("Conflict")<{ readonly detail: string }> {}

/** Nothing that could be a complaint was found in the file. */
export class Unreadable extends Data.TaggedError("Unreadable")<{ readonly detail: string }> {}

export type PipelineError =
  | Unreadable
  | Draft.BadEdit
  | SessionNotFound
  | NotAwaiting
  | Conflict
  | Overloaded
  | ModelError
  | StoreError

/** What a request comes to. */
export interface Outcome {
  readonly sessionId: string
  readonly step: string
  readonly version: number
  readonly content: Draft.Content
  readonly completed: boolean
  readonly message: string
  /** The same complaint, submitted before. */
  readonly duplicateOf?: Earlier
}

export interface Submission {
  readonly complaint: string | Upload
  readonly urgent: boolean
  readonly by: string
  readonly idempotencyKey?: string | undefined
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
  /** How many are served before it, itself counted, while it waits. */
  readonly place: number | undefined
  readonly content: Draft.Content
}

/** What is told to whoever watches a session. */
export interface Progress {
  readonly status: "processing" | Session["status"]
  readonly step: string
  readonly version: number
  readonly place: number | undefined
  readonly content: Draft.Content
}

export interface PipelineApi {
  submit(submission: Submission): Effect.Effect<Outcome, PipelineError>
  answer(answer: Answer): Effect.Effect<Outcome, PipelineError>
  status(sessionId: string): Effect.Effect<SessionStatus, SessionNotFound | StoreError>
  history(sessionId: string): Effect.Effect<ReadonlyArray<HistoryEntry>, StoreError>
  /** What the session held after each of its changes. */
  versions(
    sessionId: string
  ): Effect.Effect<ReadonlyArray<Version & { readonly content: Draft.Content }>, SessionNotFound | StoreError>
  /** What becomes of a session, from how it is now until it is complete. */
  watch(sessionId: string): Stream.Stream<Progress, SessionNotFound | StoreError>
  /** Ends every watch, so that the server can end. */
  readonly endWatches: Effect.Effect<void>
  /** Expires what is idle and forgets what need not be kept. */
  readonly tidy: Effect.Effect<number, StoreError>
  /** How many sessions are being worked on. */
  working(): number
}

export const Pipeline: Context.Service<PipelineApi, PipelineApi> = Context.Service<PipelineApi>("fir-pipeline/Pipeline")
