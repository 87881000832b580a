// Where the engine has its time from, and how it is woken.
//
// A timer of the runtime is late by up to a millisecond and more, which at 1,000
// arrivals a second is a whole gap. So the last two milliseconds are spent in
// turns of the event loop: each looks after the sockets and then at the clock,
// and an arrival is late by one turn, microseconds where the loop is not busy.
// The price is that a thread that sends hundreds a second keeps its core busy.

export interface Timing {
  /** Microseconds since some moment that is the same for all of the run. */
  readonly now: () => number
  /** Calls back at `at` or soon after. Answers what takes that back. */
  readonly wake: (at: number, callback: () => void) => () => void
  /** As {@link wake}, late by what the runtime's timers are, and at no cost. */
  readonly wakeAbout: (at: number, callback: () => void) => () => void
}

const spinMicros = 2000

/** The machine's time, counted from `originMillis` of `performance.now()`. */
export const real = (originMillis: number = performance.now()): Timing => {
  const now = (): number => (performance.now() - originMillis) * 1000
  const wakeAbout: Timing["wakeAbout"] = (at, callback) => {
    const timer = setTimeout(callback, Math.max(0, Math.ceil((at - now()) / 1000)))
    return () => clearTimeout(timer)
  }
  return {
    now,
    wakeAbout,
    wake: (at, callback) => {
      let timer: ReturnType<typeof setTimeout> | undefined
      let turn: ReturnType<typeof setImmediate> | undefined
      const look = (): void => {
        const left = at - now()
        if (left <= 0) callback()
        else if (left > spinMicros)
          timer = setTimeout(look, Math.min(Math.floor((left - spinMicros) / 1000) + 1, 60_000))
        else turn = setImmediate(look)
      }
      // Never within the call: who asks to be woken is not done with its turn.
      if (at <= now()) turn = setImmediate(callback)
      else look()
      return () => {
        clearTimeout(timer)
        clearImmediate(turn)
      }
    }
  }
}
