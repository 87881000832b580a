// The store in MySQL or MariaDB, for several processes.
//
// A session is claimed by a named lock of the database server, all of a process's
// on one connection beside the pool. The server lets go of them when the connection
// ends, so a process that is killed holds nothing, and nothing has to be renewed.
// If the connection is lost, two processes may do the same work; the versions see to
// it that it counts once.
import { Backoff, Retry } from "@sluice/retry"
import { Data, Effect, Option, Redacted, type Scope } from "effect"
import { Kysely, MysqlDialect, sql } from "kysely"
import { type Connection, type ConnectionOptions, createConnection, createPool } from "mysql2"
import { type StoreApi, StoreError } from "../Store.ts"
import { migrate } from "./migrations.ts"
import { storeOver } from "./queries.ts"
import type { Tables } from "./tables.ts"

export interface Options {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: Redacted.Redacted<string>
  readonly database: string
  readonly poolSize: number
  /** Whether the connections are encrypted, and the server's certificate is checked. */
  readonly tls: boolean
}

/** No statement of the store takes so long, so a server that does not answer is away. */
const ANSWER_WITHIN = "15 seconds"

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : ""

/** The server has undone it all and asks for another try. */
const UNDONE = new Set(["ER_LOCK_DEADLOCK", "ER_LOCK_WAIT_TIMEOUT"])
/** It never came to the server. */
const NOT_BEGUN = new Set(["ECONNREFUSED", "ENOENT", "EHOSTUNREACH", "ETIMEDOUT", "ER_CON_COUNT_ERROR"])
/** Nobody knows whether the server did it. */
const CUT_OFF = new Set(["PROTOCOL_CONNECTION_LOST", "ECONNRESET", "EPIPE", "ER_SERVER_SHUTDOWN"])

const THERE = new Set(["ER_TABLE_EXISTS_ERROR", "ER_DUP_FIELDNAME", "ER_DUP_KEYNAME"])

class NoAnswer extends Data.TaggedError("NoAnswer")<{ readonly message: string }> {}

const passes = (error: unknown, writes: boolean): boolean => {
  if (!(error instanceof StoreError)) return false
  const code = codeOf(error.cause)
  return UNDONE.has(code) || NOT_BEGUN.has(code) || (!writes && CUT_OFF.has(code))
}

/** A restart of the server is a matter of seconds, and nobody needs to hear of it. */
const insist = <A, E>(effect: Effect.Effect<A, E | StoreError>, options: { readonly writes: boolean }) =>
  effect.pipe(
    within("reach the database"),
    Retry.retry<E | StoreError>({
      maxAttempts: 8,
      backoff: Backoff.exponential({ base: "50 millis", cap: "2 seconds", jitter: "equal" }),
      while: (error) => passes(error, options.writes)
    })
  )

/** How often what may have been stored is looked for, and stored again if it was not. */
const STORE_TRIES = 3

const surely = <E>(
  change: Effect.Effect<void, E | StoreError>,
  isKept: Effect.Effect<boolean, StoreError>,
  tries: number = STORE_TRIES
): Effect.Effect<void, E | StoreError> =>
  Effect.catch(change, (error) =>
    error instanceof StoreError && tries > 1
      ? Effect.flatMap(isKept, (kept) => (kept ? Effect.void : surely(change, isKept, tries - 1)))
      : Effect.fail(error)
  )

const ignore = (): void => {}

const query = <A>(connection: Connection, text: string, values: ReadonlyArray<string>) =>
  Effect.callback<A, StoreError>((resume) => {
    connection.query(text, [...values], (cause, rows) =>
      // The driver's rows are what the statement selects.
      resume(
        cause === null ? Effect.succeed(rows as A) : Effect.fail(new StoreError({ operation: "lock a session", cause }))
      )
    )
  }).pipe(within("lock a session"))

const within = (operation: string) =>
  Effect.timeoutOrElse({
    duration: ANSWER_WITHIN,
    orElse: () =>
      Effect.fail(new StoreError({ operation, cause: new NoAnswer({ message: "the database does not answer" }) }))
  })

/** The connection that holds the locks; made anew when it was lost. */
const locks = (options: ConnectionOptions) =>
  Effect.gen(function* () {
    let current: Connection | undefined
    const connection = (): Connection => {
      if (current !== undefined) return current
      const made = createConnection(options)
      const lose = () => {
        if (current === made) current = undefined
      }
      made.on("error", lose)
      made.on("end", lose)
      current = made
      return made
    }
    yield* Effect.addFinalizer(() => Effect.sync(() => current?.destroy()))
    const name = (sessionId: string) => `fir ${sessionId}`
    return {
      claim: (sessionId: string) =>
        Effect.acquireRelease(
          Effect.suspend(() => {
            const holder = connection()
            return Effect.map(
              query<ReadonlyArray<{ readonly got: number | null }>>(holder, "select get_lock(?, 0) as got", [
                name(sessionId)
              ]),
              ([row]) => (row?.got === 1 ? holder : undefined)
            )
          }),
          (holder) =>
            holder === undefined || holder !== current
              ? Effect.void
              : Effect.ignore(query(holder, "select release_lock(?)", [name(sessionId)]))
        ).pipe(Effect.map((holder) => (holder === undefined ? Option.none() : Option.some(undefined)))),
      claimed: (sessionId: string) =>
        Effect.suspend(() =>
          Effect.map(
            query<ReadonlyArray<{ readonly holder: number | null }>>(connection(), "select is_used_lock(?) as holder", [
              name(sessionId)
            ]),
            ([row]) => row !== undefined && row.holder !== null
          )
        )
    }
  })

export const make = ({
  database,
  host,
  password,
  poolSize,
  port,
  tls,
  user
}: Options): Effect.Effect<StoreApi, StoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const options: ConnectionOptions = {
      host,
      port,
      user,
      password: Redacted.value(password),
      database,
      charset: "utf8mb4",
      decimalNumbers: true,
      connectTimeout: 5000,
      ...(tls ? { ssl: {} } : {})
    }
    const db = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const pool = createPool({ ...options, connectionLimit: poolSize, maxIdle: poolSize, enableKeepAlive: true })
        // Without locks on gaps, sessions that write beside each other never wait for one another.
        pool.on("connection", (connection) => {
          connection.query("set session transaction isolation level read committed", ignore)
        })
        return new Kysely<Tables>({ dialect: new MysqlDialect({ pool }) })
      }),
      (db) => Effect.promise(() => db.destroy().catch(ignore))
    )
    const opened = Effect.tryPromise({
      try: () =>
        migrate(db, {
          longText: sql`mediumtext`,
          finish: (table) => table.modifyEnd(sql`engine = InnoDB default charset = utf8mb4 collate = utf8mb4_bin`),
          isThere: (error) => THERE.has(codeOf(error))
        }),
      catch: (cause) => new StoreError({ operation: "open the database", cause })
    })
    yield* insist(opened, { writes: true })
    const { claim, claimed } = yield* locks(options)
    return storeOver({
      db,
      isDuplicate: (error) => codeOf(error) === "ER_DUP_ENTRY",
      insist,
      surely,
      claim,
      claimed
    })
  })
