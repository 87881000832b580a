// A quantile of the last 1,000 latencies. Buckets grow by 5 %, so that the middle
// of one is within 2.5 % of anything in it; a ring remembers which bucket each
// sample fell into, to take it out again. Observing costs O(1). The quantile is
// found again after each 16th observation, by a walk over the 600 buckets.

const SIZE = 1000
const BUCKETS = 600
const GROWTH = Math.log(1.05)
/** The lower end of the second bucket, in milliseconds: 600 buckets reach from a microsecond to over an hour. */
const SMALLEST = 1e-3
const REFRESH = 16

export interface Latencies {
  readonly observe: (millis: number) => void
  readonly quantileMillis: () => number
}

export interface LatenciesOptions {
  readonly quantile: number
  readonly initialMillis: number
  readonly minSamples: number
}

export const makeLatencies = ({ initialMillis, minSamples, quantile }: LatenciesOptions): Latencies => {
  const ring = new Uint16Array(SIZE)
  const counts = new Uint16Array(BUCKETS)
  let observed = 0
  let found = initialMillis

  const refresh = (): void => {
    const rank = quantile * Math.min(observed, SIZE)
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += counts[bucket] ?? 0
      if (seen >= rank) {
        found = SMALLEST * Math.exp(GROWTH * (bucket - 0.5))
        return
      }
    }
  }

  return {
    observe: (millis) => {
      const bucket = millis < SMALLEST ? 0 : Math.min(BUCKETS - 1, 1 + Math.floor(Math.log(millis / SMALLEST) / GROWTH))
      const place = observed % SIZE
      if (observed >= SIZE) {
        const oldest = ring[place] ?? 0
        counts[oldest] = (counts[oldest] ?? 0) - 1
      }
      ring[place] = bucket
      counts[bucket] = (counts[bucket] ?? 0) + 1
      observed++
      if (observed >= minSamples && (observed % REFRESH === 0 || found === initialMillis)) refresh()
    },
    quantileMillis: () => found
  }
}
