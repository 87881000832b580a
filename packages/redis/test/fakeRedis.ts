// A Redis in memory that runs the package's own scripts, on the clock of the
// test: for schedules and laws, which a real server's time would not repeat.
// A command is a step on its way there and a step on its way back, so that
// whatever can happen in between does.

import { type Clock, Effect, Queue } from "effect"
import { Redis } from "effect/persistence"
import { type Interpreter, makeInterpreter, type Value } from "./lua.ts"

type Hash = Map<string, string>
interface Scored {
  readonly scores: Map<string, number>
}
type Stored = { readonly value: string | Hash | Scored; expiresAt: number }

/** 2025-10-09, so that numbers have the size that they have in production. */
const startMillis = 1_760_000_000_000

export interface Connection {
  readonly redis: Redis.Redis["Service"]
  /** From now on nothing that is sent arrives and nothing that is said is heard. */
  readonly cut: () => void
  readonly heal: () => void
}

export interface FakeRedis {
  readonly connect: () => Connection
  /** Forgets everything, as a restart without data does. */
  readonly flush: () => void
  /** Commands that arrived. */
  readonly commands: () => number
  /** Runs a command at once, for a test to look at what is stored. */
  readonly command: (...command: ReadonlyArray<string>) => Value
}

const number = (text: string | undefined): number =>
  text === "-inf" ? Number.NEGATIVE_INFINITY : text === "+inf" ? Number.POSITIVE_INFINITY : Number(text)

export const makeFakeRedis: Effect.Effect<FakeRedis> = Effect.clockWith((clock) => Effect.sync(() => make(clock)))

const make = (clock: Clock.Clock): FakeRedis => {
  const data = new Map<string, Stored>()
  const scripts = new Map<string, string>()
  const subscribers = new Map<string, Set<(message: string) => void>>()
  let arrived = 0
  const nowMicros = (): number => startMillis * 1000 + Math.floor(Number(clock.currentTimeNanosUnsafe()) / 1000)

  const find = (key: string): Stored | undefined => {
    const stored = data.get(key)
    if (stored === undefined || stored.expiresAt > nowMicros() / 1000) return stored
    data.delete(key)
    return undefined
  }
  const hash = (key: string): Hash => {
    const value = find(key)?.value
    if (value instanceof Map) return value
    const fresh: Hash = new Map()
    data.set(key, { value: fresh, expiresAt: Number.POSITIVE_INFINITY })
    return fresh
  }
  const scored = (key: string): Map<string, number> => {
    const value = find(key)?.value
    if (value !== undefined && typeof value !== "string" && "scores" in value) return value.scores
    const scores = new Map<string, number>()
    data.set(key, { value: { scores }, expiresAt: Number.POSITIVE_INFINITY })
    return scores
  }
  const ordered = (key: string): ReadonlyArray<readonly [string, number]> =>
    [...scored(key)].sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1))
  const within = (key: string, from: string, to: string) =>
    ordered(key).filter(([, score]) => score >= number(from) && score <= number(to))
  const removed = (count: number, key: string, size: number): number => {
    if (size === 0) data.delete(key)
    return count
  }

  const commands: Record<string, (...args: ReadonlyArray<string>) => Value> = {
    TIME: () => [String(Math.floor(nowMicros() / 1e6)), String(nowMicros() % 1e6)],
    GET: (key = "") => {
      const value = find(key)?.value
      return typeof value === "string" ? value : null
    },
    SET: (key = "", value = "", ...options) => {
      const life = options[0] === "PX" ? number(options[1]) : Number.POSITIVE_INFINITY
      data.set(key, { value, expiresAt: nowMicros() / 1000 + life })
      return "OK"
    },
    DEL: (key = "") => (data.delete(key) ? 1 : 0),
    PEXPIRE: (key = "", life = "") => {
      const stored = find(key)
      if (stored === undefined) return 0
      stored.expiresAt = nowMicros() / 1000 + number(life)
      return 1
    },
    HGET: (key = "", field = "") => hash(key).get(field) ?? null,
    HMGET: (key = "", ...fields) => fields.map((field) => hash(key).get(field) ?? null),
    HSET: (key = "", ...pairs) => {
      for (let at = 0; at < pairs.length; at += 2) hash(key).set(pairs[at] ?? "", pairs[at + 1] ?? "")
      return pairs.length / 2
    },
    HDEL: (key = "", field = "") => removed(hash(key).delete(field) ? 1 : 0, key, hash(key).size),
    ZADD: (key = "", ...args) => {
      const isNew = args[0] === "NX"
      const pairs = isNew ? args.slice(1) : args
      const scores = scored(key)
      let added = 0
      for (let at = 0; at < pairs.length; at += 2) {
        const member = pairs[at + 1] ?? ""
        const had = scores.has(member)
        if (!had) added++
        if (!(isNew && had)) scores.set(member, number(pairs[at]))
      }
      return added
    },
    ZINCRBY: (key = "", by = "", member = "") => {
      scored(key).set(member, (scored(key).get(member) ?? 0) + number(by))
      return "OK"
    },
    ZREM: (key = "", ...members) => {
      const count = members.filter((member) => scored(key).delete(member)).length
      return removed(count, key, scored(key).size)
    },
    ZMSCORE: (key = "", ...members) =>
      members.map((member) => {
        const score = scored(key).get(member)
        return score === undefined ? null : String(score)
      }),
    ZCARD: (key = "") => removed(scored(key).size, key, scored(key).size),
    ZSCORE: (key = "", member = "") => {
      const score = scored(key).get(member)
      return score === undefined ? null : String(score)
    },
    ZRANGE: (key = "", from = "", to = "", withScores) => {
      const end = number(to)
      const all = ordered(key)
      const start = number(from) < 0 ? all.length + number(from) : number(from)
      const found = all.slice(start, end < 0 ? all.length + end + 1 : end + 1)
      return found.flatMap(([member, score]) => (withScores === undefined ? [member] : [member, String(score)]))
    },
    ZRANGEBYSCORE: (key = "", from = "", to = "") => within(key, from, to).map(([member]) => member),
    ZREMRANGEBYSCORE: (key = "", from = "", to = "") => {
      const old = within(key, from, to)
      for (const [member] of old) scored(key).delete(member)
      return removed(old.length, key, scored(key).size)
    },
    ZPOPMIN: (key = "", count = "1") => {
      const lowest = ordered(key).slice(0, number(count))
      for (const [member] of lowest) scored(key).delete(member)
      removed(0, key, scored(key).size)
      return lowest.flatMap(([member, score]) => [member, String(score)])
    },
    PUBLISH: (channel = "", message = "") => {
      const listeners = [...(subscribers.get(channel) ?? [])]
      for (const listener of listeners) listener(message)
      return listeners.length
    },
    PING: () => "PONG"
  }

  const call = (command: ReadonlyArray<string>): Value => {
    const [name = "", ...args] = command
    const run = commands[name.toUpperCase()]
    if (run === undefined) throw new Error(`ERR unknown command ${name}`)
    return run(...args)
  }
  const interpreter: Interpreter = makeInterpreter(call)

  const evaluate = (source: string, args: ReadonlyArray<string>): Value => {
    const keys = Number(args[0])
    return interpreter.run(source, args.slice(1, 1 + keys), args.slice(1 + keys))
  }

  const execute = (command: ReadonlyArray<string>): Value => {
    arrived++
    const [name = "", first = "", ...rest] = command
    switch (name) {
      case "SCRIPT": {
        const source = rest[0] ?? ""
        const known = [...scripts].find(([, text]) => text === source)?.[0]
        const digest = `digest-${scripts.size}`
        if (known === undefined) scripts.set(digest, source)
        return known ?? digest
      }
      case "EVALSHA": {
        const source = scripts.get(first)
        if (source === undefined) throw new Error("NOSCRIPT No matching script. Please use EVAL.")
        return evaluate(source, rest)
      }
      case "EVAL":
        return evaluate(first, rest)
      default:
        return call(command)
    }
  }

  const unused = () => Effect.die(new Error("The fake Redis has scripts and subscriptions alone"))

  return {
    connect: () => {
      let isCut = false
      const redis: Redis.Redis["Service"] = {
        send: <A = unknown>(...command: ReadonlyArray<string>) => {
          const arrive = Effect.suspend((): Effect.Effect<Value, Redis.RedisError> => {
            if (isCut) return Effect.never
            try {
              return Effect.succeed(execute(command))
            } catch (cause) {
              return Effect.fail(new Redis.RedisError({ cause }))
            }
          })
          const answer = Effect.tap(arrive, () => Effect.suspend(() => (isCut ? Effect.never : Effect.yieldNow)))
          // What a command answers is its caller's to say, as it is with a real server.
          return Effect.andThen(Effect.yieldNow, answer) as Effect.Effect<A, Redis.RedisError>
        },
        subscribe: (channel) =>
          Effect.gen(function* () {
            const queue = yield* Queue.unbounded<Redis.RedisMessage, Redis.RedisError>()
            const listener = (message: string) => {
              if (!isCut) Queue.offerUnsafe(queue, { channel, message })
            }
            const listeners = subscribers.get(channel) ?? new Set()
            subscribers.set(channel, listeners.add(listener))
            yield* Effect.addFinalizer(() => Effect.sync(() => listeners.delete(listener)))
            return queue
          }),
        eval: () => unused,
        reserve: unused()
      }
      return {
        redis,
        cut: () => {
          isCut = true
        },
        heal: () => {
          isCut = false
        }
      }
    },
    flush: () => data.clear(),
    commands: () => arrived,
    command: (...command) => execute(command)
  }
}
