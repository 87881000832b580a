import type { Timing } from "../src/engine/Timing.ts"

interface Wake {
  readonly at: number
  readonly order: number
  readonly callback: () => void
}

/** Time that goes on when it is told to, from one wake-up to the next. */
export const virtualTiming = () => {
  let now = 0
  let order = 0
  const wakes = new Set<Wake>()
  const wake: Timing["wake"] = (at, callback) => {
    const entry = { at: Math.max(at, now), order: order++, callback }
    wakes.add(entry)
    return () => wakes.delete(entry)
  }
  const timing: Timing = { now: () => now, wake, wakeAbout: wake }
  /** Goes on until nothing waits, or until `limit`. */
  const advance = (limit = Number.POSITIVE_INFINITY): void => {
    while (wakes.size > 0) {
      let first: Wake | undefined
      for (const entry of wakes) {
        if (first === undefined || entry.at < first.at || (entry.at === first.at && entry.order < first.order)) {
          first = entry
        }
      }
      if (first === undefined || first.at > limit) break
      wakes.delete(first)
      now = first.at
      first.callback()
    }
    if (limit !== Number.POSITIVE_INFINITY) now = Math.max(now, limit)
  }
  return { timing, advance }
}
