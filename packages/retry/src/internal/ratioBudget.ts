// A window of ten slots, each with its calls and its granted retries, and the
// sums of both. A retry is granted while
//
//     (retries + 1) · 10⁶ <= calls · ratio · 10⁶ + reserve · 10⁶
//
// with the ratio rounded to millionths once: all whole numbers below 2⁵³, so
// that nothing drifts and no ratio acts as another. (A bucket that adds a part
// of a token a call does drift; one that divides 1 by the ratio and truncates
// makes 0.33 out of 0.3.) Deciding and counting is one synchronous step: callers
// cannot come between. A slot is cleared when time enters it: O(1) amortised.
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { RetryBudget } from "../RetryBudget.ts"
import { monotonicMillis } from "./time.ts"

const SLOTS = 10
const MILLION = 1_000_000

export const makeRatio = (ratio: number, minPerSecond: number, windowMillis: number): RetryBudget => {
  const ratioMillionths = Math.round(ratio * MILLION)
  const reserveMillionths = Math.round(minPerSecond * windowMillis * 1000)
  const slotMillis = windowMillis / SLOTS
  const calls = new Float64Array(SLOTS)
  const retries = new Float64Array(SLOTS)
  let sumOfCalls = 0
  let sumOfRetries = 0
  let current = Number.NEGATIVE_INFINITY
  let granted = 0
  let denied = 0

  const enter = (now: number): number => {
    const slot = Math.floor(now / slotMillis)
    if (slot > current) {
      for (let passed = Math.max(current + 1, slot - SLOTS + 1); passed <= slot; passed++) {
        const index = ((passed % SLOTS) + SLOTS) % SLOTS
        sumOfCalls -= calls[index] ?? 0
        sumOfRetries -= retries[index] ?? 0
        calls[index] = 0
        retries[index] = 0
      }
      current = slot
    }
    return ((current % SLOTS) + SLOTS) % SLOTS
  }

  const available = (): number =>
    Math.max(0, Math.floor((sumOfCalls * ratioMillionths + reserveMillionths) / MILLION) - sumOfRetries)

  const statsUnsafe = (now: number) => {
    enter(now)
    return { granted, denied, available: available() }
  }

  return {
    callUnsafe: (now) => {
      const index = enter(now)
      calls[index] = (calls[index] ?? 0) + 1
      sumOfCalls++
    },
    succeededUnsafe: () => {},
    failedUnsafe: () => {},
    tryRetryUnsafe: (now) => {
      const index = enter(now)
      if (available() < 1) {
        denied++
        return false
      }
      retries[index] = (retries[index] ?? 0) + 1
      sumOfRetries++
      granted++
      return true
    },
    refundUnsafe: (takenAt) => {
      granted--
      const slot = Math.floor(takenAt / slotMillis)
      // Out of the window, it has been forgotten with its slot.
      if (slot <= current - SLOTS) return
      const index = ((slot % SLOTS) + SLOTS) % SLOTS
      retries[index] = (retries[index] ?? 0) - 1
      sumOfRetries--
    },
    statsUnsafe,
    stats: Effect.map(Clock.Clock, (clock) => statsUnsafe(monotonicMillis(clock)))
  }
}
