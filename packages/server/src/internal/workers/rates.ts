// Limits that all workers share. The primary decides, with one limiter for each, so
// that the limit is as exact as in one process. A worker asks for many clients at
// once: while a question is under way the next one gathers.

import { KeyedRateLimiter, type RateLimiter } from "@sluice/rate-limiter"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ClientLimiter } from "../../Admission.ts"
import type { SharedLimit, WrittenDecision } from "./protocol.ts"

/** Clients that one question tells of at most: one answer must not hold up the others. */
const askedAtOnce = 500

interface Rates {
  /** Throws a `RangeError` where the limit cannot be, or differs from the one of its name. */
  readonly define: (limit: SharedLimit) => void
  readonly decide: (limit: string, clients: ReadonlyArray<string>, nowMillis: number) => ReadonlyArray<WrittenDecision>
}

/** The primary's side. */
export const makeRates = (): Rates => {
  const limiters = new Map<string, { readonly text: string; readonly limiter: KeyedRateLimiter.KeyedRateLimiter }>()
  return {
    define: (shared) => {
      const text = JSON.stringify(shared)
      const known = limiters.get(shared.name)
      if (known !== undefined) {
        if (known.text === text) return
        throw new RangeError(`Cannot share the limit ${shared.name} as ${text}: another worker has it as ${known.text}`)
      }
      const { algorithm, burst, intervalMillis, limit, maxClients, name } = shared
      const limiter = KeyedRateLimiter.makeUnsafe({
        limit,
        interval: Duration.millis(intervalMillis),
        burst,
        algorithm,
        maxKeys: maxClients
      })
      limiters.set(name, { text, limiter })
    },
    decide: (limit, clients, nowMillis) => {
      const known = limiters.get(limit)
      if (known === undefined) throw new RangeError(`Cannot decide on the limit ${limit}: no worker has told of it`)
      return clients.map((client) => {
        const {
          allowed,
          limit: capacity,
          remaining,
          resetAfter,
          retryAfter
        } = known.limiter.tryTakeUnsafe(nowMillis, client)
        return [allowed, remaining, Duration.toMillis(retryAfter), Duration.toMillis(resetAfter), capacity]
      })
    }
  }
}

const read = ([allowed, remaining, retryMillis, resetMillis, limit]: WrittenDecision): RateLimiter.Decision => ({
  allowed,
  remaining,
  limit,
  retryAfter: Duration.millis(retryMillis),
  resetAfter: Duration.millis(resetMillis)
})

interface Asking {
  readonly client: string
  readonly resume: (decision: Effect.Effect<RateLimiter.Decision>) => void
  hasLeft: boolean
}

/** A worker's side: `ask` brings many clients to the primary and calls back with its decisions, or with what was wrong. */
export const makeSharedLimiter = (
  ask: (
    clients: ReadonlyArray<string>,
    done: (decisions: Effect.Effect<ReadonlyArray<WrittenDecision>>) => void
  ) => void
): ClientLimiter => {
  let waiting: Array<Asking> = []
  let isUnderWay = false

  const next = (): void => {
    const asking = waiting.filter(({ hasLeft }) => !hasLeft)
    waiting = asking.splice(askedAtOnce)
    isUnderWay = asking.length > 0
    if (!isUnderWay) return
    ask(
      asking.map(({ client }) => client),
      (decisions) => {
        for (const [index, { resume }] of asking.entries()) {
          resume(
            Effect.flatMap(decisions, (all) => {
              const decision = all[index]
              return decision === undefined
                ? Effect.die(new Error("The primary decided on fewer clients than were asked"))
                : Effect.succeed(read(decision))
            })
          )
        }
        next()
      }
    )
  }

  return {
    tryTake: (client) =>
      Effect.callback((resume) => {
        const asking: Asking = { client, resume, hasLeft: false }
        waiting.push(asking)
        if (!isUnderWay) next()
        return Effect.sync(() => {
          asking.hasLeft = true
        })
      })
  }
}
