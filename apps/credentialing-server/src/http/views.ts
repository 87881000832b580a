// What is kept, as it is told: times in ISO 8601, and findings by their check.
import type { AuditEntry, Batch, Item, Page, ProviderRow, Result } from "../Store.ts"

const iso = (millis: number): string => new Date(millis).toISOString()

export const provider = ({ credentialed_at, ...row }: ProviderRow) => ({
  ...row,
  credentialed_at: credentialed_at === null ? null : iso(credentialed_at)
})

export const result = ({ finished_at, started_at, ...kept }: Result) => ({
  ...kept,
  started_at: iso(started_at),
  finished_at: iso(finished_at),
  duration_ms: finished_at - started_at
})

export const entry = ({ at, ...kept }: AuditEntry) => ({ ...kept, at: iso(at) })

export const item = ({ decision, detail, position, provider_id, result_id, risk_score, status }: Item) => ({
  position,
  provider_id,
  status,
  decision,
  risk_score,
  result_id,
  detail
})

export const batch = ({ created_at, fingerprint: _, finished_at, ...kept }: Batch) => ({
  ...kept,
  pending: kept.total - kept.completed - kept.failed,
  created_at: iso(created_at),
  finished_at: finished_at === null ? null : iso(finished_at)
})

export const page = <A, B>({ items, total }: Page<A>, offset: number, limit: number, view: (item: A) => B) => ({
  items: items.map(view),
  total,
  offset,
  limit,
  has_more: offset + items.length < total
})
