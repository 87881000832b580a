// What a server has told of its limits, as a meter. Of each limit: a line that falls
// from what remained when its window was first seen to nothing at its reset. Requests
// may be ahead of that line by a share of it, the burst; whoever would be further
// ahead waits until the line has come down to him. So what is left lasts until the
// reset, and a few requests are not slowed down.

import type { Meter, Refund } from "./meter.ts"

export interface LearnedLimit {
  /** Where the line begins. */
  start: number
  base: number
  remaining: number
  resetAt: number
  /** What a new window brings, where the server has told. */
  quota: number | undefined
  windowMillis: number
}

export type Learned = Map<string, LearnedLimit>

/** What a request costs of a limit. */
export type CostOf = (name: string) => number

/** The window that a time is in, if it can be told: what follows on the last reset is guessed from what was before. */
const windowAt = (limit: LearnedLimit, time: number): LearnedLimit | undefined => {
  if (time < limit.resetAt) return limit
  const { quota, windowMillis } = limit
  if (quota === undefined || !(windowMillis > 0)) return undefined
  const start = limit.resetAt + Math.floor((time - limit.resetAt) / windowMillis) * windowMillis
  return { start, base: quota, remaining: quota, resetAt: start + windowMillis, quota, windowMillis }
}

export const learnedMeter = (burst: number): Meter<Learned, CostOf> => {
  const earliestOf = (limit: LearnedLimit, from: number, cost: number): number => {
    const window = windowAt(limit, from)
    if (window === undefined || cost <= 0) return from
    const { base, remaining, resetAt, start } = window
    // A cost above all that there ever is goes when everything is there.
    if (remaining < Math.min(cost, window.quota ?? base) || base <= 0) return resetAt
    const ahead = remaining - cost + Math.max(cost, burst * base)
    return Math.min(resetAt, Math.max(from, resetAt - (ahead * (resetAt - start)) / base))
  }

  const latest = (learned: Learned, from: number, costOf: CostOf): number => {
    let time = from
    for (const [name, limit] of learned) time = Math.max(time, earliestOf(limit, from, costOf(name)))
    return time
  }

  return {
    none: () => new Map(),
    copy: (learned) => new Map(Array.from(learned, ([name, limit]) => [name, { ...limit }])),
    earliest: (learned, from, costOf) => {
      // One limit's reset may lie in another's next window, in which there is a line again.
      const first = latest(learned, from, costOf)
      return first === from ? from : latest(learned, first, costOf)
    },
    behind: () => undefined,
    commit: (learned, at, costOf) => {
      for (const [name, limit] of learned) {
        const cost = costOf(name)
        if (cost <= 0) continue
        const window = windowAt(limit, at)
        if (window === undefined) learned.delete(name)
        else learned.set(name, { ...window, remaining: Math.max(0, window.remaining - cost) })
      }
      return learned
    },
    cancel: (learned, _, costOf): Refund<Learned, CostOf> => ({ state: learned, given: costOf }),
    adjust: (learned) => learned
  }
}

/** What a report says of a limit. */
export interface Told {
  readonly remaining: number
  readonly resetMillis: number | undefined
  readonly quota: number | undefined
  readonly windowMillis: number | undefined
}

// Resets are told in whole seconds, so the same one comes out up to a second apart.
const sameReset = 1500

export const learn = (learned: Learned, name: string, told: Told, now: number): void => {
  const known = learned.get(name)
  const isOpen = known !== undefined && now < known.resetAt
  const { remaining } = told
  const quota = told.quota ?? known?.quota
  const resetMillis = told.resetMillis ?? (isOpen ? known.resetAt - now : told.windowMillis)
  if (resetMillis === undefined) return
  const resetAt = now + resetMillis
  const windowMillis = told.windowMillis ?? Math.max(resetMillis, known?.windowMillis ?? 0)
  if (isOpen && resetAt <= known.resetAt + sameReset) {
    // Answers come out of order, and others may use the limit: what counts is the least that was told.
    known.remaining = Math.min(known.remaining, remaining)
    known.quota = quota
    return
  }
  learned.set(name, { start: now, base: remaining, remaining, resetAt, quota, windowMillis })
}
