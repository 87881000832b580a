// Where the engine has its time from, and how it is woken.
//
// A timer of the runtime is late by up to a millisecond, which at 1,000 arrivals
// a second is a whole gap. So timers are used as far as they are surely early
// enough, and the rest is spent in turns of the event loop: each looks after the
// sockets and then at the clock, and an arrival is late by one turn, microseconds
// where the loop is not busy. The price is that a thread that sends a thousand a
// second keeps its core busy.

export interface Timing {
  /** Microseconds since some moment that is the same for all of the run. */
  readonly now: () => number
  /** Calls back at `at` or soon after. Answers what takes that back. */
  readonly wake: (at: number, callback: () => void) => () => void
  /** As {@link wake}, late by what the runtime's timers are, and at no cost. */
  readonly wakeAbout: (at: number, callback: () => void) => () => void
}

/** A timer of so many milliseconds has surely gone off this much after them. */
const timerSlackMicros = 150

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
        const millis = Math.floor((left - timerSlackMicros) / 1000)
        if (left <= 0) callback()
        else if (millis >= 1) timer = setTimeout(look, Math.min(millis, 60_000))
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
