// What the store promises, on every database that it may be kept in.
import { DatabaseSync } from "node:sqlite"
import { Effect, Exit, Option, Redacted, type Scope } from "effect"
import * as fc from "fast-check"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import type * as Store from "../src/Store.ts"
import * as Database from "../src/store/Database.ts"
import { absent, type Mysql, startMysql } from "./support/mysql.ts"
import { temporaryFolder } from "./support/server.ts"

const session = (sessionId: string, now = 1000): Store.Session => ({
  sessionId,
  step: "transcript_review",
  status: "awaiting_validation",
  version: 1,
  state: "{}",
  urgent: false,
  textMark: "mark",
  createdAt: now,
  lastActivity: now
})
const entry = { step: "transcript_review", action: "approve", by: "officer", at: 1000, input: null }
const fir = (sessionId: string, firNumber: string, firContent = "content") => ({
  firNumber,
  sessionId,
  complaintText: "text",
  firContent,
  violationsJson: "[]"
})
const keep = (key: string) => ({ key, fingerprint: "print", answer: "{}" })

const folder = temporaryFolder()
let mysql: Mysql | undefined
let databases = 0

beforeAll(async () => {
  if (absent === undefined) mysql = await startMysql()
})
afterAll(async () => {
  await mysql?.remove()
  folder.remove()
})

/** A database with nothing in it, which several stores may open. */
const fresh = {
  sqlite: async (): Promise<Database.Options> => ({ kind: "sqlite", path: `${folder.path}/${databases++}.sqlite` }),
  mysql: async (): Promise<Database.Options> => {
    const name = `fir_${databases++}`
    await mysql?.database(name)
    return {
      kind: "mysql",
      host: "127.0.0.1",
      port: mysql?.port ?? 0,
      user: mysql?.user ?? "",
      password: Redacted.make(mysql?.password ?? ""),
      database: name,
      poolSize: 15,
      tls: false
    }
  }
}

const on = (kind: keyof typeof fresh) => {
  const run = async <E>(
    ids: ReadonlyArray<string>,
    use: (store: Store.StoreApi, options: Database.Options) => Effect.Effect<void, E, Scope.Scope>
  ): Promise<void> => {
    const options = await fresh[kind]()
    await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const store = yield* Database.make(options)
          yield* Effect.forEach(ids, (id) => store.create(session(id), entry), { concurrency: "unbounded" })
          yield* use(store, options)
        })
      )
    )
  }

  it("lets exactly one of many changes of a version through", () =>
    run(["a"], (store) =>
      Effect.gen(function* () {
        const changes = Array.from({ length: 20 }, (_, index) =>
          Effect.exit(store.change({ session: { ...session("a"), step: `step-${index}` }, entry }))
        )
        const exits = yield* Effect.all(changes, { concurrency: "unbounded" })
        assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
        assert.strictEqual((yield* store.session("a"))?.version, 2)
        assert.strictEqual((yield* store.history("a")).length, 2)
      })
    ))

  it("gives a number to one session only, and keeps nothing of the change that wanted it too", () =>
    run(["a", "b"], (store) =>
      Effect.gen(function* () {
        yield* store.change({ session: session("a"), entry, fir: fir("a", "FIR-1") })
        const refused = yield* Effect.flip(store.change({ session: session("b"), entry, fir: fir("b", "FIR-1") }))
        assert.strictEqual(refused._tag, "NumberTaken")
        assert.strictEqual((yield* store.session("b"))?.version, 1)
        assert.strictEqual((yield* store.history("b")).length, 1)
      })
    ))

  it("keeps the number of a report that is made again", () =>
    run(["a"], (store) =>
      Effect.gen(function* () {
        yield* store.change({ session: session("a"), entry, fir: fir("a", "FIR-1") })
        const again = { ...session("a"), version: 2 }
        yield* store.change({ session: again, entry, fir: fir("a", "FIR-1", "better") })
        assert.strictEqual((yield* store.fir("FIR-1"))?.firContent, "better")
        assert.strictEqual((yield* store.firs(undefined, 10)).total, 1)
      })
    ))

  it("keeps every version that a session has had", () =>
    run(["a"], (store) =>
      Effect.gen(function* () {
        yield* store.change({ session: { ...session("a"), step: "summary_review", state: '{"b":1}' }, entry })
        const versions = yield* store.versions("a")
        assert.deepStrictEqual(
          versions.map(({ state, step, version }) => [version, step, state]),
          [
            [1, "transcript_review", "{}"],
            [2, "summary_review", '{"b":1}']
          ]
        )
      })
    ))

  it("keeps any text as it is: of any script, of fifty thousand signs, and with signs that mean something to SQL", () =>
    run(["a"], (store) =>
      Effect.gen(function* () {
        for (const [index, text] of [
          "शिकायत: मेरा मोबाइल छीना",
          "🚔".repeat(25_000),
          `'; drop table sessions; -- \\ " %`
        ].entries()) {
          yield* store.change({
            session: { ...session("a"), version: index + 1, state: text },
            entry: { ...entry, input: text.slice(0, 10_000) },
            fir: fir("a", "FIR-1", text)
          })
          assert.strictEqual((yield* store.session("a"))?.state, text)
          assert.strictEqual((yield* store.fir("FIR-1"))?.firContent, text)
          assert.strictEqual((yield* store.history("a")).at(-1)?.input, text.slice(0, 10_000))
        }
      })
    ))

  it("finds the reports that hold every word, whatever their case and their signs", () =>
    run(["a", "b", "c"], (store) =>
      Effect.gen(function* () {
        yield* store.change({ session: session("a"), entry, fir: fir("a", "FIR-1", "Theft of 100% cotton at Gaya") })
        yield* store.change({ session: session("b"), entry, fir: fir("b", "FIR-2", "Theft at Pune") })
        yield* store.change({ session: session("c"), entry, fir: fir("c", "FIR-3", "गया में चोरी") })
        const found = (...words: ReadonlyArray<string>) =>
          Effect.map(store.firs(undefined, 10, words), ({ items, total }) => [
            total,
            ...items.map(({ firNumber }) => firNumber)
          ])
        assert.deepStrictEqual(yield* found("theft"), [2, "FIR-2", "FIR-1"])
        assert.deepStrictEqual(yield* found("theft", "GAYA"), [1, "FIR-1"])
        assert.deepStrictEqual(yield* found("100%"), [1, "FIR-1"])
        assert.deepStrictEqual(yield* found("1_0"), [0])
        assert.deepStrictEqual(yield* found("गया"), [1, "FIR-3"])
      })
    ))

  it("knows a complaint that was submitted before, and the report that came of it", () =>
    run(["a"], (store) =>
      Effect.gen(function* () {
        yield* store.change({ session: session("a"), entry, fir: fir("a", "FIR-1") })
        assert.deepStrictEqual(yield* store.earlier("mark", 500), {
          sessionId: "a",
          createdAt: 1000,
          firNumber: "FIR-1"
        })
        assert.isUndefined(yield* store.earlier("mark", 1001))
        assert.isUndefined(yield* store.earlier("another", 500))
      })
    ))

  it("keeps one answer to a request, and nothing of a change that would be another", () =>
    run(["a", "b"], (store) =>
      Effect.gen(function* () {
        yield* store.change({ session: session("a"), entry, keep: keep("key") })
        const refused = yield* Effect.flip(store.change({ session: session("b"), entry, keep: keep("key") }))
        assert.strictEqual(refused._tag, "AlreadyAnswered")
        assert.strictEqual((yield* store.session("b"))?.version, 1)
        assert.strictEqual((yield* store.answer("key"))?.fingerprint, "print")
        yield* store.forget(5000)
        assert.isUndefined(yield* store.answer("key"))
      })
    ))

  it("finalises once, and says by whom", () =>
    run(["a"], (store) =>
      Effect.gen(function* () {
        yield* store.change({ session: session("a"), entry, fir: fir("a", "FIR-1") })
        const final = (by: string, at: number) => ({ step: "completed", action: "finalise", by, at, input: null })
        yield* store.finalise("FIR-1", final("the head", 2000))
        yield* store.finalise("FIR-1", final("another", 3000))
        assert.strictEqual((yield* store.fir("FIR-1"))?.finalizedAt, 2000)
        const finals = (yield* store.history("a")).filter(({ action }) => action === "finalise")
        assert.deepStrictEqual(
          finals.map(({ at, by }) => [by, at]),
          [["the head", 2000]]
        )
      })
    ))

  it("expires what is idle and leaves what is complete", () =>
    run(["idle", "done"], (store) =>
      Effect.gen(function* () {
        yield* store.change({ session: { ...session("done"), status: "completed", step: "completed" }, entry })
        assert.strictEqual(yield* store.expire(5000), 1)
        assert.strictEqual((yield* store.session("idle"))?.status, "expired")
        assert.strictEqual((yield* store.session("done"))?.status, "completed")
        const late = yield* Effect.flip(store.change({ session: { ...session("idle"), version: 2 }, entry }))
        assert.strictEqual(late._tag, "StaleVersion")
      })
    ))

  it("counts by status, with the mean of their time", () =>
    run(["a", "b"], (store) =>
      Effect.gen(function* () {
        yield* store.change({
          session: { ...session("a"), status: "completed", lastActivity: 2000 },
          entry,
          fir: fir("a", "FIR-1")
        })
        const { firs, sessions } = yield* store.counts(0)
        assert.deepInclude(sessions, { status: "completed", count: 1, avgMillis: 1000 })
        assert.deepInclude(sessions, { status: "awaiting_validation", count: 1, avgMillis: 0 })
        assert.deepStrictEqual([...firs], [{ status: "pending", count: 1 }])
      })
    ))

  it("is opened by several at once, and what one writes the others read", () =>
    run([], (_, options) =>
      Effect.gen(function* () {
        const stores = yield* Effect.all(
          Array.from({ length: 4 }, () => Database.make(options)),
          { concurrency: "unbounded" }
        )
        for (const [index, store] of stores.entries()) yield* store.create(session(`s${index}`), entry)
        for (const store of stores) assert.isDefined(yield* store.session("s3"))
      })
    ))

  it("numbers every report once, whatever the order in which sessions ask", async () => {
    // The model: a set of numbers. A number that is in it is refused, and the set never holds one twice.
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 20 }), (numbers) =>
        run(
          numbers.map((_, index) => `s${index}`),
          (store) =>
            Effect.gen(function* () {
              const exits = yield* Effect.forEach(
                numbers,
                (number, index) =>
                  Effect.exit(
                    store.change({ session: session(`s${index}`), entry, fir: fir(`s${index}`, `FIR-${number}`) })
                  ),
                { concurrency: "unbounded" }
              )
              const { items, total } = yield* store.firs(undefined, 100)
              assert.strictEqual(total, new Set(numbers).size)
              assert.strictEqual(new Set(items.map(({ firNumber }) => firNumber)).size, total)
              assert.strictEqual(exits.filter(Exit.isSuccess).length, total)
            })
        )
      ),
      { numRuns: kind === "sqlite" ? 30 : 8 }
    )
  })
}

describe("the store in SQLite", () => {
  on("sqlite")

  it("takes over a database of the first version", async () => {
    const path = `${folder.path}/first.sqlite`
    const old = new DatabaseSync(path)
    old.exec(`
      create table sessions (session_id varchar(36) primary key, step varchar(40) not null, status varchar(40) not null,
        version integer not null, state text not null, created_at bigint not null, last_activity bigint not null);
      create index sessions_activity on sessions (status, last_activity);
      insert into sessions values ('old', 'summary_review', 'awaiting_validation', 2, '{}', 1, 1)`)
    old.close()
    await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const store = yield* Database.make({ kind: "sqlite", path })
          assert.deepInclude(yield* store.session("old"), { version: 2, urgent: false })
          yield* store.change({ session: { ...session("old"), version: 2 }, entry })
        })
      )
    )
  })
})

describe.skipIf(absent !== undefined)(
  `the store in MySQL${absent === undefined ? "" : ` (skipped: ${absent})`}`,
  () => {
    on("mysql")

    it("lets one process at a time work on a session, and the next once it is done", async () => {
      const options = await fresh.mysql()
      await Effect.runPromise(
        Effect.scoped(
          Effect.gen(function* () {
            const one = yield* Database.make(options)
            const other = yield* Database.make(options)
            const taken = Effect.map(Effect.scoped(other.claim("a")), Option.isSome)
            yield* Effect.scoped(
              Effect.gen(function* () {
                assert.isTrue(Option.isSome(yield* one.claim("a")))
                assert.isTrue(yield* other.claimed("a"))
                assert.isFalse(yield* taken)
                assert.isTrue(Option.isSome(yield* other.claim("b")))
              })
            )
            assert.isFalse(yield* other.claimed("a"))
            assert.isTrue(yield* taken)
          })
        )
      )
    })

    it("bears that the server is killed and comes back: what was stored is there, and what is written then is stored once", async () => {
      const options = await fresh.mysql()
      await Effect.runPromise(
        Effect.scoped(
          Effect.gen(function* () {
            const store = yield* Database.make(options)
            const ids = Array.from({ length: 30 }, (_, index) => `s${index}`)
            yield* Effect.forEach(ids, (id) => store.create(session(id), entry), { concurrency: 10 })
            const killed = Effect.promise(async () => {
              await mysql?.kill()
              await mysql?.start()
            })
            const write = (id: string) => store.change({ session: session(id), entry, fir: fir(id, `FIR-${id}`) })
            yield* Effect.all([Effect.forEach(ids, write, { concurrency: 10 }), killed], { concurrency: 2 })
            const { items, total } = yield* store.firs(undefined, 100)
            assert.strictEqual(total, ids.length)
            assert.strictEqual(new Set(items.map(({ firNumber }) => firNumber)).size, ids.length)
            for (const id of ids) {
              assert.strictEqual((yield* store.session(id))?.version, 2)
              assert.strictEqual((yield* store.history(id)).length, 2)
            }
          })
        )
      )
    })
  }
)
