// mulberry32: 32 bits of state, one multiplication a draw, and the same numbers on every runtime. Load needs numbers that can
// be drawn again, not ones that cannot be guessed.

/** Numbers in [0, 1) that a seed decides. */
export const random = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
