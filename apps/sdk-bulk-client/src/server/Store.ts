// The local API server's memory: one table of objects, and one of answers by
// idempotency key, in SQLite. Statements are prepared once.

import { randomUUID } from "node:crypto"
import { DatabaseSync } from "node:sqlite"

export type Body = Readonly<Record<string, unknown>>
export interface StoredObject extends Body {
  readonly id: string
}

export interface StoredAnswer {
  readonly fingerprint: string
  readonly status: number
  readonly body: string
}

export interface Page {
  readonly skip: number
  readonly limit: number
}

/** Which objects of a collection. */
export interface Filter {
  /** Those with these values; an absent one counts as false. */
  readonly where?: Body
  /** Those in whose name or query this text occurs, in whatever case. */
  readonly search?: string
}

export interface Store {
  readonly insert: (collection: string, parent: string, body: Body) => StoredObject
  readonly find: (collection: string, parent: string, id: string) => StoredObject | undefined
  readonly list: (collection: string, parent: string, page: Page, filter?: Filter) => ReadonlyArray<StoredObject>
  readonly update: (collection: string, parent: string, id: string, change: Body) => StoredObject | undefined
  readonly remove: (collection: string, parent: string, id: string) => boolean
  /** Removes a project and everything that belongs to it. */
  readonly removeProject: (id: string) => boolean
  readonly count: (collection: string, parent: string) => number
  /** Whether anything was ever written to the project. */
  readonly isWritten: (project: string) => boolean
  readonly answerOf: (key: string) => StoredAnswer | undefined
  readonly keepAnswer: (key: string, answer: StoredAnswer) => void
  readonly close: () => void
}

const parse = (text: unknown): StoredObject => JSON.parse(String(text))

/** Opens the store. `path` is a file, or `:memory:`. */
export const open = (path: string): Store => {
  const db = new DatabaseSync(path)
  db.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA busy_timeout = 5000;
    CREATE TABLE IF NOT EXISTS objects (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      collection TEXT NOT NULL,
      parent TEXT NOT NULL,
      id TEXT NOT NULL UNIQUE,
      body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS objects_by_parent ON objects (parent, collection, seq);
    CREATE TABLE IF NOT EXISTS answers (
      key TEXT PRIMARY KEY,
      fingerprint TEXT NOT NULL,
      status INTEGER NOT NULL,
      body TEXT NOT NULL
    ) STRICT;
  `)
  const insert = db.prepare("INSERT INTO objects (collection, parent, id, body) VALUES (?, ?, ?, ?)")
  const find = db.prepare("SELECT body FROM objects WHERE collection = ? AND parent = ? AND id = ?")
  const list = db.prepare("SELECT body FROM objects WHERE collection = ? AND parent = ? ORDER BY seq")
  const update = db.prepare("UPDATE objects SET body = ? WHERE collection = ? AND parent = ? AND id = ?")
  const remove = db.prepare("DELETE FROM objects WHERE collection = ? AND parent = ? AND id = ?")
  const countIn = db.prepare("SELECT COUNT(*) AS n FROM objects WHERE collection = ? AND parent = ?")
  const answer = db.prepare("SELECT fingerprint, status, body FROM answers WHERE key = ?")
  const keep = db.prepare("INSERT OR IGNORE INTO answers (key, fingerprint, status, body) VALUES (?, ?, ?, ?)")

  const removeBelongings = db.prepare("DELETE FROM objects WHERE parent = ?")
  const removeQuestions = db.prepare(
    "DELETE FROM objects WHERE parent IN (SELECT id FROM objects WHERE collection = 'chat-sessions' AND parent = ?)"
  )
  const anyOf = db.prepare("SELECT 1 FROM objects WHERE parent = ? LIMIT 1")
  /** Projects known to have been written to, so that a create does not ask the database each time. */
  const written = new Set<string>()

  const matches = (object: StoredObject, { search, where = {} }: Filter): boolean =>
    Object.entries(where).every(([name, value]) => (object[name] ?? false) === value) &&
    (search === undefined ||
      [object["name"], object["user_query"]].some((text) =>
        String(text ?? "")
          .toLowerCase()
          .includes(search.toLowerCase())
      ))

  return {
    insert: (collection, parent, body) => {
      const object = { ...body, id: randomUUID(), created_at: new Date().toISOString() }
      insert.run(collection, parent, object.id, JSON.stringify(object))
      written.add(parent)
      return object
    },
    find: (collection, parent, id) => {
      const row = find.get(collection, parent, id)
      return row === undefined ? undefined : parse(row["body"])
    },
    list: (collection, parent, { limit, skip }, filter = {}) => {
      const found: Array<StoredObject> = []
      let passed = 0
      for (const row of list.iterate(collection, parent)) {
        const object = parse(row["body"])
        if (!matches(object, filter) || passed++ < skip) continue
        found.push(object)
        if (found.length === limit) break
      }
      return found
    },
    update: (collection, parent, id, change) => {
      const row = find.get(collection, parent, id)
      if (row === undefined) return undefined
      const object = { ...parse(row["body"]), ...change, id, updated_at: new Date().toISOString() }
      update.run(JSON.stringify(object), collection, parent, id)
      return object
    },
    remove: (collection, parent, id) => remove.run(collection, parent, id).changes > 0,
    removeProject: (id) => {
      if (remove.run("projects", "", id).changes === 0) return false
      removeQuestions.run(id)
      removeBelongings.run(id)
      written.delete(id)
      return true
    },
    isWritten: (project) => {
      if (written.has(project)) return true
      if (anyOf.get(project) === undefined) return false
      written.add(project)
      return true
    },
    count: (collection, parent) => Number(countIn.get(collection, parent)?.["n"] ?? 0),
    answerOf: (key) => {
      const row = answer.get(key)
      if (row === undefined) return undefined
      return {
        fingerprint: String(row["fingerprint"]),
        status: Number(row["status"]),
        body: String(row["body"])
      }
    },
    keepAnswer: (key, { body, fingerprint, status }) => void keep.run(key, fingerprint, status, body),
    close: () => db.close()
  }
}
