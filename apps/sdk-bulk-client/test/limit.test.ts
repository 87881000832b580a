// The limit that adapts: its arithmetic, its queue, and what it makes of an API
// that can take only so much, in virtual time.

import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Random } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { ApiError, type CallError, ConnectionError } from "../src/index.ts"
import { Congestion } from "../src/internal/congestion.ts"
import { type Limit, make } from "../src/internal/limit.ts"
import { contexts, start } from "./support/start.ts"

const refusal = new ApiError({
  kind: "RateLimited",
  status: 429,
  method: "POST",
  path: "/",
  detail: "",
  requestId: undefined,
  retryAfter: undefined
})

const noPlace = new ConnectionError({
  method: "POST",
  path: "/",
  description: "no place",
  mayHaveReachedServer: false,
  isTimeout: true,
  cause: undefined
})

/** A window of requests. */
const sample = (inFlight: number, didDrop = false) => ({ latencyMillis: 100, inFlight, didDrop })

const refusedAt = (congestion: Congestion, inFlight: number): number => {
  congestion.refused()
  return congestion.next(sample(inFlight, true)).limit
}

describe("the arithmetic", () => {
  it("falls from what was in flight, once for a window of refusals", () => {
    const congestion = new Congestion(50)
    for (let n = 0; n < 10; n++) congestion.refused()
    expect(congestion.next(sample(10, true)).limit).toBe(7)
    expect(congestion.fellForRefusal).toBe(1)
    expect(refusedAt(congestion, 7)).toBe(4)
  })

  it("never falls below one, nor rises above its maximum", () => {
    const congestion = new Congestion(4)
    for (let n = 0; n < 30; n++) expect(refusedAt(congestion, 1)).toBeGreaterThanOrEqual(1)
    expect(refusedAt(congestion, 1)).toBe(1)
    for (let n = 0; n < 200; n++) expect(congestion.next(sample(4)).limit).toBeLessThanOrEqual(4)
    expect(congestion.next(sample(4)).limit).toBe(4)
  })

  it("rises by one a window, and only while it is used", () => {
    const congestion = new Congestion(50)
    expect(refusedAt(congestion, 10)).toBe(7)
    expect(congestion.next(sample(7)).limit).toBe(8)
    expect(congestion.next(sample(4)).limit).toBe(9)
    expect(congestion.next(sample(4)).limit).toBe(9)
  })

  it("falls less for latency than for refusals", () => {
    const congestion = new Congestion(50)
    expect(congestion.next(sample(20, true)).limit).toBe(18)
    expect(congestion.fellForLatency).toBe(1)
    expect(congestion.fellForRefusal).toBe(0)
  })

  /** Answers of a kind, so many milliseconds apart; whether the last one was slow. */
  const answers = (congestion: Congestion, count: number, millis: number, from = 0, apart = 20): boolean => {
    let isSlow = false
    for (let n = 1; n <= count; n++) isSlow = congestion.answered("contexts", millis, from + n * apart)
    return isSlow
  }

  it("takes requests that last twice as long as is usual for their kind for slow", () => {
    const congestion = new Congestion(50)
    expect(answers(congestion, 500, 200)).toBe(false)
    expect(answers(congestion, 100, 1000, 10_000)).toBe(true)
  })

  it("takes no pause that all in flight see at once for an API that is slow", () => {
    const congestion = new Congestion(50)
    answers(congestion, 500, 200)
    for (let n = 0; n < 32; n++) expect(congestion.answered("contexts", 600, 10_400)).toBe(false)
  })

  it("takes no kind of request for slow because another is quick", () => {
    const congestion = new Congestion(50)
    for (let n = 0; n < 500; n++) {
      expect(congestion.answered("contexts", 1200, n * 100)).toBe(false)
      expect(congestion.answered("schema-metadata", 6900, n * 100)).toBe(false)
    }
  })

  it("takes no notice of differences that nobody would notice", () => {
    const congestion = new Congestion(50)
    answers(congestion, 500, 2)
    expect(answers(congestion, 500, 30, 10_000)).toBe(false)
  })

  it("learns what has become usual", () => {
    const congestion = new Congestion(50)
    answers(congestion, 500, 200)
    expect(answers(congestion, 10_000, 1000, 10_000)).toBe(false)
  })
})

/** An API that runs `capacity` requests at once for a second each, and treats more as `overload` says. */
const api = (capacity: { now: number }, overload: "refuses" | "slows") => {
  const seen = { now: 0, answered: 0, refused: 0, atOnce: [] as number[] }
  const request: Effect.Effect<void, CallError> = Effect.gen(function* () {
    seen.now++
    seen.atOnce.push(seen.now)
    if (overload === "refuses" && seen.now > capacity.now) {
      seen.refused++
      yield* Effect.sleep("10 millis")
      return yield* Effect.fail(refusal)
    }
    const jitter = 900 + 200 * (yield* Random.next)
    yield* Effect.sleep(Duration.millis(jitter * Math.max(1, seen.now / capacity.now)))
    seen.answered++
  }).pipe(Effect.ensuring(Effect.sync(() => seen.now--)))
  return { seen, request }
}

/** So many callers, each with one request after the other, sent again after half a second where it is refused. */
const load = (limit: Limit, request: Effect.Effect<void, CallError>, callers: number) =>
  Effect.forEach(
    Array.from({ length: callers }),
    () =>
      Effect.forever(
        Effect.catch(
          limit.around("POST contexts", request, () => noPlace),
          () => Effect.sleep("500 millis")
        )
      ),
    { concurrency: "unbounded", discard: true }
  )

const mean = (numbers: ReadonlyArray<number>): number =>
  numbers.reduce((sum, one) => sum + one, 0) / Math.max(1, numbers.length)

describe("an API that refuses what is above its capacity", () => {
  const refusedIn10Minutes = (isAdaptive: boolean) =>
    Effect.gen(function* () {
      const limit = yield* make(64, isAdaptive, Duration.hours(1))
      const { request, seen } = api({ now: 8 }, "refuses")
      const fiber = yield* Effect.forkChild(load(limit, request, 32))
      yield* TestClock.adjust("10 minutes")
      yield* Fiber.interrupt(fiber)
      return seen
    })

  it.effect("is used near its capacity, with a small part of the refusals there would be without", () =>
    Effect.gen(function* () {
      const adaptive = yield* refusedIn10Minutes(true)
      const fixed = yield* refusedIn10Minutes(false)
      // 8 at once for a second each, 600 seconds long.
      expect(adaptive.answered).toBeGreaterThan(0.75 * 8 * 600)
      expect(adaptive.refused).toBeLessThan(0.1 * fixed.refused)
      expect(adaptive.refused).toBeLessThan(0.15 * adaptive.answered)
    })
  )

  it.effect("is found again after its capacity halved, and after it doubled", () =>
    Effect.gen(function* () {
      const capacity = { now: 16 }
      const limit = yield* make(64, true, Duration.hours(1))
      const { request, seen } = api(capacity, "refuses")
      const fiber = yield* Effect.forkChild(load(limit, request, 64))
      const phase = (atOnce: number) =>
        Effect.gen(function* () {
          capacity.now = atOnce
          yield* TestClock.adjust("2 minutes")
          const before = seen.answered
          yield* TestClock.adjust("3 minutes")
          return (seen.answered - before) / 180 / atOnce
        })
      const used = [yield* phase(16), yield* phase(8), yield* phase(16)]
      yield* Fiber.interrupt(fiber)
      for (const share of used) {
        expect(share).toBeGreaterThan(0.75)
        expect(share).toBeLessThan(1.15)
      }
    })
  )
})

describe("an API that grows slow", () => {
  it.effect("has fewer requests in flight, until it is as quick as it was", () =>
    Effect.gen(function* () {
      const capacity = { now: 64 }
      const limit = yield* make(32, true, Duration.hours(1))
      const { request, seen } = api(capacity, "slows")
      const fiber = yield* Effect.forkChild(load(limit, request, 32))
      yield* TestClock.adjust("1 minute")
      expect(limit.stats().limit).toBe(32)
      capacity.now = 4
      yield* TestClock.adjust("20 seconds")
      expect(limit.stats().limit).toBeLessThan(32)
      expect(limit.stats().fellForLatency).toBeGreaterThan(0)
      capacity.now = 64
      yield* TestClock.adjust("5 minutes")
      yield* Fiber.interrupt(fiber)
      expect(limit.stats().limit).toBe(32)
      expect(mean(seen.atOnce.slice(-1000))).toBeGreaterThan(25)
    })
  )
})

describe("the queue", () => {
  it.effect("is left after maxWait, and what has a place keeps it", () =>
    Effect.gen(function* () {
      const limit = yield* make(1, true, Duration.seconds(10))
      const long = limit.around("k", Effect.as(Effect.sleep("30 seconds"), "done"), () => noPlace)
      const first = yield* Effect.forkChild(long, { startImmediately: true })
      const second = yield* Effect.forkChild(Effect.flip(long), { startImmediately: true })
      yield* TestClock.adjust("9 seconds")
      const third = yield* Effect.forkChild(long, { startImmediately: true })
      expect(limit.stats()).toMatchObject({ inFlight: 1, waiting: 2 })
      yield* TestClock.adjust("1 seconds")
      expect(yield* Fiber.join(second)).toBe(noPlace)
      yield* TestClock.adjust("9 seconds")
      expect(yield* Effect.flip(Fiber.join(third))).toBe(noPlace)
      yield* TestClock.adjust("1 minute")
      expect(yield* Fiber.join(first)).toBe("done")
      expect(limit.stats()).toMatchObject({ inFlight: 0, waiting: 0 })
    })
  )

  it.effect("lets one that got its place in time take as long as it needs", () =>
    Effect.gen(function* () {
      const limit = yield* make(1, true, Duration.seconds(10))
      const job = (time: Duration.Input) => limit.around("k", Effect.as(Effect.sleep(time), "done"), () => noPlace)
      yield* Effect.forkChild(job("5 seconds"), { startImmediately: true })
      const waiting = yield* Effect.forkChild(job("1 minute"), { startImmediately: true })
      yield* TestClock.adjust("2 minutes")
      expect(yield* Fiber.join(waiting)).toBe("done")
    })
  )

  /** The model: whatever is interrupted, refused or late, a place is held by exactly one who runs, and none is lost. */
  it("never has more in flight than its maximum, and has all places back in the end", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.array(
          fc.record({
            starts: fc.nat(500),
            takes: fc.nat(300),
            isRefused: fc.boolean(),
            isInterruptedAfter: fc.option(fc.nat(300))
          }),
          { maxLength: 30 }
        ),
        (maximum, jobs) =>
          Effect.gen(function* () {
            const limit = yield* make(maximum, true, Duration.millis(200))
            let now = 0
            let most = 0
            const one = ({ isInterruptedAfter, isRefused, starts, takes }: (typeof jobs)[number]) => {
              const attempt: Effect.Effect<void, CallError> = Effect.gen(function* () {
                most = Math.max(most, ++now)
                yield* Effect.sleep(takes)
                if (isRefused) return yield* Effect.fail(refusal)
              }).pipe(Effect.ensuring(Effect.sync(() => now--)))
              const run = Effect.ignore(limit.around("k", attempt, () => noPlace))
              return Effect.delay(
                isInterruptedAfter === null ? run : Effect.timeoutOption(run, isInterruptedAfter),
                starts
              )
            }
            const all = yield* Effect.forkChild(Effect.forEach(jobs, one, { concurrency: "unbounded", discard: true }))
            yield* TestClock.adjust("1 minute")
            yield* Fiber.join(all)
            expect(most).toBeLessThanOrEqual(maximum)
            expect(now).toBe(0)
            const { inFlight, limit: left, waiting } = limit.stats()
            expect({ inFlight, waiting }).toEqual({ inFlight: 0, waiting: 0 })
            expect(left).toBeGreaterThanOrEqual(1)
          }).pipe(Effect.provide(TestClock.layer()), Effect.scoped, Effect.runPromise)
      ),
      { numRuns: 100 }
    ))
})

describe("a client", () => {
  const run = (adaptive: boolean) =>
    Effect.gen(function* () {
      const { client, project, server } = yield* start(
        { latency: "fast", capacity: 4, retryAfterSeconds: 0 },
        { adaptive, maxRetries: 200, retryDelay: "2 millis" }
      )
      const all = yield* Effect.all(
        [
          client.contexts.bulkCreate(project, contexts(150), { maxConcurrent: 16 }),
          client.goldenExamples.bulkCreate(
            project,
            contexts(150).map(({ content, name }) => ({ user_query: name, sql_query: content })),
            { maxConcurrent: 16 }
          )
        ],
        { concurrency: "unbounded" }
      )
      const stats = yield* client.limitStats
      return { created: all.map(({ created }) => created), overloads: server.counts().overloads, stats }
    })

  it.live("has one limit over all that it does, which spares an API that is at its capacity", () =>
    Effect.gen(function* () {
      const adaptive = yield* run(true)
      const fixed = yield* run(false)
      expect(adaptive.created).toEqual([150, 150])
      expect(fixed.created).toEqual([150, 150])
      expect(adaptive.stats.fellForRefusal).toBeGreaterThan(0)
      expect(adaptive.stats.limit).toBeLessThan(fixed.stats.limit)
      expect(fixed.stats).toMatchObject({ limit: 50, maximum: 50, fellForRefusal: 0 })
      expect(adaptive.overloads).toBeLessThan(fixed.overloads)
    })
  )
})
