// A Kysely dialect for `node:sqlite`, the one SQLite that Node, Bun and Deno all have.
//
// There is one connection, as SQLite has one writer. It is lent to one user at a
// time, first come first served, so that the statements of a transaction are never
// interleaved with another's. Statements run synchronously and are short.
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite"
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler
} from "kysely"

const STATEMENTS_KEPT = 100

const input = (value: unknown): SQLInputValue => {
  if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "bigint")
    return value
  if (value instanceof Uint8Array) return value
  if (typeof value === "boolean") return value ? 1 : 0
  throw new TypeError(`Cannot store a ${typeof value} in SQLite`)
}

class Connection implements DatabaseConnection {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#database.prepare(sql)
    if (this.#statements.size === STATEMENTS_KEPT) {
      const oldest = this.#statements.keys().next().value
      if (oldest !== undefined) this.#statements.delete(oldest)
    }
    this.#statements.set(sql, statement)
    return statement
  }

  async executeQuery<R>({ parameters, sql }: CompiledQuery): Promise<QueryResult<R>> {
    const values = parameters.map(input)
    const statement = this.#prepare(sql)
    if (/^\s*(?:select|with|pragma)|\breturning\b/i.test(sql)) {
      // Kysely's types say what a row is; the driver hands through what the database has.
      return { rows: statement.all(...values) as ReadonlyArray<unknown> as Array<R> }
    }
    const { changes, lastInsertRowid } = statement.run(...values)
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }

  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error("Cannot stream a query: SQLite answers at once")
  }
}

class SqliteDriver implements Driver {
  readonly #path: string
  #database: DatabaseSync | undefined
  #connection: Connection | undefined
  #lent = false
  readonly #waiting: Array<() => void> = []

  constructor(path: string) {
    this.#path = path
  }

  async init(): Promise<void> {
    const database = new DatabaseSync(this.#path)
    // An acknowledged step must survive the machine as well as the process.
    database.exec(
      "pragma journal_mode = wal; pragma synchronous = full; pragma busy_timeout = 5000; pragma foreign_keys = on"
    )
    this.#database = database
    this.#connection = new Connection(database)
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    if (this.#connection === undefined) throw new Error("Cannot query: the database is closed")
    if (this.#lent) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#lent = true
    return this.#connection
  }

  async releaseConnection(): Promise<void> {
    // Handed on without a moment in between in which a newcomer could take it.
    const next = this.#waiting.shift()
    if (next === undefined) this.#lent = false
    else next()
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(raw("begin immediate"))
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(raw("commit"))
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(raw("rollback"))
  }

  async destroy(): Promise<void> {
    this.#database?.close()
    this.#database = undefined
    this.#connection = undefined
  }
}

const raw = (text: string): CompiledQuery => CompiledQuery.raw(text)

/** The dialect over the database file at `path`; `:memory:` for one that is gone with the process. */
export const nodeSqliteDialect = (path: string): Dialect => ({
  createAdapter: () => new SqliteAdapter(),
  createDriver: () => new SqliteDriver(path),
  createIntrospector: (db) => new SqliteIntrospector(db),
  createQueryCompiler: () => new SqliteQueryCompiler()
})
