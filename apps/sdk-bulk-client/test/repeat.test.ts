// What is sent again, when, and what ends the waiting, in virtual time.

import { describe, expect, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { ApiError, type CallError, ConnectionError, Options } from "../src/index.ts"
import { isWorthRepeating, repeating } from "../src/internal/repeat.ts"

const refusal = (status: number, retryAfter?: Duration.Duration) =>
  new ApiError({
    kind: "RateLimited",
    status,
    method: "POST",
    path: "/",
    detail: "",
    requestId: undefined,
    retryAfter
  })

const lost = (mayHaveReachedServer: boolean) =>
  new ConnectionError({
    method: "POST",
    path: "/",
    description: "",
    mayHaveReachedServer,
    isTimeout: false,
    cause: undefined
  })

const settings = (options: Partial<Options.ClientOptions> = {}) =>
  Options.settings({ baseUrl: "http://127.0.0.1", accessToken: "token", ...options })

const create = { method: "POST", idempotencyKey: "key" } as const

/** Fails as told, and keeps when it was tried. */
const failing = (error: CallError, times: number) => {
  const at: Array<number> = []
  const attempt = Effect.gen(function* () {
    at.push(yield* Clock.currentTimeMillis)
    if (at.length <= times) return yield* Effect.fail(error)
    return "created"
  })
  return { at, attempt }
}

const finish = <A, E>(work: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(work)
    yield* TestClock.adjust("1 day")
    return yield* Fiber.join(fiber)
  })

describe("delays", () => {
  it.effect("double from retryDelay, at random below, and never exceed 20 seconds", () =>
    Effect.gen(function* () {
      const { at, attempt } = failing(refusal(500), 12)
      expect(yield* finish(repeating(yield* settings({ maxRetries: 12 }), create, attempt))).toBe("created")
      const delays = at.slice(1).map((time, index) => time - (at[index] ?? 0))
      delays.forEach((delay, index) => {
        expect(delay).toBeLessThanOrEqual(Math.min(20_000, 1000 * 2 ** index))
      })
      expect(new Set(delays).size).toBeGreaterThan(6)
    })
  )

  it.effect("are never shorter than Retry-After", () =>
    Effect.gen(function* () {
      const { at, attempt } = failing(refusal(429, Duration.seconds(30)), 3)
      yield* finish(repeating(yield* settings(), create, attempt))
      for (const [index, time] of at.slice(1).entries()) {
        expect(time - (at[index] ?? 0)).toBeGreaterThanOrEqual(30_000)
      }
    })
  )
})

describe("an aborted signal", () => {
  it.effect("ends the wait for another attempt with the last error", () =>
    Effect.gen(function* () {
      const controller = new AbortController()
      const { at, attempt } = failing(refusal(429, Duration.minutes(4)), 9)
      const fiber = yield* Effect.forkChild(
        Effect.flip(repeating(yield* settings(), { ...create, signal: controller.signal }, attempt))
      )
      yield* TestClock.adjust("1 second")
      controller.abort()
      yield* TestClock.adjust("1 millis")
      expect(yield* Fiber.join(fiber)).toMatchObject({ status: 429 })
      expect(at).toHaveLength(1)
    })
  )

  it.effect("lets an attempt under way end, and keeps what it gives", () =>
    Effect.gen(function* () {
      const controller = new AbortController()
      const attempt = Effect.as(Effect.sleep("10 seconds"), "created")
      const fiber = yield* Effect.forkChild(
        repeating(yield* settings(), { ...create, signal: controller.signal }, attempt)
      )
      yield* TestClock.adjust("1 second")
      controller.abort()
      yield* TestClock.adjust("10 seconds")
      expect(yield* Fiber.join(fiber)).toBe("created")
    })
  )

  it.effect("lets an attempt under way fail, and makes no other", () =>
    Effect.gen(function* () {
      const controller = new AbortController()
      const { at, attempt } = failing(refusal(500), 9)
      const slow = Effect.andThen(Effect.sleep("10 seconds"), attempt)
      const fiber = yield* Effect.forkChild(
        Effect.flip(repeating(yield* settings(), { ...create, signal: controller.signal }, slow))
      )
      yield* TestClock.adjust("1 second")
      controller.abort()
      yield* TestClock.adjust("1 hour")
      expect(yield* Fiber.join(fiber)).toMatchObject({ status: 500 })
      expect(at).toHaveLength(1)
    })
  )
})

/** The model: what surely did nothing may always be sent again; what may have done something, only if twice is once. */
describe("what is worth another attempt", () => {
  it("follows from whether it was executed and whether that matters", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("GET", "PUT", "DELETE", "POST", "PATCH"),
        fc.boolean(),
        fc.boolean(),
        fc.oneof(
          fc.record({ status: fc.constantFrom(400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504) }),
          fc.record({ reached: fc.boolean() })
        ),
        (method, hasKey, honoursKeys, failure) => {
          const request = { method, ...(hasKey ? { idempotencyKey: "key" } : {}) } as const
          const twiceIsOnce = method === "GET" || method === "PUT" || method === "DELETE" || (hasKey && honoursKeys)
          const nothingDone = "status" in failure ? [409, 429, 503].includes(failure.status) : !failure.reached
          const mayPass = "status" in failure ? failure.status >= 500 : true
          const error = "status" in failure ? refusal(failure.status) : lost(failure.reached)
          expect(isWorthRepeating(request, error, honoursKeys)).toBe(nothingDone || (mayPass && twiceIsOnce))
        }
      )
    )
  })
})
