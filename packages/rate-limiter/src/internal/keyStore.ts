// The states of many keys in bounded memory.
//
// Generations: what is touched moves to the young one, and when that is full, or as
// old as a state lives, the old one is dropped whole and the young one takes its
// place. So eviction costs nothing at the time of a request, and what is dropped has
// not been touched for a generation: it is among the least recently used. A state a
// key in a Map, and no object more.
//
// Least recently used, exactly: a list in the order of use, linked through the
// entries of a Map. (The order of the Map itself would not do: to find its first
// entry it goes over all those that were deleted before it.)

export interface KeyStore<S> {
  readonly get: (key: string, now: number) => S | undefined
  readonly set: (key: string, state: S, now: number) => void
  readonly size: () => number
  /** Keys that were dropped while their state still meant something. */
  readonly evicted: () => number
  readonly convert: (change: (key: string, state: S) => S) => void
}

export interface KeyStoreOptions<S> {
  readonly maxKeys: number
  /** Milliseconds after which a key that is not touched may go, if its state says nothing any more. */
  readonly lifetime: number
  /** Milliseconds after which it goes even so. */
  readonly maxIdle: number | undefined
  /** When a state says nothing any more. */
  readonly freeAt: (key: string, state: S) => number
}

export const makeGenerations = <S>(options: KeyStoreOptions<S>): KeyStore<S> => {
  const half = Math.max(1, Math.floor(options.maxKeys / 2))
  const lifetime = options.maxIdle ?? options.lifetime
  let young = new Map<string, S>()
  let old = new Map<string, S>()
  /** Keys of the old generation that are in the young one too. */
  let moved = 0
  /** When all of a generation says nothing any more. */
  let youngFreeAt = Number.NEGATIVE_INFINITY
  let oldFreeAt = Number.NEGATIVE_INFINITY
  let turnedAt = Number.NEGATIVE_INFINITY
  let evicted = 0

  const turn = (now: number): void => {
    if (now < oldFreeAt) evicted += old.size - moved
    old = young
    oldFreeAt = youngFreeAt
    young = new Map()
    youngFreeAt = Number.NEGATIVE_INFINITY
    moved = 0
    turnedAt = now
  }

  const put = (key: string, state: S, now: number): void => {
    if (young.size >= half && !young.has(key)) turn(now)
    young.set(key, state)
    const freeAt = options.freeAt(key, state)
    if (freeAt > youngFreeAt) youngFreeAt = freeAt
  }

  return {
    get: (key, now) => {
      if (now - turnedAt >= lifetime && (options.maxIdle !== undefined || now >= oldFreeAt)) turn(now)
      const state = young.get(key)
      if (state !== undefined || old.size === 0) return state
      const older = old.get(key)
      if (older === undefined) return undefined
      // Asking counts as use: else who is refused all the time would be forgotten, and start anew.
      put(key, older, now)
      if (old.has(key)) moved++
      return older
    },
    set: put,
    size: () => young.size + old.size - moved,
    evicted: () => evicted,
    convert: (change) => {
      oldFreeAt = Number.NEGATIVE_INFINITY
      youngFreeAt = Number.NEGATIVE_INFINITY
      for (const [key, state] of old) {
        const next = change(key, state)
        old.set(key, next)
        oldFreeAt = Math.max(oldFreeAt, options.freeAt(key, next))
      }
      for (const [key, state] of young) {
        // A state that is changed in place, and is in both, must be changed once.
        const next = old.get(key) ?? change(key, state)
        young.set(key, next)
        youngFreeAt = Math.max(youngFreeAt, options.freeAt(key, next))
      }
    }
  }
}

interface Used<S> {
  readonly key: string
  state: S
  usedAt: number
  older: Used<S> | undefined
  newer: Used<S> | undefined
}

export const makeLeastRecentlyUsed = <S>(options: KeyStoreOptions<S>): KeyStore<S> => {
  const { freeAt, maxIdle, maxKeys } = options
  const entries = new Map<string, Used<S>>()
  let oldest: Used<S> | undefined
  let newest: Used<S> | undefined
  let evicted = 0

  const unlink = (entry: Used<S>): void => {
    if (entry.older === undefined) oldest = entry.newer
    else entry.older.newer = entry.newer
    if (entry.newer === undefined) newest = entry.older
    else entry.newer.older = entry.older
  }

  const append = (entry: Used<S>): void => {
    entry.older = newest
    entry.newer = undefined
    if (newest === undefined) oldest = entry
    else newest.newer = entry
    newest = entry
  }

  const drop = (entry: Used<S>, now: number): void => {
    unlink(entry)
    entries.delete(entry.key)
    if (freeAt(entry.key, entry.state) > now) evicted++
  }

  const isOver = ({ key, state, usedAt }: Used<S>, now: number): boolean =>
    maxIdle === undefined ? freeAt(key, state) <= now : now - usedAt >= maxIdle

  return {
    get: (key, now) => {
      // Two for each that may come: the idle go faster than others come.
      if (oldest !== undefined && isOver(oldest, now)) drop(oldest, now)
      if (oldest !== undefined && isOver(oldest, now)) drop(oldest, now)
      const entry = entries.get(key)
      if (entry === undefined) return undefined
      if (maxIdle !== undefined && isOver(entry, now)) {
        drop(entry, now)
        return undefined
      }
      if (entry !== newest) {
        unlink(entry)
        append(entry)
      }
      entry.usedAt = now
      return entry.state
    },
    set: (key, state, now) => {
      const entry = entries.get(key)
      if (entry !== undefined) {
        entry.state = state
        return
      }
      if (entries.size >= maxKeys && oldest !== undefined) drop(oldest, now)
      const added: Used<S> = { key, state, usedAt: now, older: undefined, newer: undefined }
      entries.set(key, added)
      append(added)
    },
    size: () => entries.size,
    evicted: () => evicted,
    convert: (change) => {
      for (const [key, entry] of entries) entry.state = change(key, entry.state)
    }
  }
}
