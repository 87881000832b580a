// A delay is made in two steps: growth, which knows only how often was tried,
// and spread, which knows chance. The cap is applied between them, so that
// jitter works on what is waited at most, and after decorrelated jitter, which
// grows by itself. Each costs O(1).
import type { Jitter } from "../Backoff.ts"

/** Gives the delay after the first failure, after the second, and so on. */
export type Growth = () => (failures: number) => number

export const exponential =
  (base: number, factor: number): Growth =>
  () =>
  (failures) =>
    base * factor ** (failures - 1)

export const linear =
  (base: number, step: number): Growth =>
  () =>
  (failures) =>
    base + step * (failures - 1)

export const fibonacci =
  (base: number): Growth =>
  () => {
    let current = 0
    let next = base
    return () => {
      const grown = next
      next += current
      current = grown
      return grown
    }
  }

export interface Delay {
  readonly grown: number
  readonly previous: number
  readonly base: number
  readonly cap: number
}

export const spread = (jitter: Jitter, random: number, delay: Delay): number => {
  if (typeof jitter === "object") return delay.grown * (1 - jitter.around + 2 * jitter.around * random)
  switch (jitter) {
    case "none":
      return delay.grown
    case "full":
      return delay.grown * random
    case "equal":
      return delay.grown / 2 + (delay.grown / 2) * random
    case "decorrelated":
      return Math.min(delay.cap, delay.base + random * Math.max(0, delay.previous * 3 - delay.base))
  }
}
