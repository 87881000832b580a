// `node:sqlite`, the one SQLite that Node, Bun and Deno all have.
//
// Statements run at once and are short, so that a transaction is one piece of
// synchronous code: nothing of this process can come in between. Other processes
// wait for the lock for as long as `busy_timeout` says.
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from "node:sqlite"
import { Schema } from "effect"

export type Row = Record<string, SQLOutputValue>

export class Database {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(path: string) {
    this.#database = new DatabaseSync(path)
    this.#database.exec("pragma busy_timeout = 10000")
    // What was acknowledged must survive the machine as well as the process.
    this.#database.exec("pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on")
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#database.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  script(sql: string): void {
    this.#database.exec(sql)
  }

  all(sql: string, ...values: ReadonlyArray<SQLInputValue>): ReadonlyArray<Row> {
    return this.#prepare(sql).all(...values)
  }

  get(sql: string, ...values: ReadonlyArray<SQLInputValue>): Row | undefined {
    return this.#prepare(sql).get(...values)
  }

  /** The only number of the only row. */
  number(sql: string, ...values: ReadonlyArray<SQLInputValue>): number {
    const [value] = Object.values(this.get(sql, ...values) ?? {})
    return Number(value ?? 0)
  }

  /** How many rows were changed. */
  run(sql: string, ...values: ReadonlyArray<SQLInputValue>): number {
    return Number(this.#prepare(sql).run(...values).changes)
  }

  transaction<A>(work: () => A): A {
    // From the beginning as a writer: a reader that becomes one could find the database changed.
    this.#database.exec("begin immediate")
    try {
      const result = work()
      this.#database.exec("commit")
      return result
    } catch (error) {
      this.#database.exec("rollback")
      throw error
    }
  }

  /** A part of a transaction that fails by itself. */
  savepoint<A>(work: () => A): A {
    this.#database.exec("savepoint change")
    try {
      const result = work()
      this.#database.exec("release change")
      return result
    } catch (error) {
      this.#database.exec("rollback to change; release change")
      throw error
    }
  }

  close(): void {
    this.#database.close()
  }
}

/** Rows as what a schema says that they are. */
export const rowsOf = <S extends Schema.Decoder<unknown>>(schema: S) => {
  const decode = Schema.decodeUnknownSync(schema)
  return (rows: ReadonlyArray<Row>): ReadonlyArray<S["Type"]> => rows.map((row) => decode(row))
}
