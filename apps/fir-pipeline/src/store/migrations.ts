// The tables, as the steps that lead to them. A step that has been released is
// never changed: what is new is a step of its own.
//
// MySQL ends a transaction at every change of a table, so a step that was cut off
// there is found half done. Each of its statements is therefore one that may have
// been done before.
import type { ColumnDataType, CreateTableBuilder, Kysely, sql } from "kysely"
import { type Migration, Migrator } from "kysely/migration"

/** In what the databases differ. */
export interface Flavour {
  /** A text as long as a report of fifty thousand characters. */
  readonly longText: ColumnDataType | ReturnType<typeof sql>
  readonly finish: <T extends string, C extends string>(table: CreateTableBuilder<T, C>) => CreateTableBuilder<T, C>
  /** Whether an error says that the table, column or index is there already. */
  readonly isThere: (error: unknown) => boolean
}

const first = ({ finish, isThere, longText }: Flavour): Migration => ({
  up: async (db: Kysely<unknown>) => {
    const index = (table: string, name: string, columns: ReadonlyArray<string>) =>
      unlessThere(isThere, () =>
        db.schema
          .createIndex(name)
          .on(table)
          .columns([...columns])
          .execute()
      )
    await finish(
      db.schema
        .createTable("sessions")
        .ifNotExists()
        .addColumn("session_id", "varchar(36)", (column) => column.primaryKey())
        .addColumn("step", "varchar(40)", (column) => column.notNull())
        .addColumn("status", "varchar(40)", (column) => column.notNull())
        .addColumn("version", "integer", (column) => column.notNull())
        .addColumn("state", longText, (column) => column.notNull())
        .addColumn("created_at", "bigint", (column) => column.notNull())
        .addColumn("last_activity", "bigint", (column) => column.notNull())
    ).execute()
    await index("sessions", "sessions_activity", ["status", "last_activity"])
    await finish(
      db.schema
        .createTable("validation_history")
        .ifNotExists()
        .addColumn("id", "integer", (column) => column.primaryKey().autoIncrement())
        .addColumn("session_id", "varchar(36)", (column) => column.notNull().references("sessions.session_id"))
        .addColumn("step", "varchar(40)", (column) => column.notNull())
        .addColumn("action", "varchar(40)", (column) => column.notNull())
        .addColumn("done_by", "varchar(200)", (column) => column.notNull())
        .addColumn("done_at", "bigint", (column) => column.notNull())
        .addColumn("version", "integer", (column) => column.notNull())
        .addColumn("input", longText)
    ).execute()
    await index("validation_history", "history_session", ["session_id", "id"])
    await finish(
      db.schema
        .createTable("fir_records")
        .ifNotExists()
        .addColumn("id", "integer", (column) => column.primaryKey().autoIncrement())
        .addColumn("fir_number", "varchar(40)", (column) => column.notNull().unique())
        .addColumn("session_id", "varchar(36)", (column) => column.notNull().unique().references("sessions.session_id"))
        .addColumn("complaint_text", longText, (column) => column.notNull())
        .addColumn("fir_content", longText, (column) => column.notNull())
        .addColumn("violations_json", longText, (column) => column.notNull())
        .addColumn("status", "varchar(20)", (column) => column.notNull())
        .addColumn("created_at", "bigint", (column) => column.notNull())
        .addColumn("finalized_at", "bigint")
    ).execute()
    await finish(
      db.schema
        .createTable("answers")
        .ifNotExists()
        .addColumn("request_key", "varchar(300)", (column) => column.primaryKey())
        .addColumn("fingerprint", "varchar(64)", (column) => column.notNull())
        .addColumn("answer", longText, (column) => column.notNull())
        .addColumn("created_at", "bigint", (column) => column.notNull())
    ).execute()
  }
})

const versions = ({ finish, isThere, longText }: Flavour): Migration => ({
  up: async (db: Kysely<unknown>) => {
    const there = (run: () => Promise<void>) => unlessThere(isThere, run)
    await finish(
      db.schema
        .createTable("session_versions")
        .ifNotExists()
        .addColumn("session_id", "varchar(36)", (column) => column.notNull().references("sessions.session_id"))
        .addColumn("version", "integer", (column) => column.notNull())
        .addColumn("step", "varchar(40)", (column) => column.notNull())
        .addColumn("state", longText, (column) => column.notNull())
        .addColumn("made_at", "bigint", (column) => column.notNull())
        .addPrimaryKeyConstraint("session_versions_key", ["session_id", "version"])
    ).execute()
    await there(() =>
      db.schema
        .alterTable("sessions")
        .addColumn("urgent", "integer", (column) => column.notNull().defaultTo(0))
        .execute()
    )
    await there(() =>
      db.schema
        .alterTable("sessions")
        .addColumn("text_mark", "varchar(64)", (column) => column.notNull().defaultTo(""))
        .execute()
    )
    await there(() =>
      db.schema.createIndex("sessions_text").on("sessions").columns(["text_mark", "created_at"]).execute()
    )
    await there(() => db.schema.createIndex("answers_age").on("answers").columns(["created_at"]).execute())
  }
})

const unlessThere = async (isThere: Flavour["isThere"], run: () => Promise<void>): Promise<void> => {
  try {
    await run()
  } catch (error) {
    if (!isThere(error)) throw error
  }
}

/** Brings the database to what this version needs; several processes may do so at once. */
export const migrate = async <T>(db: Kysely<T>, flavour: Flavour): Promise<void> => {
  const migrator = new Migrator({
    db,
    provider: {
      getMigrations: async () => ({ "001_sessions_and_reports": first(flavour), "002_versions": versions(flavour) })
    }
  })
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw error
}
