// How a process stands with Redis.
//
// Scripts go by EVALSHA. A server that does not know one gets it by EVAL, which
// runs and keeps it: on a cluster SCRIPT LOAD could reach another server than
// the key's. Only the digest comes from SCRIPT LOAD, once a script.
//
// An answer that never comes: the client below keeps commands while it connects
// anew and may send them long after whoever asked has left. So every script can
// be run late, or twice, without harm; and each command has a time.

import { Backoff } from "@sluice/retry"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Redis from "effect/persistence/Redis"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type { RedisAway, RedisAwayFields, RedisSession, Script, Stats, Watcher } from "../RedisSession.ts"
import { millisOf, nowMillis } from "./time.ts"

interface Command {
  readonly lateAt: number
  readonly onLate: () => void
}

export interface Settings {
  readonly prefix: string
  readonly commandTimeoutMillis: number
  readonly retryBase: Duration.Input
  readonly retryCap: Duration.Input
  readonly instances: number | undefined
  readonly heartbeatMillis: number
}

const heartbeatScript: Script = {
  lua: `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])`
}

const letters = "abcdefghijklmnopqrstuvwxyz0123456789"

const randomName: Effect.Effect<string> = Effect.map(
  Effect.forEach(Array.from({ length: 16 }), () => Random.nextIntBetween(0, letters.length)),
  (picks) => picks.map((pick) => letters[pick] ?? "").join("")
)

type Done<E> = (exit: Exit.Exit<unknown, E>) => void

const isUnknownScript = (exit: Exit.Exit<unknown, Redis.RedisError>): boolean => {
  if (Exit.isSuccess(exit)) return false
  const error = Cause.findErrorOption(exit.cause)
  return Option.isSome(error) && String(error.value.cause).includes("NOSCRIPT")
}

export const make: (
  settings: Settings,
  makeAway: (fields: RedisAwayFields) => RedisAway
) => Effect.Effect<RedisSession, never, Redis.Redis | Scope.Scope> = Effect.fnUntraced(function* (settings, makeAway) {
  const redis = yield* Redis.Redis
  const scope = yield* Effect.scope
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  const id = yield* randomName
  const channel = `${settings.prefix}:wake:${id}`
  const registry = `${settings.prefix}:instances`
  const digests = new Map<string, string>()
  const topics = new Map<string, (message: string) => void>()
  const watchers = new Set<Watcher>()
  const goneAway = Latch.makeUnsafe(false)

  let away: { readonly since: number; cause: unknown; probeKey: string } | undefined
  let numbered = 0
  let outages = 0
  let commands = 0
  let failures = 0
  let subscriptionsLost = 0
  let instances = Math.max(1, settings.instances ?? 1)

  const refusal = (): RedisAway =>
    makeAway({ cause: away?.cause, awayForMillis: away === undefined ? 0 : millisOf(clock) - away.since })

  const failed = (cause: unknown, key: string): void => {
    failures++
    if (away !== undefined) {
      away.cause = cause
      return
    }
    outages++
    // In the slot of the key that failed, so that on a cluster it is its shard that is tried.
    away = { since: millisOf(clock), cause, probeKey: `${key}:probe` }
    goneAway.openUnsafe()
    for (const watcher of [...watchers]) watcher.onAway()
  }

  const tellBack = (): void => {
    if (away === undefined) for (const watcher of [...watchers]) watcher.onBack()
  }

  // The subscription comes back by itself and later than the commands do: what was said until then is asked for.
  const back = Effect.suspend(() => {
    away = undefined
    goneAway.closeUnsafe()
    tellBack()
    const later = Effect.delay(Effect.sync(tellBack), Duration.toMillis(settings.retryCap) + 500)
    return Effect.forkIn(later, scope)
  })

  // One fiber watches the time of all commands: they take equally long to be late, so the oldest is late first.
  const underWay = new Set<Command>()
  const someUnderWay = Latch.makeUnsafe(false)
  const watchTime = Effect.suspend(() => {
    const time = millisOf(clock)
    for (const command of underWay) {
      if (command.lateAt > time) return Effect.sleep(command.lateAt - time)
      underWay.delete(command)
      command.onLate()
    }
    someUnderWay.closeUnsafe()
    return someUnderWay.await
  })

  const fork = Effect.runForkWith(context)

  /** Sends a command, and calls back once: with its answer, its failure, or that there was none in time. */
  const sendUnsafe = (done: Done<Redis.RedisError>, command: string, ...args: ReadonlyArray<string>): void => {
    commands++
    const fiber = fork(redis.send(command, ...args))
    const entry: Command = {
      lateAt: millisOf(clock) + settings.commandTimeoutMillis,
      onLate: () => {
        fiber.interruptUnsafe()
        const cause = new Cause.TimeoutError(`no answer within ${settings.commandTimeoutMillis} ms`)
        done(Exit.fail(new Redis.RedisError({ cause })))
      }
    }
    underWay.add(entry)
    someUnderWay.openUnsafe()
    fiber.addObserver((exit) => {
      if (underWay.delete(entry)) done(exit)
    })
  }

  const run = (
    script: Script,
    keys: ReadonlyArray<string>,
    args: ReadonlyArray<string>,
    done: Done<Redis.RedisError>
  ): void => {
    const count = String(keys.length)
    const digest = digests.get(script.lua)
    if (digest === undefined) {
      const onLoaded: Done<Redis.RedisError> = (exit) => {
        if (Exit.isFailure(exit)) return done(exit)
        digests.set(script.lua, String(exit.value))
        run(script, keys, args, done)
      }
      sendUnsafe(onLoaded, "SCRIPT", "LOAD", script.lua)
      return
    }
    const onAnswer: Done<Redis.RedisError> = (exit) => {
      if (!isUnknownScript(exit)) return done(exit)
      sendUnsafe(done, "EVAL", script.lua, count, ...keys, ...args)
    }
    sendUnsafe(onAnswer, "EVALSHA", digest, count, ...keys, ...args)
  }

  const evaluateUnsafe: RedisSession["evaluateUnsafe"] = (script, keys, args, done) => {
    if (away !== undefined) return done(Exit.fail(refusal()))
    run(script, keys, args, (exit) => {
      if (Exit.isSuccess(exit)) return done(Exit.succeed(exit.value))
      failed(Option.getOrUndefined(Cause.findErrorOption(exit.cause))?.cause ?? exit.cause, keys[0] ?? registry)
      done(Exit.fail(refusal()))
    })
  }

  const evaluate: RedisSession["evaluate"] = (script, keys, args) =>
    Effect.callback((resume) => evaluateUnsafe(script, keys, args, resume))

  const send = (command: string, ...args: ReadonlyArray<string>): Effect.Effect<unknown, Redis.RedisError> =>
    Effect.callback((resume) => sendUnsafe(resume, command, ...args))

  const probe = Effect.suspend(() => send("SET", away?.probeKey ?? registry, "1", "PX", "1000"))
  const recovery = goneAway.await.pipe(
    Effect.andThen(
      Effect.retry(
        Effect.tapError(probe, (error) => Effect.sync(() => failed(error.cause, registry))),
        Backoff.exponential({ base: settings.retryBase, cap: settings.retryCap })
      )
    ),
    Effect.andThen(back),
    Effect.catch(() => Effect.void),
    Effect.forever
  )

  const deliver = (message: string): void => {
    const [session, number] = message.split(".", 2)
    topics.get(`${session}.${number}`)?.(message)
  }

  const pauseMillis = Duration.toMillis(settings.retryBase)
  const longestPauseMillis = Duration.toMillis(settings.retryCap)

  // A subscription that was made again has missed what was said in between.
  const subscription = (attempted: Latch.Latch): Effect.Effect<never> => {
    let pause = pauseMillis
    const received = Effect.gen(function* () {
      const inbox = yield* redis.subscribe(channel)
      yield* attempted.open
      if (subscriptionsLost > 0) tellBack()
      yield* Effect.forever(
        Effect.map(Queue.takeAll(inbox), (messages) => {
          pause = pauseMillis
          for (const { message } of messages) deliver(message)
        })
      )
    })
    return Effect.scoped(received).pipe(
      Effect.catchCause(() =>
        Effect.suspend(() => {
          subscriptionsLost++
          const wait = pause
          pause = Math.min(2 * pause, longestPauseMillis)
          return Effect.andThen(attempted.open, Effect.sleep(wait))
        })
      ),
      Effect.forever
    )
  }

  const firstAttempt = Latch.makeUnsafe(false)
  let isSubscribing = false
  const subscribed = Effect.suspend(() => {
    if (isSubscribing) return firstAttempt.await
    isSubscribing = true
    return Effect.andThen(Effect.forkIn(subscription(firstAttempt), scope), firstAttempt.await)
  })

  const heartbeat = evaluate(heartbeatScript, [registry], [id, String(3 * settings.heartbeatMillis)]).pipe(
    Effect.tap((count) =>
      Effect.sync(() => {
        if (settings.instances === undefined) instances = Math.max(1, Number(count))
      })
    ),
    Effect.ignore
  )

  const statsAt = (now: number): Stats => ({
    isAway: away !== undefined,
    awayFor: Duration.millis(away === undefined ? 0 : now - away.since),
    outages,
    commands,
    failures,
    subscriptionsLost,
    instances
  })

  yield* Effect.forkIn(Effect.forever(watchTime), scope)
  yield* Effect.forkIn(recovery, scope)
  yield* heartbeat
  yield* Effect.forkIn(Effect.forever(Effect.delay(heartbeat, settings.heartbeatMillis)), scope)

  return {
    id,
    prefix: settings.prefix,
    evaluate,
    evaluateUnsafe,
    subscribed,
    listen: (topic, onMessage) => {
      topics.set(topic, onMessage)
    },
    unlisten: (topic) => {
      topics.delete(topic)
    },
    isAway: () => away !== undefined,
    instances: () => instances,
    nextNumber: () => ++numbered,
    watch: (watcher) => {
      watchers.add(watcher)
      return () => watchers.delete(watcher)
    },
    stats: Effect.map(nowMillis, statsAt),
    statsUnsafe: () => statsAt(millisOf(clock))
  }
})
