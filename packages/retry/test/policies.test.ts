import { describe, expect, it } from "@effect/vitest"
import { Backoff, Deadline, Hedge, HttpRetry, Retry, RetryAfter, RetryBudget } from "@sluice/retry"
import { Clock, Duration, Effect, Fiber, Logger, Option } from "effect"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { CircuitBreaker } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"

const everySecond = Backoff.linear({ base: "1 second", jitter: "none" })
const doubling = Backoff.exponential({ base: "1 second", jitter: "none" })

const counting = <E>(error: (attempt: number) => E) => {
  const triedAt: Array<number> = []
  const effect = Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.fail(error(triedAt.push(now))))
  return { effect, triedAt }
}

const finish = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.exit(effect))
    yield* TestClock.adjust("1 day")
    return yield* yield* Fiber.join(fiber)
  })

describe("Retry.recorded", () => {
  it.effect("tells of every attempt", () =>
    Effect.gen(function* () {
      const slow = Effect.andThen(Effect.sleep("10 millis"), Effect.fail("down"))
      const error = yield* Effect.flip(finish(Retry.recorded({ backoff: doubling })(slow)))
      expect(error).toMatchObject({
        _tag: "@sluice/retry/RetryFailed",
        message: "Gave up after 3 attempts (Exhausted): down",
        error: "down",
        reason: "Exhausted",
        attempts: [
          { error: "down", startedAfterMillis: 0, tookMillis: 10, delayMillis: 1000 },
          { error: "down", startedAfterMillis: 1010, tookMillis: 10, delayMillis: 2000 },
          { error: "down", startedAfterMillis: 3020, tookMillis: 10 }
        ]
      })
    })
  )

  it.effect("says why there was no other attempt", () =>
    Effect.gen(function* () {
      const reasonOf = (options: Retry.Options<string>) =>
        Effect.map(Effect.flip(finish(Retry.recorded(options)(Effect.fail("down")))), ({ reason }) => reason)
      expect(yield* reasonOf({ while: () => false })).toBe("NotRetryable")
      expect(yield* reasonOf({ classify: () => Retry.fromPushback(RetryAfter.parsePushback("-1")) })).toBe("PushedBack")
      expect(yield* reasonOf({ maxAttempts: 1 })).toBe("Exhausted")
      expect(yield* reasonOf({ backoff: Backoff.exponential({ base: 1, maxAttempts: 1 }) })).toBe("Exhausted")
      expect(yield* reasonOf({ retryAfter: () => Duration.hours(1) })).toBe("RetryAfterTooLong")
      expect(yield* reasonOf({ budget: RetryBudget.makeUnsafe({ ratio: 0, minPerSecond: 0 }) })).toBe("BudgetDenied")
    })
  )

  it.effect("does not take a defect for a failure", () =>
    Effect.gen(function* () {
      let attempts = 0
      const dies = Effect.suspend(() => Effect.die(new Error(`defect ${++attempts}`)))
      yield* Effect.exit(finish(Retry.recorded()(dies)))
      expect(attempts).toBe(1)
    })
  )
})

describe("Retry and verdicts", () => {
  it.effect("waits exactly as long as it is pushed back, and starts its back-off anew", () =>
    Effect.gen(function* () {
      const { effect, triedAt } = counting((attempt) => attempt)
      const classify = (attempt: number) =>
        attempt === 2 ? Retry.fromPushback(RetryAfter.parsePushback("10")) : Retry.again
      yield* Effect.flip(finish(Retry.retry<number>({ maxAttempts: 5, backoff: doubling, classify })(effect)))
      expect(triedAt).toEqual([0, 1000, 1010, 2010, 4010])
    })
  )

  it.effect("caps what is asked for, if told to", () =>
    Effect.gen(function* () {
      const { effect, triedAt } = counting(() => "busy")
      const policy = Retry.retry<string>({
        maxAttempts: 2,
        retryAfter: () => Duration.hours(1),
        maxRetryAfter: "1 minute",
        onLongRetryAfter: "cap"
      })
      yield* Effect.flip(finish(policy(effect)))
      expect(triedAt).toEqual([0, 60_000])
    })
  )

  it.effect("counts what it does", () =>
    Effect.gen(function* () {
      const policy = Retry.retry<string>({ maxAttempts: 3, backoff: everySecond, while: (error) => error !== "final" })
      yield* finish(policy(Effect.void))
      yield* Effect.flip(finish(policy(Effect.fail("down"))))
      yield* Effect.flip(finish(policy(Effect.fail("final"))))
      expect(yield* policy.stats).toMatchObject({
        calls: 3,
        attempts: 5,
        retries: 2,
        succeeded: 1,
        failed: { Exhausted: 1, NotRetryable: 1 }
      })
    })
  )
})

describe("Retry under a deadline", () => {
  it.effect("fails at once where the next attempt would begin too late", () =>
    Effect.gen(function* () {
      const { effect, triedAt } = counting(() => "down")
      const policy = Retry.recorded<string>({ maxAttempts: 9, backoff: doubling })
      let endedAt = -1
      const error = yield* finish(
        policy(effect).pipe(
          Effect.flip,
          Effect.tap(Effect.map(Clock.currentTimeMillis, (now) => (endedAt = now))),
          Deadline.within("6 seconds")
        )
      )
      expect(triedAt).toEqual([0, 1000, 3000])
      expect(endedAt).toBe(3000)
      expect(error.reason).toBe("PastDeadline")
      expect(error.attempts).toHaveLength(3)
    })
  )

  /** Models the attempts as those of the back-off's times that come before the deadline. */
  it("never begins an attempt after it", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40_000 }),
        fc.integer({ min: 1, max: 8 }),
        async (deadline, maxAttempts) => {
          const { effect, triedAt } = counting(() => "down")
          const policy = Retry.retry<string>({ maxAttempts, backoff: doubling })
          await Effect.runPromise(
            Effect.scoped(
              Effect.provide(Effect.exit(finish(Deadline.within(deadline)(policy(effect)))), TestClock.layer())
            )
          )
          const times = [0, 1, 3, 7, 15, 31, 51, 71].map((seconds) => seconds * 1000)
          return triedAt.join() === times.filter((at, n) => n < maxAttempts && at < deadline).join()
        }
      )
    ))
})

describe("Retry with a budget", () => {
  it.effect("gives back a retry that is interrupted before it is made", () =>
    Effect.gen(function* () {
      const budget = RetryBudget.makeUnsafe({ ratio: 1, minPerSecond: 0 })
      const { effect, triedAt } = counting(() => "down")
      const fiber = yield* Effect.forkChild(Retry.retry<string>({ backoff: everySecond, budget })(effect))
      yield* TestClock.adjust("500 millis")
      expect(budget.statsUnsafe(500)).toEqual({ granted: 1, denied: 0, available: 0 })
      yield* Fiber.interrupt(fiber)
      expect(budget.statsUnsafe(500)).toEqual({ granted: 0, denied: 0, available: 1 })
      expect(triedAt).toHaveLength(1)
    })
  )

  it.effect("counts a hedge within a retry, and a retry within another, as one call", () =>
    Effect.gen(function* () {
      const budget = RetryBudget.makeUnsafe({ ratio: 5, minPerSecond: 0 })
      const { effect, triedAt } = counting(() => "down")
      const policy = Retry.retry<string>({ maxAttempts: 3, backoff: everySecond, budget })
      const composed = effect.pipe(Hedge.hedge({ idempotent: true, delay: "1 minute", budget }), policy, policy)
      yield* Effect.flip(finish(composed))
      expect(triedAt).toHaveLength(6)
      expect(yield* budget.stats).toEqual({ granted: 5, denied: 1, available: 0 })
    })
  )

  /** Models a budget's grants as the retries that were begun, whenever their callers are interrupted. */
  it("grants as many retries as are begun, under interruption", () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.nat(6000), { minLength: 1, maxLength: 12 }), async (interruptions) => {
        const budget = RetryBudget.makeUnsafe({ ratio: 0.8, minPerSecond: 0 })
        const policy = Retry.retry<string>({ maxAttempts: 5, backoff: everySecond, budget })
        const begun = { attempts: 0 }
        const work = Effect.suspend(() => {
          begun.attempts++
          return Effect.andThen(Effect.sleep("100 millis"), Effect.fail("down"))
        })
        const program = Effect.gen(function* () {
          for (const at of interruptions) {
            const fiber = yield* Effect.forkChild(policy(work))
            yield* Effect.forkChild(Effect.andThen(Effect.sleep(at), Fiber.interrupt(fiber)))
          }
          yield* TestClock.adjust("1 minute")
        })
        await Effect.runPromise(Effect.scoped(Effect.provide(program, TestClock.layer())))
        const { granted } = budget.statsUnsafe(60_000)
        const { attempts, retries } = policy.statsUnsafe()
        return granted === retries && attempts === begun.attempts && begun.attempts === interruptions.length + granted
      })
    ))

  it.effect("throttles as gRPC does, until successes pay for more", () =>
    Effect.gen(function* () {
      const budget = RetryBudget.throttleUnsafe({ maxTokens: 4, tokenRatio: 0.5 })
      const policy = Retry.retry<string>({ maxAttempts: 5, backoff: everySecond, budget })
      const { effect, triedAt } = counting(() => "down")
      yield* Effect.flip(finish(policy(effect)))
      expect(triedAt).toHaveLength(2)
      yield* finish(Effect.repeat(policy(Effect.void), { times: 2 }))
      yield* Effect.flip(finish(policy(effect)))
      expect(triedAt).toHaveLength(4)
    })
  )
})

describe("RetryAfter", () => {
  it("reads the older forms of HTTP-dates, and no date that there is not", () => {
    const now = Date.UTC(1994, 10, 6, 8, 0, 0)
    const read = (value: string, at = now) =>
      Option.getOrUndefined(Option.map(RetryAfter.parse(value, at), Duration.toSeconds))
    expect(read("Sunday, 06-Nov-94 08:49:37 GMT")).toBe(2977)
    expect(read("Sun Nov  6 08:49:37 1994")).toBe(2977)
    expect(read("Sun, 31 Feb 1995 08:49:37 GMT")).toBe(undefined)
    expect(read("Sun, 06 Nov 1994 25:00:00 GMT")).toBe(undefined)
    expect(read("Sunday, 06-Nov-94 08:49:37 GMT", Date.UTC(2026, 0, 1))).toBe(0)
  })

  it("reads gRPC's pushback", () => {
    expect(RetryAfter.parsePushback("250")).toEqual({ _tag: "After", delay: Duration.millis(250) })
    expect(RetryAfter.parsePushback("-1")).toEqual({ _tag: "Stop" })
    expect(RetryAfter.parsePushback("soon")).toEqual({ _tag: "Stop" })
  })
})

describe("HttpRetry", () => {
  const answers = (statuses: ReadonlyArray<number>, headers: Record<string, string> = {}) => {
    const sentAt: Array<number> = []
    const client = HttpClient.make((request) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const status = statuses[sentAt.push(now) - 1] ?? 200
        return HttpClientResponse.fromWeb(request, new Response("", { status, headers }))
      })
    )
    const policy = Retry.retry({ classify: HttpRetry.classify, backoff: everySecond, maxAttempts: 4 })
    return { client: HttpClient.transform(HttpClient.filterStatusOk(client), (effect) => policy(effect)), sentAt }
  }

  it.effect("sends again what is idempotent, and what was refused", () =>
    Effect.gen(function* () {
      const get = answers([503, 500, 429])
      expect((yield* finish(get.client.get("http://localhost/"))).status).toBe(200)
      expect(get.sentAt).toEqual([0, 1000, 3000, 6000])
      const post = answers([429, 503])
      yield* Effect.flip(finish(post.client.post("http://localhost/")))
      expect(post.sentAt).toHaveLength(2)
      const keyed = answers([503, 503])
      const request = HttpClientRequest.setHeader(HttpClientRequest.post("http://localhost/"), "idempotency-key", "k")
      yield* finish(keyed.client.execute(request))
      expect(keyed.sentAt).toHaveLength(3)
      const notFound = answers([404])
      yield* Effect.flip(finish(notFound.client.get("http://localhost/")))
      expect(notFound.sentAt).toHaveLength(1)
    })
  )

  it.effect("honours Retry-After", () =>
    Effect.gen(function* () {
      const { client, sentAt } = answers([503], { "retry-after": "30" })
      yield* finish(client.get("http://localhost/"))
      expect(sentAt).toEqual([0, 30_000])
    })
  )

  it.effect("ignores a Retry-After that makes no sense, with a warning", () =>
    Effect.gen(function* () {
      const warnings: Array<string> = []
      const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
        warnings.push(`${logLevel} ${String(message)}`)
      })
      const { client, sentAt } = answers([503], { "retry-after": "soon" })
      yield* Effect.provide(finish(client.get("http://localhost/")), Logger.layer([logger]))
      expect(sentAt).toEqual([0, 1000])
      expect(warnings).toEqual(['Warn Ignoring Retry-After "soon": not seconds, not a date'])
    })
  )
})

describe("Retry around a circuit breaker", () => {
  it.effect("stops asking once the circuit is open, and goes on when it may", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make({
        tripPolicy: CircuitBreaker.consecutive(3),
        openDuration: "10 seconds"
      })
      let isDown = true
      let asked = 0
      const call = Effect.suspend(() => {
        asked++
        return isDown ? Effect.fail("down") : Effect.succeed("up")
      })
      const policy = Retry.retry<string | CircuitBreaker.CircuitBreakerError>({
        maxAttempts: 9,
        backoff: everySecond,
        while: (error) => typeof error === "string"
      })
      const guarded = policy(breaker.execute(call, { key: "service" }))
      yield* Effect.flip(
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(guarded)
          yield* TestClock.adjust("9 seconds")
          return yield* Fiber.join(fiber)
        })
      )
      expect(asked).toBe(3)
      isDown = false
      yield* TestClock.adjust("10 seconds")
      expect(yield* guarded).toBe("up")
    }).pipe(Effect.scoped, Effect.provide(CircuitBreaker.layerStoreMemory()))
  )
})
