// Tokens that a process takes in blocks and gives out by itself. A fetch for a
// key is shared by all who ask meanwhile. What Redis refused is refused here
// until its time has come: others can only make it later.

import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { RedisAway } from "../RedisSession.ts"
import type { Limits, Outcome } from "./limits.ts"
import { nowMillis } from "./time.ts"

export interface BlockSettings {
  readonly size: number
  readonly maxAgeMillis: number
  readonly maxKeys: number
  readonly limits: Limits
}

interface Stock {
  tokens: number
  /** Until when what is in stock may be given out. */
  expiresAt: number
  /** What was refused, and until when. */
  refusedCost: number
  refusedUntil: number
  fetching: Deferred.Deferred<void> | undefined
}

const outcome = (allowed: boolean, remaining: number, waitMillis: number, resetMillis: number): Outcome => ({
  allowed,
  waitMillis,
  parts: [{ remaining, retryMillis: waitMillis, resetMillis, taken: 0, stamp: "" }],
  isLocal: false
})

export const makeBlocks = (
  settings: BlockSettings
): ((key: string, cost: number) => Effect.Effect<Outcome, RedisAway>) => {
  const { limits, maxAgeMillis, maxKeys, size } = settings
  const stocks = new Map<string, Stock>()

  const stockOf = (key: string): Stock => {
    const known = stocks.get(key)
    const stock = known ?? { tokens: 0, expiresAt: 0, refusedCost: 0, refusedUntil: 0, fetching: undefined }
    // The least recently used is forgotten first; its tokens are lost, which is within what is stated.
    stocks.delete(key)
    stocks.set(key, stock)
    if (stocks.size > maxKeys) {
      for (const oldest of stocks.keys()) {
        stocks.delete(oldest)
        break
      }
    }
    return stock
  }

  const fetch = (stock: Stock, key: string, cost: number): Effect.Effect<Outcome, RedisAway> => {
    const done = Deferred.makeUnsafe<void>()
    stock.fetching = done
    // Counts what it asks for, not who asked: those are counted by whoever is given a part.
    return limits.decide(key, [cost], 0, [Math.max(cost, size)]).pipe(
      Effect.zip(nowMillis),
      Effect.map(([answer, now]) => {
        const [part] = answer.parts
        if (part === undefined || answer.isLocal) return answer
        if (answer.allowed) {
          stock.tokens = part.taken - cost
          stock.expiresAt = now + maxAgeMillis
        } else {
          stock.refusedCost = cost
          stock.refusedUntil = now + answer.waitMillis
        }
        return answer
      }),
      Effect.onExit(() => {
        stock.fetching = undefined
        return Deferred.succeed(done, undefined)
      })
    )
  }

  const take = (key: string, cost: number): Effect.Effect<Outcome, RedisAway> =>
    Effect.flatMap(nowMillis, (now) => {
      const stock = stockOf(key)
      if (stock.tokens >= cost && now < stock.expiresAt) {
        stock.tokens -= cost
        limits.counts.admitted++
        return Effect.succeed(outcome(true, stock.tokens, 0, 0))
      }
      if (stock.refusedCost > 0 && cost >= stock.refusedCost && now < stock.refusedUntil) {
        limits.counts.rejected++
        return Effect.succeed(outcome(false, 0, stock.refusedUntil - now, stock.refusedUntil - now))
      }
      if (stock.fetching === undefined) return fetch(stock, key, cost)
      return Effect.andThen(Deferred.await(stock.fetching), take(key, cost))
    })

  return take
}
