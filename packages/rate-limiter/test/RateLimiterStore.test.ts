import { describe, expect, it } from "@effect/vitest"
import { RateLimiterStore } from "@sluice/rate-limiter/effect"
import { Clock, Duration, Effect, Fiber, Layer } from "effect"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { makeClockwork } from "./promises.ts"

const onOurs = RateLimiter.layer.pipe(Layer.provide(RateLimiterStore.layer()))

describe("RateLimiterStore", () => {
  for (const algorithm of ["fixed-window", "token-bucket"] as const) {
    it.effect(`has makeWithRateLimiter refuse and delay: ${algorithm}`, () =>
      Effect.gen(function* () {
        const withLimit = yield* RateLimiter.makeWithRateLimiter
        const options = { algorithm, limit: 2, window: "2 seconds" } as const
        const refusing = withLimit({ ...options, key: "refusing" })(Clock.currentTimeMillis)
        expect(yield* refusing).toBe(0)
        expect(yield* refusing).toBe(0)
        const error = yield* Effect.flip(refusing)
        expect(error.reason._tag).toBe("RateLimitExceeded")
        const delaying = withLimit({ ...options, key: "delaying", onExceeded: "delay" })(Clock.currentTimeMillis)
        const fiber = yield* Effect.forkChild(
          Effect.forEach([1, 2, 3, 4], () => delaying, { concurrency: "unbounded" })
        )
        yield* TestClock.adjust("10 seconds")
        expect(yield* Fiber.join(fiber)).toEqual(algorithm === "fixed-window" ? [0, 0, 2000, 2000] : [0, 0, 1000, 2000])
      }).pipe(Effect.provide(onOurs))
    )
  }

  it.effect("has HttpClient.withRateLimiter pace requests", () =>
    Effect.gen(function* () {
      const sent: Array<number> = []
      const client = HttpClient.make((request) =>
        Effect.map(Clock.currentTimeMillis, (at) => {
          sent.push(at)
          return HttpClientResponse.fromWeb(request, new Response(null, { status: 200 }))
        })
      ).pipe(
        HttpClient.withRateLimiter({
          limiter: yield* RateLimiter.RateLimiter,
          key: "api",
          limit: 2,
          window: "1 second",
          algorithm: "token-bucket"
        })
      )
      const fiber = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3, 4], () => client.execute(HttpClientRequest.get("http://api.test/")), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(fiber)
      expect(sent).toEqual([0, 0, 500, 1000])
    }).pipe(Effect.provide(onOurs))
  )

  it.effect("has HttpClient.withRateLimiter learn from answers of 429", () =>
    Effect.gen(function* () {
      const sent: Array<number> = []
      const client = HttpClient.make((request) =>
        Effect.map(Clock.currentTimeMillis, (at) => {
          sent.push(at)
          const tooMany = new Response(null, { status: 429, headers: { "retry-after": "3" } })
          return HttpClientResponse.fromWeb(request, sent.length === 1 ? tooMany : new Response(null))
        })
      ).pipe(
        HttpClient.withRateLimiter({
          limiter: yield* RateLimiter.RateLimiter,
          key: "api",
          limit: 100,
          window: "1 second"
        })
      )
      const fiber = yield* Effect.forkChild(client.execute(HttpClientRequest.get("http://api.test/")))
      yield* TestClock.adjust("10 seconds")
      expect((yield* Fiber.join(fiber)).status).toBe(200)
      expect(sent).toEqual([0, 3000])
    }).pipe(Effect.provide(onOurs))
  )

  it("keeps the whole of a sum of fractions, where Effect's own store loses some of it to rounding", () => {
    const clockwork = makeClockwork()
    const limiter = clockwork.run(Effect.provide(RateLimiter.make, RateLimiterStore.layer()))
    const options = { key: "b", algorithm: "token-bucket", limit: 3, window: "4 seconds", onExceeded: "delay" } as const
    const remaining = [
      [0, 3],
      [341, 3],
      [6837, 1],
      [8000, 1]
    ].map(([at = 0, tokens = 0]) => {
      clockwork.set(1_700_000_000_000 + at)
      return clockwork.run(limiter.consume({ ...options, tokens })).remaining
    })
    // 3 at first, 6 in 8 seconds, and 8 of these 9 taken.
    expect(remaining.at(-1)).toBe(1)
  })

  /**
   * Models the store as Effect's own, which says what it has to answer. Tokens come in eighths, which a double adds without
   * rounding.
   */
  it("answers as Effect's own store does", () => {
    const request = fc.record({
      after: fc.integer({ min: 0, max: 24 }).map((eighths) => 125 * eighths),
      key: fc.constantFrom("a", "b"),
      tokens: fc.integer({ min: 1, max: 3 }),
      algorithm: fc.constantFrom("fixed-window" as const, "token-bucket" as const),
      onExceeded: fc.constantFrom("fail" as const, "delay" as const)
    })
    fc.assert(
      fc.property(fc.constantFrom(4, 8), fc.array(request, { maxLength: 60, size: "max" }), (limit, requests) => {
        const clockwork = makeClockwork()
        const [ours, theirs] = [RateLimiterStore.layer(), RateLimiter.layerStoreMemory].map((store) =>
          clockwork.run(Effect.provide(RateLimiter.make, store))
        )
        let now = 1_700_000_000_000
        for (const { after, ...options } of requests) {
          now += after
          clockwork.set(now)
          const [our, their] = [ours, theirs].map((limiter) =>
            limiter === undefined
              ? undefined
              : clockwork.run(
                  limiter.consume({ ...options, limit, window: "4 seconds" }).pipe(
                    Effect.map(({ delay, remaining, resetAfter }) => ({
                      remaining,
                      millis: [Duration.toMillis(delay), Duration.toMillis(resetAfter)].map(Math.round)
                    })),
                    Effect.catchTag("RateLimiterError", ({ reason }) =>
                      Effect.succeed(
                        reason._tag === "RateLimitExceeded" ? Math.round(Duration.toMillis(reason.retryAfter)) : reason
                      )
                    )
                  )
                )
          )
          expect(our).toEqual(their)
        }
      }),
      { numRuns: 50 }
    )
  })
})
