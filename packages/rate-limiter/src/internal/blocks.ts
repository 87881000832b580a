// Keys that are blocked for a time, in bounded memory: those whose time is over go
// when others are asked for, and beyond the cap the one that was asked for longest ago.

import { makeLeastRecentlyUsed } from "./keyStore.ts"

export interface Blocks {
  readonly until: (key: string, now: number) => number
  readonly block: (key: string, until: number, now: number) => void
}

export const makeBlocks = (maxKeys: number): Blocks => {
  const ends = makeLeastRecentlyUsed<number>({
    maxKeys,
    lifetime: 0,
    maxIdle: undefined,
    freeAt: (_, until) => until
  })
  return {
    until: (key, now) =>
      ends.size() === 0 ? Number.NEGATIVE_INFINITY : (ends.get(key, now) ?? Number.NEGATIVE_INFINITY),
    block: (key, until, now) => {
      // What is over at once goes with the next look.
      ends.get(key, now)
      ends.set(key, until, now)
    }
  }
}
