// Models the search against servers whose capacity is known: exactly, by a formula, or by a queue in virtual time.

import { Effect } from "effect"
import fc from "fast-check"
import { expect, it } from "vitest"
import * as Objective from "../../src/capacity/Objective.ts"
import * as Search from "../../src/capacity/Search.ts"
import { random } from "../../src/engine/Random.ts"
import * as Server from "./server.ts"

const sharp =
  (capacity: number) =>
  (rate: number): Effect.Effect<Search.Measured> =>
    Effect.succeed({ isMet: rate <= capacity, isClientLimited: false })

const capacity = fc.double({ min: 1, max: 1e6, noNaN: true })
const start = fc.double({ min: 1, max: 1e6, noNaN: true })
const precision = fc.double({ min: 0.005, max: 0.5, noNaN: true })

it("finds the greatest rate that holds, as exactly as was asked, from wherever it begins", () => {
  fc.assert(
    fc.property(capacity, start, precision, (truth, from, exact) => {
      const found = Effect.runSync(
        Search.search({ measure: sharp(truth), start: from, least: 0.5, precision: exact, maxTrials: 100 })
      )
      expect(found.isConfirmed).toBe(true)
      expect(found.rate).toBeLessThanOrEqual(truth)
      expect((found.rate ?? 0) * (1 + exact) * 1.000001).toBeGreaterThanOrEqual(truth)
      expect(found.failsAt).toBeGreaterThan(truth)
    })
  )
})

it("takes a number of trials that grows with the logarithm", () => {
  fc.assert(
    fc.property(capacity, start, precision, (truth, from, exact) => {
      const { trials } = Effect.runSync(
        Search.search({ measure: sharp(truth), start: from, least: 0.5, precision: exact, maxTrials: 100 })
      )
      const growth = Math.abs(Math.log2(truth / from)) + 2
      const halving = Math.max(0, Math.log2(Math.LN2 / Math.log(1 + exact))) + 1
      expect(trials.length).toBeLessThanOrEqual(Math.ceil(growth) + Math.ceil(halving) + 2)
    })
  )
})

it("never reports a rate that failed, however a server wavers", () => {
  fc.assert(
    fc.property(capacity, start, fc.integer(), (truth, from, seed) => {
      const draw = random(seed)
      // Near its capacity it is a matter of luck.
      const measure = (rate: number): Effect.Effect<Search.Measured> =>
        Effect.succeed({ isMet: rate * (0.8 + 0.4 * draw()) <= truth, isClientLimited: false })
      const { isConfirmed, rate, trials } = Effect.runSync(Search.search({ measure, start: from, least: 0.1 }))
      const at = trials.filter((trial) => trial.rate === rate)
      expect(at.every(({ measured }) => measured.isMet)).toBe(true)
      if (isConfirmed) expect(at).toHaveLength(3)
      expect(trials.every((trial) => trial.measured.isMet || rate === undefined || trial.rate > rate)).toBe(true)
    })
  )
})

it("stays within its bounds", () => {
  fc.assert(
    fc.property(capacity, start, (truth, from) => {
      const most = from * 3
      const least = from / 3
      const { rate, trials } = Effect.runSync(Search.search({ measure: sharp(truth), start: from, least, most }))
      expect(trials.every((trial) => trial.rate >= least && trial.rate <= most)).toBe(true)
      if (truth > most) expect(rate).toBe(most)
      if (truth < least) expect(rate).toBeUndefined()
    })
  )
})

it("says when it was the tester that could not go on", () => {
  const measure = (rate: number): Effect.Effect<Search.Measured> =>
    Effect.succeed({ isMet: rate <= 20_000, isClientLimited: rate > 20_000 })
  const found = Effect.runSync(Search.search({ measure, start: 100 }))
  expect(found.isClientLimited).toBe(true)
  expect(found.rate).toBeGreaterThan(19_000)
})

it("measures again what the tester has spoiled, and is not misled by it", () => {
  fc.assert(
    fc.property(capacity, start, fc.integer(), (truth, from, seed) => {
      const draw = random(seed)
      // Every eighth run at most is spoiled, never two in a row.
      let wasSpoiled = false
      const measure = (rate: number): Effect.Effect<Search.Measured> =>
        Effect.sync(() => {
          wasSpoiled = !wasSpoiled && draw() < 0.125
          return { isMet: !wasSpoiled && rate <= truth, isClientLimited: wasSpoiled }
        })
      const found = Effect.runSync(Search.search({ measure, start: from, least: 0.5, maxTrials: 200 }))
      expect(found.isClientLimited).toBe(false)
      expect(found.rate).toBeLessThanOrEqual(truth)
      expect((found.rate ?? 0) * 1.050001).toBeGreaterThanOrEqual(truth)
    })
  )
})

it("finds what queueing theory says of one worker: p99 is ln(100) / (1/service - rate)", () => {
  const serviceMicros = 5_000
  const [slo] = Effect.runSync(Effect.forEach(["p(99)<100ms"], (text) => Objective.parse(text)))
  if (slo === undefined) throw new Error("no objective")
  const truth = 1e6 / serviceMicros - (Math.log(100) * 1e6) / slo.limit
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 10, max: 1_000 }), (seed, from) => {
      let runs = seed
      const measure = (rate: number) =>
        Effect.sync(() => Objective.judge([slo], Server.run({ workers: 1, serviceMicros }, rate, 40_000, runs++)))
      const { isConfirmed, rate = 0 } = Effect.runSync(
        Search.search({ measure, start: from, precision: 0.03, confirmations: 1 })
      )
      expect(isConfirmed).toBe(true)
      expect(rate).toBeGreaterThan(truth * 0.88)
      expect(rate).toBeLessThan(truth * 1.07)
    }),
    { numRuns: 2, seed: 7 }
  )
})
