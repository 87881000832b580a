// Keys that are blocked for a time, in bounded memory: those whose time is over go
// when others come, and beyond the cap the one that was blocked first.

export interface Blocks {
  readonly until: (key: string, now: number) => number
  readonly block: (key: string, until: number, now: number) => void
}

export const makeBlocks = (maxKeys: number): Blocks => {
  const ends = new Map<string, number>()

  const forgetOver = (now: number): void => {
    let looked = 0
    for (const [key, until] of ends) {
      if (until <= now) ends.delete(key)
      if (++looked === 2) return
    }
  }

  return {
    until: (key, now) => {
      if (ends.size === 0) return Number.NEGATIVE_INFINITY
      const until = ends.get(key)
      if (until === undefined) return Number.NEGATIVE_INFINITY
      if (until <= now) ends.delete(key)
      return until
    },
    block: (key, until, now) => {
      ends.delete(key)
      forgetOver(now)
      if (until <= now) return
      if (ends.size >= maxKeys)
        for (const first of ends.keys()) {
          ends.delete(first)
          break
        }
      ends.set(key, until)
    }
  }
}
