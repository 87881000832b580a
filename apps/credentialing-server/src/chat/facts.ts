// What the database knows that a question asks about.
import { Effect } from "effect"
import { DECISIONS, type Decision } from "../Outcome.ts"
import type { Batch, ProviderRow, Result, StoreApi, StoreError, Summary } from "../Store.ts"

/** A provider that was asked about, with the newest result. */
export interface Subject {
  readonly provider: ProviderRow
  readonly result: Result | undefined
}

export interface Facts {
  readonly summary: Summary
  readonly subjects: ReadonlyArray<Subject>
  /** Ids that were asked about, and that there are not. */
  readonly unknown: ReadonlyArray<string>
  /** The decision that was asked about, with the providers of whom it is the newest. */
  readonly decision: Decision | undefined
  readonly decided: ReadonlyArray<ProviderRow>
  readonly decidedTotal: number
  readonly batches: ReadonlyArray<Batch>
}

/** Providers that one answer speaks of. */
const SUBJECTS = 5
const LISTED = 10

const WORDS: Readonly<Record<Decision, RegExp>> = {
  approved: /\b(approve|approved|approval|accepted|passed|cleared)\b/i,
  denied: /\b(deny|denied|denial|rejected|refused|failed)\b/i,
  review: /\b(review|reviewed|flagged|committee)\b/i,
  incomplete: /\b(incomplete|unavailable|missing|unfinished)\b/i
}

/** Two words that begin as names do, such as they stand in a question. */
const NAMES = /\b\p{Lu}\p{Ll}+ \p{Lu}\p{Ll}+\b/gu

const distinct = (values: Iterable<string>): ReadonlyArray<string> => [...new Set(values)]

/** Reads what a question needs. */
export const gather = Effect.fn("chat.gather")(function* (store: StoreApi, question: string) {
  const ids = distinct((question.match(/\bprovider_\d{3,9}\b/gi) ?? []).map((id) => id.toLowerCase())).slice(
    0,
    SUBJECTS
  )
  const rows: Array<ProviderRow> = []
  const unknown: Array<string> = []
  for (const id of ids) {
    const row = yield* store.providerRow(id)
    if (row === undefined) unknown.push(id)
    else rows.push(row)
  }
  for (const name of distinct(question.match(NAMES) ?? []).slice(0, SUBJECTS)) {
    const { items } = yield* store.providers({ search: name }, 0, SUBJECTS)
    rows.push(...items.filter((row) => !rows.some(({ provider_id }) => provider_id === row.provider_id)))
  }
  const decision = DECISIONS.find((candidate) => WORDS[candidate].test(question))
  const decided =
    decision === undefined || rows.length > 0
      ? { items: [], total: 0 }
      : yield* store.providers({ status: decision }, 0, LISTED)
  const subjects = yield* Effect.forEach(rows.slice(0, SUBJECTS), (provider) =>
    Effect.map(
      store.results({ providerId: provider.provider_id }, 0, 1),
      ({ items }): Subject => ({ provider, result: items[0] })
    )
  )
  const facts: Facts = {
    summary: yield* store.summary,
    subjects,
    unknown,
    decision,
    decided: decided.items,
    decidedTotal: decided.total,
    batches: /\bbatch/i.test(question) ? (yield* store.batches(0, 3)).items : []
  }
  return facts
})

export type Gathered = Effect.Effect<Facts, StoreError>
