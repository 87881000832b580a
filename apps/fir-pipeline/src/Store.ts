/**
 * Sessions and reports, kept in a database.
 *
 * A session is one row with a version. Every change names the version it was made
 * from and is refused when another came first, so two answers to one question can
 * never both be kept, in however many processes they were made. What a change
 * brings with it (its report, its audit entry, the answer kept for a repeated
 * request) is written in the same transaction.
 *
 * @module
 */
import { Context, Data, type Effect, type Option, type Scope } from "effect"

export type SessionStatus = "awaiting_validation" | "completed" | "expired"

export interface Session {
  readonly sessionId: string
  readonly step: string
  readonly status: SessionStatus
  readonly version: number
  /** What has been made and approved so far, as JSON. */
  readonly state: string
  /** Whether it goes before the others. */
  readonly urgent: boolean
  /** What two submissions of one complaint have in common. */
  readonly textMark: string
  readonly createdAt: number
  readonly lastActivity: number
}

export interface HistoryEntry {
  readonly step: string
  readonly action: string
  readonly by: string
  readonly at: number
  readonly version: number
  readonly input: string | null
}

/** A session as it was after one of its changes. */
export interface Version {
  readonly version: number
  readonly step: string
  readonly state: string
  readonly at: number
}

export type FirStatus = "pending" | "finalized"

export interface Fir {
  readonly firNumber: string
  readonly sessionId: string
  readonly complaintText: string
  readonly firContent: string
  readonly violationsJson: string
  readonly status: FirStatus
  readonly createdAt: number
  readonly finalizedAt: number | null
}

/** An earlier submission of the same complaint. */
export interface Earlier {
  readonly sessionId: string
  readonly createdAt: number
  readonly firNumber: string | null
}

/** The database did not do what it was asked. */
export class StoreError extends Data.TaggedError("StoreError")<{
  readonly operation: string
  readonly cause: unknown
}> {
  override get message(): string {
    return `Cannot ${this.operation}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

/** Another change of the session came first. */
export class StaleVersion extends Data.TaggedError("StaleVersion")<{
  readonly sessionId: string
  readonly version: number
}> {}

/** The number of a report is taken. */
export class NumberTaken extends Data.TaggedError("NumberTaken")<{ readonly firNumber: string }> {}

/** The same request was answered meanwhile. */
export class AlreadyAnswered extends Data.TaggedError("AlreadyAnswered")<{ readonly key: string }> {}

/** An answer kept so that the same request gets it again. */
export interface KeptAnswer {
  readonly key: string
  readonly fingerprint: string
  readonly answer: string
}

export type Entry = Omit<HistoryEntry, "version">

export interface Change {
  readonly session: Session
  readonly entry: Entry
  readonly fir?: Omit<Fir, "status" | "createdAt" | "finalizedAt"> | undefined
  readonly keep?: KeptAnswer | undefined
}

export interface Counts {
  readonly sessions: ReadonlyArray<{ readonly status: string; readonly count: number; readonly avgMillis: number }>
  readonly firs: ReadonlyArray<{ readonly status: string; readonly count: number }>
}

export interface Listing {
  readonly items: ReadonlyArray<Fir & { readonly id: number }>
  readonly total: number
}

export interface StoreApi {
  readonly ping: Effect.Effect<void, StoreError>
  create(session: Session, entry: Entry, keep?: KeptAnswer): Effect.Effect<void, StoreError | AlreadyAnswered>
  session(sessionId: string): Effect.Effect<Session | undefined, StoreError>
  history(sessionId: string): Effect.Effect<ReadonlyArray<HistoryEntry>, StoreError>
  /** Every version that the session has had, the first one first. */
  versions(sessionId: string): Effect.Effect<ReadonlyArray<Version>, StoreError>
  /** The latest other submission of the same complaint since a time. */
  earlier(textMark: string, since: number): Effect.Effect<Earlier | undefined, StoreError>
  /** Replaces the session if its version is still `session.version`; the stored version becomes one more. */
  change(change: Change): Effect.Effect<void, StoreError | StaleVersion | NumberTaken | AlreadyAnswered>
  answer(key: string): Effect.Effect<KeptAnswer | undefined, StoreError>
  fir(firNumber: string): Effect.Effect<Fir | undefined, StoreError>
  /** The reports older than `before`, newest first, that hold every word searched for. */
  firs(before: number | undefined, limit: number, words?: ReadonlyArray<string>): Effect.Effect<Listing, StoreError>
  /** Marks a report as final; the first call stays, and only it is written into the history. */
  finalise(firNumber: string, entry: Entry): Effect.Effect<void, StoreError>
  expire(idleSince: number): Effect.Effect<number, StoreError>
  /** Forgets the answers that were kept before a time. */
  forget(before: number): Effect.Effect<void, StoreError>
  counts(since: number): Effect.Effect<Counts, StoreError>
  /** Takes the session for this process until the scope closes, unless another process works on it. */
  claim(sessionId: string): Effect.Effect<Option.Option<void>, StoreError, Scope.Scope>
  /** Whether another process, or this one, works on the session. */
  claimed(sessionId: string): Effect.Effect<boolean, StoreError>
}

export const Store: Context.Service<StoreApi, StoreApi> = Context.Service<StoreApi>("fir-pipeline/Store")
