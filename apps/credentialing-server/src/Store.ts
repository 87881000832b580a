/**
 * What is kept: providers, results, the audit log, batches. Every change is one
 * transaction that is on the disk before anyone is told of it.
 *
 * @module
 */
import { Context, Data, type Effect, Schema } from "effect"
import { DECISIONS, Finding } from "./Outcome.ts"
import type { Provider } from "./Provider.ts"

/** The database refused, or is gone. */
export class StoreError extends Data.TaggedError("StoreError")<{
  readonly operation: string
  readonly cause: unknown
}> {
  override get message(): string {
    const reason = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `Cannot ${this.operation}: ${reason}`
  }
}

export const Result = Schema.Struct({
  result_id: Schema.String,
  provider_id: Schema.String,
  decision: Schema.Literals(DECISIONS),
  risk_score: Schema.Finite,
  findings: Schema.Array(Finding),
  batch_id: Schema.NullOr(Schema.String),
  requested_by: Schema.String,
  /** Milliseconds since 1970. */
  started_at: Schema.Finite,
  finished_at: Schema.Finite
})
export type Result = typeof Result.Type

/** A provider in a list. */
export const ProviderRow = Schema.Struct({
  provider_id: Schema.String,
  npi: Schema.String,
  name: Schema.String,
  credential: Schema.String,
  specialty: Schema.String,
  state: Schema.String,
  status: Schema.Literals(["not_credentialed", ...DECISIONS]),
  credentialed_at: Schema.NullOr(Schema.Finite)
})
export type ProviderRow = typeof ProviderRow.Type
export type ProviderStatus = ProviderRow["status"]

export const AuditEntry = Schema.Struct({
  id: Schema.Finite,
  at: Schema.Finite,
  action: Schema.String,
  actor: Schema.String,
  provider_id: Schema.NullOr(Schema.String),
  batch_id: Schema.NullOr(Schema.String),
  result_id: Schema.NullOr(Schema.String),
  detail: Schema.String
})
export type AuditEntry = typeof AuditEntry.Type
export type Entry = Omit<AuditEntry, "id">

export const Batch = Schema.Struct({
  batch_id: Schema.String,
  status: Schema.Literals(["running", "completed"]),
  total: Schema.Finite,
  completed: Schema.Finite,
  failed: Schema.Finite,
  requested_by: Schema.String,
  fingerprint: Schema.String,
  created_at: Schema.Finite,
  finished_at: Schema.NullOr(Schema.Finite),
  /** How often a process took it up that had not begun it. */
  resumed: Schema.Finite
})
export type Batch = typeof Batch.Type

export const Item = Schema.Struct({
  batch_id: Schema.String,
  position: Schema.Finite,
  provider_id: Schema.String,
  status: Schema.Literals(["pending", "done", "failed"]),
  /** The how-manieth of its batch to be done, from 1. */
  seq: Schema.NullOr(Schema.Finite),
  result_id: Schema.NullOr(Schema.String),
  decision: Schema.NullOr(Schema.Literals(DECISIONS)),
  risk_score: Schema.NullOr(Schema.Finite),
  detail: Schema.NullOr(Schema.String)
})
export type Item = typeof Item.Type

/** What becomes of an item of a batch. */
export interface ItemOf {
  readonly batchId: string
  readonly position: number
}

export interface ProviderFilter {
  readonly specialty?: string | undefined
  readonly state?: string | undefined
  readonly status?: ProviderStatus | undefined
  /** A part of the name. */
  readonly search?: string | undefined
}

export interface Page<A> {
  readonly items: ReadonlyArray<A>
  readonly total: number
}

export interface NewBatch {
  readonly batchId: string
  readonly providerIds: ReadonlyArray<string>
  readonly actor: string
  readonly idempotencyKey: string | undefined
  readonly fingerprint: string
  readonly at: number
  readonly owner: string
  readonly leaseUntil: number
}

export interface Count {
  readonly name: string
  readonly count: number
}

export interface Summary {
  readonly providers: number
  readonly results: number
  readonly byDecision: ReadonlyArray<Count>
  readonly byStatus: ReadonlyArray<Count>
  readonly averageMillis: number
  readonly batches: ReadonlyArray<Count>
}

export interface StoreApi {
  readonly ping: Effect.Effect<void, StoreError>
  provider(id: string): Effect.Effect<Provider | undefined, StoreError>
  providers(filter: ProviderFilter, offset: number, limit: number): Effect.Effect<Page<ProviderRow>, StoreError>
  providerRow(id: string): Effect.Effect<ProviderRow | undefined, StoreError>
  /**
   * Keeps a result with what is to be noted of it. Of an item that has its result already, nothing is kept, and `false` is
   * the answer: each item has one result, whoever else worked on it.
   */
  keep(
    result: Result,
    entries: ReadonlyArray<Entry>,
    of: { readonly item?: ItemOf | undefined; readonly idempotencyKey?: string | undefined }
  ): Effect.Effect<boolean, StoreError>
  /** An item that cannot have a result. */
  failItem(item: ItemOf, detail: string, entry: Entry): Effect.Effect<boolean, StoreError>
  note(entry: Entry): Effect.Effect<void, StoreError>
  result(id: string): Effect.Effect<Result | undefined, StoreError>
  resultByKey(key: string): Effect.Effect<Result | undefined, StoreError>
  /** The newest first; with `before`, those before that result. */
  results(
    filter: { readonly providerId?: string | undefined; readonly decision?: string | undefined },
    offset: number,
    limit: number
  ): Effect.Effect<Page<Result>, StoreError>
  /** The newest first, those with a smaller id than `before`. */
  audit(
    filter: { readonly providerId?: string | undefined; readonly batchId?: string | undefined },
    before: number | undefined,
    limit: number
  ): Effect.Effect<ReadonlyArray<AuditEntry>, StoreError>
  /** Keeps a batch with its items; or answers the one that was made with the same key. */
  openBatch(
    batch: NewBatch,
    entry: Entry
  ): Effect.Effect<{ readonly batch: Batch; readonly isNew: boolean }, StoreError>
  batch(id: string): Effect.Effect<Batch | undefined, StoreError>
  batches(offset: number, limit: number): Effect.Effect<Page<Batch>, StoreError>
  items(batchId: string): Effect.Effect<ReadonlyArray<Item>, StoreError>
  pendingItems(batchId: string): Effect.Effect<ReadonlyArray<Item>, StoreError>
  /** Those done after the given one, in the order in which they were done. */
  itemsAfter(batchId: string, seq: number): Effect.Effect<ReadonlyArray<Item>, StoreError>
  /** Completes a batch all of whose items are done. */
  completeBatch(batchId: string, at: number, actor: string): Effect.Effect<boolean, StoreError>
  /** Takes up batches that nobody works on, which is to say whose lease has run out. */
  claimBatches(owner: string, now: number, leaseUntil: number): Effect.Effect<ReadonlyArray<string>, StoreError>
  renewLeases(owner: string, leaseUntil: number): Effect.Effect<void, StoreError>
  /** Lets others take up at once what this process worked on. */
  releaseBatches(owner: string): Effect.Effect<void, StoreError>
  readonly summary: Effect.Effect<Summary, StoreError>
  providerCounts(by: "specialty" | "state"): Effect.Effect<ReadonlyArray<Count>, StoreError>
  findingCounts: Effect.Effect<
    ReadonlyArray<{ readonly check: string; readonly status: string; readonly count: number }>,
    StoreError
  >
}

export const Store: Context.Service<StoreApi, StoreApi> = Context.Service<StoreApi>("credentialing/Store")
