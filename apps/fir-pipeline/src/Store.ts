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
import { Context, Data, Effect, Layer, type Scope } from "effect"
import { type Generated, Kysely, type Transaction } from "kysely"
import { nodeSqliteDialect } from "./internal/nodeSqlite.ts"

export type SessionStatus = "awaiting_validation" | "completed" | "expired"

export interface Session {
  readonly sessionId: string
  readonly step: string
  readonly status: SessionStatus
  readonly version: number
  /** What has been made and approved so far, as JSON. */
  readonly state: string
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

interface Tables {
  readonly sessions: {
    readonly session_id: string
    readonly step: string
    readonly status: SessionStatus
    readonly version: number
    readonly state: string
    readonly created_at: number
    readonly last_activity: number
  }
  readonly validation_history: {
    readonly id: Generated<number>
    readonly session_id: string
    readonly step: string
    readonly action: string
    readonly done_by: string
    readonly done_at: number
    readonly version: number
    readonly input: string | null
  }
  readonly fir_records: {
    readonly id: Generated<number>
    readonly fir_number: string
    readonly session_id: string
    readonly complaint_text: string
    readonly fir_content: string
    readonly violations_json: string
    readonly status: FirStatus
    readonly created_at: number
    readonly finalized_at: number | null
  }
  readonly answers: {
    readonly request_key: string
    readonly fingerprint: string
    readonly answer: string
    readonly created_at: number
  }
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

/** An answer kept so that the same request gets it again. */
export interface KeptAnswer {
  readonly key: string
  readonly fingerprint: string
  readonly answer: string
}

export interface Change {
  readonly session: Session
  readonly entry: Omit<HistoryEntry, "version">
  readonly fir?: Omit<Fir, "status" | "createdAt" | "finalizedAt"> | undefined
  readonly keep?: KeptAnswer | undefined
}

export interface Counts {
  readonly sessions: ReadonlyArray<{ readonly status: string; readonly count: number; readonly avgMillis: number }>
  readonly firs: ReadonlyArray<{ readonly status: string; readonly count: number }>
}

export interface StoreApi {
  readonly ping: Effect.Effect<void, StoreError>
  create(session: Session, entry: Omit<HistoryEntry, "version">, keep?: KeptAnswer): Effect.Effect<void, StoreError>
  session(sessionId: string): Effect.Effect<Session | undefined, StoreError>
  history(sessionId: string): Effect.Effect<ReadonlyArray<HistoryEntry>, StoreError>
  /** Replaces the session if its version is still `session.version`; the stored version becomes one more. */
  change(change: Change): Effect.Effect<void, StoreError | StaleVersion | NumberTaken>
  answer(key: string): Effect.Effect<KeptAnswer | undefined, StoreError>
  fir(firNumber: string): Effect.Effect<Fir | undefined, StoreError>
  firs(
    before: number | undefined,
    limit: number
  ): Effect.Effect<{ readonly items: ReadonlyArray<Fir & { readonly id: number }>; readonly total: number }, StoreError>
  /** Marks a report as final; the time of the first call stays. */
  finalise(firNumber: string, at: number): Effect.Effect<void, StoreError>
  expire(idleSince: number): Effect.Effect<number, StoreError>
  counts(since: number): Effect.Effect<Counts, StoreError>
}

export const Store: Context.Service<StoreApi, StoreApi> = Context.Service<StoreApi>("fir-pipeline/Store")

const ANSWERS_KEPT_MILLIS = 24 * 60 * 60 * 1000

const schema = async (db: Kysely<Tables>): Promise<void> => {
  await db.schema
    .createTable("sessions")
    .ifNotExists()
    .addColumn("session_id", "varchar(36)", (column) => column.primaryKey())
    .addColumn("step", "varchar(40)", (column) => column.notNull())
    .addColumn("status", "varchar(40)", (column) => column.notNull())
    .addColumn("version", "integer", (column) => column.notNull())
    .addColumn("state", "text", (column) => column.notNull())
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addColumn("last_activity", "bigint", (column) => column.notNull())
    .execute()
  await db.schema
    .createIndex("sessions_activity")
    .ifNotExists()
    .on("sessions")
    .columns(["status", "last_activity"])
    .execute()
  await db.schema
    .createTable("validation_history")
    .ifNotExists()
    .addColumn("id", "integer", (column) => column.primaryKey().autoIncrement())
    .addColumn("session_id", "varchar(36)", (column) => column.notNull().references("sessions.session_id"))
    .addColumn("step", "varchar(40)", (column) => column.notNull())
    .addColumn("action", "varchar(40)", (column) => column.notNull())
    .addColumn("done_by", "varchar(200)", (column) => column.notNull())
    .addColumn("done_at", "bigint", (column) => column.notNull())
    .addColumn("version", "integer", (column) => column.notNull())
    .addColumn("input", "text")
    .execute()
  await db.schema
    .createIndex("history_session")
    .ifNotExists()
    .on("validation_history")
    .columns(["session_id", "id"])
    .execute()
  await db.schema
    .createTable("fir_records")
    .ifNotExists()
    .addColumn("id", "integer", (column) => column.primaryKey().autoIncrement())
    .addColumn("fir_number", "varchar(40)", (column) => column.notNull().unique())
    .addColumn("session_id", "varchar(36)", (column) => column.notNull().unique().references("sessions.session_id"))
    .addColumn("complaint_text", "text", (column) => column.notNull())
    .addColumn("fir_content", "text", (column) => column.notNull())
    .addColumn("violations_json", "text", (column) => column.notNull())
    .addColumn("status", "varchar(20)", (column) => column.notNull())
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addColumn("finalized_at", "bigint")
    .execute()
  await db.schema
    .createTable("answers")
    .ifNotExists()
    .addColumn("request_key", "varchar(300)", (column) => column.primaryKey())
    .addColumn("fingerprint", "varchar(64)", (column) => column.notNull())
    .addColumn("answer", "text", (column) => column.notNull())
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .execute()
}

const attempt = <A>(operation: string, run: () => Promise<A>): Effect.Effect<A, StoreError> =>
  Effect.tryPromise({ try: run, catch: (cause) => new StoreError({ operation, cause }) })

const addEntry = (db: Transaction<Tables>, sessionId: string, version: number, entry: Omit<HistoryEntry, "version">) =>
  db
    .insertInto("validation_history")
    .values({
      session_id: sessionId,
      step: entry.step,
      action: entry.action,
      done_by: entry.by,
      done_at: entry.at,
      version,
      input: entry.input
    })
    .execute()

const keepAnswer = async (db: Transaction<Tables>, keep: KeptAnswer | undefined, at: number): Promise<void> => {
  if (keep === undefined) return
  await db
    .deleteFrom("answers")
    .where("created_at", "<", at - ANSWERS_KEPT_MILLIS)
    .execute()
  await db
    .insertInto("answers")
    .values({ request_key: keep.key, fingerprint: keep.fingerprint, answer: keep.answer, created_at: at })
    .execute()
}

const toSession = (row: Tables["sessions"]): Session => ({
  sessionId: row.session_id,
  step: row.step,
  status: row.status,
  version: row.version,
  state: row.state,
  createdAt: row.created_at,
  lastActivity: row.last_activity
})

const toFir = (row: Omit<Tables["fir_records"], "id">): Fir => ({
  firNumber: row.fir_number,
  sessionId: row.session_id,
  complaintText: row.complaint_text,
  firContent: row.fir_content,
  violationsJson: row.violations_json,
  status: row.status,
  createdAt: row.created_at,
  finalizedAt: row.finalized_at
})

const writeFir = async (db: Transaction<Tables>, fir: NonNullable<Change["fir"]>, at: number): Promise<void> => {
  const values = {
    complaint_text: fir.complaintText,
    fir_content: fir.firContent,
    violations_json: fir.violationsJson
  }
  const updated = await db
    .updateTable("fir_records")
    .set(values)
    .where("session_id", "=", fir.sessionId)
    .executeTakeFirst()
  if (updated.numUpdatedRows > 0n) return
  const taken = await db
    .selectFrom("fir_records")
    .select("id")
    .where("fir_number", "=", fir.firNumber)
    .executeTakeFirst()
  if (taken !== undefined) throw new NumberTaken({ firNumber: fir.firNumber })
  await db
    .insertInto("fir_records")
    .values({
      ...values,
      fir_number: fir.firNumber,
      session_id: fir.sessionId,
      status: "pending",
      created_at: at,
      finalized_at: null
    })
    .execute()
}

/** Opens the SQLite database at `path`, and makes its tables if they are not there. */
export const make = (path: string): Effect.Effect<StoreApi, StoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const db = yield* Effect.acquireRelease(
      Effect.sync(() => new Kysely<Tables>({ dialect: nodeSqliteDialect(path) })),
      (db) => Effect.promise(() => db.destroy())
    )
    yield* attempt("open the database", () => schema(db))

    return {
      ping: attempt("reach the database", async () => {
        await db.selectFrom("sessions").select("session_id").limit(1).execute()
      }),
      create: (session, entry, keep) =>
        attempt("store the session", () =>
          db.transaction().execute(async (transaction) => {
            await transaction
              .insertInto("sessions")
              .values({
                session_id: session.sessionId,
                step: session.step,
                status: session.status,
                version: session.version,
                state: session.state,
                created_at: session.createdAt,
                last_activity: session.lastActivity
              })
              .execute()
            await addEntry(transaction, session.sessionId, session.version, entry)
            await keepAnswer(transaction, keep, session.createdAt)
          })
        ),
      session: (sessionId) =>
        attempt("read the session", async () => {
          const row = await db.selectFrom("sessions").selectAll().where("session_id", "=", sessionId).executeTakeFirst()
          return row === undefined ? undefined : toSession(row)
        }),
      history: (sessionId) =>
        attempt("read the history", async () => {
          const rows = await db
            .selectFrom("validation_history")
            .selectAll()
            .where("session_id", "=", sessionId)
            .orderBy("id")
            .execute()
          return rows.map((row) => ({
            step: row.step,
            action: row.action,
            by: row.done_by,
            at: row.done_at,
            version: row.version,
            input: row.input
          }))
        }),
      change: ({ entry, fir, keep, session }) =>
        Effect.tryPromise({
          try: () =>
            db.transaction().execute(async (transaction) => {
              const updated = await transaction
                .updateTable("sessions")
                .set({
                  step: session.step,
                  status: session.status,
                  state: session.state,
                  last_activity: session.lastActivity,
                  version: session.version + 1
                })
                .where("session_id", "=", session.sessionId)
                .where("version", "=", session.version)
                .where("status", "=", "awaiting_validation")
                .executeTakeFirst()
              if (updated.numUpdatedRows === 0n) {
                throw new StaleVersion({ sessionId: session.sessionId, version: session.version })
              }
              await addEntry(transaction, session.sessionId, session.version + 1, entry)
              if (fir !== undefined) await writeFir(transaction, fir, session.lastActivity)
              await keepAnswer(transaction, keep, session.lastActivity)
            }),
          catch: (cause) =>
            cause instanceof StaleVersion || cause instanceof NumberTaken
              ? cause
              : new StoreError({ operation: "store the step", cause })
        }),
      answer: (key) =>
        attempt("read a kept answer", async () => {
          const row = await db.selectFrom("answers").selectAll().where("request_key", "=", key).executeTakeFirst()
          return row === undefined ? undefined : { key, fingerprint: row.fingerprint, answer: row.answer }
        }),
      fir: (firNumber) =>
        attempt("read the report", async () => {
          const row = await db
            .selectFrom("fir_records")
            .selectAll()
            .where("fir_number", "=", firNumber)
            .executeTakeFirst()
          return row === undefined ? undefined : toFir(row)
        }),
      firs: (before, limit) =>
        attempt("list the reports", async () => {
          let query = db.selectFrom("fir_records").selectAll().orderBy("id", "desc").limit(limit)
          if (before !== undefined) query = query.where("id", "<", before)
          const rows = await query.execute()
          const { total } = await db
            .selectFrom("fir_records")
            .select((eb) => eb.fn.countAll<number>().as("total"))
            .executeTakeFirstOrThrow()
          return { items: rows.map((row) => ({ ...toFir(row), id: row.id })), total }
        }),
      finalise: (firNumber, at) =>
        attempt("finalise the report", async () => {
          await db
            .updateTable("fir_records")
            .set({ status: "finalized", finalized_at: at })
            .where("fir_number", "=", firNumber)
            .where("status", "=", "pending")
            .execute()
        }),
      expire: (idleSince) =>
        attempt("expire idle sessions", async () => {
          const updated = await db
            .updateTable("sessions")
            .set((eb) => ({ status: "expired", step: "expired", version: eb("version", "+", 1) }))
            .where("status", "=", "awaiting_validation")
            .where("last_activity", "<", idleSince)
            .executeTakeFirst()
          return Number(updated.numUpdatedRows)
        }),
      counts: (since) =>
        attempt("count sessions and reports", async () => {
          const sessions = await db
            .selectFrom("sessions")
            .select((eb) => [
              "status",
              eb.fn.countAll<number>().as("count"),
              eb.fn.avg<number>(eb("last_activity", "-", eb.ref("created_at"))).as("avgMillis")
            ])
            .where("created_at", ">=", since)
            .groupBy("status")
            .execute()
          const firs = await db
            .selectFrom("fir_records")
            .select((eb) => ["status", eb.fn.countAll<number>().as("count")])
            .where("created_at", ">=", since)
            .groupBy("status")
            .execute()
          return { sessions, firs }
        })
    }
  })

export const layer = (path: string): Layer.Layer<StoreApi, StoreError> => Layer.effect(Store, make(path))
