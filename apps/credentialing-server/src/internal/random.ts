// Draws that come out the same wherever and however often they are repeated.

export interface Random {
  /** From 0 up to, not including, 1. */
  readonly fraction: () => number
  /** A whole number, both ends included. */
  readonly whole: (least: number, most: number) => number
  readonly oneOf: <A>(values: ReadonlyArray<A>) => A
}

/** Mulberry32, by Tommy Ettinger (public domain): 32 bits of state are plenty here. Each stream of a seed is its own. */
export const random = (seed: number, stream: number): Random => {
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(stream + 1, 0x85ebca6b)) >>> 0
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  const whole = (least: number, most: number): number => least + Math.floor(fraction() * (most - least + 1))
  const oneOf = <A>(values: ReadonlyArray<A>): A => {
    const value = values[whole(0, values.length - 1)]
    if (value === undefined) throw new RangeError("Cannot draw from no values")
    return value
  }
  return { fraction, whole, oneOf }
}
