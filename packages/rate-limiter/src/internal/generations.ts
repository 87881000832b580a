// The state of many keys in bounded memory. Keys live in two generations: what
// is touched moves to the young one, and when that is full, or as old as it
// takes a state to mean nothing, the old one is dropped whole and the young one
// takes its place. So eviction costs nothing at the time of a request, and what
// is dropped has not been touched for a generation: it is among the least
// recently used. A number a key in a Map, no object.

export interface Generations {
  /** The state of a key, or -Infinity. */
  readonly get: (key: string, now: number) => number
  readonly set: (key: string, state: number, now: number) => void
  readonly size: () => number
  /** Keys dropped while their state still meant something. */
  readonly evicted: () => number
}

/** Keeps at most `maxKeys` keys, and those not touched for `lifetime` milliseconds for no longer than twice that. */
export const makeGenerations = (maxKeys: number, lifetime: number): Generations => {
  const half = Math.max(1, Math.floor(maxKeys / 2))
  let young = new Map<string, number>()
  let old = new Map<string, number>()
  let turnedAt = Number.NEGATIVE_INFINITY
  let evicted = 0

  const turn = (now: number): void => {
    if (now - turnedAt < lifetime) evicted += old.size
    old = young
    young = new Map()
    turnedAt = now
  }

  return {
    get: (key, now) => {
      if (now - turnedAt >= lifetime) turn(now)
      return young.get(key) ?? old.get(key) ?? Number.NEGATIVE_INFINITY
    },
    set: (key, state, now) => {
      if (young.size >= half && !young.has(key)) turn(now)
      young.set(key, state)
    },
    size: () => {
      let both = 0
      for (const key of old.keys()) if (young.has(key)) both++
      return young.size + old.size - both
    },
    evicted: () => evicted
  }
}
