import { describe, expect, it } from "@effect/vitest"
import { Backoff } from "@sluice/retry"
import { Duration, Effect, Exit, Random, Schedule } from "effect"

/** What a schedule would wait, until it ends or `count` delays are known; time passes only in the delays. */
const delaysOf = (schedule: Schedule.Schedule<Duration.Duration>, count: number) =>
  Effect.gen(function* () {
    const step = yield* Schedule.toStep(schedule)
    const delays: Array<number> = []
    let now = 0
    while (delays.length < count) {
      const exit = yield* Effect.exit(step(now, undefined))
      if (Exit.isFailure(exit)) break
      const millis = Duration.toMillis(exit.value[1])
      delays.push(millis)
      now += millis
    }
    return delays
  })

/** The n-th delay of so many runs, each with random numbers of its own. */
const sample = (schedule: Schedule.Schedule<Duration.Duration>, nth: number, runs = 20_000) =>
  Effect.runSync(
    Effect.forEach(Array.from({ length: runs }), () =>
      Effect.map(delaysOf(schedule, nth), (delays) => delays[nth - 1] ?? Number.NaN)
    ).pipe(Random.withSeed("distribution"))
  )

/**
 * The greatest distance between the samples' distribution and a given one (Kolmogorov–Smirnov). Samples that follow it
 * stay below 1.63 / √n with a probability of 99 %; the seed is fixed, so that this is decided once and for all.
 */
const distance = (samples: ReadonlyArray<number>, distribution: (value: number) => number): number => {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted.reduce((most, value, index) => {
    const expected = distribution(value)
    return Math.max(most, Math.abs(expected - index / sorted.length), Math.abs(expected - (index + 1) / sorted.length))
  }, 0)
}
const bound = 1.63 / Math.sqrt(20_000)

const uniform = (from: number, to: number) => (value: number) => Math.min(1, Math.max(0, (value - from) / (to - from)))

describe("growth", () => {
  it.effect("is by a factor, by a step, or by the sum of the two before", () =>
    Effect.gen(function* () {
      const plain = { base: "1 second", jitter: "none" } as const
      expect(yield* delaysOf(Backoff.exponential(plain), 7)).toEqual([1000, 2000, 4000, 8000, 16_000, 20_000, 20_000])
      expect(yield* delaysOf(Backoff.exponential({ ...plain, factor: 1.5 }), 3)).toEqual([1000, 1500, 2250])
      expect(yield* delaysOf(Backoff.linear(plain), 4)).toEqual([1000, 2000, 3000, 4000])
      expect(yield* delaysOf(Backoff.linear({ ...plain, step: "250 millis" }), 3)).toEqual([1000, 1250, 1500])
      expect(yield* delaysOf(Backoff.fibonacci(plain), 8)).toEqual([1000, 1000, 2000, 3000, 5000, 8000, 13_000, 20_000])
    })
  )

  it.effect("ends after the attempts, the first among them", () =>
    Effect.gen(function* () {
      const schedule = Backoff.linear({ base: "1 second", jitter: "none", maxAttempts: 3 })
      expect(yield* delaysOf(schedule, 9)).toEqual([1000, 2000])
    })
  )

  it.effect("ends before a delay that would not end in time", () =>
    Effect.gen(function* () {
      const schedule = Backoff.exponential({ base: "1 second", jitter: "none", maxElapsed: "7 seconds" })
      expect(yield* delaysOf(schedule, 9)).toEqual([1000, 2000, 4000])
    })
  )

  it.effect("starts anew with each use", () =>
    Effect.gen(function* () {
      const schedule = Backoff.fibonacci({ base: "1 second", jitter: "none" })
      expect(yield* delaysOf(schedule, 3)).toEqual(yield* delaysOf(schedule, 3))
    })
  )
})

describe("jitter", () => {
  const second = { base: "1 second", cap: "10 seconds" } as const

  it("full is anywhere from nothing to the delay", () => {
    expect(distance(sample(Backoff.exponential({ ...second, jitter: "full" }), 3), uniform(0, 4000))).toBeLessThan(
      bound
    )
    expect(distance(sample(Backoff.linear({ ...second, jitter: "full" }), 3), uniform(0, 3000))).toBeLessThan(bound)
    expect(distance(sample(Backoff.fibonacci({ ...second, jitter: "full" }), 4), uniform(0, 3000))).toBeLessThan(bound)
  })

  it("full is of the capped delay", () => {
    expect(distance(sample(Backoff.exponential({ ...second, jitter: "full" }), 9), uniform(0, 10_000))).toBeLessThan(
      bound
    )
  })

  it("equal is anywhere in the upper half of the delay", () => {
    expect(distance(sample(Backoff.exponential({ ...second, jitter: "equal" }), 3), uniform(2000, 4000))).toBeLessThan(
      bound
    )
  })

  it("around is anywhere within that part on either side of the delay", () => {
    expect(
      distance(sample(Backoff.exponential({ ...second, jitter: { around: 0.2 } }), 2), uniform(1600, 2400))
    ).toBeLessThan(bound)
  })

  it("decorrelated is anywhere from the base to three times the delay before", () => {
    const schedule = Backoff.exponential({ ...second, jitter: "decorrelated" })
    expect(distance(sample(schedule, 1), uniform(1000, 3000))).toBeLessThan(bound)
    // The second, x, given the first, y, is uniform on [1, 3y], and y on [1, 3]: the integral of
    // min(1, (x − 1) / (3y − 1)) / 2 over y, in seconds.
    const twoSteps = (value: number): number => {
      const x = value / 1000
      if (x <= 1) return 0
      const threshold = Math.min(3, Math.max(1, x / 3))
      const certain = threshold - 1
      const rest = ((x - 1) / 3) * Math.log(8 / (3 * threshold - 1))
      return (certain + rest) / 2
    }
    expect(distance(sample(schedule, 2), twoSteps)).toBeLessThan(bound)
  })

  it("a distribution that is off by two in a hundred would be found out", () => {
    expect(distance(sample(Backoff.exponential({ ...second, jitter: "full" }), 3), uniform(0, 4100))).toBeGreaterThan(
      bound
    )
  })
})

describe("presets", () => {
  const bounds = (preset: Backoff.Preset, count: number) =>
    Effect.map(
      Effect.forEach(Array.from({ length: 500 }), () => delaysOf(preset.backoff, count)),
      (runs) =>
        Array.from({ length: count }, (_, n) => {
          const nth = runs.map((delays) => delays[n] ?? Number.NaN)
          return [Math.min(...nth), Math.max(...nth)] as const
        })
    ).pipe(Random.withSeed("presets"))

  it.effect.each([
    ["AWS standard", Backoff.awsStandard, [100, 200, 400], 0, 1],
    ["AWS throttled", Backoff.awsThrottled, [500, 1000, 2000], 0, 1],
    ["gRPC", Backoff.grpc, [100, 200, 400, 800, 1000], 0.8, 1.2],
    ["Google", Backoff.google, [500, 750, 1125], 0.5, 1.5],
    ["three retries", Backoff.threeRetries, [1000, 2000, 4000], 0, 1]
  ] as const)("%s grows and spreads as its source says", ([, preset, delays, from, to]) =>
    Effect.gen(function* () {
      const found = yield* bounds(preset, delays.length)
      for (const [n, delay] of delays.entries()) {
        const [least, most] = found[n] ?? [Number.NaN, Number.NaN]
        expect(least).toBeGreaterThanOrEqual(delay * from - 1e-6)
        expect(most).toBeLessThanOrEqual(delay * to + 1e-6)
        expect((most - least) / (delay * (to - from))).toBeGreaterThan(0.97)
      }
    })
  )

  it.effect("Google's ends with the time it has, which is 15 minutes", () =>
    Effect.gen(function* () {
      const delays = yield* delaysOf(Backoff.google.backoff, 1000)
      const total = delays.reduce((sum, delay) => sum + delay, 0)
      expect(total).toBeLessThanOrEqual(900_000)
      expect(total).toBeGreaterThan(800_000)
    })
  )
})

describe("options", () => {
  it("out of range are refused by name and value", () => {
    expect(() => Backoff.exponential({ base: "1 second", factor: 0 })).toThrow("factor 0")
    expect(() => Backoff.linear({ base: "1 second", step: 0 })).toThrow("step 0")
    expect(() => Backoff.fibonacci({ base: "1 second", cap: 0 })).toThrow("cap 0")
    expect(() => Backoff.exponential({ base: "1 second", jitter: { around: 2 } })).toThrow("around 2")
    expect(() => Backoff.exponential({ base: "1 second", maxAttempts: 0 })).toThrow("maxAttempts 0")
  })
})
