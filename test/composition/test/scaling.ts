// What each way to share one rate between machines lets through, in simulated time:
// twelve machines in three regions, a tenth more requests than are allowed, and
// most of them at a few machines, which are others in the second half. The limiters
// are the real ones. `npm run scaling` prints the table of docs/scaling.md.

import { RateLimiter } from "@sluice/rate-limiter"

const limit = 1000
const burst = 100
const seconds = 60
const demand = 1100
const machines = 12
const regions = 3
/** A message to the counter of one's own region and back, and to that of another. */
const nearMillis = 0.5
const farMillis = 80

interface Arrival {
  readonly at: number
  readonly machine: number
}

/** A generator of numbers that is the same everywhere (xorshift32; Marsaglia, 2003). */
const makeRandom = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

const pick = (weights: ReadonlyArray<number>, at: number): number => {
  let rest = at * weights.reduce((sum, weight) => sum + weight, 0)
  for (const [index, weight] of weights.entries()) {
    rest -= weight
    if (rest < 0) return index
  }
  return weights.length - 1
}

/** Requests as independent visitors send them; the n-th machine has 1/n of what the first has, later the other way round. */
const arrivals = (): ReadonlyArray<Arrival> => {
  const random = makeRandom(2026)
  const weights = Array.from({ length: machines }, (_, index) => 1 / (index + 1))
  const reversed = weights.toReversed()
  const all: Array<Arrival> = []
  for (let at = 0; at < seconds * 1000; ) {
    at += (-Math.log(1 - random()) * 1000) / demand
    all.push({ at, machine: pick(at < seconds * 500 ? weights : reversed, random()) })
  }
  return all
}

const regionOf = (machine: number): number => machine % regions

interface Outcome {
  readonly allowed: boolean
  /** Messages to a counter and back that this request took part in. */
  readonly messages: number
  /** How long it waited for the decision. */
  readonly millis: number
}

type Design = (arrival: Arrival) => Outcome

const limiterOf = (share: number): RateLimiter.RateLimiter =>
  RateLimiter.makeUnsafe({ limit: limit * share, interval: "1 second", burst: Math.max(1, burst * share) })

const own = (count: number, of: (machine: number) => number, messages: number, millis: number): Design => {
  const limiters = Array.from({ length: count }, () => limiterOf(1 / count))
  return ({ at, machine }) => ({
    allowed: limiters[of(machine)]?.tryTakeUnsafe(at).allowed ?? false,
    messages,
    millis
  })
}

/** All ask the counter in the first region. */
const oneCounter = (): Design => {
  const limiter = limiterOf(1)
  return ({ at, machine }) => ({
    allowed: limiter.tryTakeUnsafe(at).allowed,
    messages: 1,
    millis: regionOf(machine) === 0 ? nearMillis : farMillis
  })
}

/** As that, but tokens are fetched so many at a time, and those of a machine that has none left for a second expire. */
const inBlocks = (size: number): Design => {
  const limiter = limiterOf(1)
  const held = Array.from({ length: machines }, () => ({ tokens: 0, until: 0 }))
  return ({ at, machine }) => {
    const mine = held[machine]
    if (mine === undefined) return { allowed: false, messages: 0, millis: 0 }
    if (mine.tokens > 0 && mine.until > at) {
      mine.tokens--
      return { allowed: true, messages: 0, millis: 0 }
    }
    const millis = regionOf(machine) === 0 ? nearMillis : farMillis
    const { allowed } = limiter.tryTakeUnsafe(at, size)
    mine.tokens = allowed ? size - 1 : 0
    mine.until = at + 1000
    return { allowed, messages: 1, millis }
  }
}

/** Each region has a share, which follows its part of the requests once a second, and is never less than a twentieth. */
const movingShares = (): Design => {
  const limiters = Array.from({ length: regions }, () => limiterOf(1))
  const asked = Array.from({ length: regions }, () => 0)
  let shares = Array.from({ length: regions }, () => 1 / regions)
  let second = 0
  return ({ at, machine }) => {
    if (at >= (second + 1) * 1000) {
      const total = asked.reduce((sum, count) => sum + count, 0)
      const raised = asked.map((count) => Math.max(0.05, count / total))
      const sum = raised.reduce((all, share) => all + share, 0)
      shares = raised.map((share) => share / sum)
      asked.fill(0)
      second = Math.floor(at / 1000)
    }
    const region = regionOf(machine)
    asked[region] = (asked[region] ?? 0) + 1
    // A share of the limit is a price of each request.
    const allowed = limiters[region]?.tryTakeUnsafe(at, 1 / (shares[region] ?? 1)).allowed ?? false
    return { allowed, messages: 1, millis: nearMillis }
  }
}

const worstWindow = (times: ReadonlyArray<number>, millis: number): number => {
  let worst = 0
  let from = 0
  for (const [to, time] of times.entries()) {
    while ((times[from] ?? 0) <= time - millis) from++
    worst = Math.max(worst, to - from + 1)
  }
  return worst
}

const designs: ReadonlyArray<readonly [name: string, design: Design]> = [
  ["a limit divided by the machines", own(machines, (machine) => machine, 0, 0)],
  ["one counter for all", oneCounter()],
  ["one counter, tokens in blocks of 20", inBlocks(20)],
  ["a counter in each region, a third each", own(regions, regionOf, 1, nearMillis)],
  ["a counter in each region, shares that move", movingShares()]
]

const row = ([name, design]: readonly [string, Design], all: ReadonlyArray<Arrival>): string => {
  const outcomes = all.map((arrival) => ({ ...design(arrival), at: arrival.at }))
  const admitted = outcomes.filter(({ allowed }) => allowed)
  const mean = (value: (outcome: Outcome) => number): number =>
    outcomes.reduce((sum, outcome) => sum + value(outcome), 0) / outcomes.length
  const used = (100 * admitted.length) / (limit * seconds + burst)
  const worst = worstWindow(
    admitted.map(({ at }) => at),
    1000
  )
  const cells = [
    name,
    `${used.toFixed(0)} %`,
    String(worst),
    mean(({ messages }) => messages).toFixed(2),
    `${mean(({ millis }) => millis).toFixed(1)} ms`
  ]
  return `| ${cells.join(" | ")} |`
}

/** The table, as Markdown. */
export const table = (): string => {
  const all = arrivals()
  const head = [
    "| | Of the limit used | Most in any second | Messages a request | Mean wait for a decision |",
    "|---|---:|---:|---:|---:|"
  ]
  return [...head, ...designs.map((design) => row(design, all))].join("\n")
}

if (import.meta.main) console.log(table())
