// What the store does, as statements that SQLite and MySQL both take.
import { Effect, type Option, type Scope } from "effect"
import { type Kysely, sql, type Transaction } from "kysely"
import {
  AlreadyAnswered,
  type Change,
  type Entry,
  type KeptAnswer,
  NumberTaken,
  StaleVersion,
  type StoreApi,
  StoreError
} from "../Store.ts"
import { type Tables, toEntry, toFir, toSession, toVersion } from "./tables.ts"

/** What a database brings along. */
export interface Database {
  readonly db: Kysely<Tables>
  /** Whether a statement was refused because the key that it inserts is there. */
  readonly isDuplicate: (error: unknown) => boolean
  /** Repeats what failed for a reason that passes: `written` says whether something may have been written. */
  readonly insist: <A, E>(
    effect: Effect.Effect<A, E | StoreError>,
    options: { readonly writes: boolean }
  ) => Effect.Effect<A, E | StoreError>
  /** Stores what is stored once, and finds out what became of it when the database went away before it answered. */
  readonly surely: <E>(
    change: Effect.Effect<void, E | StoreError>,
    isKept: Effect.Effect<boolean, StoreError>
  ) => Effect.Effect<void, E | StoreError>
  readonly claim: (sessionId: string) => Effect.Effect<Option.Option<void>, StoreError, Scope.Scope>
  readonly claimed: (sessionId: string) => Effect.Effect<boolean, StoreError>
}

const addEntry = (db: Transaction<Tables>, sessionId: string, version: number, entry: Entry) =>
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

const addVersion = (
  db: Transaction<Tables>,
  { sessionId, state, step }: Change["session"],
  version: number,
  at: number
) => db.insertInto("session_versions").values({ session_id: sessionId, version, step, state, made_at: at }).execute()

/** A word as the pattern that finds it anywhere, whatever signs are in it. */
const pattern = (word: string): string => `%${word.toLowerCase().replace(/[!%_]/g, (sign) => `!${sign}`)}%`

export const storeOver = ({ claim, claimed, db, insist, isDuplicate, surely }: Database): StoreApi => {
  const attempt = <A>(operation: string, run: () => Promise<A>): Effect.Effect<A, StoreError> =>
    Effect.tryPromise({ try: run, catch: (cause) => new StoreError({ operation, cause }) })

  const read = <A>(operation: string, run: () => Promise<A>) => insist(attempt(operation, run), { writes: false })

  const write = <A, E = never>(
    operation: string,
    run: (transaction: Transaction<Tables>) => Promise<A>,
    isRefusal: (cause: unknown) => cause is E
  ): Effect.Effect<A, E | StoreError> =>
    insist(
      Effect.tryPromise({
        try: () => db.transaction().execute(run),
        catch: (cause): E | StoreError => (isRefusal(cause) ? cause : new StoreError({ operation, cause }))
      }),
      { writes: true }
    )

  /** A key that is there already is told as the refusal that it is. */
  const refusing = async <A, E>(refusal: E, run: () => Promise<A>): Promise<A> => {
    try {
      return await run()
    } catch (error) {
      throw isDuplicate(error) ? refusal : error
    }
  }

  const keepAnswer = async (db: Transaction<Tables>, keep: KeptAnswer | undefined, at: number): Promise<void> => {
    if (keep === undefined) return
    await refusing(new AlreadyAnswered({ key: keep.key }), () =>
      db
        .insertInto("answers")
        .values({ request_key: keep.key, fingerprint: keep.fingerprint, answer: keep.answer, created_at: at })
        .execute()
    )
  }

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
    await refusing(new NumberTaken({ firNumber: fir.firNumber }), () =>
      db
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
    )
  }

  const never = (_: unknown): _ is never => false

  const findSession = (sessionId: string) =>
    read("read the session", async () => {
      const row = await db.selectFrom("sessions").selectAll().where("session_id", "=", sessionId).executeTakeFirst()
      return row === undefined ? undefined : toSession(row)
    })

  return {
    claim,
    claimed,
    ping: attempt("reach the database", async () => {
      await db.selectFrom("sessions").select("session_id").limit(1).execute()
    }),
    create: (session, entry, keep) =>
      surely(
        write(
          "store the session",
          async (transaction) => {
            await transaction
              .insertInto("sessions")
              .values({
                session_id: session.sessionId,
                step: session.step,
                status: session.status,
                version: session.version,
                state: session.state,
                urgent: session.urgent ? 1 : 0,
                text_mark: session.textMark,
                created_at: session.createdAt,
                last_activity: session.lastActivity
              })
              .execute()
            await addVersion(transaction, session, session.version, session.createdAt)
            await addEntry(transaction, session.sessionId, session.version, entry)
            await keepAnswer(transaction, keep, session.createdAt)
          },
          (cause) => cause instanceof AlreadyAnswered
        ),
        Effect.map(findSession(session.sessionId), (kept) => kept !== undefined)
      ),
    session: findSession,
    history: (sessionId) =>
      read("read the history", async () => {
        const rows = await db
          .selectFrom("validation_history")
          .selectAll()
          .where("session_id", "=", sessionId)
          .orderBy("id")
          .execute()
        return rows.map(toEntry)
      }),
    versions: (sessionId) =>
      read("read the versions", async () => {
        const rows = await db
          .selectFrom("session_versions")
          .selectAll()
          .where("session_id", "=", sessionId)
          .orderBy("version")
          .execute()
        return rows.map(toVersion)
      }),
    earlier: (textMark, since) =>
      read("look for earlier submissions", async () => {
        const row = await db
          .selectFrom("sessions")
          .leftJoin("fir_records", "fir_records.session_id", "sessions.session_id")
          .select(["sessions.session_id as id", "sessions.created_at as at", "fir_records.fir_number as number"])
          .where("sessions.text_mark", "=", textMark)
          .where("sessions.created_at", ">=", since)
          .where("sessions.status", "!=", "expired")
          .orderBy("sessions.created_at", "desc")
          .limit(1)
          .executeTakeFirst()
        return row === undefined ? undefined : { sessionId: row.id, createdAt: row.at, firNumber: row.number }
      }),
    change: ({ entry, fir, keep, session }) =>
      surely(
        write(
          "store the step",
          async (transaction) => {
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
            await addVersion(transaction, session, session.version + 1, session.lastActivity)
            await addEntry(transaction, session.sessionId, session.version + 1, entry)
            if (fir !== undefined) await writeFir(transaction, fir, session.lastActivity)
            await keepAnswer(transaction, keep, session.lastActivity)
          },
          (cause) => cause instanceof StaleVersion || cause instanceof NumberTaken || cause instanceof AlreadyAnswered
        ),
        Effect.map(
          findSession(session.sessionId),
          (kept) => kept?.version === session.version + 1 && kept.state === session.state
        )
      ),
    answer: (key) =>
      read("read a kept answer", async () => {
        const row = await db.selectFrom("answers").selectAll().where("request_key", "=", key).executeTakeFirst()
        return row === undefined ? undefined : { key, fingerprint: row.fingerprint, answer: row.answer }
      }),
    fir: (firNumber) =>
      read("read the report", async () => {
        const row = await db
          .selectFrom("fir_records")
          .selectAll()
          .where("fir_number", "=", firNumber)
          .executeTakeFirst()
        return row === undefined ? undefined : toFir(row)
      }),
    firs: (before, limit, words = []) =>
      read("list the reports", async () => {
        let found = db.selectFrom("fir_records")
        for (const word of words) {
          found = found.where(sql<boolean>`lower(fir_content) like ${pattern(word)} escape '!'`)
        }
        let page = found.selectAll().orderBy("id", "desc").limit(limit)
        if (before !== undefined) page = page.where("id", "<", before)
        const rows = await page.execute()
        const { total } = await found.select((eb) => eb.fn.countAll<number>().as("total")).executeTakeFirstOrThrow()
        return { items: rows.map((row) => ({ ...toFir(row), id: row.id })), total }
      }),
    finalise: (firNumber, entry) =>
      write(
        "finalise the report",
        async (transaction) => {
          const updated = await transaction
            .updateTable("fir_records")
            .set({ status: "finalized", finalized_at: entry.at })
            .where("fir_number", "=", firNumber)
            .where("status", "=", "pending")
            .executeTakeFirst()
          if (updated.numUpdatedRows === 0n) return
          const { session_id, version } = await transaction
            .selectFrom("fir_records")
            .innerJoin("sessions", "sessions.session_id", "fir_records.session_id")
            .select(["sessions.session_id", "sessions.version"])
            .where("fir_number", "=", firNumber)
            .executeTakeFirstOrThrow()
          await addEntry(transaction, session_id, version, entry)
        },
        never
      ),
    expire: (idleSince) =>
      read("expire idle sessions", async () => {
        const updated = await db
          .updateTable("sessions")
          .set((eb) => ({ status: "expired", step: "expired", version: eb("version", "+", 1) }))
          .where("status", "=", "awaiting_validation")
          .where("last_activity", "<", idleSince)
          .executeTakeFirst()
        return Number(updated.numUpdatedRows)
      }),
    forget: (before) =>
      read("forget kept answers", async () => {
        await db.deleteFrom("answers").where("created_at", "<", before).execute()
      }),
    counts: (since) =>
      read("count sessions and reports", async () => {
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
}
