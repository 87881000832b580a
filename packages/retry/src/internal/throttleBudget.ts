// gRPC's proposal A6. Tokens are counted in thousandths, since the ratio is kept
// to three decimals: whole numbers, no drift.
import * as Effect from "effect/Effect"
import type { RetryBudget } from "../RetryBudget.ts"

const THOUSAND = 1000

export const makeThrottle = (maxTokens: number, tokenRatio: number): RetryBudget => {
  const most = Math.round(maxTokens * THOUSAND)
  const gain = Math.round(tokenRatio * THOUSAND)
  let tokens = most
  let granted = 0
  let denied = 0
  const statsUnsafe = () => ({
    granted,
    denied,
    // Each retry that is granted and fails takes a token: so many until half are left.
    available: Math.max(0, Math.ceil((tokens - most / 2) / THOUSAND))
  })
  return {
    callUnsafe: () => {},
    succeededUnsafe: () => {
      tokens = Math.min(most, tokens + gain)
    },
    failedUnsafe: () => {
      tokens = Math.max(0, tokens - THOUSAND)
    },
    tryRetryUnsafe: () => {
      if (tokens > most / 2) {
        granted++
        return true
      }
      denied++
      return false
    },
    refundUnsafe: () => {
      granted--
    },
    statsUnsafe,
    stats: Effect.sync(statsUnsafe)
  }
}
