// A clock that goes forward at the pace of another and never steps back. Where
// the other is set back, the hour that it repeats must not be an hour without
// permits; where it is set forward, no more than a full burst can be gained.
// It starts at zero, so that sums keep their last bits.

export interface SteadyTime {
  readonly at: (clockMillis: number) => number
}

export const makeSteadyTime = (): SteadyTime => {
  let last = Number.NaN
  let offset = 0
  return {
    at: (clockMillis) => {
      if (clockMillis < last) offset += last - clockMillis
      else if (Number.isNaN(last)) offset = -clockMillis
      last = clockMillis
      return clockMillis + offset
    }
  }
}
