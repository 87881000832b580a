// Reads that take 5 to 15 milliseconds, but for one in each hundred, wherever it falls in
// them: that takes a second.
import { Hedge } from "@sluice/retry"
import { Clock, Effect, Random } from "effect"
import { runVirtually } from "./virtual.ts"

const calls = 20_000

export interface Tail {
  /** How long each call took, from the fastest to the slowest, in milliseconds. */
  readonly latencies: ReadonlyArray<number>
  /** Reads for a call. */
  readonly load: number
}

/**
 * The least latency that fewer than the rest of the calls exceed. Of a hundred calls of which one is slow, the slow one
 * is the 99th percentile: the other bound, which at least 99 do not exceed, would call a tail of 1 % none.
 */
export const quantile = (sorted: ReadonlyArray<number>, q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN

export const simulateTail = (policy: Hedge.Policy | undefined): Tail => {
  const latencies: Array<number> = []
  let reads = 0
  let slow = 0
  const read = Effect.gen(function* () {
    const place = reads++ % 100
    if (place === 0) slow = Math.floor(100 * (yield* Random.next))
    const isSlow = place === slow
    yield* Effect.sleep(isSlow ? 1000 : 5 + 10 * (yield* Random.next))
  })
  const call = Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    yield* policy === undefined ? read : policy(read)
    latencies.push((yield* Clock.currentTimeMillis) - start)
  })
  const arrivals = Effect.forEach(
    Array.from({ length: calls }),
    () => Effect.andThen(Effect.forkDetach(call), Effect.sleep("2 millis")),
    { discard: true }
  )
  runVirtually(arrivals, { untilMillis: calls * 2 + 10_000, seed: "tail" })
  return { latencies: latencies.sort((a, b) => a - b), load: reads / calls }
}

/** Sends a copy of what takes longer than 95 of 100. */
export const tailHedge = (): Hedge.Policy =>
  Hedge.hedge({ idempotent: true, delay: { quantile: 0.95, initial: "50 millis" } })
