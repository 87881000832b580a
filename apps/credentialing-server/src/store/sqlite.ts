/**
 * The store, in an SQLite file that the processes of one machine share.
 *
 * @module
 */
import type { SQLInputValue } from "node:sqlite"
import { Effect, Layer, Schema, type Scope } from "effect"
import { Provider } from "../Provider.ts"
import type { Settings } from "../Settings.ts"
import {
  AuditEntry,
  Batch,
  type Entry,
  Item,
  type ItemOf,
  ProviderRow,
  Result,
  Store,
  type StoreApi,
  StoreError
} from "../Store.ts"
import { Commits } from "./commits.ts"
import { Database, rowsOf } from "./database.ts"
import { migrate, seedProviders } from "./schema.ts"

export interface Options {
  /** The file; `:memory:` for one that is gone with the process. */
  readonly path: string
  readonly providers: number
  readonly seed: number
}

const toProvider = Schema.decodeUnknownSync(Schema.fromJsonString(Provider))
const toProviderRows = rowsOf(ProviderRow)
const toResults = rowsOf(Schema.Struct({ ...Result.fields, findings: Schema.fromJsonString(Result.fields.findings) }))
const toEntries = rowsOf(AuditEntry)
const toBatches = rowsOf(Batch)
const toItems = rowsOf(Item)
const toCounts = rowsOf(Schema.Struct({ name: Schema.String, count: Schema.Finite }))
const toFindingCounts = rowsOf(Schema.Struct({ check: Schema.String, status: Schema.String, count: Schema.Finite }))

const PROVIDER_COLUMNS = "provider_id, npi, name, credential, specialty, state, status, credentialed_at"
const RESULT_COLUMNS =
  "result_id, provider_id, decision, risk_score, findings, batch_id, requested_by, started_at, finished_at"
const BATCH_COLUMNS = `b.batch_id, b.status, b.total, b.requested_by, b.fingerprint, b.created_at, b.finished_at, b.resumed,
  (select count(*) from batch_items i where i.batch_id = b.batch_id and i.status = 'done') as completed,
  (select count(*) from batch_items i where i.batch_id = b.batch_id and i.status = 'failed') as failed`
const ITEM_SELECT = `select i.batch_id, i.position, i.provider_id, i.status, i.seq, i.result_id, r.decision, r.risk_score, i.detail
  from batch_items i left join results r on r.result_id = i.result_id`

/** The conditions that are given, as SQL with their values. */
const where = (
  conditions: ReadonlyArray<readonly [sql: string, value: SQLInputValue | undefined]>
): readonly [string, ReadonlyArray<SQLInputValue>] => {
  const values: Array<SQLInputValue> = []
  const parts: Array<string> = []
  for (const [sql, value] of conditions) {
    if (value === undefined) continue
    parts.push(sql)
    values.push(value)
  }
  return [parts.length === 0 ? "" : `where ${parts.join(" and ")}`, values]
}

/** A word as the pattern that finds it anywhere, whatever signs are in it. */
const pattern = (word: string): string => `%${word.replace(/[!%_]/g, (sign) => `!${sign}`)}%`

const addEntry = (database: Database, { action, actor, at, batch_id, detail, provider_id, result_id }: Entry): void => {
  database.run(
    "insert into audit_log (at, action, actor, provider_id, batch_id, result_id, detail) values (?, ?, ?, ?, ?, ?, ?)",
    at,
    action,
    actor,
    provider_id,
    batch_id,
    result_id,
    detail
  )
}

/** Ends an item that is pending; whether it was. */
const endItem = (
  database: Database,
  { batchId, position }: ItemOf,
  status: "done" | "failed",
  resultId: string | null,
  detail: string | null
): boolean =>
  database.run(
    `update batch_items set status = ?, result_id = ?, detail = ?,
       seq = (select coalesce(max(seq), 0) + 1 from batch_items where batch_id = ?)
     where batch_id = ? and position = ? and status = 'pending'`,
    status,
    resultId,
    detail,
    batchId,
    batchId,
    position
  ) === 1

const isPending = (database: Database, { batchId, position }: ItemOf): boolean =>
  database.number(
    "select count(*) from batch_items where batch_id = ? and position = ? and status = 'pending'",
    batchId,
    position
  ) === 1

export const make = (options: Options): Effect.Effect<StoreApi, StoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const attempt = <A>(operation: string, run: () => A): Effect.Effect<A, StoreError> =>
      Effect.try({ try: run, catch: (cause) => new StoreError({ operation, cause }) })
    const database = yield* Effect.acquireRelease(
      attempt("open the database", () => new Database(options.path)),
      (opened) => Effect.sync(() => opened.close())
    )
    yield* attempt("prepare the database", () => {
      migrate(database)
      seedProviders(database, options.providers, options.seed)
    })

    const commits = new Commits(database)
    const change = <A>(operation: string, work: () => A): Effect.Effect<A, StoreError> =>
      Effect.mapError(commits.change(work), (cause) => new StoreError({ operation, cause }))

    const batchOf = (sql: string, value: string): Batch | undefined =>
      toBatches(database.all(`select ${BATCH_COLUMNS} from batches b where ${sql}`, value))[0]

    const api: StoreApi = {
      ping: attempt("reach the database", () => void database.number("select 1")),
      provider: (id) =>
        attempt("read a provider", () => {
          const row = database.get("select document from providers where provider_id = ?", id)
          return row === undefined ? undefined : toProvider(row["document"])
        }),
      providers: ({ search, specialty, state, status }, offset, limit) =>
        attempt("list providers", () => {
          const [condition, values] = where([
            ["specialty = ? collate nocase", specialty],
            ["state = ? collate nocase", state],
            ["status = ?", status],
            ["name like ? escape '!'", search === undefined ? undefined : pattern(search)]
          ])
          return {
            items: toProviderRows(
              database.all(
                `select ${PROVIDER_COLUMNS} from providers ${condition} order by number limit ? offset ?`,
                ...values,
                limit,
                offset
              )
            ),
            total: database.number(`select count(*) from providers ${condition}`, ...values)
          }
        }),
      providerRow: (id) =>
        attempt(
          "read a provider",
          () => toProviderRows(database.all(`select ${PROVIDER_COLUMNS} from providers where provider_id = ?`, id))[0]
        ),
      keep: (result, entries, { idempotencyKey, item }) =>
        change("keep a result", () => {
          if (item !== undefined && !isPending(database, item)) return false
          const added = database.run(
            `insert into results (${RESULT_COLUMNS}, idempotency_key) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
               on conflict (idempotency_key) do nothing`,
            result.result_id,
            result.provider_id,
            result.decision,
            result.risk_score,
            JSON.stringify(result.findings),
            result.batch_id,
            result.requested_by,
            result.started_at,
            result.finished_at,
            idempotencyKey ?? null
          )
          if (added === 0) return false
          if (item !== undefined) endItem(database, item, "done", result.result_id, null)
          database.run(
            "update providers set status = ?, credentialed_at = ? where provider_id = ?",
            result.decision,
            result.finished_at,
            result.provider_id
          )
          for (const entry of entries) addEntry(database, entry)
          return true
        }),
      failItem: (item, detail, entry) =>
        change("keep a failure", () => {
          const isEnded = endItem(database, item, "failed", null, detail)
          if (isEnded) addEntry(database, entry)
          return isEnded
        }),
      note: (entry) => attempt("write the audit log", () => addEntry(database, entry)),
      result: (id) =>
        attempt(
          "read a result",
          () => toResults(database.all(`select ${RESULT_COLUMNS} from results where result_id = ?`, id))[0]
        ),
      resultByKey: (key) =>
        attempt(
          "read a result",
          () => toResults(database.all(`select ${RESULT_COLUMNS} from results where idempotency_key = ?`, key))[0]
        ),
      results: ({ decision, providerId }, offset, limit) =>
        attempt("list results", () => {
          const [condition, values] = where([
            ["provider_id = ?", providerId],
            ["decision = ?", decision]
          ])
          return {
            items: toResults(
              database.all(
                `select ${RESULT_COLUMNS} from results ${condition} order by number desc limit ? offset ?`,
                ...values,
                limit,
                offset
              )
            ),
            total: database.number(`select count(*) from results ${condition}`, ...values)
          }
        }),
      audit: ({ batchId, providerId }, before, limit) =>
        attempt("read the audit log", () => {
          const [condition, values] = where([
            ["provider_id = ?", providerId],
            ["batch_id = ?", batchId],
            ["id < ?", before]
          ])
          return toEntries(
            database.all(
              `select id, at, action, actor, provider_id, batch_id, result_id, detail from audit_log ${condition}
               order by id desc limit ?`,
              ...values,
              limit
            )
          )
        }),
      openBatch: (batch, entry) =>
        attempt("keep a batch", () =>
          database.transaction(() => {
            const known =
              batch.idempotencyKey === undefined ? undefined : batchOf("b.idempotency_key = ?", batch.idempotencyKey)
            if (known !== undefined) return { batch: known, isNew: false }
            database.run(
              `insert into batches (batch_id, number, idempotency_key, fingerprint, status, total, requested_by, created_at,
                 owner, lease_until)
               values (?, (select coalesce(max(number), 0) + 1 from batches), ?, ?, 'running', ?, ?, ?, ?, ?)`,
              batch.batchId,
              batch.idempotencyKey ?? null,
              batch.fingerprint,
              batch.providerIds.length,
              batch.actor,
              batch.at,
              batch.owner,
              batch.leaseUntil
            )
            for (const [position, id] of batch.providerIds.entries()) {
              database.run(
                "insert into batch_items (batch_id, position, provider_id, status) values (?, ?, ?, 'pending')",
                batch.batchId,
                position,
                id
              )
            }
            addEntry(database, entry)
            const kept = batchOf("b.batch_id = ?", batch.batchId)
            if (kept === undefined) throw new Error(`The batch ${batch.batchId} was not kept`)
            return { batch: kept, isNew: true }
          })
        ),
      batch: (id) => attempt("read a batch", () => batchOf("b.batch_id = ?", id)),
      batches: (offset, limit) =>
        attempt("list batches", () => ({
          items: toBatches(
            database.all(`select ${BATCH_COLUMNS} from batches b order by number desc limit ? offset ?`, limit, offset)
          ),
          total: database.number("select count(*) from batches")
        })),
      items: (batchId) =>
        attempt("read a batch", () =>
          toItems(database.all(`${ITEM_SELECT} where i.batch_id = ? order by i.position`, batchId))
        ),
      pendingItems: (batchId) =>
        attempt("read a batch", () =>
          toItems(
            database.all(`${ITEM_SELECT} where i.batch_id = ? and i.status = 'pending' order by i.position`, batchId)
          )
        ),
      itemsAfter: (batchId, seq) =>
        attempt("read a batch", () =>
          toItems(database.all(`${ITEM_SELECT} where i.batch_id = ? and i.seq > ? order by i.seq`, batchId, seq))
        ),
      completeBatch: (batchId, at, actor) =>
        attempt("complete a batch", () =>
          database.transaction(() => {
            const isCompleted =
              database.run(
                `update batches set status = 'completed', finished_at = ? where batch_id = ? and status = 'running'
                   and not exists (select 1 from batch_items i where i.batch_id = ? and i.status = 'pending')`,
                at,
                batchId,
                batchId
              ) === 1
            if (isCompleted) {
              addEntry(database, {
                at,
                action: "batch_completed",
                actor,
                provider_id: null,
                batch_id: batchId,
                result_id: null,
                detail: "Every item has its outcome"
              })
            }
            return isCompleted
          })
        ),
      claimBatches: (owner, now, leaseUntil) =>
        attempt("take up batches", () => {
          // Nearly always there are none, and whoever only reads keeps nobody waiting.
          if (database.number("select count(*) from batches where status = 'running' and lease_until < ?", now) === 0) {
            return []
          }
          return database.transaction(() => {
            const rows = database.all(
              `update batches set owner = ?, lease_until = ?, resumed = resumed + 1
               where status = 'running' and lease_until < ? returning batch_id`,
              owner,
              leaseUntil,
              now
            )
            const claimed = rows.map((row) => String(row["batch_id"]))
            for (const batch_id of claimed) {
              addEntry(database, {
                at: now,
                action: "batch_resumed",
                actor: "server",
                provider_id: null,
                batch_id,
                result_id: null,
                detail: "Taken up again where it had been left"
              })
            }
            return claimed
          })
        }),
      renewLeases: (owner, leaseUntil) =>
        attempt("renew leases", () => {
          database.run("update batches set lease_until = ? where owner = ? and status = 'running'", leaseUntil, owner)
        }),
      releaseBatches: (owner) =>
        attempt("release batches", () => {
          database.run("update batches set lease_until = 0 where owner = ? and status = 'running'", owner)
        }),
      summary: attempt("count", () => ({
        providers: database.number("select count(*) from providers"),
        results: database.number("select count(*) from results"),
        byDecision: toCounts(
          database.all("select decision as name, count(*) as count from results group by decision order by decision")
        ),
        byStatus: toCounts(
          database.all("select status as name, count(*) as count from providers group by status order by status")
        ),
        averageMillis: database.number("select avg(finished_at - started_at) from results"),
        batches: toCounts(
          database.all("select status as name, count(*) as count from batches group by status order by status")
        )
      })),
      providerCounts: (by) =>
        attempt("count providers", () =>
          toCounts(
            database.all(
              by === "specialty"
                ? "select specialty as name, count(*) as count from providers group by specialty order by specialty"
                : "select state as name, count(*) as count from providers group by state order by state"
            )
          )
        ),
      findingCounts: attempt("count findings", () =>
        toFindingCounts(
          database.all(
            `select f.value ->> 'check' as "check", f.value ->> 'status' as status, count(*) as count
             from results, json_each(results.findings) f group by 1, 2 order by 1, 2`
          )
        )
      )
    }
    return api
  })

/** Makes the database what it is to be, for processes that come later and are many. */
export const prepare = ({ databasePath, providers, seed }: Settings): Effect.Effect<void, StoreError, Scope.Scope> =>
  Effect.asVoid(make({ path: databasePath, providers, seed }))

export const layer = (options: Options): Layer.Layer<StoreApi, StoreError> => Layer.effect(Store, make(options))
