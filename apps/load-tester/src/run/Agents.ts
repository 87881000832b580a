/**
 * A run on many machines, which agree through Redis.
 *
 * **Details**
 *
 * The coordinator puts the plan there. Agents join it until there are as many as it asks for; each makes its share ready and
 * says so. When all are, the coordinator names the moment to begin, by Redis's clock, from which each agent knows how far its
 * own is off. What each has come to is put there once a second, and at the end; the coordinator merges all, exactly. An agent
 * that is not heard of for some seconds is taken for lost: the run ends, and its last word counts.
 *
 * Everything is kept under one name and goes away by itself after an hour.
 *
 * @module
 */
import { NodeRedis } from "@effect/platform-node"
import { Data, Effect, Layer, Schedule } from "effect"
import * as Redis from "effect/persistence/Redis"
import type { Share } from "../engine/Arrivals.ts"
import type { Ending } from "../engine/Run.ts"
import * as Codec from "../results/Codec.ts"
import * as Recorder from "../results/Recorder.ts"
import type * as Result from "../results/Result.ts"
import { ready } from "./Drive.ts"
import { epochMillis, type Options, type Outcome, type View } from "./Execute.ts"
import type { Plan } from "./Plan.ts"
import { endingOf, mergeAll } from "./Workers.ts"

/** The machines do not come together, or one of them has failed. */
export class AgentsFailed extends Data.TaggedError("@sluice/load-tester/AgentsFailed")<{ readonly message: string }> {}

const prefix = "sluice-load"
const keepSeconds = "3600"
/** Between the word and the start: more than it takes to reach every agent. */
const startMarginMillis = 500
const pollMillis = 50
const tellMillis = 1000

interface Job {
  readonly id: string
  readonly agents: number
  readonly plan: Plan
}

/** What an agent has come to; base 64, since Redis is spoken to in text. */
interface Word {
  readonly agent: number
  /** Grows, so that whoever listens knows that it is heard. */
  readonly turn: number
  readonly result: string
  /** Absent while it runs. */
  readonly ending?: Ending
  /** Why it could not go on. */
  readonly failed?: string
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
const failed = (message: string) => new AgentsFailed({ message })

const send = <A = unknown>(command: string, ...args: ReadonlyArray<string>) =>
  Effect.flatMap(Redis.Redis, (redis) => redis.send<A>(command, ...args)).pipe(
    Effect.mapError((error) => failed(`Redis: ${messageOf(error.cause ?? error)}`))
  )

/** Connects to Redis for as long as the effect runs. */
export const through =
  (url: string) =>
  <A, E>(self: Effect.Effect<A, E, Redis.Redis>): Effect.Effect<A, E | AgentsFailed> =>
    Effect.scoped(
      Effect.flatMap(
        Effect.mapError(Layer.build(NodeRedis.layer({ url })), (error) =>
          failed(`Cannot reach Redis at ${url}: ${messageOf(error.cause)}`)
        ),
        (redis) => Effect.provide(self, redis)
      )
    )

const keysOf = (name: string, id: string) => {
  const of = (what: string): string => `${prefix}:{${name}}:${id}:${what}`
  return { joined: of("joined"), ready: of("ready"), start: of("start"), stop: of("stop"), words: of("words") }
}

const jobKey = (name: string): string => `${prefix}:{${name}}:job`

const put = (key: string, value: string) => send("SET", key, value, "EX", keepSeconds)
const count = (key: string) => Effect.map(send("INCR", key), Number)
const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)
const pause = Effect.sleep(pollMillis)

/** How far this machine's clock is behind that of Redis: the middle of the round trip that took least. */
const clockOffset = Effect.gen(function* () {
  let least = Number.POSITIVE_INFINITY
  let offset = 0
  for (let turn = 0; turn < 5; turn++) {
    const before = epochMillis()
    const time = yield* send<ReadonlyArray<unknown>>("TIME")
    const took = epochMillis() - before
    if (took >= least) continue
    least = took
    offset = Number(time[0]) * 1000 + Number(time[1]) / 1000 - (before + took / 2)
  }
  return offset
})

const encode = (result: Result.Result): string => Buffer.from(Codec.encode(result)).toString("base64")
const decode = (text: string) =>
  Effect.mapError(Codec.decode(Buffer.from(text, "base64"), "an agent's result"), ({ message }) => failed(message))

/** Repeats a look until it sees something. */
const until = <A, E, R>(look: Effect.Effect<A | undefined, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(look, (seen) => (seen === undefined ? Effect.andThen(pause, until(look)) : Effect.succeed(seen)))

export interface CoordinateOptions extends Options {
  /** What the agents look for. */
  readonly name: string
  readonly agents: number
  /** How long agents may take to join and to be ready. */
  readonly patienceSeconds: number
  /** An agent that was not heard of for so long is lost. Default 10. */
  readonly lostSeconds?: number
  /** Told when an agent joins, and when all are ready. */
  readonly progress?: (text: string) => void
}

/** Has a plan run by agents. This process puts no load on anything. */
export const coordinate = Effect.fnUntraced(function* (plan: Plan, options: CoordinateOptions) {
  const { agents, lostSeconds = 10, name, progress } = options
  const id = crypto.randomUUID()
  const keys = keysOf(name, id)
  const job: Job = { id, agents, plan }
  const other = yield* send("SET", jobKey(name), JSON.stringify(job), "EX", keepSeconds, "NX")
  if (other === null) return yield* failed(`Cannot begin ${name}: another run of that name is under way`)
  const cleanUp = Effect.ignore(send("DEL", jobKey(name), keys.joined, keys.ready))

  const words = Effect.map(send<ReadonlyArray<unknown>>("HVALS", keys.words), (values) =>
    values.map((value) => JSON.parse(String(value)) as Word)
  )

  return yield* Effect.gen(function* () {
    let seen = 0
    yield* until(
      Effect.gen(function* () {
        const joined = Number((yield* send("GET", keys.joined)) ?? 0)
        if (joined > seen) progress?.(`${Math.min(joined, agents)} of ${agents} agents have joined`)
        seen = joined
        const early = (yield* words).find((word) => word.failed !== undefined)
        if (early?.failed !== undefined) return yield* failed(early.failed)
        return Number((yield* send("GET", keys.ready)) ?? 0) >= agents ? true : undefined
      })
    ).pipe(
      Effect.timeoutOrElse({
        duration: options.patienceSeconds * 1000,
        orElse: () => Effect.fail(failed(`${seen} of ${agents} agents were there after ${options.patienceSeconds} s`))
      })
    )
    progress?.("all agents are ready")
    // Nobody else can join from here on.
    yield* send("DEL", jobKey(name))
    const offset = yield* clockOffset
    const startAtMillis = epochMillis() + startMarginMillis
    yield* put(keys.start, String(startAtMillis + offset))

    let result = Recorder.make({ name: plan.name, startedAtMillis: startAtMillis }).result(0)
    let stopFor: string | undefined
    const view: View = {
      result: () => result,
      totals: undefined,
      stop: (reason) => {
        stopFor ??= reason
      }
    }
    options.begun?.(view)
    const heard = Array.from({ length: agents }, () => ({ turn: -1, at: startAtMillis }))
    let toldAt = startAtMillis
    const outcome = yield* until(
      Effect.gen(function* () {
        const all = yield* words
        const now = epochMillis()
        for (const { agent, turn } of all) if (heard[agent]?.turn !== turn) heard[agent] = { turn, at: now }
        const results = yield* Effect.forEach(all, ({ result }) => decode(result))
        result = mergeAll(results) ?? result
        if (now - toldAt >= tellMillis) {
          toldAt = now
          options.watch?.(view)
        }
        if (stopFor !== undefined) yield* put(keys.stop, stopFor)
        const broken = all.find((word) => word.failed !== undefined)
        if (broken?.failed !== undefined) return yield* failed(broken.failed)
        const endings = all.flatMap(({ ending }) => ending ?? [])
        if (endings.length === agents) return { result, ending: endingOf(endings) } satisfies Outcome
        const lost = heard.flatMap(({ at }, agent) =>
          now - at >= lostSeconds * 1000 && all.every((word) => word.agent !== agent || word.ending === undefined)
            ? [agent + 1]
            : []
        )
        if (lost.length === 0) return undefined
        const reason = `lost ${lost.length === 1 ? "agent" : "agents"} ${lost.join(", ")} of ${agents}`
        yield* put(keys.stop, reason)
        return { result, ending: { kind: "stopped", reason } } satisfies Outcome
      })
    )
    yield* send("DEL", keys.start, keys.stop, keys.words)
    return outcome
  }).pipe(
    Effect.onInterrupt(() => Effect.ignore(put(keys.stop, "interrupted"))),
    Effect.ensuring(cleanUp)
  )
})

export interface AgentOptions {
  readonly name: string
  /** Threads of this agent. */
  readonly workers: number
  readonly progress?: (text: string) => void
}

/** Joins the next run of a name, does its share, and answers what that came to. */
export const agent = Effect.fnUntraced(function* ({ name, progress, workers }: AgentOptions) {
  // Whoever finds that enough have joined waits for the next run.
  const { index, job } = yield* until(
    Effect.gen(function* () {
      const text = textOf(yield* send("GET", jobKey(name)))
      if (text === undefined) return undefined
      const job = JSON.parse(text) as Job
      const place = yield* count(keysOf(name, job.id).joined)
      return place > job.agents ? undefined : { job, index: place - 1 }
    })
  )
  const keys = keysOf(name, job.id)
  const share: Share = { index, of: job.agents }
  progress?.(`joined ${job.plan.name} as ${index + 1} of ${job.agents}`)
  let turn = 0
  const say = (said: Omit<Word, "agent" | "turn">) => {
    const word: Word = { agent: index, turn: turn++, ...said }
    return Effect.andThen(
      send("HSET", keys.words, String(index), JSON.stringify(word)),
      send("EXPIRE", keys.words, keepSeconds)
    )
  }
  const nothing = encode(Recorder.make({ name: job.plan.name, startedAtMillis: Date.now() }).result(0))

  return yield* Effect.gen(function* () {
    const begin = yield* ready(job.plan, { share, workers, tells: true })
    const offset = yield* clockOffset
    yield* count(keys.ready)
    const startAt = yield* until(Effect.map(send("GET", keys.start), textOf))
    let view: View | undefined
    const tell = Effect.gen(function* () {
      if (view === undefined) return
      yield* say({ result: encode(view.result()) })
    })
    const listen = Effect.gen(function* () {
      const reason = textOf(yield* send("GET", keys.stop))
      if (reason !== undefined) view?.stop(reason)
    })
    const outcome = yield* Effect.raceFirst(
      begin({
        startAtMillis: Number(startAt) - offset,
        begun: (running) => {
          view = running
        },
        watch: () => {}
      }),
      // Redis that is away for a while does not end a share that runs.
      Effect.andThen(
        Effect.forkChild(Effect.repeat(Effect.ignore(listen), Schedule.spaced(pollMillis * 4))),
        Effect.andThen(Effect.repeat(Effect.ignore(tell), Schedule.spaced(tellMillis)), Effect.never)
      )
    )
    yield* say({ result: encode(outcome.result), ending: outcome.ending }).pipe(
      Effect.retry({ schedule: Schedule.spaced(500), times: 20 })
    )
    return outcome
  }).pipe(
    Effect.scoped,
    Effect.tapError(({ message }) => Effect.ignore(say({ result: nothing, failed: `Agent ${index + 1}: ${message}` }))),
    Effect.onInterrupt(() => Effect.ignore(say({ result: nothing, failed: `Agent ${index + 1} was interrupted` })))
  )
})
